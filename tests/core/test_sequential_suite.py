"""One suite for every sequence that a release holds against a margin: what would be wrong with a verdict if one of these failed.

Data are drawn *at* the margin, where harm is not yet harm and proof would be false: both errors must stay within their level although the
sequence is looked at again and again.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from leverframe.core.errors import InvalidInput
from leverframe.core.statistics.auc import AucLoss
from leverframe.core.statistics.bounded import BoundedMean, harm_bets, proof_bets
from leverframe.core.statistics.clusters import ClusteredDifference, ClusteredMean
from leverframe.core.statistics.covariate import AdjustedDifference
from leverframe.core.statistics.margins import Averaged, TwoSided, more_needed
from leverframe.core.statistics.means import DifferenceMargin, MeanMargin, mean_log_evidence, trusted
from leverframe.core.statistics.quantiles import QuantileMargin
from leverframe.core.statistics.rates import PairedRateDifference, RateDifference, paired_bets, rate_bets, rate_blocks

ALPHA, PATHS, LOOKS = 0.1, 150, 16
SLACK = 3.0 * math.sqrt(ALPHA * (1.0 - ALPHA) / PATHS)


@dataclass(frozen=True)
class Case:
    """How to make a sequence, draw its rows with a given difference, and fold rows ``[from:to]`` of a draw in."""

    make: Callable[[], object]
    draw: Callable[[np.random.Generator, int, float], tuple]
    fold: Callable[[object, tuple], None]
    margin: float
    rows: int
    ordered: bool = False


def _cut(rows: tuple, start: int, stop: int) -> tuple:
    return tuple(part[start:stop] for part in rows)


def _arms(rng, n, gap, *, share=0.3):
    arm = rng.random(n) < share
    return arm, rng.random(n) < np.where(arm, 0.1 + gap, 0.1)


def _pairs(rng, n, gap):
    return (rng.choice([-1.0, 0.0, 1.0], p=[0.06 - gap / 2, 0.88, 0.06 + gap / 2], size=n),)


def _latency(rng, n, gap):
    arm = rng.random(n) < 0.3
    return arm, 1000.0 * np.exp(0.4 * rng.normal(size=n)) * np.where(arm, 1.0 + gap, 1.0)


def _clustered(rng, n, gap, *, two=True):
    callers = n // 10
    key = rng.integers(0, callers, n)
    mood = 0.2 * rng.normal(size=callers)
    arm = key % 2 == 0 if two else np.ones(n, bool)
    return np.array([f"k{k}" for k in key]), arm, mood[key] + 0.2 * rng.normal(size=n) + np.where(arm, gap, 0.0)


def _revenue(rng, n, gap):
    arm = rng.random(n) < 0.3
    return arm, rng.exponential(0.5, n) + np.where(arm, gap, 0.0)


def _fold_latency(s, r):
    s.update(candidate=r[1][r[0]], champion=r[1][~r[0]])


def _auc(rng, n, gap):
    labels = (rng.random(n) < 0.2).astype(float)
    common = rng.normal(size=n) + labels
    # The noise that costs 0.02 of AUC (0.760 -> 0.740) when added to the candidate alone.
    noise = rng.normal(size=(n, 2)) * np.array([{0.0: 0.0, 0.02: 0.385}.get(gap, 1.5), 0.0])
    return labels, common[:, None] + noise


def _covaried(rng, n, gap):
    arm, score = rng.random(n) < 0.3, rng.normal(size=n)
    return arm, 2.0 + score + 0.5 * rng.normal(size=n) + np.where(arm, gap, 0.0), score


CASES = {
    "rates of two arms": Case(
        lambda: RateDifference(margin=0.05, share=0.3), _arms, lambda s, r: s.update(candidate=r[0], events=r[1]), 0.05, 1600, ordered=True
    ),
    "rates of pairs": Case(lambda: PairedRateDifference(margin=0.03), _pairs, lambda s, r: s.update(r[0]), 0.03, 1600, ordered=True),
    "bounded mean": Case(
        lambda: BoundedMean(margin=0.05),
        lambda rng, n, gap: (rng.choice([-0.2, 0.0, 0.2], size=n) + gap,),
        lambda s, r: s.update(r[0]),
        0.05,
        1200,
        ordered=True,
    ),
    "mean": Case(
        lambda: MeanMargin(margin=0.03), lambda rng, n, gap: (0.3 * rng.normal(size=n) + gap,), lambda s, r: s.update(r[0]), 0.03, 2400
    ),
    "means of two arms": Case(
        lambda: DifferenceMargin(margin=0.1),
        _revenue,
        lambda s, r: s.update(candidate=r[1][r[0]], champion=r[1][~r[0]]),
        0.1,
        4000,
    ),
    "with a covariate": Case(
        lambda: AdjustedDifference(margin=0.1),
        _covaried,
        lambda s, r: s.update_rows(candidate=r[0], values=r[1], covariate=r[2]),
        0.1,
        2400,
        ordered=True,
    ),
    "callers, two arms": Case(
        lambda: ClusteredDifference(margin=0.1),
        _clustered,
        lambda s, r: s.update(r[0], candidate=r[1], values=r[2]),
        0.1,
        3000,
    ),
    "callers, pairs": Case(
        lambda: ClusteredMean(margin=0.1),
        lambda rng, n, gap: _clustered(rng, n, gap, two=False),
        lambda s, r: s.update(r[0], r[2]),
        0.1,
        3000,
    ),
    "quantile": Case(lambda: QuantileMargin(quantile=0.5, margin=0.25), _latency, _fold_latency, 0.25, 2000),
    "AUC": Case(lambda: AucLoss(margin=0.02), _auc, lambda s, r: s.update_rows(r[0], r[1]), 0.02, 6000, ordered=True),
    "both sides": Case(
        lambda: TwoSided(BoundedMean(margin=0.05), BoundedMean(margin=0.05)),
        lambda rng, n, gap: (rng.choice([-0.2, 0.0, 0.2], size=n) + gap,),
        lambda s, r: (s._test.update(r[0]), s._mirrored.update(-r[0])),
        0.05,
        1200,
        ordered=True,
    ),
    "averaged": Case(
        lambda: Averaged(PairedRateDifference(margin=0.03), PairedRateDifference(margin=0.03)),
        _pairs,
        lambda s, r: [test.update(r[0]) for test in s._tests],
        0.03,
        1600,
        ordered=True,
    ),
}


@pytest.fixture(params=CASES, ids=lambda name: name.replace(" ", "-"))
def case(request) -> Case:
    return CASES[request.param]


def _filled(case: Case, rows: tuple):
    sequence = case.make()
    case.fold(sequence, rows)
    return sequence


def test_at_the_margin_neither_harm_nor_proof_errs_more_often_than_its_level_over_all_looks(case: Case) -> None:
    rng = np.random.default_rng(17)
    wrong = np.zeros(2)
    for _ in range(PATHS):
        rows = case.draw(rng, case.rows, case.margin)
        sequence, peak = case.make(), [-math.inf, -math.inf]
        for start in range(0, case.rows, case.rows // LOOKS):
            case.fold(sequence, _cut(rows, start, start + case.rows // LOOKS))
            peak = [max(peak[0], sequence.log_harm), max(peak[1], sequence.log_proof)]
        wrong += np.array(peak) >= -math.log(ALPHA)
    assert wrong[0] / PATHS <= ALPHA + SLACK, "harm is claimed too often of versions that are within the margin"
    assert wrong[1] / PATHS <= ALPHA + SLACK, "proof is claimed too often of versions that are at the margin"


def test_an_equal_version_is_proven_and_a_harmful_one_is_found(case: Case) -> None:
    rng = np.random.default_rng(23)
    good = _filled(case, case.draw(rng, 4 * case.rows, 0.0))
    assert good.log_proof > -math.log(0.01), "an equal version must be provable"
    assert good.log_harm < -math.log(0.001)
    if not isinstance(good, QuantileMargin | Averaged):
        assert good.interval(0.01)[1] <= case.margin * 1.0001, "proven means that the interval is within the margin"
    bad = _filled(case, case.draw(rng, 4 * case.rows, 2.0 * case.margin))
    assert bad.log_harm > -math.log(0.01), "twice the margin must be found"
    assert bad.log_proof < 0.0


def test_batches_do_not_matter(case: Case) -> None:
    rows = case.draw(np.random.default_rng(3), 600, 0.0)
    one, many = _filled(case, rows), case.make()
    for start in range(0, 600, 37):
        case.fold(many, _cut(rows, start, start + 37))
    assert (many.log_harm, many.log_proof) == pytest.approx((one.log_harm, one.log_proof), abs=1e-8)
    assert many.n == one.n
    assert many.estimate == pytest.approx(one.estimate, abs=1e-12)


def test_the_order_of_rows_matters_only_where_the_page_says_so(case: Case) -> None:
    rng = np.random.default_rng(4)
    rows = case.draw(rng, 800, 0.0)
    turned = tuple(part[::-1] for part in rows)
    one, two = _filled(case, rows), _filled(case, turned)
    if not case.ordered:
        assert (one.log_harm, one.log_proof) == pytest.approx((two.log_harm, two.log_proof), abs=1e-8)
    words = f"{case.make().__class__.__doc__}{__import__(case.make().__class__.__module__, fromlist=['x']).__doc__}"
    if case.ordered and isinstance(one, RateDifference | PairedRateDifference | BoundedMean | AucLoss | AdjustedDifference):
        assert "order" in words or "earlier" in words, "a page whose bets depend on the order must say so"


def test_intervals_narrow_hold_the_estimate_and_agree_with_the_evidence(case: Case) -> None:
    rng = np.random.default_rng(5)
    rows = case.draw(rng, 4 * case.rows, 0.0)
    few, many = _filled(case, _cut(rows, 0, case.rows // 4)), _filled(case, rows)
    wide, narrow, strict = few.interval(0.05), many.interval(0.05), many.interval(0.0005)
    assert narrow[0] <= many.estimate <= narrow[1]
    assert narrow[1] - narrow[0] < wide[1] - wide[0], "more rows, narrower"
    assert strict[0] <= narrow[0]
    assert strict[1] >= narrow[1], "a stricter level, wider"


def test_how_much_longer_shrinks_to_nothing_and_never_promises_what_will_not_be(case: Case) -> None:
    rng = np.random.default_rng(6)
    rows = case.draw(rng, 4 * case.rows, 0.0)
    early, late = _filled(case, _cut(rows, 0, case.rows)), _filled(case, rows)
    assert more_needed(late, 0.05) == 0
    alpha = math.exp(-2.0 * max(early.log_proof, 3.0))
    missing = more_needed(early, alpha)
    assert missing is not None
    assert 0.2 * early.n < missing < 20 * early.n, "twice the evidence takes about twice the data"
    assert more_needed(case.make(), 0.05) is None, "without rows nobody can tell"


@pytest.mark.parametrize(("p", "gap", "share"), [(0.01, 0.02, 0.1), (0.2, 0.05, 0.5), (0.0, 0.02, 0.5)])
def test_rate_bets_keep_their_level_looked_at_after_every_request(p: float, gap: float, share: float) -> None:
    rng = np.random.default_rng(8)
    arm = rng.random((1200, 1500)) < share
    event = rng.random(arm.shape) < np.where(arm, p + gap, p)
    peaks = np.array(
        [[bets.cumsum().max() for bets in rate_bets(*rate_blocks(a, e, share)[:2], gap, share)] for a, e in zip(arm, event, strict=True)]
    )
    assert ((peaks >= -math.log(0.01)).mean(axis=0) <= 0.01 + 3 * math.sqrt(0.0099 / 1200)).all()


def test_a_split_that_is_not_the_declared_one_makes_no_evidence() -> None:
    rng = np.random.default_rng(12)
    for real in (0.0, 0.02, 0.5, 1.0):
        rates = RateDifference(margin=0.02, share=0.1)
        rates.update(candidate=rng.random(5000) < real, events=rng.random(5000) < 0.01)
        assert rates.log_harm < 3.0


def test_paired_and_bounded_bets_keep_their_level_looked_at_after_every_request() -> None:
    rng = np.random.default_rng(9)
    pairs = rng.choice([-1, 0, 1], p=[0.03, 0.92, 0.05], size=(1200, 1500))
    values = rng.choice([-0.1, 0.0, 0.25], size=(1200, 1500))
    slack = 0.01 + 3 * math.sqrt(0.0099 / 1200)
    for evidence in paired_bets(pairs, 0.02):
        assert (evidence.cumsum(axis=1).max(axis=1) >= -math.log(0.01)).mean() <= slack
    harm = np.logaddexp.reduce(harm_bets(values, 0.05).cumsum(axis=-1), axis=0) - math.log(5)
    assert (harm.max(axis=1) >= -math.log(0.01)).mean() <= slack
    assert (proof_bets(values, 0.05).cumsum(axis=1).max(axis=1) >= -math.log(0.01)).mean() <= slack


@pytest.mark.parametrize("draw", ["normal", "skewed", "brier"])
def test_aimed_mixture_keeps_its_level_and_a_repeated_t_test_does_not(draw: str) -> None:
    rng, margin = np.random.default_rng(10), 0.02
    shape = (1200, 1500)
    chance = rng.beta(2, 7, shape)
    label = rng.random(shape) < chance
    one, two = (np.clip(chance + rng.normal(0, 0.1, shape), 0, 1) for _ in range(2))
    rows = {
        "normal": 0.2 * rng.normal(size=shape),
        "skewed": rng.exponential(0.2, shape) - 0.2,
        "brier": (one - label) ** 2 - (two - label) ** 2,
    }[draw] + margin
    n = np.arange(1, shape[1] + 1)
    mean = rows.cumsum(axis=1) / n
    variance = np.maximum((rows**2).cumsum(axis=1) / n - mean**2, 1e-12)
    looked = slice(99, None)
    for evidence in mean_log_evidence(n, mean, trusted(variance, n, margin), margin, margin):
        assert (evidence[:, looked].max(axis=1) >= -math.log(0.05)).mean() <= 0.05 + 3 * math.sqrt(0.0475 / 1200)
    t = (mean - margin) / np.sqrt(variance / n)
    assert (t[:, looked].max(axis=1) > 1.645).mean() > 0.15, "the negative control must break its level, or this test proves nothing"


def test_what_cannot_be_judged_is_refused() -> None:
    for make in (
        lambda: RateDifference(margin=0.0, share=0.5),
        lambda: RateDifference(margin=0.1, share=1.0),
        lambda: PairedRateDifference(margin=1.0),
        lambda: MeanMargin(margin=math.nan),
        lambda: BoundedMean(margin=0.1).update([1.5]),
        lambda: MeanMargin(margin=0.1).update([math.nan]),
        lambda: QuantileMargin(quantile=1.0, margin=0.2),
    ):
        with pytest.raises(InvalidInput):
            make()
