"""What is known of an endpoint's traffic, and what a plan can see with it. Counted by the worker; no request is read here."""

import msgspec

from leverframe.apps.platform.parts import Parts
from leverframe.release.evidence.plan_forecast import PlanForecast, forecast_plan
from leverframe.release.evidence.traffic import Traffic
from leverframe.release.plans.plan import ReleasePlan


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


def plan_forecast(parts: Parts, plan: ReleasePlan) -> PlanForecast:
    """The plan held against today's traffic."""
    return forecast_plan(plan, traffic_of(parts, plan.environment, plan.endpoint))
