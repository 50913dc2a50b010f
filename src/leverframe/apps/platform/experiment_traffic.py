"""What an endpoint's callers do today, from the newest of the prediction log: what an experiment's length is forecast by."""

from collections.abc import Iterable
from pathlib import Path

import msgspec

from leverframe.apps.platform.views.experiments import ExperimentForecast
from leverframe.core.clock import HOUR_US
from leverframe.core.prediction import LabelRecord, LogRecord, PredictionRecord
from leverframe.core.statistics.lift import BURN_IN_KEYS, CallerSums, keys_needed
from leverframe.monitoring.label_match import LabelMatcher
from leverframe.monitoring.log_span import newest
from leverframe.release.evidence.losses import outcome_loss
from leverframe.release.experiments.decide import about
from leverframe.release.experiments.plan import Column, ExperimentPlan
from leverframe.release.plans.plan import MetricRule

BYTES_MAX = 8 << 20
"""Of each worker's log; some 20,000 answers."""


class Today(msgspec.Struct, frozen=True, kw_only=True):
    """Requests and callers an hour, and the spread of a caller's outcome (None: too few were seen)."""

    requests_per_hour: float
    keys_per_hour: float
    sd: float | None


def today(folder: Path, plan: ExperimentPlan, hash_column: Column | None) -> Today | None:
    """What the callers of ``plan``'s endpoint did lately; None when there were none.

    Parameters
    ----------
    hash_column: where the field that identifies callers stands in the control's rows, if it is one of its columns.
    """
    records = LabelMatcher().match(list(newest(folder, BYTES_MAX)))
    asked: dict[str, PredictionRecord] = {}
    for record in records:
        if isinstance(record, PredictionRecord) and record.endpoint == plan.endpoint and record.role != "shadow":
            asked[record.id] = record
    if len(asked) < 2:
        return None
    times = sorted(record.asked_at_us for record in asked.values())
    hours = max(times[-1] - times[0], 1) / HOUR_US
    keys = {id: hash(_key(plan, record, hash_column)) for id, record in asked.items()}
    sums = _outcomes(plan, asked, keys, records)
    sd = None
    if sums.keys >= BURN_IN_KEYS:
        spread = (sums.residuals()[0] / sums.keys) ** 0.5 * sums.keys / sums.rows
        sd = spread or None
    return Today(requests_per_hour=len(asked) / hours, keys_per_hour=len(set(keys.values())) / hours, sd=sd)


def _key(plan: ExperimentPlan, record: PredictionRecord, column: Column | None) -> str:
    if not plan.hash_field:
        return record.id
    if plan.hash_field in record.entities:
        return record.entities[plan.hash_field]
    start = 8 * column.positions[0] if column is not None else -1
    return record.features[start : start + 8].hex() if start >= 0 else record.id


def _outcomes(plan: ExperimentPlan, asked: dict[str, PredictionRecord], keys: dict[str, int], records: Iterable[LogRecord]) -> CallerSums:
    metric, sums, labelled = plan.primary.metric, CallerSums(), set()
    rule = MetricRule(metric="outcome_hit", margin=0.5, alpha=0.5, cut=plan.primary.cut)
    if metric in ("outcome_brier", "outcome_log_loss"):
        rule = MetricRule(metric=metric, margin=0.5, alpha=0.5)
    if metric == "score":
        for id, record in asked.items():
            if record.outputs:
                sums.add(keys[id], sum(record.outputs) / len(record.outputs))
        return sums
    for each in records:
        answered = asked.get(each.id) if isinstance(each, LabelRecord) else None
        if answered is None or not isinstance(each, LabelRecord):
            continue
        labelled.add(each.id)
        value = each.label if metric == "outcome_value" else outcome_loss(rule, answered.outputs, {each.row: each.label})
        if value is not None:
            sums.add(keys[each.id], value)
    if plan.primary.unlabelled is not None:
        newest_us = max(record.asked_at_us for record in asked.values())
        for id, record in asked.items():
            if id not in labelled and record.asked_at_us <= newest_us - plan.label_horizon_us:
                sums.add(keys[id], plan.primary.unlabelled)
    return sums


def forecast(plan: ExperimentPlan, seen: Today | None) -> ExperimentForecast:
    """How many callers and hours until a gain of the planned effect is seen four times in five."""
    if seen is None:
        nothing = "nobody asked this endpoint lately, so nobody can tell how long this takes"
        return ExperimentForecast(requests_per_hour=0.0, keys_per_hour=0.0, sd=None, keys_needed=None, hours=None, sentence=nothing)
    control, smallest = plan.shares[0], min(plan.shares[1:])
    needed = keys_needed(seen.sd, plan.primary.effect, (smallest, control), plan.alpha_variant) if seen.sd is not None else None
    per_hour = seen.keys_per_hour * plan.traffic / 100.0
    hours = needed / per_hour if needed is not None and per_hour else None
    who = f"with today's {seen.requests_per_hour:,.0f} requests of {seen.keys_per_hour:,.0f} callers an hour"
    if needed is None or hours is None:
        sentence = f"{who} nobody can tell how long this takes: too few outcomes are known"
    else:
        within = "" if hours * HOUR_US <= plan.horizon_us else f", which is more than the horizon of {plan.horizon_us / HOUR_US:,.0f} h"
        time = about(round(hours * HOUR_US)).removesuffix(" more")
        sentence = f"{who} a gain of {plan.primary.effect:g} in {plan.primary.metric} needs {needed:,} callers, {time}{within}"
    return ExperimentForecast(
        requests_per_hour=seen.requests_per_hour,
        keys_per_hour=seen.keys_per_hour,
        sd=seen.sd,
        keys_needed=needed,
        hours=hours,
        sentence=sentence,
    )
