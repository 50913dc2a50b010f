"""A judgement with its evidence. A failed gate is a value, never an exception."""

from typing import Literal

import msgspec

Answer = Literal["pass", "fail", "inconclusive"]


class GateRule(msgspec.Struct, frozen=True, kw_only=True):
    """A requirement declared in a model spec, e.g. the lower 95 % bound of ``roc_auc`` must be at least 0.65.

    ``bound`` picks the end of the confidence interval that is compared; ``slice`` restricts to rows such as ``"carrier=UA"``,
    or ``"carrier=*"`` for the worst slice with at least ``rows_min`` rows.
    """

    metric: str
    op: Literal[">=", "<="]
    threshold: float
    bound: Literal["point", "lower", "upper"] = "point"
    slice: str = ""
    rows_min: int = 1


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to one rule: what was asked, what was seen, on how many rows, why, and what to do next."""

    rule: str
    answer: Answer
    observed: float | None
    threshold: float
    low: float | None = None
    high: float | None = None
    n: int = 0
    reason: str = ""
    next_step: str = ""
    at_us: int = 0


def combine(verdicts: tuple[Verdict, ...]) -> Answer:
    """One answer for many: any fail fails, all pass passes, everything else (also none at all) is inconclusive.

    >>> combine(())
    'inconclusive'
    """
    if any(v.answer == "fail" for v in verdicts):
        return "fail"
    if verdicts and all(v.answer == "pass" for v in verdicts):
        return "pass"
    return "inconclusive"
