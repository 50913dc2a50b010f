"""A whole plan held against today's traffic: what each stage touches, how long it lasts, and what each rule can see."""

import math

import msgspec

from leverframe.core.clock import HOUR_US, span_words
from leverframe.core.errors import InvalidInput
from leverframe.core.statistics.power import time_to_detect
from leverframe.release.evidence.forecast import Forecast, Today, about, forecast
from leverframe.release.evidence.judge import NAMES
from leverframe.release.evidence.traffic import Traffic
from leverframe.release.plans.plan import MetricRule, ReleasePlan, Stage, applies


class StageForecast(msgspec.Struct, frozen=True, kw_only=True):
    """What a stage touches and how long it is expected to last: ``requests_per_day`` are answered by the candidate.

    ``hours``: the slowest of its needs, None where it is not expected to end; ``waits_for`` names that need.
    """

    stage: str
    weight: float
    requests_per_day: float
    hours: float | None
    waits_for: str


class PlanForecast(msgspec.Struct, frozen=True, kw_only=True):
    """A plan held against today's traffic. ``measured``: what of it was measured, the rest being typical; ``sentence``: the whole in words.

    ``labels``: how late labels come, and how many of them the plan's horizon sees (empty: nobody knows).
    ``harm``: what each rule can see, at twice its margin, in the first stage that answers callers.
    """

    today: Today
    measured: tuple[str, ...]
    stages: tuple[StageForecast, ...]
    rules: tuple[Forecast, ...]
    hours: float | None
    watch_hours: float
    sentence: str
    labels: str = ""


HARM_IN_MARGINS = 2.0
"""Harm that a forecast asks for, in margins: what is within one is tolerated, and what is just beyond takes for ever to see."""


LABELS_SEEN_MIN = 0.9
"""A horizon that sees fewer of all labels is told to be too short."""


def today_of(traffic: Traffic | None, plan: ReleasePlan) -> tuple[Today, tuple[str, ...]]:
    """What a plan's rules need to know of today, from what was counted; and the names of what was."""
    label_hours = plan.label_horizon_us / HOUR_US
    if traffic is None or not traffic.hours:
        return Today(requests_per_hour=0.0, label_hours=label_hours), ()
    rates: dict[str, float] = {}
    measured = ["traffic"]
    for rule in plan.rules:
        rate = _rate_of(rule, traffic)
        if rate is not None:
            rates[rule.metric] = rate
            measured.append(rule.metric)
        elif rule.metric in traffic.sds:
            measured.append(rule.metric)
    today = Today(requests_per_hour=traffic.per_hour(), rates=rates, sds=traffic.sds, label_hours=label_hours)
    return today, tuple(measured)


def _rate_of(rule: MetricRule, traffic: Traffic) -> float | None:
    if rule.metric == "errors":
        return traffic.error_rate()
    if rule.metric == "latency_budget":
        return traffic.slower_share(rule.bound_us)
    if rule.metric == "latency_quantile":
        bound = traffic.latency_us(rule.quantile_level)
        return None if bound is None else traffic.slower_share(bound * (1.0 + rule.margin))
    return None


def forecast_plan(plan: ReleasePlan, traffic: Traffic | None) -> PlanForecast:
    """Hold ``plan`` against what was counted of its endpoint (None: nothing is known, and no time can be told)."""
    today, measured = today_of(traffic, plan)
    stages, rules = [], []
    for stage in plan.stages:
        asked = [_or_none(rule, stage, today) for rule in plan.rules if applies(rule, stage) and plan.champion is not None]
        found = [each for each in asked if each is not None]
        rules += found
        stages.append(_stage_forecast(stage, today, found))
    climb = [stage for stage in stages if stage.weight < 100.0]
    hours = None if any(stage.hours is None for stage in climb) else sum(stage.hours or 0.0 for stage in climb)
    watch_hours = plan.watch_us / HOUR_US
    return PlanForecast(
        today=today,
        measured=measured,
        stages=tuple(stages),
        rules=tuple(rules),
        hours=hours if today.requests_per_hour > 0.0 or not climb else None,
        watch_hours=watch_hours,
        sentence=_whole(plan, today, climb, hours),
        labels=_labels(plan, traffic),
    )


def _labels(plan: ReleasePlan, traffic: Traffic | None) -> str:
    """How late labels come today, held against the plan's horizon."""
    known = traffic.labels_known(plan.label_horizon_us) if traffic is not None else None
    if traffic is None or known is None or not any(rule.metric.startswith("outcome_") for rule in plan.rules):
        return ""
    within = dict(traffic.labels_within_us)
    told = [f"{100.0 * share:.0f} % are known within {span_words(within[share])}" for share in (0.5, 0.95) if share in within]
    horizon = f"by the horizon of {span_words(plan.label_horizon_us)} {f'{100.0 * known:.0f}' if known else 'under 5'} % are"
    if known >= LABELS_SEEN_MIN:
        return "; ".join([*told, horizon])
    enough = [within_us for share, within_us in traffic.labels_within_us if share >= LABELS_SEEN_MIN]
    wider = f"--label-horizon {math.ceil(enough[0] / HOUR_US)}h" if enough else "a longer --label-horizon"
    return "; ".join([*told, f"{horizon}, and those that come later are not used: plan with {wider}"])


def _or_none(rule: MetricRule, stage: Stage, today: Today) -> Forecast | None:
    try:
        return forecast(rule, stage, today, HARM_IN_MARGINS * rule.margin)
    except InvalidInput:
        return None


def _stage_forecast(stage: Stage, today: Today, rules: list[Forecast]) -> StageForecast:
    scored = 1.0 if stage.mirror or stage.role != "canary" else stage.weight / 100.0
    per_hour = today.requests_per_hour
    needs: list[tuple[float | None, str]] = [(stage.min_hold_us / HOUR_US, "its hold time")]
    if stage.rows_min:
        needs.append((time_to_detect(stage.rows_min, per_hour * scored), "its least number of rows"))
    if stage.labels_min:
        rows = time_to_detect(stage.labels_min, per_hour * scored)
        needs.append((None if rows is None else rows + today.label_hours, "its least number of labels"))
    if stage.role != "full":
        needs += [(rule.proof_hours, NAMES[rule.rule]) for rule in rules]
    hours, waits_for = max(needs, key=lambda need: math.inf if need[0] is None else need[0])
    return StageForecast(
        stage=stage.name,
        weight=stage.weight,
        requests_per_day=24.0 * per_hour * stage.weight / 100.0,
        hours=hours,
        waits_for=waits_for,
    )


def _whole(plan: ReleasePlan, today: Today, climb: list[StageForecast], hours: float | None) -> str:
    if plan.endless:
        return "unseen beside the champion until somebody ends it, or another plan takes its place"
    if not climb:
        return f"everyone at once, then watched for {about(plan.watch_us / HOUR_US)}"
    if today.requests_per_hour <= 0.0:
        return "nothing is known of today's traffic: no time can be told"
    slowest = max(climb, key=lambda stage: math.inf if stage.hours is None else stage.hours)
    if hours is None:
        return f"with {today.requests_per_hour:,.0f} requests an hour it is not expected to get past {slowest.stage}: {slowest.waits_for}"
    whole = f"with {today.requests_per_hour:,.0f} requests an hour at 100 % in {about(hours)}, if the version is as good"
    return f"{whole}; {slowest.stage} takes longest ({about(slowest.hours)}: {slowest.waits_for})"
