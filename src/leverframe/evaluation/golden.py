"""Golden rows: does whatever runs the model still give the answers the trained model gave."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from leverframe.core.model import Golden
from leverframe.core.verdict import Verdict

Floats = NDArray[np.float64]


def check_golden(golden: Golden, predict: Callable[[Floats], Floats], *, at_us: int = 0) -> Verdict:
    """Run the golden rows through ``predict`` and compare with the expected outputs.

    Parameters
    ----------
    predict: float64 ``[rows, columns]`` with NaN for missing, to ``[rows]`` or ``[rows, outputs]``.

    Returns
    -------
    ``pass`` when the worst absolute difference is within the tolerance; ``fail`` with the worst row otherwise, also when the shape
    differs or an answer is not finite; ``inconclusive`` when the bundle carries no golden rows.

    >>> golden = Golden(columns=("x",), rows=((1.0,), (None,)), expected=((0.5,), (0.25,)), tolerance=1e-9)
    >>> check_golden(golden, lambda rows: np.where(np.isnan(rows[:, 0]), 0.25, 0.5)).answer
    'pass'
    """
    rule = f"golden rows within {golden.tolerance:g}"
    if not golden.rows:
        reason, step = "the bundle has no golden rows", "package the model again"
        return Verdict(
            rule=rule, answer="inconclusive", observed=None, threshold=golden.tolerance, reason=reason, next_step=step, at_us=at_us
        )
    expected = np.array(golden.expected, dtype=np.float64)
    # None becomes NaN here, which is how every runtime is told of a missing value.
    answers = np.asarray(predict(np.array(golden.rows, dtype=np.float64)), dtype=np.float64)
    answers = answers[:, None] if answers.ndim == 1 else answers
    if answers.shape != expected.shape:
        return _fail(rule, golden, None, f"answers have shape {answers.shape}, expected {expected.shape}", at_us)
    if not np.isfinite(answers).all():
        row = int(np.flatnonzero(~np.isfinite(answers).all(axis=1))[0])
        return _fail(rule, golden, None, f"row {row} is answered with a number that is not finite", at_us)
    worst = np.abs(answers - expected).max(axis=1)
    row, difference = int(worst.argmax()), float(worst.max())
    if difference > golden.tolerance:
        return _fail(
            rule, golden, difference, f"row {row} differs by {difference:.3g}; {int((worst > golden.tolerance).sum())} rows differ", at_us
        )
    return Verdict(rule=rule, answer="pass", observed=difference, threshold=golden.tolerance, n=len(golden.rows), at_us=at_us)


def _fail(rule: str, golden: Golden, observed: float | None, reason: str, at_us: int) -> Verdict:
    step = "do not serve this bundle here: the runtime's version or the model file differs from what was packaged"
    return Verdict(
        rule=rule,
        answer="fail",
        observed=observed,
        threshold=golden.tolerance,
        n=len(golden.rows),
        reason=reason,
        next_step=step,
        at_us=at_us,
    )
