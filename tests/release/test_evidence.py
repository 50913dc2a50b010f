import math
import time

import msgspec
import numpy as np
import pytest
from tests.release.harness import Rig, plan_of

from leverframe.core.clock import DAY_US, HOUR_US
from leverframe.core.prediction import LabelRecord, PredictionRecord
from leverframe.release.control.decide import decide
from leverframe.release.evidence.evidence import PATH_POINTS_MAX, StageEvidence
from leverframe.release.machine import Progress
from leverframe.release.plans.plan import LABEL_HORIZON_US, MetricRule, ReleasePlan

V1, V2 = "flight-delay@v1", "flight-delay@v2"
NOW = 50 * DAY_US


@pytest.fixture(scope="module")
def plan() -> ReleasePlan:
    rig = Rig()
    return plan_of(rig, rig.plan("flight-delay@v2", stages=None))


def answer(id: str, version: str, score: float = 0.3, *, role: str = "live", at_us: int = NOW, **fields: object) -> PredictionRecord:
    values = {"outputs": (score,), "status": "ok", "generation": 1, "latency_us": 10, **fields}
    return PredictionRecord(id=id, endpoint="flight-delay", tenant="default", version=version, role=role, asked_at_us=at_us, **values)


def label(id: str, value: float, known_at_us: int) -> LabelRecord:
    return LabelRecord(id=id, endpoint="flight-delay", label=value, known_at_us=known_at_us)


def test_pairs_are_joined_by_id_whatever_the_order_and_duplicates_count_once(plan: ReleasePlan) -> None:
    evidence = StageEvidence(plan, 0, 1, NOW)
    records = [answer("a", V2, 0.5, role="shadow"), answer("a", V1, 0.3), answer("b", V1, 0.2), answer("b", V2, 0.4, role="shadow")]
    evidence.fold([*records, records[1], answer("b", V2, 0.9, role="shadow"), answer("c", "flight-delay@v9")])
    shift = next(v for v in evidence.look(NOW) if v.rule == "prediction_shift")
    assert (shift.n, shift.observed) == (2, pytest.approx(0.2))
    counts = evidence.counts
    assert (counts.duplicates, counts.contradictions, counts.scored_by_candidate, counts.answers_by_champion) == (2, 1, 2, 2)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("shift", "answer_is"), [(0.14, "fail"), (0.0, "pass")])
def test_the_look_that_decides_shows_an_interval_that_bears_it_out(plan: ReleasePlan, seed: int, shift: float, answer_is: str) -> None:
    evidence = StageEvidence(plan, 0, 1, NOW)
    rng = np.random.default_rng(seed)
    for row in range(4_000):
        score, other = np.clip(0.3 + rng.normal(0.0, 0.02), 0, 1), np.clip(0.3 + shift + rng.normal(0.0, 0.02), 0, 1)
        evidence.fold([answer(f"q{row}", V1, float(score)), answer(f"q{row}", V2, float(other), role="shadow")])
        verdict = next(v for v in evidence.look(NOW) if v.rule == "prediction_shift")
        if verdict.answer != "inconclusive":
            break
    assert verdict.answer == answer_is
    assert verdict.low >= verdict.threshold if answer_is == "fail" else verdict.high <= verdict.threshold, verdict


def test_a_request_is_judged_at_the_horizon_by_the_labels_known_by_then(plan: ReleasePlan) -> None:
    evidence = StageEvidence(plan, 0, 1, NOW)
    for id in ("quick", "slow", "late", "never"):
        evidence.fold([answer(id, V1, 0.4), answer(id, V2, 0.2, role="shadow")])
    evidence.fold([label("quick", 1.0, NOW + HOUR_US)])
    brier = lambda at: next(v for v in evidence.look(at) if v.rule == "outcome_brier")  # noqa: E731
    assert brier(NOW + 2 * HOUR_US).n == 0, "who answers first must not be judged first"
    evidence.fold([label("slow", 0.0, NOW + LABEL_HORIZON_US), label("late", 0.0, NOW + LABEL_HORIZON_US + 1)])
    verdict = brier(NOW + LABEL_HORIZON_US)
    assert verdict.n == 2
    assert verdict.observed == pytest.approx(((0.8**2 - 0.6**2) + (0.2**2 - 0.4**2)) / 2)
    evidence.fold([label("never", 1.0, NOW + 2 * DAY_US), label("unknown", 1.0, NOW)])
    counts = evidence.counts
    assert (counts.labels, counts.labels_late, counts.unlabelled, counts.labels_orphaned) == (2, 2, 2, 1)


def test_contradicting_labels_are_counted_and_the_first_one_stays(plan: ReleasePlan) -> None:
    evidence = StageEvidence(plan, 0, 1, NOW)
    evidence.fold(
        [answer("a", V1, 0.5), answer("a", V2, 0.0, role="shadow"), label("a", 1.0, NOW), label("a", 0.0, NOW), label("a", 1.0, NOW)]
    )
    verdict = next(v for v in evidence.look(NOW + DAY_US) if v.rule == "outcome_brier")
    assert verdict.observed == pytest.approx(1.0 - 0.25)
    assert (evidence.counts.duplicates, evidence.counts.contradictions) == (2, 1)


def test_the_label_window_is_bounded_and_says_when_it_overflowed(plan: ReleasePlan) -> None:
    evidence = StageEvidence(plan, 0, 1, NOW, pending_max=50)
    for index in range(200):
        evidence.fold([answer(f"q{index}", V1), answer(f"q{index}", V2, role="shadow"), label(f"q{index}", 0.0, NOW)])
    assert evidence.counts.dropped == 150
    verdict = next(v for v in evidence.look(NOW + DAY_US) if v.rule == "outcome_brier")
    assert verdict.answer == "inconclusive"
    assert "150 requests were dropped" in verdict.reason


def test_not_a_number_is_a_failing_answer_and_never_a_score(plan: ReleasePlan) -> None:
    evidence = StageEvidence(plan, 0, 1, NOW)
    for index in range(60):
        evidence.fold([answer(f"q{index}", V1), answer(f"q{index}", V2, math.nan, role="shadow")])
    verdicts = {v.rule: v for v in evidence.look(NOW)}
    assert verdicts["errors"].answer == "fail"
    assert verdicts["prediction_shift"].n == 0


def test_answers_refused_or_switched_off_by_an_operator_are_no_errors(plan: ReleasePlan) -> None:
    evidence = StageEvidence(plan, 0, 1, NOW)
    evidence.fold([answer("a", V2, status="refused", outputs=()), answer("b", V2, status="fallback", code="killed")])
    assert evidence.counts.scored_by_candidate == 0
    evidence.fold([answer("c", V2, status="fallback")])
    assert evidence.counts.failed_by_candidate == 1


def test_the_split_counts_callers_by_their_sticky_key(plan: ReleasePlan) -> None:
    sticky = msgspec.structs.replace(plan, hash_field="carrier")
    evidence = StageEvidence(sticky, 1, 1, NOW)
    for index in range(300):
        evidence.fold([answer(f"q{index}", V2, role="canary", entities={"carrier": f"c{index % 3}"})])
    split = next(v for v in evidence.look(NOW) if v.rule == "sample_ratio")
    assert (split.n, split.answer) == (3, "inconclusive"), "three callers asking a hundred times each are three callers"


def test_paths_are_thinned_and_bounded(plan: ReleasePlan) -> None:
    evidence = StageEvidence(plan, 0, 1, NOW)
    for index in range(500):
        evidence.fold([answer(f"q{index}", V1), answer(f"q{index}", V2, role="shadow")])
        evidence.look(NOW)
    path = evidence.paths["errors"]
    assert len(path) <= PATH_POINTS_MAX
    assert [point.n for point in path] == sorted(point.n for point in path)
    assert path[-1].n >= 490


def test_a_quiet_gap_or_a_jump_is_a_quarter_of_the_hold_at_most(plan: ReleasePlan) -> None:
    evidence = StageEvidence(plan, 0, 1, NOW)
    evidence.fold([answer("a", V1), answer("b", V1, at_us=NOW + HOUR_US), answer("c", V1, at_us=NOW + 3650 * DAY_US)])
    assert evidence.observed_us == HOUR_US + DAY_US // 4


def test_a_holding_sentence_says_what_is_missing(plan: ReleasePlan) -> None:
    tight = msgspec.structs.replace(plan, rules=(msgspec.structs.replace(plan.rules[0], margin=0.005), *plan.rules[1:]))
    evidence = StageEvidence(tight, 0, 1, NOW)
    for index in range(200):
        at_us = NOW + index * 60_000_000
        evidence.fold([answer(f"q{index}", V1, at_us=at_us), answer(f"q{index}", V2, role="shadow", at_us=at_us)])
    decision = decide(Progress(state="running", stage=0), evidence, NOW + 4 * HOUR_US)
    assert decision.event is None
    assert decision.reason.startswith("holding at shadow: 20.7 h more traffic before the hold time is over; 100 more answers")
    assert "failing answers" in decision.verdicts[0].reason
    assert "more to rule out 0.5 points" in decision.verdicts[0].reason


def test_unpaired_arms_are_compared_as_two_samples(plan: ReleasePlan) -> None:
    stages = tuple(msgspec.structs.replace(stage, mirror=False) for stage in plan.stages)
    rules = (MetricRule(metric="errors", margin=0.02, alpha=0.001), MetricRule(metric="outcome_log_loss", margin=0.1, alpha=0.001))
    evidence = StageEvidence(msgspec.structs.replace(plan, stages=stages, rules=rules), 2, 1, NOW)
    for index in range(400):
        version, score = (V2, 0.9) if index % 2 else (V1, 0.1)
        evidence.fold([answer(f"q{index}", version, score, role="canary" if index % 2 else "live"), label(f"q{index}", 0.0, NOW + 1)])
    verdict = next(v for v in evidence.look(NOW + DAY_US) if v.rule == "outcome_log_loss")
    assert verdict.answer == "fail"
    assert verdict.observed == pytest.approx(math.log(0.9) - math.log(0.1))
    assert verdict.n == 200


def _stage(plan: ReleasePlan, *rules: MetricRule, mirror: bool = True, **fields: object) -> StageEvidence:
    stages = tuple(msgspec.structs.replace(stage, mirror=mirror and stage.role == "canary", weight=50.0) for stage in plan.stages[2:3])
    full = msgspec.structs.replace(plan, stages=(*stages, plan.stages[-1]), rules=rules, **fields)
    return StageEvidence(full, 0, 1, NOW)


def test_a_candidate_that_orders_worse_loses_auc_by_late_labels(plan: ReleasePlan) -> None:
    rng = np.random.default_rng(1)
    evidence = _stage(
        plan, MetricRule(metric="outcome_auc", margin=0.02, alpha=0.001), MetricRule(metric="outcome_hit", margin=0.02, alpha=0.001)
    )
    for index in range(6000):
        truth = float(index % 5 == 0)
        score = float(np.clip(0.3 + 0.3 * truth + 0.2 * rng.normal(), 0, 1))
        worse = float(np.clip(score + 0.5 * rng.normal(), 0, 1))
        evidence.fold([answer(f"q{index}", V1, score), answer(f"q{index}", V2, worse, role="shadow"), label(f"q{index}", truth, NOW + 1)])
    auc, hit = evidence.look(NOW + DAY_US)
    assert (auc.answer, hit.answer) == ("fail", "fail")
    assert auc.observed == pytest.approx(0.21, abs=0.03)
    assert "blocks of 20 labelled requests; at least" in auc.reason
    assert auc.n == 300


def test_auc_without_pairs_is_inconclusive_and_says_what_to_plan(plan: ReleasePlan) -> None:
    evidence = _stage(plan, MetricRule(metric="outcome_auc", margin=0.02, alpha=0.001), mirror=False)
    evidence.fold([answer("a", V1), answer("b", V2, role="canary")])
    (verdict,) = evidence.look(NOW)
    assert verdict.answer == "inconclusive"
    assert "plan a shadow stage or a mirrored canary" in verdict.reason


@pytest.mark.parametrize(("factor", "expected"), [(1.0, "pass"), (2.0, "fail")])
def test_latency_is_compared_by_its_quantile(plan: ReleasePlan, factor: float, expected: str) -> None:
    rng = np.random.default_rng(2)
    evidence = _stage(plan, MetricRule(metric="latency_quantile", margin=0.25, alpha=0.001, quantile=0.5))
    for index in range(1200):
        mine = index % 2 == 0
        latency_us = int(5_000 * math.exp(0.4 * rng.normal()) * (factor if mine else 1.0))
        evidence.fold([answer(f"q{index}", V2 if mine else V1, role="canary" if mine else "live", latency_us=latency_us)])
    (verdict,) = evidence.look(NOW)
    assert verdict.answer == expected
    assert verdict.observed == pytest.approx(factor - 1.0, abs=0.15)
    assert verdict.reason.startswith("at canary 50 %: p50 latency differs by")


def test_revenue_is_the_label_itself_and_less_of_it_is_harm(plan: ReleasePlan) -> None:
    rng = np.random.default_rng(3)
    evidence = _stage(plan, MetricRule(metric="outcome_value", margin=0.2, alpha=0.001))
    for index in range(3000):
        mine, score = index % 2 == 0, float(rng.random())
        value = 5.0 + 4.0 * score + rng.exponential(0.5) - (0.8 if mine else 0.0)
        asked = (
            [answer(f"q{index}", V2, score, role="canary")]
            if mine
            else [answer(f"q{index}", V1, 0.5), answer(f"q{index}", V2, score, role="shadow")]
        )
        evidence.fold([*asked, label(f"q{index}", value, NOW + 1)])
    (verdict,) = evidence.look(NOW + DAY_US)
    assert verdict.answer == "fail"
    assert verdict.observed == pytest.approx(0.8, abs=0.1)


def test_callers_that_ask_often_count_once(plan: ReleasePlan) -> None:
    rule = MetricRule(metric="errors", margin=0.05, alpha=0.001)
    by_row = _stage(plan, rule, mirror=False, hash_field="carrier")
    by_key = _stage(plan, msgspec.structs.replace(rule, unit="key"), mirror=False, hash_field="carrier")
    for index in range(4000):
        caller = index % 100
        mine = caller % 2 == 0
        failed = caller == 0
        record = answer(
            f"q{index}",
            V2 if mine else V1,
            role="canary" if mine else "live",
            entities={"carrier": f"c{caller}"},
            status="error" if failed else "ok",
            outputs=() if failed else (0.3,),
        )
        by_row.fold([record])
        by_key.fold([record])
    assert by_row.look(NOW)[0].n == 2000
    verdict = by_key.look(NOW)[0]
    assert (verdict.n, verdict.answer) == (50, "inconclusive"), "one caller that always fails is one observation"
    assert "50 callers" in verdict.reason


def test_a_look_costs_the_same_after_many_answers(plan: ReleasePlan) -> None:
    rules = (*plan.rules, MetricRule(metric="latency_quantile", margin=0.25, alpha=0.001))
    evidence = _stage(plan, *rules)
    for index in range(3000):
        evidence.fold([answer(f"q{index}", V1), answer(f"q{index}", V2, role="shadow")])
    evidence.look(NOW)
    started = time.process_time()
    for _ in range(20):
        evidence.look(NOW)
    assert (time.process_time() - started) / 20 < 0.02
