"""Lift of a variant: looked at after every batch an equal one wins as rarely as the level says, and a better one is found."""

import math

import numpy as np
import pytest

from leverframe.core.errors import InvalidInput
from leverframe.core.statistics import lift as page
from leverframe.core.statistics.lift import (
    BURN_IN_KEYS,
    CallerSums,
    Lift,
    e_bh,
    keys_needed,
    lift_interval,
    lift_log_evidence,
    lift_of,
    lift_radius,
    variance_for,
)

ALPHA = 0.05


def callers(rng, rows, gain, *, sd=0.1, rows_a_key=4):
    """Keys, arms, 0/1 outcomes and a covariate of callers with moods of their own; ``gain`` is added to the variant's rate."""
    keys = rows // rows_a_key
    key, arm, mood = rng.integers(0, keys, rows), rng.integers(0, 2, keys), sd * rng.normal(size=keys)
    rate = np.clip(0.2 + mood[key] + gain * arm[key], 0.0, 1.0)
    return key, arm[key], (rng.random(rows) < rate).astype(float), mood[key] + 0.05 * rng.normal(size=rows)


def skewed(rng, rows, gain):
    """Revenue: most pay nothing, some pay much."""
    arm = rng.integers(0, 2, rows)
    return np.arange(rows), arm, rng.exponential(1.0, rows) * (rng.random(rows) < 0.3) + gain * arm, np.zeros(rows)


def looked_at(draw, rng, rows, looks, gain, *, spread, adjusted=False, unit=True):
    """After how many rows the interval first excluded 0, and its sides then; None if it never did."""
    key, arm, value, covariate = draw(rng, rows, gain)
    sums, step = (CallerSums(), CallerSums()), rows // looks
    for start in range(0, rows, step):
        part = slice(start, start + step)
        for place, (k, a, y, c) in enumerate(
            zip(key[part].tolist(), arm[part].tolist(), value[part].tolist(), covariate[part].tolist(), strict=True)
        ):
            sums[a].add(k if unit else start + place, y, c)
        low, high = lift_interval(lift_of(sums[1], sums[0], adjusted=adjusted), spread, ALPHA)
        if low > 0.0 or high < 0.0:
            return start + step, low, high
    return None


def false_wins(paths, draw, seed, **how):
    rng = np.random.default_rng(seed)
    return sum(looked_at(draw, rng, 1_600, 16, 0.0, **how) is not None for _ in range(paths)) / paths


@pytest.mark.parametrize("adjusted", [False, True])
def test_an_equal_variant_is_rarely_told_apart_over_all_looks(adjusted):
    assert false_wins(200, callers, 1, spread=0.03, adjusted=adjusted) <= ALPHA


@pytest.mark.slow
@pytest.mark.parametrize(("draw", "spread"), [(callers, 0.03), (skewed, 0.1)])
def test_of_two_thousand_equal_experiments_looked_at_after_every_batch_at_most_the_level_errs(draw, spread):
    assert false_wins(2_000, draw, 3, spread=spread) <= ALPHA


def test_negative_control_rows_as_the_unit_err_when_callers_resemble_themselves():
    """The same looks with every row an observation of its own: what the unit of analysis is there for."""

    def strong(rng, rows, gain):
        return callers(rng, rows, gain, sd=0.3, rows_a_key=40)

    rng = np.random.default_rng(5)
    wrong = [looked_at(strong, rng, 4_800, 16, 0.0, spread=0.03, unit=False) is not None for _ in range(60)]
    assert sum(wrong) / 60 > 2 * ALPHA


def test_a_better_variant_is_found_and_sooner_with_a_covariate():
    found = {}
    for adjusted in (False, True):
        rng = np.random.default_rng(7)
        firsts = [looked_at(callers, rng, 6_400, 32, 0.08, spread=0.05, adjusted=adjusted) for _ in range(40)]
        assert sum(first is not None and first[1] > 0.0 for first in firsts) >= 38
        found[adjusted] = np.median([first[0] for first in firsts if first])
    assert found[True] <= found[False]


def test_the_interval_covers_the_truth_over_all_looks():
    rng, missed = np.random.default_rng(11), 0
    for _ in range(150):
        key, arm, value, _ = callers(rng, 1_600, 0.05)
        sums, out = (CallerSums(), CallerSums()), False
        for at, (k, a, y) in enumerate(zip(key.tolist(), arm.tolist(), value.tolist(), strict=True), 1):
            sums[a].add(k, y)
            if at % 100 == 0:
                low, high = lift_interval(lift_of(sums[1], sums[0]), 0.05, ALPHA)
                out = out or not low <= 0.05 <= high
        missed += out
    assert missed / 150 <= ALPHA


def test_order_and_batches_do_not_matter():
    rng = np.random.default_rng(13)
    key, arm, value, covariate = callers(rng, 2_000, 0.05)
    read = []
    for order in (np.arange(2_000), rng.permutation(2_000)):
        sums = CallerSums(), CallerSums()
        for at in order.tolist():
            sums[int(arm[at])].add(int(key[at]), float(value[at]), float(covariate[at]))
        read.append(lift_of(sums[1], sums[0], adjusted=True))
    assert read[0] == pytest.approx(read[1], rel=1e-9)


def test_running_sums_are_those_over_callers():
    rng = np.random.default_rng(17)
    key, value, covariate = rng.integers(0, 50, 600), rng.normal(size=600), rng.normal(size=600)
    sums = CallerSums()
    for k, y, c in zip(key.tolist(), value.tolist(), covariate.tolist(), strict=True):
        sums.add(k, y, c)
    n, y, c = (np.bincount(key, weights=w, minlength=50) for w in (np.ones(600), value, covariate))
    outcome, other = y - y.sum() / n.sum() * n, c - c.sum() / n.sum() * n
    assert sums.residuals() == pytest.approx((outcome @ outcome, other @ other, outcome @ other))
    assert (sums.keys, sums.rows, sums.mean) == (50, 600, pytest.approx(value.mean()))


def test_nothing_is_said_of_few_callers_or_without_variance():
    sums = CallerSums(), CallerSums()
    for key in range(BURN_IN_KEYS):
        sums[0].add(key, 0.0)
        sums[1].add(key, 0.0)
        assert lift_of(sums[1], sums[0]) is None
    assert lift_interval(None, 0.1, 0.05) == (-math.inf, math.inf)


def test_callers_beyond_the_bound_are_left_out_and_counted(monkeypatch):
    monkeypatch.setattr(page, "KEYS_MAX", 3)
    sums = CallerSums()
    for key in range(5):
        sums.add(key, 1.0)
        sums.add(0, 1.0)
    assert (sums.keys, sums.left_out, sums.rows) == (3, 2, 8)


def test_interval_and_evidence_say_the_same():
    variance, spread, alpha = 3e-4, 0.02, 0.01
    radius = float(lift_radius(variance, spread, alpha))
    at = lift_log_evidence([radius * 0.999, radius * 1.001], variance, 0.0, spread)
    assert at[0] < -math.log(alpha) < at[1]
    assert lift_interval(Lift(0.1, variance, 0.0, 0.0), spread, alpha) == pytest.approx((0.1 - radius, 0.1 + radius))


def test_the_planned_number_of_callers_is_about_right():
    """Half of all experiments of this size must see the effect with half the power's callers or fewer; four in five with all of them."""
    needed, rng = keys_needed(0.5, 0.1, (0.5, 0.5), ALPHA), np.random.default_rng(19)

    def draw(rng, rows, gain):
        arm = rng.integers(0, 2, rows)
        return np.arange(rows), arm, 0.5 * rng.normal(size=rows) + gain * arm, np.zeros(rows)

    seen = [looked_at(draw, rng, needed, 20, 0.1, spread=0.1) is not None for _ in range(100)]
    assert 0.7 <= sum(seen) / 100 <= 0.95


@pytest.mark.parametrize("wrong", [{"power": 0.7}, {"effect": 0.0}, {"sd": 0.0}, {"shares": (0.0, 1.0)}])
def test_a_plan_out_of_range_is_refused(wrong):
    with pytest.raises(InvalidInput):
        keys_needed(**{"sd": 1.0, "effect": 0.1, "shares": (0.5, 0.5), "alpha": 0.05, **wrong})


def test_e_bh_keeps_the_false_discovery_rate_of_dependent_segments():
    """All hypotheses true and all e-values one and the same: dependence at its worst."""
    rng, alpha = np.random.default_rng(23), 0.1
    e_values = np.exp(rng.normal(size=4_000) * 2.0 - 2.0)
    wrong = sum(bool(e_bh({f"s{i}": math.log(e) for i in range(10)}, alpha)) for e in e_values)
    assert wrong / 4_000 <= alpha
    assert e_bh({"a": math.log(45.0), "b": math.log(1.0)}, 0.05) == {"a"}
    assert e_bh({}, 0.05) == frozenset()


def test_more_variance_is_allowed_for_larger_effects():
    assert variance_for(0.02, 0.02, ALPHA) < variance_for(0.04, 0.02, ALPHA)
    assert variance_for(0.02, 0.02, ALPHA, power=0.9) < variance_for(0.02, 0.02, ALPHA)
