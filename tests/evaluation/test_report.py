import msgspec
import numpy as np
import pytest

from leverframe.core.digest import canonical_json
from leverframe.core.evaluation import EvaluationReport
from leverframe.core.verdict import GateRule
from leverframe.evaluation.report import evaluate

RULES = (
    GateRule(metric="roc_auc", op=">=", threshold=0.6, bound="lower"),
    GateRule(metric="log_loss_gain_over_champion", op=">=", threshold=0.0, bound="lower"),
)


def test_one_record_holds_everything_and_survives_its_json(scored):
    labels, scores = scored
    worse = np.clip(scores + np.random.default_rng(1).normal(0, 0.2, len(scores)), 0.01, 0.99)
    report = evaluate(
        labels,
        scores,
        model="m",
        rules=RULES,
        slices={"origin": ["JFK", "LGA"] * 1_000},
        baseline=worse,
        champion="m@v1",
        champion_scores=worse,
        window=("a", "b"),
        at_us=3,
    )
    assert msgspec.json.decode(canonical_json(report), type=EvaluationReport) == report, "a NaN would not survive its JSON"
    assert (report.rows, report.positives, report.answer, report.champion) == (2_000, int(labels.sum()), "pass", "m@v1")
    assert {m.slice for m in report.slices} == {"origin=JFK", "origin=LGA"}
    assert {m.name for m in report.metrics} >= {"roc_auc", "roc_auc_gain", "log_loss_gain", "roc_auc_gain_over_champion"}
    assert [v.at_us for v in report.gates] == [3, 3]
    assert sum(b.n for b in report.calibration) == 2_000


def test_a_gate_on_the_champion_without_a_champion_is_inconclusive(scored):
    report = evaluate(*scored, model="m", rules=RULES)
    assert [v.answer for v in report.gates] == ["pass", "inconclusive"]
    assert report.answer == "inconclusive", "missing evidence must not promote"


def test_no_rules_prove_nothing(scored):
    assert evaluate(*scored, model="m", rules=()).answer == "inconclusive"


def test_one_class_only_is_reported_without_ranking():
    report = evaluate([0, 0, 0], [0.1, 0.2, 0.3], model="m", rules=RULES[:1], baseline=[1, 2, 3])
    assert report.answer == "inconclusive"
    assert "roc_auc" not in {m.name for m in (*report.metrics, *report.baseline)}
    assert msgspec.json.decode(canonical_json(report), type=EvaluationReport).positives == 0


def test_the_same_seed_gives_the_same_bytes(scored):
    first, second, other = (canonical_json(evaluate(*scored, model="m", rules=RULES, seed=s)) for s in (1, 1, 2))
    assert first == second
    assert first != other


@pytest.mark.slow
def test_a_month_of_flights_is_evaluated_within_three_seconds():
    import time

    rng = np.random.default_rng(0)
    scores = rng.random(27_000)
    started = time.perf_counter()
    evaluate(
        (rng.random(27_000) < scores).astype(float), scores, model="m", rules=RULES, slices={"c": rng.integers(0, 16, 27_000).tolist()}
    )
    assert time.perf_counter() - started < 3.0
