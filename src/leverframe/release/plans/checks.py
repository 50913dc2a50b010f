"""Whether a plan can be carried out at all; every fault is named at once."""

from leverframe.core.errors import Fault, InvalidInput
from leverframe.release.plans.plan import Metric, ReleasePlan
from leverframe.release.plans.windows import calendar_faults

_BELOW_ONE: tuple[Metric, ...] = ("errors", "latency_budget", "prediction_shift", "outcome_auc", "outcome_hit")
"""Differences of rates, scores and areas: a margin of 1 or more would tolerate everything."""


def check_plan(plan: ReleasePlan) -> ReleasePlan:
    """Return ``plan`` if it can be carried out.

    Raises
    ------
    InvalidInput: with every fault found: a ladder that does not climb to 100 % at its end, a rule twice, margins or levels out of range,
        a comparison planned with nothing to compare with, or none planned although there is.
    """
    faults = [*_ladder_faults(plan), *_rule_faults(plan)]
    if plan.champion is None and plan.strategy != "initial":
        faults.append(
            Fault(where="strategy", what="the endpoint has no live version to compare with", expected="initial", got=plan.strategy)
        )
    if plan.champion is not None and plan.strategy == "initial":
        faults.append(
            Fault(where="strategy", what="the endpoint has a live version", expected="shadow_canary, canary or blue_green", got="initial")
        )
    if plan.champion is not None and plan.champion.version == plan.candidate.version:
        faults.append(Fault(where="candidate", what="this version is live already", got=plan.candidate.version))
    if faults:
        raise InvalidInput("the plan cannot be carried out", where=plan.endpoint_id, faults=faults, next_step="lever release plan --help")
    return plan


def _ladder_faults(plan: ReleasePlan) -> list[Fault]:
    faults = []
    weights = [stage.weight for stage in plan.stages]
    if plan.endless:
        if [stage.role for stage in plan.stages] != ["shadow"]:
            faults.append(Fault(where="stages", what="a challenger has one stage, in shadow", got=str(weights)))
    elif not plan.stages or plan.stages[-1].role != "full" or plan.stages[-1].weight != 100.0:
        faults.append(Fault(where="stages", what="the last stage must be full, at 100"))
    if weights != sorted(weights) or any(stage.role == "full" for stage in plan.stages[:-1]):
        faults.append(Fault(where="stages", what="weights must climb and only the last stage is full", got=str(weights)))
    for stage in plan.stages:
        in_range = {"shadow": stage.weight == 0.0, "canary": 0.0 < stage.weight < 100.0, "full": True}[stage.role]
        if not in_range or min(stage.min_hold_us, stage.rows_min, stage.labels_min) < 0:
            faults.append(Fault(where=f"stages.{stage.name}", what="weight, hold or row count out of range", got=f"{stage.weight:g}"))
        if stage.role == "canary" and stage.rows_min < 1:
            faults.append(Fault(where=f"stages.{stage.name}", what="a canary needs at least one row", got=str(stage.rows_min)))
    if len({stage.name for stage in plan.stages}) != len(plan.stages):
        faults.append(Fault(where="stages", what="two stages share a name"))
    if plan.calendar:
        faults += calendar_faults(plan.calendar, "calendar")
    if plan.queue and plan.supersede:
        faults.append(Fault(where="queue", what="a plan waits for the release under way, or supersedes it, not both"))
    if plan.watch_us < 0 or plan.label_horizon_us <= 0 or plan.stall_us <= 0:
        faults.append(Fault(where="plan", what="watch, label horizon and stall time must be positive"))
    return faults


def _rule_faults(plan: ReleasePlan) -> list[Fault]:
    faults = []
    metrics = [rule.metric for rule in plan.rules]
    if len(set(metrics)) != len(metrics):
        faults.append(Fault(where="rules", what="a metric appears twice", got=", ".join(metrics)))
    compared = any(stage.role != "full" for stage in plan.stages)
    if compared and "errors" not in metrics:
        faults.append(Fault(where="rules", what="a comparison without the rule 'errors' proves nothing", expected="errors"))
    for rule in plan.rules:
        if not 0.0 < rule.alpha <= 0.1 or not 0.0 < rule.alpha_proof <= 0.2:
            faults.append(Fault(where=f"rules.{rule.metric}", what="level out of range", expected="alpha 0..0.1, alpha_proof 0..0.2"))
        if rule.margin <= 0.0 and rule.metric != "sample_ratio":
            faults.append(Fault(where=f"rules.{rule.metric}", what="the margin must be positive", got=f"{rule.margin:g}"))
        if not 0.0 < rule.quantile_level < 1.0:
            faults.append(Fault(where=f"rules.{rule.metric}", what="the quantile must lie between 0 and 1", got=f"{rule.quantile_level:g}"))
        if rule.margin >= 1.0 and rule.metric in _BELOW_ONE:
            faults.append(Fault(where=f"rules.{rule.metric}", what="the margin must be below 1", got=f"{rule.margin:g}"))
        if rule.counted_by == "key" and not plan.hash_field:
            faults.append(Fault(where=f"rules.{rule.metric}", what="counting by key needs the plan's hash_field", expected="hash_field"))
    return faults
