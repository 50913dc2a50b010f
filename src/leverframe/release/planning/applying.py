"""From an approved plan to a release: at once, or in line behind the one under way; the same checks at both doors."""

from collections.abc import Mapping
from typing import Any, ClassVar

from leverframe.core.command import Transaction
from leverframe.core.errors import Conflict, Refused
from leverframe.core.route import Endpoint
from leverframe.release.approvals.approvals import frozen, valid_approvals
from leverframe.release.approvals.hours import require_open, shut
from leverframe.release.approvals.reviews import open_review
from leverframe.release.planning.calm import require_calm
from leverframe.release.planning.environments import require_way
from leverframe.release.planning.planning import ApplyPlan, OnPlan, get_plan, live_version, plan_facts
from leverframe.release.plans.plan import ReleasePlan
from leverframe.release.plans.team_rules import rules_of
from leverframe.release.records import KIND_ENDPOINT, KIND_RELEASE, Release
from leverframe.release.requirements.exceptions import excepted_now
from leverframe.release.rollout.queue import enqueue, leave, waiting
from leverframe.release.rollout.rollout import OnRelease, begin, get_release, require_team, start, transition


class StartQueued(OnPlan, frozen=True, kw_only=True):
    """Start the first release in line, now that nothing is in its way; policy decides again, on the approvals that hold now."""

    action: ClassVar[str] = "Release.Apply"


class DropQueued(OnRelease, frozen=True, kw_only=True):
    """End a release in line that policy no longer lets start; the release says why."""

    action: ClassVar[str] = "Release.Advance"
    reason: str


def apply_plan(command: ApplyPlan, tx: Transaction) -> dict[str, Any]:
    """Start the release and set its first stage's route; a plan that says so goes in line where something is in its way.

    Raises
    ------
    Refused: a freeze, a pin, closed hours, too many rollbacks, a demand of the environment not met, a full line, or a stale plan.
    Conflict: another release is under way, or the plan was applied already.
    """
    plan = get_plan(tx, command.plan)
    require_team(command.owner_team, plan.team, where=plan.id)
    if tx.get(KIND_RELEASE, plan.id, Release) is not None:
        raise Conflict("the plan was applied already; a plan runs once", where=plan.id, next_step="lever release plan ...")
    broken = bool(command.break_glass.strip())
    endpoint = tx.get(KIND_ENDPOINT, plan.endpoint_id, Endpoint)
    approvers = tuple(approval.approver for approval in valid_approvals(tx, plan))
    if plan.queue and not broken and _must_wait(tx, plan, endpoint):
        release = begin(tx, plan, approvers, queue=True)
        enqueue(tx, plan)
        return {"release": release.id, "state": release.state, "generation": 0}
    _require_ready(tx, plan, endpoint, broken=broken)
    _make_room(tx, plan, endpoint)
    _require_fresh(tx, plan)
    release = begin(tx, plan, approvers, excepted_now(tx, plan))
    if broken:
        open_review(tx, release, command.break_glass)
    return {"release": release.id, "state": release.state, "generation": release.generation}


def _must_wait(tx: Transaction, plan: ReleasePlan, endpoint: Endpoint | None) -> bool:
    current = tx.get(KIND_RELEASE, endpoint.release, Release) if endpoint is not None else None
    releasing = current is not None and current.active and not get_plan(tx, current.plan).endless
    busy = releasing or (endpoint is not None and endpoint.experiment is not None)
    return busy or bool(waiting(tx, plan.endpoint_id)) or bool(shut(tx, plan, tx.now_us)[0])


def _require_ready(tx: Transaction, plan: ReleasePlan, endpoint: Endpoint | None, *, broken: bool = False) -> None:
    """Everything outside the plan that may stand in its way; breaking the glass passes a freeze and closed hours, nothing else."""
    freeze = frozen(tx, plan.environment, plan.endpoint)
    if freeze is not None and not broken:
        raise Refused(f"releases are frozen: {freeze.reason}", where=plan.endpoint_id, next_step="lever unfreeze, or wait")
    if endpoint is not None and endpoint.pinned:
        raise Refused("the endpoint is pinned", where=plan.endpoint_id, next_step=f"lever unpin {plan.endpoint}")
    rules = rules_of(tx, plan.team)
    require_way(tx, rules, plan.environment, plan.endpoint, plan.candidate)
    require_calm(tx, plan, rules)
    if not broken:
        require_open(tx, plan)


def _require_fresh(tx: Transaction, plan: ReleasePlan) -> None:
    live = live_version(tx, plan.environment, plan.endpoint)
    if live != plan.champion:
        raise Refused(
            "the plan is stale: another version is live than when it was written",
            where=plan.id,
            expected=plan.champion.version if plan.champion else "no live version",
            got=live.version if live else "no live version",
            next_step=f"lever release plan {plan.candidate.version} --endpoint {plan.endpoint}",
        )


def _make_room(tx: Transaction, plan: ReleasePlan, endpoint: Endpoint | None) -> None:
    """One rollout an endpoint: a running one is superseded if the plan says so, otherwise it is in the way."""
    _require_no_experiment(plan, endpoint)
    current = tx.get(KIND_RELEASE, endpoint.release, Release) if endpoint is not None and endpoint.release else None
    if current is None or not current.active:
        return
    current_plan = get_plan(tx, current.plan)
    if not (plan.supersede or current_plan.endless) or current.state == "watching":
        raise Conflict(
            f"release {current.id} is {current.state} on this endpoint",
            where=plan.endpoint_id,
            next_step=f"wait, plan with --when-busy queue, or: lever release abort {current.id}",
        )
    transition(tx, current, current_plan, "supersede", reason=f"superseded by {plan.id}")


def _require_no_experiment(plan: ReleasePlan, endpoint: Endpoint | None) -> None:
    if endpoint is not None and endpoint.experiment is not None:
        other = endpoint.experiment.experiment
        raise Refused(
            f"experiment {other} runs on this endpoint",
            where=plan.endpoint_id,
            expected="one change at a time on an endpoint",
            got=other,
            next_step=f"wait, plan with --when-busy queue, or: lever experiment stop {other}",
        )


def queued_facts(command: StartQueued, tx: Transaction) -> Mapping[str, Any]:
    """The facts of the plan now; whether a person is asking is what it was when the release was put in line."""
    plan = get_plan(tx, command.plan)
    line = waiting(tx, plan.endpoint_id)
    unattended = any(each.unattended for each in line if each.plan == command.plan)
    return {**plan_facts(command, tx), "unattended": unattended}


def start_queued(command: StartQueued, tx: Transaction) -> dict[str, Any]:
    """Start the release that is first in line. One whose plan has become stale, or that lost its ground below, ends and says so.

    Raises
    ------
    Conflict: it is not first in line, or another release is under way.    Refused: a freeze, a pin, closed hours, too many rollbacks.
    """
    plan = get_plan(tx, command.plan)
    require_team(command.owner_team, plan.team, where=plan.id)
    line = waiting(tx, plan.endpoint_id)
    if not line or line[0].plan != command.plan:
        raise Conflict("another release is first in line", where=plan.id, got=line[0].release if line else "nobody waits")
    release, plan = get_release(tx, plan.id)
    endpoint = tx.get(KIND_ENDPOINT, plan.endpoint_id, Endpoint)
    current = tx.get(KIND_RELEASE, endpoint.release, Release) if endpoint is not None else None
    if current is not None and current.active and not get_plan(tx, current.plan).endless:
        raise Conflict(f"release {current.id} is {current.state} on this endpoint", where=plan.endpoint_id)
    try:
        require_way(tx, rules_of(tx, plan.team), plan.environment, plan.endpoint, plan.candidate)
        _require_fresh(tx, plan)
    except Refused as refused:
        return _end(tx, release, plan, refused.sentence())
    _require_ready(tx, plan, endpoint)
    _make_room(tx, plan, endpoint)
    leave(tx, release)
    approvers = tuple(approval.approver for approval in valid_approvals(tx, plan))
    started = start(tx, release, plan, approvers, excepted_now(tx, plan))
    return {"release": started.id, "state": started.state, "generation": started.generation}


def drop_queued(command: DropQueued, tx: Transaction) -> dict[str, Any]:
    """End it."""
    release, plan = get_release(tx, command.release)
    require_team(command.owner_team, release.team, where=release.id)
    if release.state != "planned":
        raise Conflict("this release does not wait in line", where=release.id, got=release.state)
    return _end(tx, release, plan, command.reason)


def _end(tx: Transaction, release: Release, plan: ReleasePlan, reason: str) -> dict[str, Any]:
    leave(tx, release)
    ended = transition(tx, release, plan, "abort", reason=reason)
    return {"release": ended.id, "state": ended.state, "generation": ended.generation}
