"""From what a person asks of a plan (some rules, a ladder in a line) to the stages and rules it is judged by."""

import msgspec

from leverframe.core.clock import DAY_US, span_us
from leverframe.core.errors import Fault, InvalidInput
from leverframe.core.statistics.levels import split_level
from leverframe.release.plans.plan import FALSE_ABORT_BUDGET, PROOF_ALPHA, Metric, MetricRule, Stage, Unit, default_rules

ROWS_MIN = 300
LABELS_MIN = 300
"""What a stage of an asked ladder waits for at least, as the default ladder does."""

STAGES_MAX = 12


class RuleAsked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A rule as a person writes it. None: what the default rule has, and of ``alpha`` the share, by ``weight``, of what is left.

    ``off``: the rule of this metric is not asked at all. ``bound_ms`` milliseconds; ``proof`` the level of the proof.
    """

    metric: Metric
    margin: float | None = None
    alpha: float | None = None
    weight: float = 1.0
    proof: float | None = None
    bound_ms: float | None = None
    quantile: float | None = None
    cut: float | None = None
    unit: Unit | None = None
    off: bool = False


def rules_asked(asked: tuple[RuleAsked, ...], stages: tuple[Stage, ...], *, only: bool = False) -> tuple[MetricRule, ...]:
    """The rules of a plan: the default ones with ``asked`` put over them, or (``only``) those asked and no others.

    The false-abort budget is shared among all rules that do not say how much of it they take, by their weights.

    Raises
    ------
    InvalidInput: a rule twice, one without a margin, or more taken of the budget than there is.

    >>> ladder = (Stage(name="all", role="full", weight=100.0),)
    >>> rules_asked((RuleAsked(metric="latency_quantile", margin=0.25, quantile=0.9),), ladder)[-1].quantile
    0.9
    >>> [rule.alpha for rule in rules_asked((RuleAsked(metric="errors", margin=0.02, weight=4.0),), ladder)][-2:]
    [0.00125, 0.005]
    """
    chosen = {} if only else {rule.metric: _unshared(rule) for rule in default_rules(stages)}
    faults = []
    if len({rule.metric for rule in asked}) != len(asked):
        faults.append(Fault(where="rules", what="a metric is asked twice", got=", ".join(rule.metric for rule in asked)[:120]))
    for rule in asked:
        before = chosen.pop(rule.metric, None)
        if rule.off:
            continue
        if rule.margin is None and before is None and rule.metric != "sample_ratio":
            faults.append(Fault(where=f"rules.{rule.metric}", what="this metric has no usual margin", expected="margin=..."))
        chosen[rule.metric] = _over(rule, before)
    if faults:
        raise InvalidInput("these rules cannot be asked", where="rules", faults=faults, next_step="lever release plan --help")
    return _shared(tuple(chosen.values()), {rule.metric: rule.weight for rule in asked}, len(stages))


def _unshared(rule: MetricRule) -> MetricRule:
    return msgspec.structs.replace(rule, alpha=0.0)


def _over(asked: RuleAsked, before: MetricRule | None) -> MetricRule:
    base = before or MetricRule(metric=asked.metric, margin=0.0, alpha=0.0, alpha_proof=PROOF_ALPHA)
    wished = {
        "margin": asked.margin,
        "alpha": asked.alpha,
        "alpha_proof": asked.proof,
        "bound_us": None if asked.bound_ms is None else round(1000.0 * asked.bound_ms),
        "quantile": asked.quantile,
        "cut": asked.cut,
        "unit": asked.unit,
    }
    return msgspec.structs.replace(base, **{name: value for name, value in wished.items() if value is not None})


def _shared(rules: tuple[MetricRule, ...], weights: dict[str, float], stages: int) -> tuple[MetricRule, ...]:
    """Give every rule that took no share of the budget its part of the rest (a union bound over rules, stages and looks)."""
    open_rules = [rule for rule in rules if rule.alpha == 0.0]
    left = FALSE_ABORT_BUDGET - stages * sum(rule.alpha for rule in rules)
    if open_rules and left <= 0.0:
        raise InvalidInput(
            "the rules take more than the false-abort budget",
            where="rules.alpha",
            expected=f"less than {FALSE_ABORT_BUDGET:g} over all rules and {stages} stages, some of it left for {open_rules[0].metric}",
            got=f"{stages * sum(rule.alpha for rule in rules):g}",
        )
    levels = split_level(left, {rule.metric: weights.get(rule.metric, 1.0) for rule in open_rules}, stages=stages) if open_rules else {}
    return tuple(msgspec.structs.replace(rule, alpha=levels[rule.metric]) if rule.alpha == 0.0 else rule for rule in rules)


def ladder_of(text: str) -> tuple[Stage, ...]:
    """Stages written in a line: ``shadow``, then weights in percent, each with the hold time after an ``@``; 100 % is added at the end.

    Raises
    ------
    InvalidInput: a step cannot be read, or there are too many.

    >>> [f"{s.name} {s.min_hold_us // 3_600_000_000} h" for s in ladder_of("shadow@6h,5@12h,25")]
    ['shadow 6 h', 'canary 5 % 12 h', 'canary 25 % 24 h', '100 % 0 h']
    """
    steps = [step.strip() for step in text.split(",") if step.strip()]
    if not steps or len(steps) > STAGES_MAX:
        raise InvalidInput("not a ladder", where="ladder", expected=f"1 to {STAGES_MAX} steps, such as shadow,5@12h,25,50", got=text[:80])
    stages = [_step(step) for step in steps]
    return (*stages, Stage(name="100 %", role="full", weight=100.0, min_hold_us=0, rows_min=100))


def _step(step: str) -> Stage:
    what, _, hold = step.partition("@")
    try:
        hold_us = span_us(hold, "ladder") if hold else DAY_US
        if what == "shadow":
            return Stage(name="shadow", role="shadow", weight=0.0, min_hold_us=hold_us, rows_min=ROWS_MIN, labels_min=LABELS_MIN)
        weight = float(what)
    except (ValueError, InvalidInput) as error:
        expected = "shadow or a weight in percent, and a hold time in m, h or d: 5@12h"
        raise InvalidInput("not a step of a ladder", where="ladder", expected=expected, got=step[:40]) from error
    name = f"canary {weight:g} %"
    return Stage(name=name, role="canary", weight=weight, mirror=True, min_hold_us=hold_us, rows_min=ROWS_MIN, labels_min=LABELS_MIN)
