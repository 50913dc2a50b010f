"""ROC AUC of two models on the same labelled requests, by late labels, at every look."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from leverframe.core.statistics.margins import Floats
from leverframe.core.statistics.means import MeanMargin

POSITIVES = 4
NEGATIVES = 16
"""A block: so many positives held against so many negatives. More would use the rows a little better and speak later; half of either
needs 30 % more rows."""

BURN_IN_BLOCKS = 40

WAITING_MAX = 20_000
"""Rows of one class waiting for rows of the other; beyond it the oldest go, and are counted in ``left_out``."""


def placement_gap(positives: ArrayLike, negatives: ArrayLike) -> Floats:
    """By how much the champion orders each block's pairs better than the candidate: AUC of a block, champion minus candidate, in [-1, 1].

    Parameters
    ----------
    positives: ``[blocks, p, 2]`` scores of candidate and champion.    negatives: ``[blocks, q, 2]``.

    >>> placement_gap([[[0.2, 0.9]]], [[[0.5, 0.5]]]).tolist()
    [1.0]
    """
    one, zero = np.asarray(positives, dtype=np.float64)[:, :, None, :], np.asarray(negatives, dtype=np.float64)[:, None, :, :]
    wins = (one > zero) + 0.5 * (one == zero)
    areas = wins.mean(axis=(1, 2))
    return np.asarray(areas[:, 1] - areas[:, 0])


def auc_blocks(labels: ArrayLike, scores: ArrayLike) -> tuple[Floats, NDArray[np.int64]]:
    """The gap of each complete block of a stream, and the position of the row that completed it.

    Blocks take positives and negatives in the order they came, each row once, so blocks are independent and alike.

    Parameters
    ----------
    labels: ``[rows]``, 1 or 0.    scores: ``[rows, 2]`` of candidate and champion.

    >>> gaps, at = auc_blocks([1] * 4 + [0] * 16, [[0.9, 0.9]] * 4 + [[0.1, 0.1]] * 16)
    >>> gaps.tolist(), at.tolist()
    ([0.0], [19])
    """
    positive = np.asarray(labels, dtype=np.float64) > 0.5
    matrix = np.asarray(scores, dtype=np.float64).reshape(-1, 2)
    ups, downs = np.flatnonzero(positive), np.flatnonzero(~positive)
    blocks = min(ups.size // POSITIVES, downs.size // NEGATIVES)
    if not blocks:
        return np.empty(0), np.empty(0, dtype=np.int64)
    one, zero = ups[: blocks * POSITIVES].reshape(blocks, -1), downs[: blocks * NEGATIVES].reshape(blocks, -1)
    return placement_gap(matrix[one], matrix[zero]), np.maximum(one[:, -1], zero[:, -1])


class AucLoss(MeanMargin):
    r"""How much AUC the candidate loses against the champion (positive: worse), on requests that both scored.

    AUC is the chance that a positive is scored above a negative, so the mean over blocks of the difference of placements is an unbiased
    estimate of the difference of AUCs, and blocks are independent rows. The order of the rows decides which meet in a block.

    Source: DeLong, DeLong, Clarke-Pearson 1988 (placement values); Hanley, Hajian-Tilaki 1997.

    >>> rng = np.random.default_rng(1)
    >>> labels = np.arange(4000) % 5 == 0
    >>> scores = rng.normal(size=(4000, 1)) + labels[:, None] + 0.1 * rng.normal(size=(4000, 2))
    >>> loss = AucLoss(margin=0.02)
    >>> loss.update_rows(labels, scores)
    >>> loss.n, abs(loss.estimate) < 0.01, loss.log_proof > 3.0
    (200, True, True)
    """

    def __init__(self, *, margin: float) -> None:
        super().__init__(margin=margin, burn_in=BURN_IN_BLOCKS)
        self._labels: Floats = np.empty(0)
        self._scores: Floats = np.empty((0, 2))
        self.left_out = 0

    def update_rows(self, labels: ArrayLike, scores: ArrayLike) -> None:
        """Fold labelled requests in: label (1 or 0) and the two scores (candidate, champion), ``[rows]`` and ``[rows, 2]``."""
        known = np.concatenate((self._labels, np.asarray(labels, dtype=np.float64).ravel()))
        matrix = np.concatenate((self._scores, np.asarray(scores, dtype=np.float64).reshape(-1, 2)))
        gaps, _ = auc_blocks(known, matrix)
        self.update(gaps)
        positive = known > 0.5
        used = np.where(positive, np.cumsum(positive) <= gaps.size * POSITIVES, np.cumsum(~positive) <= gaps.size * NEGATIVES)
        waiting = np.flatnonzero(~used)
        self.left_out += max(0, waiting.size - WAITING_MAX)
        waiting = waiting[-WAITING_MAX:]
        self._labels, self._scores = known[waiting], matrix[waiting]
