import msgspec
import pytest
from tests.monitoring.world import ENDPOINT, ORIGINS, START_US, fresh

from leverframe.core.alert import Signal
from leverframe.core.clock import HOUR_US
from leverframe.core.statistics.intervals import Interval
from leverframe.monitoring.diagnose import diagnose, sentence
from leverframe.monitoring.evidence import Evidence, RefusedFile, RouteChange, Service
from leverframe.monitoring.performance import Performance

HEALTHY = Evidence(
    endpoint=ENDPOINT,
    now_us=START_US,
    origins=tuple(ORIGINS.values()),
    freshness=(fresh(START_US),),
    service=Service(requests=5000, failed=2, latency_us_p99=900, latency_us_max=10_000, served=5000),
    label_rate=Interval(0.25, 0.23, 0.27),
    label_rate_reference=0.24,
)


def _signal(kind: str, subject: str, observed: float = 1.0, threshold: float = 0.3) -> Signal:
    detail = f"{subject}: {kind} {observed}"
    return Signal(kind=kind, subject=subject, observed=observed, threshold=threshold, window=(0, START_US), detail=detail)  # type: ignore[arg-type]


def _case(**changes: object) -> Evidence:
    return msgspec.structs.replace(HEALTHY, **changes)


GONE = (_signal("missing", "weather_temp"), _signal("missing", "weather_wind"))
RELEASE = RouteChange(at_us=START_US - 5 * HOUR_US, version="m@v3", before="m@v2", weight=5.0, action="released as canary")
LATE = (fresh(START_US, lag_us=9 * HOUR_US),)


def _performance(brier: float) -> Performance:
    rate = Interval(0.25, 0.2, 0.3)
    brier_interval = Interval(brier, brier - 0.01, brier + 0.01)
    return Performance(from_us=0, to_us=1, rows=500, labels=500, label_rate=rate, brier=brier_interval, log_loss=rate, roc_auc=None)


def test_healthy_has_no_cause() -> None:
    assert diagnose(HEALTHY) == []
    assert diagnose(_case(changes=(RELEASE,))) == [], "a release without a symptom is not accused"
    assert diagnose(Evidence(endpoint=ENDPOINT, now_us=START_US)) == []
    assert sentence([]).startswith("Nothing stands out")


def test_a_frozen_feed_comes_before_everything_it_explains() -> None:
    """The story's feed: late, its columns gone, scores moved, a release the same day, summer's label rate."""
    signals = (
        _signal("freshness", "origin_weather", 9.0),
        *GONE,
        _signal("drift", "weather_temp", 0.99),
        _signal("score_drift", "score", 0.5),
    )
    causes = diagnose(_case(freshness=LATE, signals=signals, changes=(RELEASE,), label_rate=Interval(0.4, 0.37, 0.43)))
    assert (causes[0].kind, causes[0].subject, causes[0].lever) == (
        "late_feed",
        "weather",
        "lever disable-feature flight-delay 'origin_weather.*'",
    )
    assert "9.0 h ago" in causes[0].evidence[0]
    assert "2 of its 2 columns" in causes[0].evidence[1]
    scores = {cause.kind: cause.score for cause in causes}
    assert scores["late_feed"] > 0.9 > scores["missing_feature"]
    assert max(score for kind, score in scores.items() if kind != "late_feed") < 0.6
    assert "Most likely: late feed weather" in sentence(causes)


def test_a_refused_file_explains_the_late_feed() -> None:
    refused = RefusedFile(dataset="weather", at_us=START_US - 10 * HOUR_US, faults=3, first_fault="column temp is missing")
    causes = diagnose(_case(freshness=LATE, signals=(_signal("freshness", "origin_weather", 9.0), *GONE), refused=(refused,)))
    assert [c.kind for c in causes[:2]] == ["contract_break", "late_feed"]
    assert causes[0].lever == "lever data reports weather"
    stranger = diagnose(_case(freshness=LATE, refused=(msgspec.structs.replace(refused, dataset="invoices"),)))
    assert [c.kind for c in stranger] == ["late_feed", "contract_break"], "a file of another team's explains nothing here"


def test_a_release_is_named_when_outputs_changed_and_inputs_did_not() -> None:
    worse = {"m@v3": _performance(0.25), "m@v2": _performance(0.15)}
    causes = diagnose(_case(changes=(RELEASE,), signals=(_signal("score_drift", "score", 0.6),), performance=worse))
    assert (causes[0].kind, causes[0].subject, causes[0].lever) == ("release", "m@v3", "lever rollback flight-delay")
    assert causes[0].score > 0.8
    assert "0.250" in " ".join(causes[0].evidence)


def test_a_release_after_the_trouble_began_is_cleared() -> None:
    signals = (_signal("score_drift", "score", 0.6), _signal("drift", "distance", 0.8))
    causes = diagnose(_case(changes=(RELEASE,), signals=signals, symptoms_since_us=START_US - 20 * HOUR_US))
    assert [c.kind for c in causes] == ["feature_drift", "release"]
    assert causes[1].score == 0.15


def test_drift_of_a_feature_is_named_when_its_feed_is_well() -> None:
    causes = diagnose(_case(signals=(_signal("drift", "weather_temp", 0.9), _signal("score_drift", "score"))))
    assert (causes[0].kind, causes[0].subject) == ("feature_drift", "weather_temp")
    assert causes[0].lever == "lever disable-feature flight-delay origin_weather.temp"


def test_missing_values_with_a_feed_on_time_are_the_feature_s_own() -> None:
    causes = diagnose(_case(signals=GONE))
    assert [(c.kind, c.subject) for c in causes] == [("missing_feature", "origin_weather")], "two columns of a view are one cause"
    assert causes[0].score > 0.8


def test_label_shift_and_infrastructure_are_named_alone() -> None:
    assert [c.kind for c in diagnose(_case(label_rate=Interval(0.4, 0.37, 0.43)))] == ["label_shift"]
    service = Service(requests=1000, failed=200, served=1000, dropped=30, latency_us_p99=50_000, latency_us_max=10_000)
    found = diagnose(_case(service=service))
    assert {c.subject for c in found} == {"errors", "prediction log", "latency"}
    assert {c.kind for c in found} == {"infrastructure"}


def test_a_switched_off_feature_accuses_its_feed_only_mildly() -> None:
    causes = diagnose(_case(freshness=LATE, disabled=("weather_temp", "weather_wind"), signals=GONE))
    assert [(c.kind, c.subject) for c in causes] == [("late_feed", "weather")]
    assert causes[0].score < 0.7
    assert "enable-feature" in causes[0].lever


@pytest.mark.parametrize("evidence", [_case(signals=GONE), _case(freshness=LATE), _case(label_rate=Interval(0.9, 0.8, 1.0))])
def test_scores_are_shares(evidence: Evidence) -> None:
    assert all(0.0 <= cause.score <= 1.0 and cause.evidence and cause.lever.startswith("lever ") for cause in diagnose(evidence))
