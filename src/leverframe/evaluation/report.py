"""The whole evaluation of a candidate on rows it has not seen, as one record."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from leverframe.core.evaluation import EvaluationReport, Metric
from leverframe.core.verdict import GateRule, combine
from leverframe.evaluation.baseline import baseline_metrics
from leverframe.evaluation.calibration import calibration_bins
from leverframe.evaluation.gates import judge_all
from leverframe.evaluation.metrics import checked, gains, measure
from leverframe.evaluation.slices import slice_metrics


def evaluate(
    labels: ArrayLike,
    scores: ArrayLike,
    *,
    model: str,
    rules: Sequence[GateRule],
    slices: Mapping[str, Sequence[object] | NDArray[np.generic]] | None = None,
    baseline: ArrayLike | None = None,
    champion: str = "",
    champion_scores: ArrayLike | None = None,
    window: tuple[str, str] = ("", ""),
    seed: int = 0,
    at_us: int = 0,
) -> EvaluationReport:
    """Metrics, slices, calibration and comparisons of a candidate, with each rule's verdict.

    Parameters
    ----------
    labels: ``[rows]`` of 0 and 1.    scores: ``[rows]`` probabilities of 1.
    rules: the spec's gates; they may name any metric of :mod:`.metrics`, ``roc_auc_gain`` and ``log_loss_gain`` (over the baseline), and
        the same with ``_over_champion``.
    slices: column name to ``rows`` values.
    baseline: ``[rows]`` values of the input column that a simple rule would rank by; NaN where missing.
    champion, champion_scores: the version live now and its probabilities on the same rows.
    window: ISO 8601 ends of the holdout.    seed: of the bootstrap.    at_us: the verdicts' time.

    Returns
    -------
    the report; its ``answer`` is ``inconclusive`` when no rule is declared.

    Raises
    ------
    InvalidInput: labels or scores cannot be used (see :func:`.metrics.checked`).

    >>> report = evaluate([0, 1, 0, 1], [0.1, 0.9, 0.2, 0.8], model="m", rules=[GateRule(metric="accuracy", op=">=", threshold=0.9)])
    >>> report.answer, report.positives
    ('pass', 2)
    """
    y, p = checked(labels, scores)
    rng = np.random.default_rng(seed)
    metrics = measure(y, p, rng)
    own, over_baseline = baseline_metrics(y, p, baseline)
    metrics += over_baseline
    champion_metrics: tuple[Metric, ...] = ()
    if champion_scores is not None:
        champion_metrics = measure(y, champion_scores, rng)
        metrics += gains(y, p, champion_scores, suffix="_over_champion")
    by_slice = slice_metrics(y, p, slices or {}, rng)
    verdicts = judge_all(rules, (*metrics, *by_slice), at_us=at_us)
    return EvaluationReport(
        model=model,
        rows=len(y),
        positives=int(y.sum()),
        metrics=metrics,
        slices=by_slice,
        baseline=own,
        calibration=calibration_bins(y, p),
        gates=verdicts,
        answer=combine(verdicts),
        window=window,
        champion=champion,
        champion_metrics=champion_metrics,
    )
