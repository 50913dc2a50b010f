"""Calibration by simulation: looked at after every row, a sequence errs at most as often as its level says; a repeated t-test does not."""

import math

import numpy as np
import pytest

from leverframe.core.errors import InvalidInput
from leverframe.core.statistics.bernoulli import RateSequence
from leverframe.core.statistics.empirical_bernstein import BernsteinSequence
from leverframe.core.statistics.lift import BURN_IN_KEYS, YOUNG, lift_radius
from leverframe.core.statistics.multinomial import ShareSequence

PATHS, ROWS, ALPHA = 1500, 1500, 0.05


def _false_alarms(values: np.ndarray, radius: np.ndarray, first: int) -> float:
    """Share of paths whose running mean (truth: 0) leaves ±radius at any look from row ``first`` on."""
    means = values.cumsum(axis=1) / np.arange(1, values.shape[1] + 1)
    return float((np.abs(means) > radius)[:, first - 1 :].any(axis=1).mean())


def _running_variance(values: np.ndarray) -> np.ndarray:
    n = np.arange(1, values.shape[1] + 1)
    means = values.cumsum(axis=1) / n
    return np.maximum((values**2).cumsum(axis=1) / n - means**2, 1e-12)


def _paired_brier(rng: np.random.Generator) -> np.ndarray:
    chance = rng.beta(2, 7, (PATHS, ROWS))
    label = rng.random((PATHS, ROWS)) < chance
    one, two = (np.clip(chance + rng.normal(0, 0.03, (PATHS, ROWS)), 0, 1) for _ in range(2))
    return (one - label) ** 2 - (two - label) ** 2


@pytest.mark.parametrize("draw", ["normal", "skewed", "rare", "brier"])
def test_an_interval_of_a_mean_keeps_its_level_at_every_look_and_a_repeated_t_test_does_not(draw: str) -> None:
    rng = np.random.default_rng(7)
    values = {
        "normal": lambda: rng.normal(0, 0.05, (PATHS, ROWS)),
        "skewed": lambda: rng.exponential(1.0, (PATHS, ROWS)) - 1.0,
        "rare": lambda: (rng.random((PATHS, ROWS)) < 0.2) - 0.2,
        "brier": lambda: _paired_brier(rng),
    }[draw]()
    n = np.arange(1, ROWS + 1)
    variance = _running_variance(values)
    radius = lift_radius(variance * (1 + YOUNG / np.sqrt(n)) / n, 0.13 * float(values.std()), ALPHA)  # narrowest after about 500 rows
    assert _false_alarms(values, radius, BURN_IN_KEYS) <= ALPHA, "the confidence sequence breaks its promise"
    fixed = 1.96 * np.sqrt(variance / n)
    assert _false_alarms(values, fixed, BURN_IN_KEYS) > 3 * ALPHA, "the negative control must break the budget, or this test proves nothing"


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_sequences_refuse_what_is_not_a_number(bad: float) -> None:
    with pytest.raises(InvalidInput):
        BernsteinSequence(low=-1, high=1).update([0.1, bad])
    with pytest.raises(InvalidInput):
        BernsteinSequence(low=-1, high=1).update([1.5])
    with pytest.raises(InvalidInput):
        RateSequence().update(events=2, trials=1)


@pytest.mark.parametrize("p", [0.001, 0.02, 0.3])
def test_rate_sequence_is_exact_from_the_first_row(p: float) -> None:
    rng = np.random.default_rng(11)
    trials = rng.random((4000, 1000)) < p
    s, n = trials.cumsum(axis=1), np.arange(1, 1001)
    log_gamma = np.array([math.lgamma(0.5 + k) for k in range(1001)])
    log_total = np.array([math.lgamma(1.0 + k) for k in range(1001)])
    log_beta_0 = 2 * math.lgamma(0.5)
    evidence = log_gamma[s] + log_gamma[n - s] - log_total[n] - log_beta_0 - s * math.log(p) - (n - s) * math.log1p(-p)
    assert (evidence.max(axis=1) >= -math.log(ALPHA)).mean() <= ALPHA
    rate = RateSequence()
    rate.update(events=int(s[0, -1]), trials=1000)
    assert rate.log_evidence(p) == pytest.approx(evidence[0, -1])
    low, high = rate.interval(ALPHA)
    for edge in (low, high):
        assert edge in (0.0, 1.0) or rate.log_evidence(edge) == pytest.approx(-math.log(ALPHA), abs=1e-6)


def test_share_sequence_keeps_its_level_and_finds_a_filter() -> None:
    rng = np.random.default_rng(8)
    share, n = 0.1, np.arange(1, 2001)
    hits = (rng.random((3000, 2000)) < share).cumsum(axis=1)
    log_gamma_1 = np.array([math.lgamma(1.0 + k) for k in range(2001)])
    log_gamma_9 = np.array([math.lgamma(9.0 + k) for k in range(2001)])
    log_total = np.array([math.lgamma(10.0 + k) for k in range(2001)])
    evidence = math.lgamma(10.0) - log_total[n] + log_gamma_1[hits] + log_gamma_9[n - hits] - math.lgamma(9.0)
    evidence -= hits * math.log(share) + (n - hits) * math.log(1 - share)
    assert (evidence.max(axis=1) >= -math.log(0.01)).mean() <= 0.01
    split = ShareSequence([0.9, 0.1])
    split.update([2000 - int(hits[0, -1]), int(hits[0, -1])])
    assert split.log_evidence() == pytest.approx(evidence[0, -1])
    assert not split.mismatch(0.01)
    filtered = ShareSequence([0.9, 0.1])
    filtered.update([950, 50])
    assert filtered.mismatch(0.01), "half of the canary's callers missing must be seen within 1,000 requests"
