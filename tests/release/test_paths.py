"""Evidence from arrays is the evidence of the real stage, look by look: what simulation says of one holds of the other."""

import msgspec
import numpy as np
import pytest
from tests.release.harness import Rig, plan_of
from tests.release.test_evidence import NOW, V1, V2, answer, label

from leverframe.core.errors import InvalidInput
from leverframe.release.evidence.evidence import StageEvidence
from leverframe.release.evidence.paths import Traffic, evidence_paths, first_harm, first_proof
from leverframe.release.plans.plan import MetricRule, ReleasePlan, Stage

STAGE = Stage(name="canary 5 %", role="canary", weight=5.0, mirror=True, rows_min=1)
RULES = (
    MetricRule(metric="errors", margin=0.02, alpha=0.001),
    MetricRule(metric="latency_budget", margin=0.05, alpha=0.001, bound_us=100),
    MetricRule(metric="prediction_shift", margin=0.05, alpha=0.001),
    MetricRule(metric="outcome_brier", margin=0.01, alpha=0.001),
    MetricRule(metric="outcome_auc", margin=0.02, alpha=0.001),
    MetricRule(metric="sample_ratio", margin=0.0, alpha=0.001),
)


@pytest.fixture(scope="module")
def plan() -> ReleasePlan:
    rig = Rig()
    return plan_of(rig, rig.plan("flight-delay@v2", stages=None))


def _traffic(rng: np.random.Generator, rows: int) -> Traffic:
    arm, label = rng.random(rows) < 0.05, (rng.random(rows) < 0.25).astype(float)
    champion = np.clip(0.3 + 0.2 * label + 0.15 * rng.normal(size=rows), 0, 1)
    return Traffic(
        to_candidate=arm,
        failed_candidate=rng.random(rows) < 0.1,
        failed_champion=rng.random(rows) < 0.02,
        slow=rng.random(rows) < np.where(arm, 0.7, 0.1),
        score_candidate=np.clip(champion + 0.02 + 0.05 * rng.normal(size=rows), 0, 1),
        score_champion=champion,
        label=label,
        label_lag=50,
    )


def _records(traffic: Traffic, row: int) -> list:
    own, at_us = bool(traffic.to_candidate[row]), NOW + row
    latency_us = 500 if traffic.slow[row] else 10
    found = []
    for candidate in (False, True):
        if own and not candidate:
            continue
        failed = bool((traffic.failed_candidate if candidate else traffic.failed_champion)[row])
        score = float((traffic.score_candidate if candidate else traffic.score_champion)[row])
        found.append(
            answer(
                f"q{row}",
                V2 if candidate else V1,
                role="canary" if candidate and own else "shadow" if candidate else "live",
                at_us=at_us,
                latency_us=latency_us,
                status="error" if failed else "ok",
                outputs=() if failed else (score,),
            )
        )
    return [*found, label(f"q{row}", float(traffic.label[row]), at_us)]


def test_paths_are_what_the_stage_finds_looked_at_after_every_request(plan: ReleasePlan) -> None:
    traffic = _traffic(np.random.default_rng(3), 600)
    stages = (STAGE, plan.stages[-1])
    lagged = msgspec.structs.replace(plan, stages=stages, rules=RULES, label_horizon_us=traffic.label_lag)
    evidence, paths = StageEvidence(lagged, 0, 1, NOW), evidence_paths(RULES, STAGE, traffic)
    seen = {rule.metric: np.zeros((traffic.rows, 2)) for rule in RULES}
    failed: tuple[int, str] | None = None
    for row in range(traffic.rows):
        evidence.fold(_records(traffic, row))
        verdicts = evidence.look(NOW + row)
        failed = failed or next(((row, v.rule) for v in verdicts if v.answer == "fail"), None)
        for rule in RULES[:-1]:
            reading = evidence._reading(rule)
            seen[rule.metric][row] = reading.log_harm, reading.log_proof
        seen["sample_ratio"][row] = evidence._split.log_evidence(), np.inf
    for metric, path in paths.items():
        np.testing.assert_allclose(path.log_harm, seen[metric][:, 0], atol=1e-7, err_msg=metric)
        np.testing.assert_allclose(path.log_proof, seen[metric][:, 1], atol=1e-7, err_msg=metric)
    assert failed == first_harm(RULES, paths), "the same rule must fail at the same request"
    assert failed is not None, "a traffic without harm would compare nothing"


def test_an_equal_version_is_proven_when_every_rule_is() -> None:
    rng = np.random.default_rng(4)
    traffic = _traffic(rng, 12_000)
    equal = msgspec.structs.replace(
        traffic,
        failed_candidate=rng.random(12_000) < 0.02,
        slow=rng.random(12_000) < 0.1,
        score_candidate=np.clip(traffic.score_champion + 0.03 * rng.normal(size=12_000), 0, 1),
    )
    paths = evidence_paths(RULES, STAGE, equal)
    assert first_harm(RULES, paths) is None
    proven = first_proof(RULES, paths)
    assert proven is not None
    assert all(first_proof((rule,), paths) <= proven for rule in RULES)


def test_other_stages_and_rules_have_no_paths() -> None:
    traffic = _traffic(np.random.default_rng(5), 10)
    with pytest.raises(InvalidInput, match="mirrored"):
        evidence_paths(RULES, msgspec.structs.replace(STAGE, mirror=False), traffic)
    with pytest.raises(InvalidInput, match="outcome_value"):
        evidence_paths((MetricRule(metric="outcome_value", margin=1.0, alpha=0.01),), STAGE, traffic)
