"""What is known of an endpoint's traffic, and what a plan can see with it. Counted by the worker; no request is read here."""

import msgspec

from leverframe.apps.platform.parts import Parts
from leverframe.apps.platform.resting import descending_words
from leverframe.release.evidence.plan_forecast import PlanForecast, forecast_plan
from leverframe.release.evidence.traffic import Traffic
from leverframe.release.plans.plan import ReleasePlan
from leverframe.release.plans.team_rules import rules_of
from leverframe.release.records import KIND_QUEUE, Queue


def traffic_of(parts: Parts, environment: str, endpoint: str) -> Traffic | None:
    """What the worker has counted of an endpoint; None where nothing is known, as of other environments than this installation's."""
    if environment != parts.settings.environment:
        return None
    counted = parts.publisher.traffic()
    if counted is None:
        return None
    try:
        found = msgspec.msgpack.decode(counted, type=tuple[Traffic, ...])
    except msgspec.DecodeError:
        return None  # Left by a worker of another version; the next tick of this one's replaces it.
    return next((traffic for traffic in found if traffic.endpoint == endpoint), None)


def dependants_of(parts: Parts, plan: ReleasePlan) -> tuple[str, ...]:
    """Who rests on what this plan makes live, in words: releases in line behind it, the environments that take from this one, and who
    answers with a version that was made from the candidate."""
    queue = parts.ledger.get(KIND_QUEUE, plan.endpoint_id, Queue)
    waiting = tuple(f"{each.release} waits in line" for each in queue.waiting if each.release != plan.id) if queue is not None else ()
    names = [environment.name for environment in rules_of(parts.ledger, plan.team).environments]
    above = names[names.index(plan.environment) + 1 :][:1] if plan.environment in names else []
    return (*waiting, *(f"{name} takes what is live here" for name in above), *descending_words(parts, plan))


def plan_forecast(parts: Parts, plan: ReleasePlan) -> PlanForecast:
    """The plan held against today's traffic."""
    return forecast_plan(plan, traffic_of(parts, plan.environment, plan.endpoint))
