"""How good the answers were, on labels as they arrive, and how good they seem to be before any have."""

import math
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from leverframe.core.alert import Signal
from leverframe.core.statistics.intervals import Interval, normal_quantile, wilson
from leverframe.monitoring.windows import SCORE_CELLS, UNIT, Window

Floats = NDArray[np.float64]

LABELS_MIN = 200
"""Fewer labels say too little about a window to be worth a figure."""

LABELLED_SHARE_MIN = 0.8
"""Labels of quick outcomes come first, so a window with many outstanding is no fair sample and is not judged."""

AUC_FALL = 0.05
"""The fall of ROC AUC below the reference that matters."""

_CENTRES: Floats = (np.arange(SCORE_CELLS) + 0.5) / SCORE_CELLS


class Performance(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of one version on the labelled answers of a window. ``roc_auc`` is None when one class has fewer than two labels."""

    from_us: int
    to_us: int
    rows: int
    labels: int
    label_rate: Interval
    brier: Interval
    log_loss: Interval
    roc_auc: Interval | None

    @property
    def mature(self) -> bool:
        """Whether enough of the window's labels are in to judge it."""
        return self.labels >= LABELS_MIN and self.labels >= LABELLED_SHARE_MIN * self.rows


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """Expected figures from scores alone, with the constant they must beat to be worth reading: the reference's own figure.

    Right only as far as the scores are calibrated; blind to a change in what the inputs mean (concept drift).
    """

    from_us: int
    to_us: int
    rows: int
    roc_auc: float | None
    brier: float
    label_rate: float
    roc_auc_constant: float
    label_rate_constant: float


def binned_auc(cells: Floats, confidence: float = 0.95) -> Interval | None:
    r"""ROC AUC and its DeLong interval from counts of both classes over score cells; rows in one cell tie.

    Parameters
    ----------
    cells: ``[2, cells]`` counts (or expected counts) of negatives and positives, in ascending order of score.

    Returns
    -------
    None with fewer than two of a class.

    Source: DeLong, DeLong, Clarke-Pearson 1988, on grouped data.

    >>> binned_auc(np.array([[2.0, 0.0], [0.0, 2.0]])).value
    1.0
    """
    negatives, positives = cells
    n, m = float(negatives.sum()), float(positives.sum())
    if n < 2 or m < 2:
        return None
    below = (np.cumsum(negatives) - 0.5 * negatives) / n
    above = (m - np.cumsum(positives) + 0.5 * positives) / m
    auc = float((positives * below).sum() / m)
    variance = (positives * (below - auc) ** 2).sum() / (m * (m - 1)) + (negatives * (above - auc) ** 2).sum() / (n * (n - 1))
    radius = normal_quantile(confidence) * math.sqrt(float(variance))
    return Interval(auc, max(0.0, auc - radius), min(1.0, auc + radius))


def _mean(total: int, squares: int, n: int, confidence: float) -> Interval:
    if n < 2:
        return Interval(0.0, 0.0, math.inf)
    mean = total / UNIT / n
    variance = max(0.0, squares / UNIT / n - mean * mean) * n / (n - 1)
    radius = normal_quantile(confidence) * math.sqrt(variance / n)
    return Interval(mean, mean - radius, mean + radius)


def measured(window: Window, from_us: int, to_us: int, *, confidence: float = 0.95) -> Performance:
    """Performance on the labels of a window (by the time of the question, not of the label)."""
    labels = window.count("labels")
    brier, brier_squares, loss, loss_squares = (int(value) for value in window.losses)
    return Performance(
        from_us=from_us,
        to_us=to_us,
        rows=window.count("rows"),
        labels=labels,
        label_rate=wilson(window.count("positives"), labels, confidence),
        brier=_mean(brier, brier_squares, labels, confidence),
        log_loss=_mean(loss, loss_squares, labels, confidence),
        roc_auc=binned_auc(window.cells.astype(np.float64), confidence),
    )


def estimated(window: Window, from_us: int, to_us: int) -> Estimate | None:
    """Performance expected without labels, taking each score for the probability it says; None without rows.

    A row with score ``p`` is ``p`` of a positive and ``1 - p`` of a negative; ROC AUC and Brier score follow from those expected counts.

    Source: confidence-based performance estimation (CBPE), NannyML; Garg et al. 2022, arXiv 2201.04234.
    """
    counts = window.scores.astype(np.float64)
    rows = float(counts.sum())
    if not rows:
        return None
    auc = binned_auc(np.stack([counts * (1.0 - _CENTRES), counts * _CENTRES]))
    profile = window.shape.profile
    return Estimate(
        from_us=from_us,
        to_us=to_us,
        rows=int(rows),
        roc_auc=auc.value if auc else None,
        brier=float((counts * _CENTRES * (1.0 - _CENTRES)).sum() / rows),
        label_rate=float((counts * _CENTRES).sum() / rows),
        roc_auc_constant=profile.roc_auc,
        label_rate_constant=profile.label_rate,
    )


def performance_signals(performances: Sequence[Performance], reference_auc: float, version: str) -> list[Signal]:
    """A signal for each mature window whose ROC AUC lies below the reference by more than ``AUC_FALL``, its whole interval included.

    Give windows measured at a high confidence (0.999): they are looked at every day.
    """
    signals = []
    for each in performances:
        if not each.mature or each.roc_auc is None or each.roc_auc.high >= reference_auc - AUC_FALL:
            continue
        signals.append(
            Signal(
                kind="performance",
                subject=version,
                observed=each.roc_auc.value,
                threshold=reference_auc - AUC_FALL,
                window=(each.from_us, each.to_us),
                detail=f"ROC AUC of {version} is {each.roc_auc.value:.3f} ({each.roc_auc.low:.3f} to {each.roc_auc.high:.3f}) on "
                f"{each.labels:,} labels; {reference_auc:.3f} when it was evaluated",
            )
        )
    return signals
