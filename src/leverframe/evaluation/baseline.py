"""The simple rule a model has to beat: rank the rows by one input column, and say the overall rate for each."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from leverframe.core.evaluation import Metric
from leverframe.core.statistics.intervals import auc_gain_interval, auc_interval, delong, mean_interval
from leverframe.evaluation.metrics import checked, has_both_classes, log_losses, metric

Floats = NDArray[np.float64]


def ranking(labels: Floats, column: ArrayLike) -> Floats:
    """The column as a score: missing values take the median, and the sign is turned if small values go with label 1.

    Both choices favour the baseline, so that beating it means something.

    >>> ranking(np.array([1.0, 1.0, 0.0, 0.0]), [1.0, 2.0, 3.0, float("nan")]).tolist()
    [-1.0, -2.0, -3.0, -2.0]
    """
    values = np.array(column, dtype=np.float64).ravel()
    present = np.isfinite(values)
    values[~present] = np.median(values[present]) if present.any() else 0.0
    aucs, _ = delong(labels, values)
    return -values if aucs[0] < 0.5 else values


def baseline_metrics(labels: ArrayLike, scores: ArrayLike, column: ArrayLike | None) -> tuple[tuple[Metric, ...], tuple[Metric, ...]]:
    """What the simple rule reaches on these rows, and how much better the model is.

    Returns
    -------
    own: ``roc_auc`` of the column, when one is given and both classes are there, and ``log_loss`` of always saying the label rate.
    gains: the model's ``roc_auc_gain`` (paired DeLong) and ``log_loss_gain`` (nats saved a row); positive is better.
    """
    y, p = checked(labels, scores)
    own, gains = [], []
    if column is not None and has_both_classes(y):
        rank = ranking(y, column)
        own.append(metric("roc_auc", auc_interval(y, rank), len(y)))
        gains.append(metric("roc_auc_gain", auc_gain_interval(y, p, rank), len(y)))
    if len(y) >= 2:
        constant = log_losses(y, np.full(len(y), y.mean()))
        own.append(metric("log_loss", mean_interval(constant), len(y)))
        gains.append(metric("log_loss_gain", mean_interval(constant - log_losses(y, p)), len(y)))
    return tuple(own), tuple(gains)
