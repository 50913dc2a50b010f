"""How good are the scores: each metric on a set of rows, with its 95 % confidence interval.

=====================  ========================================================  =========  ==========================
metric                 meaning                                                   better     interval
=====================  ========================================================  =========  ==========================
``roc_auc``            chance that a positive outranks a negative                higher     DeLong
``log_loss``           mean surprise, nats                                       lower      normal
``brier``              mean squared error of the probability                     lower      normal
``accuracy``           share on the right side of 0.5                            higher     Wilson
``calibration_bias``   mean probability minus observed rate                      near zero  normal
``calibration_error``  expected calibration error (see :mod:`.calibration`)      lower      bootstrap, seeded
=====================  ========================================================  =========  ==========================

A metric that cannot be computed on its rows (one class only, one row only) is left out: absent, never a made-up number.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from leverframe.core.errors import Fault, InvalidInput
from leverframe.core.evaluation import Metric
from leverframe.core.statistics.intervals import Interval, auc_gain_interval, auc_interval, mean_interval, wilson
from leverframe.evaluation.calibration import calibration_error

Floats = NDArray[np.float64]

PROBABILITY_MIN = 1e-15
"""Probabilities are kept this far from 0 and 1, so that one certain mistake does not make the log loss infinite."""

HIGHER_IS_BETTER = {
    "roc_auc": True,
    "log_loss": False,
    "brier": False,
    "accuracy": True,
    "calibration_error": False,
    "roc_auc_gain": True,
    "log_loss_gain": True,
    "roc_auc_gain_over_champion": True,
    "log_loss_gain_over_champion": True,
}


def checked(labels: ArrayLike, scores: ArrayLike) -> tuple[Floats, Floats]:
    """Labels and scores as float arrays of one length.

    Raises
    ------
    InvalidInput: with every fault: lengths differ, no rows, a label other than 0 and 1, a score outside [0, 1] or NaN.
    """
    y, p = np.asarray(labels, dtype=np.float64).ravel(), np.asarray(scores, dtype=np.float64).ravel()
    faults = []
    if len(y) != len(p) or not len(y):
        faults.append(Fault(where="rows", what="labels and scores do not match", expected=f"{len(y)} labels", got=f"{len(p)} scores"))
    if not np.isin(y, (0.0, 1.0)).all():
        faults.append(Fault(where="labels", what="a label is neither 0 nor 1", expected="0 or 1", got=str(y[~np.isin(y, (0.0, 1.0))][0])))
    outside = ~((p >= 0.0) & (p <= 1.0))
    if outside.any():
        faults.append(Fault(where="scores", what=f"{outside.sum()} scores are no probability", expected="0 to 1", got=str(p[outside][0])))
    if faults:
        raise InvalidInput(
            "; ".join(f.what for f in faults), where="evaluation", next_step="check the label column and the model's output", faults=faults
        )
    return y, p


def log_losses(labels: Floats, scores: Floats) -> Floats:
    """Surprise of each row in nats, ``[rows]``.

    >>> log_losses(np.array([1.0]), np.array([0.5])).round(4).tolist()
    [0.6931]
    """
    p = np.clip(scores, PROBABILITY_MIN, 1.0 - PROBABILITY_MIN)
    losses: Floats = -np.where(labels > 0.5, np.log(p), np.log1p(-p))
    return losses


def has_both_classes(labels: Floats) -> bool:
    """Whether ranking metrics are defined: two rows of each class."""
    positives = int(labels.sum())
    return 2 <= positives <= len(labels) - 2


def metric(name: str, interval: Interval, n: int, slice: str = "") -> Metric:
    """The record of one metric."""
    return Metric(name=name, value=interval.value, low=interval.low, high=interval.high, n=n, slice=slice)


def measure(labels: ArrayLike, scores: ArrayLike, rng: np.random.Generator, *, slice: str = "") -> tuple[Metric, ...]:
    """Every metric of the table above on these rows.

    Parameters
    ----------
    labels: ``[rows]`` of 0 and 1.    scores: ``[rows]`` probabilities of 1.    rng: for the bootstrap.    slice: name put on the records.

    Raises
    ------
    InvalidInput: see :func:`checked`.

    >>> [m.name for m in measure([1, 0, 1], [0.9, 0.2, 0.6], np.random.default_rng(0))]
    ['log_loss', 'brier', 'accuracy', 'calibration_bias', 'calibration_error']
    """
    y, p = checked(labels, scores)
    n = len(y)
    found: list[tuple[str, Interval]] = []
    if has_both_classes(y):
        found.append(("roc_auc", auc_interval(y, p)))
    if n >= 2:
        found.append(("log_loss", mean_interval(log_losses(y, p))))
        found.append(("brier", mean_interval((p - y) ** 2)))
    found.append(("accuracy", wilson(int(((p >= 0.5) == (y > 0.5)).sum()), n)))
    if n >= 2:
        found.append(("calibration_bias", mean_interval(p - y)))
        found.append(("calibration_error", calibration_error(y, p, rng)))
    return tuple(metric(name, interval, n, slice) for name, interval in found)


def gains(labels: ArrayLike, scores: ArrayLike, other: ArrayLike, *, suffix: str, slice: str = "") -> tuple[Metric, ...]:
    """How much better ``scores`` are than the probabilities ``other`` on the same rows; positive is better.

    Returns
    -------
    ``roc_auc_gain<suffix>`` (paired DeLong) and ``log_loss_gain<suffix>`` (paired mean of differences, nats saved a row).
    """
    y, p = checked(labels, scores)
    _, q = checked(labels, other)
    found = []
    if has_both_classes(y):
        found.append(metric(f"roc_auc_gain{suffix}", auc_gain_interval(y, p, q), len(y), slice))
    if len(y) >= 2:
        found.append(metric(f"log_loss_gain{suffix}", mean_interval(log_losses(y, q) - log_losses(y, p)), len(y), slice))
    return tuple(found)
