"""What a plan promises to see is what a simulated stage sees."""

import numpy as np
import pytest

from leverframe.core.errors import InvalidInput
from leverframe.core.statistics.rates import PairedRateDifference
from leverframe.release.evidence.forecast import Today, forecast
from leverframe.release.plans.plan import MetricRule, Stage

CANARY = Stage(name="canary 10 %", role="canary", weight=10.0, mirror=True)
ERRORS = MetricRule(metric="errors", margin=0.02, alpha=0.0005)


@pytest.mark.parametrize(("effect", "harm"), [(0.1, True), (0.0, False)])
def test_paired_errors_take_about_as_long_as_forecast(effect: float, harm: bool) -> None:
    said = forecast(ERRORS, CANARY, Today(requests_per_hour=100.0, rates={"errors": 0.01}), max(effect, 0.03))
    planned = 100.0 * (said.harm_hours if harm else said.proof_hours)
    limit = -np.log(ERRORS.alpha if harm else ERRORS.alpha_proof)
    rng, seen = np.random.default_rng(1), []
    for _ in range(60):
        pairs, rows = PairedRateDifference(margin=0.02), 0
        while (pairs.log_harm if harm else pairs.log_proof) < limit and rows < 20_000:
            pairs.update((rng.random(10) < 0.01 + effect).astype(float) - (rng.random(10) < 0.01))
            rows += 10
        seen.append(rows)
    assert 0.5 < np.median(seen) / planned < 1.5


def test_quantiles_have_a_forecast_only_where_the_latencies_are_known() -> None:
    rule = MetricRule(metric="latency_quantile", margin=0.2, alpha=0.001)
    with pytest.raises(InvalidInput, match="no forecast"):
        forecast(rule, CANARY, Today(requests_per_hour=1.0), 0.5)
    said = forecast(rule, CANARY, Today(requests_per_hour=1000.0, rates={"latency_quantile": 0.004}), 0.4)
    assert said.sentence.startswith("with 1,000 requests an hour, canary 10 % can see +40 % in the p99 of latency in about")


def test_harm_within_the_margin_is_said_to_be_tolerated_and_labels_add_their_horizon() -> None:
    small = forecast(ERRORS, CANARY, Today(requests_per_hour=100.0), 0.01)
    assert small.harm_hours is None
    assert "tolerates +1.0 points of failing answers" in small.sentence
    rule = MetricRule(metric="outcome_auc", margin=0.02, alpha=0.0005)
    now, later = (forecast(rule, CANARY, Today(requests_per_hour=1000.0, label_hours=hours), 0.05) for hours in (0.0, 12.0))
    assert later.harm_hours == pytest.approx(now.harm_hours + 12.0)
    assert later.proof_hours == pytest.approx(now.proof_hours + 12.0)


@pytest.mark.parametrize("metric", ["latency_budget", "prediction_shift", "outcome_brier", "outcome_hit", "outcome_log_loss"])
def test_more_traffic_is_quicker_and_more_harm_too(metric: str) -> None:
    rule = MetricRule(metric=metric, margin=0.02, alpha=0.0005)
    slow, fast = (forecast(rule, CANARY, Today(requests_per_hour=rate), 0.05) for rate in (100.0, 1000.0))
    assert slow.harm_hours == pytest.approx(10.0 * fast.harm_hours, rel=0.01)
    assert forecast(rule, CANARY, Today(requests_per_hour=100.0), 0.1).harm_hours < slow.harm_hours
