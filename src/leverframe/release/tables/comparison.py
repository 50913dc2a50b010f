"""Two outputs of one batch side by side: which rows are missing, how far scores moved, and, where labels are known, what that costs."""

from typing import Literal, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from leverframe.core.errors import InvalidInput
from leverframe.core.statistics.intervals import mean_interval
from leverframe.release.evidence.losses import SCORE_FLOOR

Float = npt.NDArray[np.float64]
Loss = Literal["brier", "log_loss"]


class Scores(NamedTuple):
    """``rows`` int64 ``[n]``, the numbers of the batch's rows, each once; ``scores`` float64 ``[n]``, not finite: no answer."""

    rows: npt.NDArray[np.int64]
    scores: Float


class LossDifference(msgspec.Struct, frozen=True, kw_only=True):
    """Mean loss of both on the same ``n`` labelled rows; ``difference`` is candidate minus live with its interval: larger is worse."""

    loss: Loss
    n: int
    live: float
    candidate: float
    difference: float
    low: float
    high: float


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen. ``missing`` rows are in one output only; ``lost`` have a live answer and no candidate's, ``gained`` the reverse.

    Of the ``answered`` rows (by both): ``shift_mean`` and ``shift_largest`` absolute difference of scores, the latter at row
    ``shift_row``; ``crossed`` is the share that lies on another side of ``cut`` (a score at it is above). None: no row to tell by.
    """

    rows: int
    missing: int
    lost: int
    gained: int
    answered: int
    shift_mean: float | None
    shift_largest: float | None
    shift_row: int | None
    cut: float
    crossed: float | None
    labelled: int = 0
    losses: tuple[LossDifference, ...] = ()


def compare(live: Scores, candidate: Scores, labels: Float | None, *, cut: float, confidence: float) -> Comparison:
    """Pair two outputs by row and say how they differ.

    Parameters
    ----------
    labels: float64 by row number, 0 or 1, NaN where nobody knows yet; None: the batch has none.
    cut: the score at which readers decide.
    confidence: of the losses' intervals: normal ones of the paired differences (``core.statistics.intervals.mean_interval``), which hold
        for one look at a finished batch whose rows are independent.

    Raises
    ------
    InvalidInput: a label is neither 0 nor 1.
    """
    rows, in_live, in_candidate = np.intersect1d(live.rows, candidate.rows, assume_unique=True, return_indices=True)
    before, after = live.scores[in_live], candidate.scores[in_candidate]
    had, has = np.isfinite(before), np.isfinite(after)
    both = had & has
    shift = np.abs(after[both] - before[both])
    known = np.full(len(rows), np.nan) if labels is None else labels[rows]
    labelled = both & np.isfinite(known)
    found = known[labelled]
    if not np.isin(found, (0.0, 1.0)).all():
        raise InvalidInput("a label is neither 0 nor 1", where="labels", next_step="leave the label column out of the input")
    return Comparison(
        rows=len(rows),
        missing=len(live.rows) + len(candidate.rows) - 2 * len(rows),
        lost=int((had & ~has).sum()),
        gained=int((has & ~had).sum()),
        answered=int(both.sum()),
        shift_mean=float(shift.mean()) if len(shift) else None,
        shift_largest=float(shift.max()) if len(shift) else None,
        shift_row=int(rows[both][shift.argmax()]) if len(shift) else None,
        cut=cut,
        crossed=float(((before[both] >= cut) != (after[both] >= cut)).mean()) if len(shift) else None,
        labelled=len(found),
        losses=_losses(before[labelled], after[labelled], found, confidence),
    )


def _losses(live: Float, candidate: Float, labels: Float, confidence: float) -> tuple[LossDifference, ...]:
    if len(labels) < 2:  # no interval from one row
        return ()
    found = []
    costs: tuple[tuple[Loss, Float, Float], ...] = (
        ("brier", (live - labels) ** 2, (candidate - labels) ** 2),
        ("log_loss", log_losses(live, labels), log_losses(candidate, labels)),
    )
    for loss, before, after in costs:
        gap = mean_interval(after - before, confidence)
        found.append(
            LossDifference(
                loss=loss,
                n=len(labels),
                live=float(before.mean()),
                candidate=float(after.mean()),
                difference=gap.value,
                low=gap.low,
                high=gap.high,
            )
        )
    return tuple(found)


def log_losses(scores: Float, labels: Float) -> Float:
    """The log loss of each row; a score of exactly 0 or 1 costs as much as ``SCORE_FLOOR`` from it."""
    clipped = np.clip(scores, SCORE_FLOOR, 1.0 - SCORE_FLOOR)
    cost: Float = -(labels * np.log(clipped) + (1.0 - labels) * np.log1p(-clipped))
    return cost
