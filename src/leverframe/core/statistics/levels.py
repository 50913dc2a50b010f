"""One error budget for a whole release: how often may a version that harms nobody be taken back, over all rules, stages and looks?"""

from collections.abc import Mapping

from leverframe.core.errors import InvalidInput


def split_level(budget: float, weights: Mapping[str, float], *, stages: int = 1) -> dict[str, float]:
    r"""Each rule's share, per stage, of a release's false-abort budget: weighted Bonferroni.

    .. math:: \alpha_k = \alpha\, \frac{w_k}{S \sum_j w_j}, \quad \Pr(\text{aborted}) \le \sum_{\text{stages}} \sum_k \alpha_k = \alpha

    Rules may depend on each other in any way. The weighted average of the rules' e-values would be uniformly as strong
    (:math:`\sum_k w_k E_k \ge 1/\alpha` whenever some :math:`w_k E_k \ge 1/\alpha`), but would abort releases without a rule that says why;
    decision 0030 has what that costs. Proof is not split: promotion needs every rule, so a bad version passes only if *its* rule errs.

    Parameters
    ----------
    budget: e.g. 0.01.    weights: > 0, by rule; larger where harm must be seen sooner.    stages: of the ladder.

    Raises
    ------
    InvalidInput: budget or a weight out of range.

    Source: Holm 1979 for the weighted form; Vovk, Wang 2021 for averages.

    >>> split_level(0.01, {"errors": 3.0, "latency": 1.0}, stages=2)
    {'errors': 0.00375, 'latency': 0.00125}
    """
    if not 0.0 < budget < 1.0 or not weights or min(weights.values()) <= 0.0 or stages < 1:
        raise InvalidInput("budget, weights or stages out of range", where="split level", expected="budget 0..1, weights > 0, stages >= 1")
    total = stages * sum(weights.values())
    return {name: budget * weight / total for name, weight in weights.items()}
