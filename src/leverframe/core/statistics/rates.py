"""Two rates against a harm margin (errors, slow answers, misses): exact from the first request, almost as sharp as knowing the rates.

The idea of both pages: before each request, bet. The bet is a likelihood ratio between what earlier requests predict and the *nearest*
distribution that the hypothesis allows. For a convex hypothesis such a ratio has expectation at most 1 whatever the truth within it, so
their product is an e-process; and because prediction and its nearest point learn together, not knowing the rates costs next to nothing.

Source: Grünwald, de Heide, Koolen 2024, "Safe testing", JRSS B, theorem 1; Turner, Ly, Grünwald 2024, "Generic E-variables for exact
sequential k-sample tests that allow for optional stopping", arXiv 2106.02693.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from leverframe.core.errors import InvalidInput
from leverframe.core.statistics.margins import Floats, MarginGrid

PRIOR_EQUAL = (0.25, 10.0)
"""Events and trials imagined before the first, where the two rates are taken to be equal: rates of errors are small."""

PRIOR_APART = (0.5, 1.0)
"""The same where the candidate's rate is taken to be its own: half, so that a version that fails always is believed at once."""

SHORT = 0.9
"""Of the champion's rows, this part is used: blocks need a fixed number, and chance must not keep the candidate's rows waiting."""

WAITING_MAX = 20_000
"""Rows of one arm waiting for the other's; beyond it the oldest go, and are counted in ``left_out``."""

ROWS_AT_ONCE = 4096
"""Rows worked on together: the grid times these fit the processor's cache."""


def nearest_champion_rate(p1: ArrayLike, p0: ArrayLike, difference: ArrayLike, share: ArrayLike) -> Floats:
    r"""The rate :math:`p` for which (:math:`p + d`, :math:`p`) is nearest to (``p1``, ``p0``), in relative entropy of an observation.

    An observation is the candidate's with probability ``share``. The minimum solves a cubic, in closed form (no iteration); it is the
    likeliest pair of rates with difference ``d`` when the arguments are observed rates and the observed share.

    Source: Miettinen, Nurminen 1985, "Comparative analysis of two rates", Statistics in Medicine 4.

    >>> float(nearest_champion_rate(0.1, 0.1, 0.0, 0.5).round(6)), float(nearest_champion_rate(0.5, 0.1, 0.2, 0.5).round(3))
    (0.1, 0.176)
    """
    a, b, d, m = (np.asarray(value, dtype=np.float64) for value in (p1, p0, difference, share))
    k = 1.0 - m
    excess = m * (a - d)
    square = -excess - m - k * b - k * (1.0 - 2.0 * d)
    linear = excess + k * b * (1.0 - 2.0 * d) - k * d * (1.0 - d)
    third = square / 3.0
    q = third**3 - square * linear / 6.0 + 0.5 * k * b * d * (1.0 - d)
    r = np.where(q < 0.0, -1.0, 1.0) * np.sqrt(np.maximum(third * third - linear / 3.0, 1e-30))
    angle = (np.pi + np.arccos(np.clip(q / r**3, -1.0, 1.0))) / 3.0
    return np.asarray(np.clip(2.0 * r * np.cos(angle) - third, np.maximum(0.0, -d), np.minimum(1.0, 1.0 - d)))


def _ratio(events: Floats, rows: int, predicted: Floats, allowed: Floats) -> Floats:
    """Logarithm of the likelihood ratio of some rows; predictions are never 0 or 1, so no row can ruin a bet."""
    one, zero = predicted, np.clip(allowed, 1e-12, 1.0 - 1e-12)
    return np.asarray(events * np.log(one / zero) + (rows - events) * np.log((1.0 - one) / (1.0 - zero)))


def block_shape(share: float) -> tuple[int, int]:
    """Rows of candidate and champion in a block, for traffic of which the candidate gets ``share``: a little short on the larger side, so
    that it never keeps the smaller one waiting.

    >>> block_shape(0.05), block_shape(0.5), block_shape(0.9)
    ((1, 17), (1, 1), (8, 1))
    """
    ratio = (1.0 - share) / share
    return (1, max(1, int(SHORT * ratio))) if ratio >= 1.0 else (max(1, int(SHORT / ratio)), 1)


def rate_blocks(candidate: ArrayLike, events: ArrayLike, share: float) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """Events of candidate and champion in each complete block of a stream, and the position of the row that completed it.

    >>> rate_blocks([False, True, False, True], [True, True, False, False], 0.5)
    (array([1., 0.]), array([1., 0.]), array([1, 3]))
    """
    arm, event = np.asarray(candidate, dtype=bool), np.asarray(events, dtype=np.float64)
    m, k = block_shape(share)
    own, other = np.flatnonzero(arm), np.flatnonzero(~arm)
    blocks = min(own.size // m, other.size // k)
    one, zero = own[: blocks * m].reshape(blocks, m), other[: blocks * k].reshape(blocks, k)
    last = np.maximum(one[:, -1], zero[:, -1]) if blocks else np.empty(0, dtype=np.int64)
    return event[one].sum(axis=1), event[zero].sum(axis=1), last


def rate_bets(
    ones: ArrayLike, zeros: ArrayLike, margin: ArrayLike, share: float, *, before: tuple[float, float, int] = (0.0, 0.0, 0)
) -> tuple[Floats, Floats]:
    r"""What each block adds to the evidence of harm and of proof; blocks along the last axis.

    Harm predicts each arm by its own history, :math:`\hat p = (s + \frac12)/(n + 1)`; proof predicts both by their common one. With
    :math:`p^*` the nearest pair of rates that the hypothesis allows, a block of ``m`` and ``k`` rows adds

    .. math:: \sum_{\text{rows}} \log \frac{\hat p_a(y)}{p^*_a(y)}

    A block always has the same shape, so nothing is assumed of how requests come to arms, only that they do so without looking at outcomes.

    Parameters
    ----------
    ones, zeros: events in each block, of candidate and champion (:func:`rate_blocks`).    margin: broadcasts with them.
    share: of the candidate; gives the blocks their shape.    before: events of either arm, and blocks, that came earlier.

    Returns
    -------
    harm, proof: to be added up.

    >>> harm, proof = rate_bets([1.0] * 4, [0.0] * 4, 0.02, 0.05)
    >>> float(harm.sum().round(1))
    12.0
    """
    m, k = block_shape(share)
    one, zero = np.asarray(ones, dtype=np.float64), np.asarray(zeros, dtype=np.float64)
    d, weight = np.asarray(margin, dtype=np.float64), m / (m + k)
    s1, s0 = np.cumsum(one, axis=-1) - one + before[0], np.cumsum(zero, axis=-1) - zero + before[1]
    index = np.arange(one.shape[-1]) + float(before[2])
    p1 = (s1 + PRIOR_APART[0]) / (m * index + PRIOR_APART[1])
    p0 = (s0 + PRIOR_EQUAL[0]) / (k * index + PRIOR_EQUAL[1])
    both = (s1 + s0 + PRIOR_EQUAL[0]) / ((m + k) * index + PRIOR_EQUAL[1])
    nearest = nearest_champion_rate(p1, p0, d, weight)
    harm = _ratio(one, m, p1, nearest + d) + _ratio(zero, k, p0, nearest)
    nearest = nearest_champion_rate(both, both, d, weight)
    proof = _ratio(one, m, both, nearest + d) + _ratio(zero, k, both, nearest)
    return np.where(p1 - p0 <= d, 0.0, harm), np.where(d <= 0.0, 0.0, proof)


def rate_growth(p1: float, p0: float, margin: float, share: float) -> float:
    """What the proof gains an observation (of either arm) in the mean, at rates ``p1`` and ``p0``: relative entropy, in nats.

    >>> round(rate_growth(0.01, 0.01, 0.02, 0.5), 5)
    0.00384
    """
    both = np.clip(share * p1 + (1.0 - share) * p0, 1e-9, 1.0 - 1e-9)
    nearest = nearest_champion_rate(both, both, margin, share)
    one, zero = np.asarray(p1, dtype=np.float64), np.asarray(p0, dtype=np.float64)
    return float(share * _ratio(one, 1, both, nearest + margin) + (1.0 - share) * _ratio(zero, 1, both, nearest))


class RateDifference(MarginGrid):
    """Difference of two arms' rates, different requests (:func:`rate_bets`).

    Folding in batches gives what folding one by one gives; the order of the rows is the order of the bets.

    Parameters
    ----------
    margin: tolerated difference, 0 to 1.    share: of requests that go to the candidate, 0 to 1; if fewer or more come, blocks fill more
        slowly and stay valid.

    >>> rates = RateDifference(margin=0.02, share=0.1)
    >>> rates.update(candidate=[True] * 6 + [False] * 54, events=[True] * 6 + [False] * 54)
    >>> rates.log_harm > 10.0, rates.interval(0.001)[0] >= 0.02
    (True, True)
    """

    def __init__(self, *, margin: float, share: float) -> None:
        super().__init__(margin)
        if not 0.0 < share < 1.0:
            raise InvalidInput("share out of range", where="rate difference", expected="between 0 and 1", got=f"{share:g}")
        self._share = share
        self._bet = [0.0, 0.0]
        self._blocks = 0
        self._waiting: list[Floats] = [np.empty(0), np.empty(0)]
        self.events = [0, 0]
        self.trials = [0, 0]
        self.left_out = 0

    def update(self, *, candidate: ArrayLike, events: ArrayLike) -> None:
        """Fold requests in: whose they were, and whether they had the event; bool ``[rows]`` each."""
        arm, event = np.asarray(candidate, dtype=bool), np.asarray(events, dtype=np.float64)
        for index, rows in ((1, event[arm]), (0, event[~arm])):
            self.trials[index] += rows.size
            self.events[index] += int(rows.sum())
            self._waiting[index] = np.concatenate((self._waiting[index], rows))
        self.n = min(self.trials)
        m, k = block_shape(self._share)
        blocks = min(self._waiting[1].size // m, self._waiting[0].size // k)
        ones = self._waiting[1][: blocks * m].reshape(blocks, m).sum(axis=1)
        zeros = self._waiting[0][: blocks * k].reshape(blocks, k).sum(axis=1)
        for start in range(0, blocks, ROWS_AT_ONCE):
            self._fold(ones[start : start + ROWS_AT_ONCE], zeros[start : start + ROWS_AT_ONCE])
        for index, used in ((1, blocks * m), (0, blocks * k)):
            waiting = self._waiting[index][used:]
            self.left_out += max(0, waiting.size - WAITING_MAX)
            self._waiting[index] = waiting[-WAITING_MAX:]

    def _fold(self, ones: Floats, zeros: Floats) -> None:
        before = (self._bet[1], self._bet[0], self._blocks)
        harm, proof = rate_bets(ones, zeros, self.differences[:, None], self._share, before=before)
        self.above += harm.sum(axis=1)
        self.below += proof.sum(axis=1)
        self._bet[1] += float(ones.sum())
        self._bet[0] += float(zeros.sum())
        self._blocks += ones.size

    @property
    def rates(self) -> tuple[float, float] | None:
        """Candidate's and champion's rate, None while an arm is empty."""
        return (self.events[1] / self.trials[1], self.events[0] / self.trials[0]) if min(self.trials) else None

    @property
    def estimate(self) -> float | None:
        """Candidate rate minus champion rate, None while an arm is empty."""
        return self.rates[0] - self.rates[1] if self.rates else None

    @property
    def growth(self) -> float:
        """Of the proof, per request of the smaller arm."""
        m, k = block_shape(self._share)
        return rate_growth(*self.rates, self.margin, m / (m + k)) * (m + k) / min(m, k) if self.rates else 0.0


def nearest_worse_chance(worse: ArrayLike, better: ArrayLike, margin: ArrayLike) -> Floats:
    r"""The chance :math:`q` for which (worse :math:`q + d`, better :math:`q`, same) is nearest to the given chances: a quadratic.

    >>> float(nearest_worse_chance(0.01, 0.01, 0.02).round(5))
    0.00609
    """
    w, b, d = (np.asarray(value, dtype=np.float64) for value in (worse, better, margin))
    same = np.maximum(1.0 - w - b, 0.0)
    # Derivative of w log(q+d) + b log q + same log(1-2q-d), times its denominators: -2q² + linear q + constant = 0.
    linear = (w + b) * (1.0 - d) - 2.0 * b * d - 2.0 * same * d
    constant = b * d * (1.0 - d)
    low = np.maximum(0.0, -d)
    root = np.sqrt(np.maximum(linear * linear + 8.0 * constant, 0.0))
    return np.asarray(np.clip((linear + root) / 4.0, low, np.maximum((1.0 - d) / 2.0, low)))


def paired_bets(
    differences: ArrayLike, margin: ArrayLike, *, before: tuple[ArrayLike, ArrayLike, ArrayLike] = (0, 0, 0)
) -> tuple[Floats, Floats]:
    """What each request that both arms answered adds to the evidence of harm and of proof; rows along the last axis.

    Only requests on which the arms differ say anything. Harm predicts the chances of "worse" and "better" by their own history, proof takes
    them to be equal.

    Parameters
    ----------
    differences: ``[..., rows]`` of 1 (the event in the candidate only), -1 (in the champion only), 0.    margin: broadcasts.
    before: requests that were worse, better, and all, earlier.

    >>> harm, proof = paired_bets(np.ones(12), 0.02)
    >>> float(harm.sum().round(1)) > 4.0
    True
    """
    d = np.asarray(differences, dtype=np.float64)
    up, down = d > 0.0, d < 0.0
    w = np.cumsum(up, axis=-1) - up + np.asarray(before[0], dtype=np.float64)
    b = np.cumsum(down, axis=-1) - down + np.asarray(before[1], dtype=np.float64)
    total = np.arange(d.shape[-1]) + np.asarray(before[2], dtype=np.float64) + PRIOR_EQUAL[1]
    bound = np.asarray(margin, dtype=np.float64)
    own, less = (w + PRIOR_EQUAL[0]) / total, (b + 0.5 * PRIOR_EQUAL[0]) / total
    nearest = nearest_worse_chance(own, less, bound)
    harm = np.where(own - less <= bound, 0.0, _trinomial(up, down, own, less, nearest + bound, nearest))
    half = 0.5 * (w + b + PRIOR_EQUAL[0]) / total
    nearest = nearest_worse_chance(half, half, bound)
    proof = np.where(bound <= 0.0, 0.0, _trinomial(up, down, half, half, nearest + bound, nearest))
    return harm, proof


def _trinomial(up: ArrayLike, down: ArrayLike, w: Floats, b: Floats, w_allowed: Floats, b_allowed: Floats) -> Floats:
    tiny = 1e-12
    same = np.log(np.maximum(1.0 - w - b, tiny) / np.maximum(1.0 - w_allowed - b_allowed, tiny))
    chosen = np.where(up, np.log(w / np.maximum(w_allowed, tiny)), np.where(down, np.log(b / np.maximum(b_allowed, tiny)), same))
    return np.asarray(chosen)


class PairedRateDifference(MarginGrid):
    """Difference of two rates seen on the same requests (:func:`paired_bets`): shadow traffic, mirrored canaries, misses.

    >>> pairs = PairedRateDifference(margin=0.02)
    >>> pairs.update(np.tile([0.0] * 99 + [1.0] + [0.0] * 99 + [-1.0], 3))
    >>> pairs.log_proof > 3.0, pairs.estimate
    (True, 0.0)
    """

    def __init__(self, *, margin: float) -> None:
        super().__init__(margin)
        self.worse = 0
        self.better = 0

    def update(self, differences: ArrayLike) -> None:
        """Fold requests in: 1 where only the candidate had the event, -1 where only the champion, 0 where both or neither."""
        rows = np.asarray(differences, dtype=np.float64).ravel()
        for start in range(0, rows.size, ROWS_AT_ONCE):
            part = rows[start : start + ROWS_AT_ONCE]
            harm, proof = paired_bets(part, self.differences[:, None], before=(self.worse, self.better, self.n))
            self.above += harm.sum(axis=1)
            self.below += proof.sum(axis=1)
            self.worse += int((part > 0.0).sum())
            self.better += int((part < 0.0).sum())
            self.n += part.size

    @property
    def estimate(self) -> float | None:
        """Candidate rate minus champion rate, None before the first request."""
        return (self.worse - self.better) / self.n if self.n else None

    @property
    def growth(self) -> float:
        """Of the proof, per request."""
        if not self.n:
            return 0.0
        chances = np.array([self.worse, self.better, self.n - self.worse - self.better]) / self.n
        half = np.asarray(max(0.5 * float(chances[0] + chances[1]), 1e-9), dtype=np.float64)
        near = nearest_worse_chance(half, half, self.margin)
        ups, downs = np.array([True, False, False]), np.array([False, True, False])
        gains = _trinomial(ups, downs, half, half, near + self.margin, near)
        return float(np.dot(chances, gains))
