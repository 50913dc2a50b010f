"""What a request cost by its labels: the losses that outcome rules compare."""

import math

from leverframe.release.plans.plan import MetricRule

SCORE_FLOOR = 1e-6
"""A score of exactly 0 or 1 that is wrong costs as much as this one, not infinitely much."""


def outcome_loss(rule: MetricRule, scores: tuple[float, ...], labels: dict[int, float]) -> float | None:
    """Mean loss of a request over its labelled rows; None when a label names a row that was never answered.

    Parameters
    ----------
    rule: ``outcome_brier``, ``outcome_log_loss``, or ``outcome_hit`` with its ``cut``.    scores: one a row.    labels: by row.

    >>> rule = MetricRule(metric="outcome_hit", margin=0.02, alpha=0.001)
    >>> outcome_loss(rule, (0.7, 0.2), {0: 1.0, 1: 1.0})
    0.5
    """
    total = 0.0
    for row, label in labels.items():
        if row >= len(scores):
            return None
        score = scores[row]
        if rule.metric == "outcome_brier":
            total += (score - label) ** 2
        elif rule.metric == "outcome_hit":
            total += float((score >= rule.cut_score) != (label > 0.5))
        else:
            clipped = min(max(score, SCORE_FLOOR), 1.0 - SCORE_FLOOR)
            total -= label * math.log(clipped) + (1.0 - label) * math.log1p(-clipped)
    return total / len(labels)
