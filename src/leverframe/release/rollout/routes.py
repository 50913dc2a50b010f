"""From a plan's stage to arms, from endpoint records to the route table.

Every change of an endpoint goes through :func:`put_endpoint`, which checks it, keeps its last good version true and grows the environment's
generation: **no route changes without a new generation, and none is put that does not sum to 100**.
"""

from collections.abc import Iterable

import msgspec

from leverframe.core.command import Journal, Transaction
from leverframe.core.errors import Refused, Unavailable
from leverframe.core.route import Arm, Caller, Endpoint, RouteTable, check_endpoint
from leverframe.release.plans.plan import ReleasePlan, Stage, VersionRef
from leverframe.release.records import KIND_ENDPOINT, KIND_GENERATION, KIND_TENANT_QUOTA, Generation, Release, TenantQuota
from leverframe.release.rollout.last_good import keep_last_good

_READS_MAX = 10


def live_arm(ref: VersionRef, weight: float = 100.0) -> Arm:
    """``ref`` answering callers by default."""
    return Arm(version=ref.version, bundle=ref.bundle, envelope=ref.envelope, role="live", weight=weight)


def stage_arms(plan: ReleasePlan, stage: Stage) -> tuple[Arm, ...]:
    """Who answers in ``stage``. At 100 % the champion stays beside, in shadow: loaded, warm, and still compared on every request."""
    candidate, champion = plan.candidate, plan.champion
    if champion is None:
        return (live_arm(candidate),)
    if stage.role == "full":
        return (live_arm(candidate), msgspec.structs.replace(live_arm(champion, 0.0), role="shadow"))
    if stage.role == "shadow":
        return (live_arm(champion), msgspec.structs.replace(live_arm(candidate, 0.0), role="shadow"))
    canary = msgspec.structs.replace(live_arm(candidate, stage.weight), role="canary", mirror=stage.mirror)
    return (live_arm(champion, 100.0 - stage.weight), canary)


def back_arms(plan: ReleasePlan, good: VersionRef | None) -> tuple[Arm, ...]:
    """Who answers after a rollback: the last good version, alone.

    Raises
    ------
    Refused: the plan was the endpoint's first; there is nothing to go back to.
    """
    if good is None:
        raise Refused(
            "this was the endpoint's first version, there is none to go back to",
            where=plan.endpoint_id,
            next_step=f"lever kill {plan.endpoint} --reason ... (answers by fallback, or refuses)",
        )
    return (live_arm(good),)


def next_value(tx: Transaction, counter: str) -> int:
    """Grow the counter and return its new value (1 the first time)."""
    before = tx.get(KIND_GENERATION, counter, Generation)
    value = before.value + 1 if before else 1
    tx.put(KIND_GENERATION, counter, Generation(value=value))
    return value


def put_endpoint(tx: Transaction, environment: str, endpoint: Endpoint, changing: Release | None = None) -> int:
    """Put a checked endpoint and return the environment's new route generation.

    Parameters
    ----------
    changing: the release that sets this route, as it will be after this step.

    Raises
    ------
    InvalidInput: the arms do not sum to 100 or are otherwise not publishable.
    """
    kept = keep_last_good(tx, environment, endpoint, changing)
    tx.put(KIND_ENDPOINT, f"{environment}/{endpoint.name}", check_endpoint(kept))
    return next_value(tx, environment)


def refresh_last_good(tx: Transaction, environment: str, name: str) -> None:
    """Publish the endpoint anew if its last good version is another one by now: releases under its route were taken back."""
    endpoint = tx.get(KIND_ENDPOINT, f"{environment}/{name}", Endpoint)
    if endpoint is not None and keep_last_good(tx, environment, endpoint) != endpoint:
        put_endpoint(tx, environment, endpoint)


def route_table(journal: Journal, environment: str, callers: Iterable[Caller], now_us: int) -> RouteTable:
    """The whole desired route table of an environment, as of one generation.

    Generation, endpoints and quotas are several reads; when a command commits between them, all are read again.

    Raises
    ------
    Unavailable: commands committed between every try.
    """
    for _ in range(_READS_MAX):
        before = journal.get(KIND_GENERATION, environment, Generation)
        endpoints = tuple(journal.find(KIND_ENDPOINT, Endpoint, prefix=f"{environment}/"))
        bounded = journal.find(KIND_TENANT_QUOTA, TenantQuota, prefix=f"{environment}/")
        if journal.get(KIND_GENERATION, environment, Generation) == before:
            return RouteTable(
                environment=environment,
                generation=before.value if before else 0,
                issued_at_us=now_us,
                endpoints=endpoints,
                callers=tuple(callers),
                tenant_quotas={each.tenant: each.quota for each in bounded},
            )
    raise Unavailable("routes change faster than they can be read", where=environment, next_step="try again")


def needs_publish(published_generation: int | None, table: RouteTable) -> bool:
    """Whether ``table`` is newer than what was published last (None: nothing was)."""
    return published_generation is None or table.generation > published_generation
