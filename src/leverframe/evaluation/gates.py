"""Declared requirements become verdicts. A failed gate is a value that explains itself; missing evidence is never a pass."""

import math
from collections.abc import Sequence

from leverframe.core.evaluation import Metric
from leverframe.core.verdict import Answer, GateRule, Verdict


def rule_text(rule: GateRule) -> str:
    """The rule as a person reads it.

    >>> rule_text(GateRule(metric="roc_auc", op=">=", threshold=0.65, bound="lower"))
    'lower 95 % bound of roc_auc >= 0.65'
    """
    subject = rule.metric if rule.bound == "point" else f"{rule.bound} 95 % bound of {rule.metric}"
    if rule.slice.endswith("=*"):
        where = f" on the worst {rule.slice[:-2]} with at least {rule.rows_min} rows"
    else:
        where = f" on {rule.slice}" if rule.slice else ""
        where += f" (at least {rule.rows_min} rows)" if rule.rows_min > 1 else ""
    return f"{subject} {rule.op} {rule.threshold:g}{where}"


def judge(rule: GateRule, metrics: Sequence[Metric], *, at_us: int = 0) -> Verdict:
    """The verdict of one rule on the metrics of all rows and of all slices.

    Returns
    -------
    ``pass`` or ``fail`` by the declared bound; ``inconclusive`` when the metric is absent, on fewer than ``rows_min`` rows, or not finite.
    """
    chosen = _chosen(rule, metrics)
    if chosen is None:
        return _inconclusive(rule, None, _absence(rule, metrics), at_us)
    if chosen.n < rule.rows_min:
        return _inconclusive(rule, chosen, f"only {chosen.n} rows; the rule asks for {rule.rows_min}", at_us)
    observed = _bound(rule, chosen)
    if not all(math.isfinite(x) for x in (observed, chosen.low, chosen.high)):
        return _inconclusive(rule, chosen, "the metric or its interval is not a finite number", at_us)
    met = observed >= rule.threshold if rule.op == ">=" else observed <= rule.threshold
    return _verdict(rule, chosen, "pass" if met else "fail", *(("", "") if met else _explain(rule, chosen, metrics)), at_us)


def judge_all(rules: Sequence[GateRule], metrics: Sequence[Metric], *, at_us: int = 0) -> tuple[Verdict, ...]:
    """Every rule's verdict, in the order declared: all of them, not the first that fails."""
    return tuple(judge(rule, metrics, at_us=at_us) for rule in rules)


def _bound(rule: GateRule, metric: Metric) -> float:
    return {"point": metric.value, "lower": metric.low, "upper": metric.high}[rule.bound]


def _chosen(rule: GateRule, metrics: Sequence[Metric]) -> Metric | None:
    named = [m for m in metrics if m.name == rule.metric]
    if not rule.slice.endswith("=*"):
        return next((m for m in named if m.slice == rule.slice), None)
    large = [m for m in named if m.slice.startswith(rule.slice[:-1]) and m.n >= rule.rows_min]
    if any(not math.isfinite(_bound(rule, m)) for m in large):
        return next(m for m in large if not math.isfinite(_bound(rule, m)))
    if not large:
        return None
    worst = min if rule.op == ">=" else max
    return worst(large, key=lambda m: _bound(rule, m))


def _absence(rule: GateRule, metrics: Sequence[Metric]) -> str:
    if not any(m.name == rule.metric for m in metrics):
        return f"{rule.metric} was not computed (computed: {', '.join(sorted({m.name for m in metrics})) or 'nothing'})"
    return (
        f"no slice {rule.slice!r} has {rule.metric} on at least {rule.rows_min} rows"
        if rule.slice
        else f"{rule.metric} exists on slices only"
    )


def _verdict(rule: GateRule, metric: Metric | None, answer: Answer, reason: str, next_step: str, at_us: int) -> Verdict:
    finite = metric is not None and all(math.isfinite(x) for x in (_bound(rule, metric), metric.low, metric.high))
    return Verdict(
        rule=rule_text(rule),
        answer=answer,
        observed=_bound(rule, metric) if metric is not None and finite else None,
        threshold=rule.threshold,
        low=metric.low if metric is not None and finite else None,
        high=metric.high if metric is not None and finite else None,
        n=metric.n if metric is not None else 0,
        reason=reason,
        next_step=next_step,
        at_us=at_us,
    )


def _inconclusive(rule: GateRule, metric: Metric | None, reason: str, at_us: int) -> Verdict:
    next_step = "evaluate on a longer window, or correct the rule's metric, slice or rows_min in the model spec"
    return _verdict(rule, metric, "inconclusive", reason, next_step, at_us)


def _explain(rule: GateRule, metric: Metric, metrics: Sequence[Metric]) -> tuple[str, str]:
    """Why a rule failed, most likely, and what to do: too few rows to prove it, one weak slice, bad calibration, or plainly too weak."""
    seen = f"{rule.metric} is {metric.value:.4f} [{metric.low:.4f}, {metric.high:.4f}] on {metric.n} rows" + (
        f" of {metric.slice}" if metric.slice else ""
    )
    short = abs(_bound(rule, metric) - rule.threshold)
    if _point_meets(rule, metric):
        rows = _rows_needed(rule, metric)
        cause = f"the estimate meets {rule.threshold:g} but its interval does not: too few rows to show it"
        return f"{seen}; {cause}", f"evaluate on about {rows:,} rows (a longer window), or improve the model"
    overall = next((m for m in metrics if m.name == rule.metric and not m.slice), None)
    if metric.slice and overall is not None and _point_meets(rule, overall):
        cause = f"{short:.4f} short here, though {overall.value:.4f} over all rows: this slice is weak"
        return (
            f"{seen}; {cause}",
            f"look at the features' coverage of {metric.slice} and at its training rows; see the slices in the report",
        )
    return f"{seen}; {short:.4f} short of {rule.threshold:g}: {_cause(rule.metric)[0]}", _cause(rule.metric)[1]


def _point_meets(rule: GateRule, metric: Metric) -> bool:
    return metric.value >= rule.threshold if rule.op == ">=" else metric.value <= rule.threshold


def _rows_needed(rule: GateRule, metric: Metric) -> int:
    """Rows at which the interval, shrinking with the root of n, would just clear the threshold (two significant digits)."""
    room = max(abs(metric.value - rule.threshold), 1e-6)
    rows = metric.n * (abs(_bound(rule, metric) - metric.value) / room) ** 2
    scale: int = 10 ** max(0, math.floor(math.log10(max(rows, 1.0))) - 1)
    return int(math.ceil(rows / scale) * scale)


def _cause(metric: str) -> tuple[str, str]:
    if metric.startswith("calibration"):
        return (
            "probabilities do not match observed rates",
            "check that the label rate of the holdout is that of the training window; fewer trees or a smaller learning rate",
        )
    if "_over_champion" in metric:
        return "the champion does as well on the same rows", "keep the champion; compare slices to find where the candidate loses"
    if metric.endswith("_gain"):
        return (
            "a simple rule does as well",
            "check that the features reach the model (missing values in the reference profile) before tuning it",
        )
    return (
        "the model separates or predicts too weakly",
        "check missing values in the reference profile, the label's definition and the window; then features and parameters",
    )
