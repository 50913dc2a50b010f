"""Values from other implementations and from theory: the pages compute what their references say."""

import math

import numpy as np
import pytest
from scipy import optimize, special, stats

from leverframe.core.statistics.bernoulli import rate_log_evidence
from leverframe.core.statistics.bounded import BoundedMean
from leverframe.core.statistics.counts import CountsDifference, PairedCountsDifference
from leverframe.core.statistics.empirical_bernstein import BernsteinSequence
from leverframe.core.statistics.levels import split_level
from leverframe.core.statistics.lift import lift_radius
from leverframe.core.statistics.margins import MarginGrid, average_log_evidence
from leverframe.core.statistics.means import normal_log_evidence
from leverframe.core.statistics.power import mean_proof_rows, rate_harm_rows, rate_proof_rows, time_to_detect
from leverframe.core.statistics.quantiles import BIN_RATIO, QuantileSequence
from leverframe.core.statistics.rates import RateDifference, nearest_champion_rate, nearest_worse_chance
from leverframe.core.statistics.special import log_gamma, log_normal_cdf


def mixture_variance(rows_planned: int, alpha: float) -> float:
    """The prior's variance that makes the interval narrowest after ``rows_planned`` rows of variance 1 (arXiv 2103.06476, appendix B.2)."""
    log_term = -2.0 * math.log(alpha)
    return (log_term + math.log(log_term + 1.0)) / rows_planned


def test_one_and_two_sided_mixtures_equal_confseq() -> None:
    # Howard's confseq, test/uniform_boundaries_unittest.cpp: values of its reference implementation in R for v_opt = 100, alpha = 0.05.
    assert 100.0 * mixture_variance(100, 0.05) == pytest.approx(100.0 / 12.60056, abs=1e-5)
    one_sided = normal_log_evidence(100, 0.1, 1.0, 0.0, aim=0.0, spread=math.sqrt(mixture_variance(100, 0.1)), above=True)
    assert float(one_sided) == pytest.approx(-0.06502391, abs=1e-6)
    bound = optimize.brentq(
        lambda s: (
            float(normal_log_evidence(100, s / 100, 1.0, 0.0, aim=0.0, spread=math.sqrt(mixture_variance(100, 0.1)), above=True))
            + math.log(0.05)
        ),
        1.0,
        100.0,
    )
    assert bound == pytest.approx(27.66071, abs=1e-3)
    assert 100.0 * float(lift_radius(1.0 / 100, math.sqrt(mixture_variance(100, 0.05)), 0.05)) == pytest.approx(30.35209, abs=1e-4)


def test_beta_binomial_mixture_equals_confseq() -> None:
    # Two-sided, g = 0.2, h = 0.8, v_opt = 100, s = 10, v = 100: 135 events in 625 trials against 0.2, prior from its rho.
    rho = 12.60056 - 0.2 * 0.8
    evidence = rate_log_evidence(135, 625, 0.2, prior=(rho / 0.8, rho / 0.2))
    assert float(evidence) == pytest.approx(-0.6941012, abs=1e-4)


def test_special_functions_equal_scipy() -> None:
    x = np.concatenate((np.linspace(0.01, 20.0, 500), [1e3, 1e6]))
    np.testing.assert_allclose(log_gamma(x), special.gammaln(x), atol=2e-12, rtol=1e-12)
    z = np.linspace(-30.0, 8.0, 200)
    np.testing.assert_allclose(log_normal_cdf(z), stats.norm.logcdf(z), atol=2e-7)


def test_nearest_rates_are_the_nearest() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        p1, p0, share, d = rng.random(), rng.random(), rng.uniform(0.02, 0.98), rng.uniform(-0.9, 0.9)
        grid = np.linspace(max(0.0, -d), min(1.0, 1.0 - d), 20_001)[1:-1]
        with np.errstate(divide="ignore"):
            fit = share * (p1 * np.log(grid + d) + (1 - p1) * np.log(1 - grid - d)) + (1 - share) * (
                p0 * np.log(grid) + (1 - p0) * np.log(1 - grid)
            )
        assert float(nearest_champion_rate(p1, p0, d, share)) == pytest.approx(grid[fit.argmax()], abs=2e-4)
        w, b = rng.dirichlet((1, 1, 1))[:2]
        grid = np.linspace(max(0.0, -d), (1.0 - d) / 2.0, 20_001)[1:-1]
        fit = w * np.log(grid + d) + b * np.log(grid) + (1 - w - b) * np.log(1 - 2 * grid - d)
        assert float(nearest_worse_chance(w, b, d)) == pytest.approx(grid[fit.argmax()], abs=2e-4)


@pytest.mark.parametrize("quantile", [0.5, 0.99])
def test_quantile_sequence_covers_at_every_look(quantile: float) -> None:
    rng, truth = np.random.default_rng(1), 1000.0 * math.exp(0.5 * stats.norm.ppf(quantile))
    missed = 0
    for _ in range(200):
        sequence, wrong = QuantileSequence(quantile), False
        for _ in range(20):
            sequence.update(1000.0 * np.exp(0.5 * rng.normal(size=60)))
            low, high = sequence.interval(0.1)
            wrong |= not low <= truth <= high
        missed += wrong
    assert missed / 200 <= 0.1
    assert sequence.estimate == pytest.approx(truth, rel=0.12)
    assert high / low < (1.25 if quantile == 0.5 else 2.5)
    assert BIN_RATIO < 1.03


def test_bernstein_covers_at_every_look_and_narrows_as_the_variance_is_small() -> None:
    rng, missed = np.random.default_rng(2), 0
    for _ in range(200):
        sequence, wrong = BernsteinSequence(low=-1.0, high=1.0), False
        for _ in range(20):
            sequence.update(rng.choice([-0.3, 0.1, 0.2], size=40))
            low, high = sequence.interval(0.05)
            wrong |= not low <= 0.0 <= high
        missed += wrong
    assert missed / 200 <= 0.05
    assert high - low < 0.12


def test_a_bounded_mean_is_shown_more_finely_than_its_grid_and_covers_at_every_look() -> None:
    rng, missed = np.random.default_rng(12), 0
    for _ in range(200):
        mean, wrong = BoundedMean(margin=0.05), False
        for _ in range(15):
            mean.update(rng.choice([-0.28, 0.12, 0.22], size=60))
            low, high = mean.interval(0.05)
            coarse_low, coarse_high = MarginGrid.interval(mean, 0.05)
            assert coarse_low <= low <= high <= coarse_high
            assert (high <= mean.margin) == (coarse_high <= mean.margin), "the picture says nothing of the margin that the bets do not"
            assert (low >= mean.margin) == (coarse_low >= mean.margin)
            wrong |= not low <= 0.02 <= high
        missed += wrong
    assert missed / 200 <= 0.1, "either side errs with 1.1 times 5 % at most"
    close = BoundedMean(margin=0.08)
    close.update(rng.choice([-0.02, 0.02], size=2_000))
    (low, high), (coarse_low, coarse_high) = close.interval(0.05), MarginGrid.interval(close, 0.05)
    assert high - low < 0.5 * (coarse_high - coarse_low), "scores that hardly differ: the grid's cells are much wider than what is known"


def test_equal_distributions_are_left_alone_and_different_ones_found() -> None:
    rng, wrong = np.random.default_rng(3), np.zeros(2)
    for _ in range(200):
        split, pairs, peak = CountsDifference(bins=8, share=0.2), PairedCountsDifference(bins=4), [-math.inf, -math.inf]
        for _ in range(15):
            counts = rng.multinomial(100, np.full(8, 1 / 8))
            mine = rng.binomial(counts, 0.2)
            split.update(candidate=mine, champion=counts - mine)
            table = rng.integers(0, 4, (2, 40))
            pairs.update(candidate=table[0], champion=table[1])
            peak = [max(peak[0], split.log_evidence()), max(peak[1], pairs.log_evidence())]
        wrong += np.array(peak) >= -math.log(0.05)
    assert (wrong / 200 <= 0.05).all()
    split = CountsDifference(bins=8, share=0.2)
    for _ in range(20):
        counts = rng.multinomial(100, np.full(8, 1 / 8))
        mine = rng.binomial(counts, np.where(np.arange(8) == 0, 0.35, 0.18))
        split.update(candidate=mine, champion=counts - mine)
    assert split.log_evidence() > -math.log(0.01)


def test_a_split_budget_is_a_budget_and_the_average_is_never_weaker() -> None:
    shares = split_level(0.01, {"a": 1.0, "b": 3.0}, stages=3)
    assert 3 * sum(shares.values()) == pytest.approx(0.01)
    logs = np.array([-math.log(shares["a"]), -40.0])
    weights = np.array([shares["a"], shares["b"]]) / 0.01
    assert average_log_evidence(logs, weights) >= -math.log(0.01) - 1e-9


def test_planned_rows_are_the_median_of_what_it_takes() -> None:
    rng, share = np.random.default_rng(4), 0.2

    def median_rows(effect: float, *, harm: bool, alpha: float) -> float:
        seen = []
        for _ in range(60):
            rates, rows = RateDifference(margin=0.03, share=share), 0
            while (rates.log_harm if harm else rates.log_proof) < -math.log(alpha) and rows < 20_000:
                arm = rng.random(25) < share
                rates.update(candidate=arm, events=rng.random(25) < np.where(arm, 0.05 + effect, 0.05))
                rows += 25
            seen.append(rows)
        return float(np.median(seen))

    assert 0.6 < median_rows(0.0, harm=False, alpha=0.05) / rate_proof_rows(0.05, 0.03, share, 0.05) < 1.3
    planned = rate_harm_rows(0.05, 0.15, 0.03, share, 0.001)
    assert planned is not None
    assert 0.6 < median_rows(0.15, harm=True, alpha=0.001) / planned < 1.3
    assert time_to_detect(mean_proof_rows(0.1, 0.02, 0.05), 150.0) == 1.0
