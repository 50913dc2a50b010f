"""Labels by entity and time find the prediction they are about, whatever order the logs of several workers are read in."""

from leverframe.core.prediction import LabelRecord, PredictionRecord
from leverframe.monitoring import label_match
from leverframe.monitoring.label_match import READS_MAX, WITHIN_US, LabelMatcher


def asked(id: str, at_us: int, tail: str = "N1", role: str = "live") -> PredictionRecord:
    return PredictionRecord(
        id=id, endpoint="m", tenant="t", version="m@v1", role=role, generation=1, asked_at_us=at_us, latency_us=1, status="ok",
        outputs=(0.5,), entities={"tailnum": tail},
    )  # fmt: skip


def label(at_us: int, tail: str = "N1", endpoint: str = "m") -> LabelRecord:
    return LabelRecord(id="", endpoint=endpoint, label=1.0, known_at_us=at_us, entities={"tailnum": tail}, asked_at_us=at_us)


def found(matcher: LabelMatcher, records) -> list[str]:
    return [record.id for record in matcher.match(records) if isinstance(record, LabelRecord)]


def test_the_newest_prediction_at_or_before_the_moment_is_meant():
    matcher = LabelMatcher()
    records = [asked("a", 100), asked("b", 200), asked("c", 300, tail="N2"), asked("s", 250, role="shadow")]
    assert found(matcher, [*records, label(199), label(200), label(299), label(10_000, tail="N2")]) == ["a", "b", "b", "c"]
    assert found(matcher, [label(99)]) == []
    assert found(matcher, [label(250, endpoint="other")]) == []
    for _ in range(READS_MAX + 1):
        assert found(matcher, []) == []
    assert matcher.unmatched == 2


def test_labels_by_id_go_through_untouched():
    by_id = LabelRecord(id="x", endpoint="m", label=0.0, known_at_us=5)
    assert LabelMatcher().match([by_id]) == [by_id]


def test_a_label_that_is_read_before_its_prediction_waits_for_it():
    matcher = LabelMatcher()
    assert found(matcher, [label(150)]) == []
    assert found(matcher, []) == []
    assert found(matcher, [asked("late", 100)]) == ["late"]
    assert matcher.unmatched == 0


def test_too_old_a_prediction_is_not_meant():
    matcher = LabelMatcher()
    assert found(matcher, [asked("old", 0), label(WITHIN_US + 1), label(WITHIN_US)]) == ["old"]


def test_two_arms_of_one_request_are_one_prediction():
    matcher = LabelMatcher()
    assert found(matcher, [asked("a", 100), asked("a", 100, role="canary"), label(150)]) == ["a"]


def test_what_is_remembered_and_what_waits_is_bounded(monkeypatch):
    monkeypatch.setattr(label_match, "REMEMBERED_MAX", 50)
    monkeypatch.setattr(label_match, "WAITING_MAX", 20)
    matcher = LabelMatcher()
    matcher.match([asked(f"p{i}", i, tail=f"N{i % 7}") for i in range(500)])
    assert sum(map(len, matcher._asked.values())) == len(matcher._order) <= 55
    assert [at_us for (_, at_us, _) in matcher.kept().asked] == list(range(500 - len(matcher._order), 500)), "the oldest go first"
    assert found(matcher, [label(499, tail=f"N{499 % 7}")]) == ["p499"]
    matcher.match([label(1, tail="nobody") for _ in range(100)])
    assert len(matcher._waiting) == 20
    assert matcher.unmatched == 80
