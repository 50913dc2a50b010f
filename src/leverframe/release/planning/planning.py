"""Before anything runs: the plan, its approvals, and applying exactly what was approved."""

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec
from msgspec import UNSET

from leverframe.core.command import Command, Journal, Transaction
from leverframe.core.digest import Digest, canonical_json
from leverframe.core.errors import Conflict, NotFound, Refused
from leverframe.core.model import ModelSpec, ModelVersion, version_id_of
from leverframe.core.route import Endpoint
from leverframe.release.approvals.approvals import APPROVAL_EXPIRES_US, frozen, record_approval, valid_approvals
from leverframe.release.planning.environments import require_way
from leverframe.release.plans.checks import check_plan
from leverframe.release.plans.plan import (
    KIND_PLAN,
    LABEL_HORIZON_US,
    STALL_US,
    WATCH_US,
    MetricRule,
    ReleasePlan,
    Stage,
    Strategy,
    VersionRef,
    default_rules,
    default_stages,
)
from leverframe.release.plans.team_rules import Dependants, rules_of
from leverframe.release.plans.windows import Calendar
from leverframe.release.records import (
    KIND_APPROVAL,
    KIND_ENDPOINT,
    KIND_MODEL,
    KIND_MODEL_VERSION,
    KIND_RELEASE,
    Approval,
    Release,
)
from leverframe.release.requirements.facts import evidence_facts
from leverframe.release.rollout.rollout import require_team
from leverframe.release.rollout.routes import next_value


class PlanRelease(Command, frozen=True, kw_only=True):
    """Write down a release of ``version`` (``<model>@v<number>``) to an endpoint; None takes the strategy's defaults."""

    action: ClassVar[str] = "Release.Plan"
    environment: str
    endpoint: str
    version: str
    owner_team: str = ""
    strategy: Strategy = "shadow_canary"
    stages: tuple[Stage, ...] | None = None
    rules: tuple[MetricRule, ...] | None = None
    watch_us: int | None = None
    label_horizon_us: int = LABEL_HORIZON_US
    stall_us: int = STALL_US
    hash_field: str = ""
    note: str = ""
    supersede: bool = False
    calendar: Calendar | None = None
    dependants: Dependants | None = None
    queue: bool = False
    follow: bool = False
    """Compare with the candidate of the release under way, which must be live when this one starts; it waits in line until then."""

    def resource(self) -> str:
        """``endpoint/<environment>/<name>``."""
        return f"endpoint/{self.environment}/{self.endpoint}"

    def team(self) -> str:
        """The endpoint's team."""
        return self.owner_team


class OnPlan(Command, frozen=True, kw_only=True):
    """A command about the plan with this digest; ``kind`` says of which records it is."""

    kind: ClassVar[str] = KIND_PLAN
    plan: Digest
    owner_team: str = ""

    def resource(self) -> str:
        """``<kind>/<digest>``."""
        return f"{self.kind}/{self.plan}"

    def team(self) -> str:
        """The plan's team."""
        return self.owner_team


class ApprovePlan(OnPlan, frozen=True, kw_only=True):
    """Say yes to exactly the plan with this digest."""

    action: ClassVar[str] = "Release.Approve"
    note: str = ""
    expires_after_us: int = APPROVAL_EXPIRES_US


class WithdrawApproval(OnPlan, frozen=True, kw_only=True):
    """Take one's own approval back; a release that runs on it stops climbing."""

    action: ClassVar[str] = "Release.Approve"
    note: str = ""


class ApplyPlan(OnPlan, frozen=True, kw_only=True):
    """Carry the plan out: its first stage's route is set.

    ``break_glass`` is the reason why it cannot wait for approvals or for the end of a freeze; an operator's, loud, and reviewed afterwards.
    Gates and evidence are asked for all the same.
    """

    action: ClassVar[str] = "Release.Apply"
    break_glass: str = ""


def get_plan(tx: Transaction, digest: Digest) -> ReleasePlan:
    """The plan named ``digest``, checked against its name.

    Raises
    ------
    NotFound: no plan has this digest.
    """
    plan = tx.get(KIND_PLAN, digest, ReleasePlan)
    if plan is None or plan.digest != digest:
        raise NotFound("no plan has this digest", where=digest[:80], next_step="lever release list")
    return plan


def get_version(records: Journal | Transaction, name: str) -> ModelVersion:
    """The registered version ``<model>@v<number>``.

    Raises
    ------
    NotFound: there is none.
    """
    version = records.get(KIND_MODEL_VERSION, version_id_of(name), ModelVersion)
    if version is None:
        raise NotFound("no such model version", where=name[:120], next_step="lever models list")
    return version


def live_version(tx: Transaction, environment: str, endpoint: str) -> VersionRef | None:
    """What answers by default at an endpoint now."""
    record = tx.get(KIND_ENDPOINT, f"{environment}/{endpoint}", Endpoint)
    if record is None or record.live is None:
        return None
    return VersionRef(version=record.live.version, bundle=record.live.bundle, envelope=record.live.envelope)


def plan_release(command: PlanRelease, tx: Transaction) -> dict[str, str]:
    """Put the plan; gates and risk tier are the registry's, environments and hours the team's, not the caller's."""
    version = get_version(tx, command.version)
    spec = tx.get(KIND_MODEL, version.model, ModelSpec)
    require_team(command.owner_team, spec.team if spec else command.owner_team, where=command.version)
    _require_endpoint_team(tx, command)
    candidate = VersionRef(version=version.name, bundle=version.bundle, envelope=version.envelope)
    rules = rules_of(tx, command.owner_team)
    below = require_way(tx, rules, command.environment, command.endpoint, candidate)
    step = rules.environment(command.environment)
    calendar = command.calendar or (step.calendar if step is not None else None)
    champion, follows = _compared_with(tx, command)
    stages = command.stages if command.stages is not None else default_stages(command.strategy)
    compared = command.strategy != "initial"
    watch_us = command.watch_us if command.watch_us is not None else WATCH_US if compared else 0
    plan = ReleasePlan(
        id=f"{command.environment}.{command.endpoint}.{next_value(tx, f'{command.environment}/{command.endpoint}'):04d}",
        environment=command.environment,
        endpoint=command.endpoint,
        team=command.owner_team,
        strategy=command.strategy,
        candidate=candidate,
        champion=champion,
        stages=stages,
        rules=command.rules if command.rules is not None else default_rules(stages) if compared else (),
        watch_us=watch_us,
        label_horizon_us=command.label_horizon_us,
        stall_us=command.stall_us,
        risk_tier=version.risk_tier,
        gates=version.gates,
        author=tx.actor.subject,
        created_at_us=tx.now_us,
        hash_field=command.hash_field,
        note=command.note,
        supersede=command.supersede,
        calendar=calendar or UNSET,
        promoted_from=below.name if below is not None else UNSET,
        dependants=command.dependants or rules.dependants,
        queue=True if command.queue or command.follow else UNSET,
        follows=follows or UNSET,
    )
    # Numbers take the type their field declares before the plan is named, so that a plan read back has the same digest.
    plan = msgspec.json.decode(canonical_json(check_plan(plan)), type=ReleasePlan)
    tx.put(KIND_PLAN, plan.digest, plan)
    return {"plan": plan.digest, "release": plan.id}


def _compared_with(tx: Transaction, command: PlanRelease) -> tuple[VersionRef | None, str]:
    """The champion of the plan, and the release it follows if it is another one's candidate."""
    if not command.follow:
        return live_version(tx, command.environment, command.endpoint), ""
    endpoint = tx.get(KIND_ENDPOINT, f"{command.environment}/{command.endpoint}", Endpoint)
    current = tx.get(KIND_RELEASE, endpoint.release, Release) if endpoint is not None else None
    if current is None or not current.active:
        raise Refused(
            "no release is under way that this one could follow",
            where=command.resource(),
            got=f"{current.id} is {current.state}" if current is not None else "no release",
            next_step=f"lever release plan {command.version}",
        )
    return get_plan(tx, current.plan).candidate, current.id


def _require_endpoint_team(tx: Transaction, command: PlanRelease) -> None:
    endpoint = tx.get(KIND_ENDPOINT, f"{command.environment}/{command.endpoint}", Endpoint)
    owner = tx.get(KIND_RELEASE, endpoint.release, Release) if endpoint else None
    if owner is not None:
        require_team(command.owner_team, owner.team, where=command.resource())


def approve_plan(command: ApprovePlan, tx: Transaction) -> dict[str, Any]:
    """Record the approval; the plan's author cannot give it, and once the plan runs or ran it means nothing."""
    plan = get_plan(tx, command.plan)
    require_team(command.owner_team, plan.team, where=plan.id)
    applied = tx.get(KIND_RELEASE, plan.id, Release) is not None
    over = Conflict("the plan was applied already", where=plan.id, next_step=f"lever release status {plan.id}") if applied else None
    return record_approval(tx, plan, note=command.note, expires_after_us=command.expires_after_us, over=over)


def withdraw_approval(command: WithdrawApproval, tx: Transaction) -> dict[str, Any]:
    """Mark the actor's own approval as withdrawn."""
    plan = get_plan(tx, command.plan)
    id = f"{command.plan}/{tx.actor.subject}"
    approval = tx.get(KIND_APPROVAL, id, Approval)
    if approval is None:
        raise NotFound("you have not approved this plan", where=plan.id)
    tx.put(KIND_APPROVAL, id, msgspec.structs.replace(approval, withdrawn=True))
    return {"plan": command.plan, "approvals": len(valid_approvals(tx, plan))}


def plan_facts(command: OnPlan, tx: Transaction) -> Mapping[str, Any]:
    """What the policy decides on: risk tier, gates, approvals that hold now, freeze, author, and whether a person is asking."""
    plan = tx.get(KIND_PLAN, command.plan, ReleasePlan)
    if plan is None or plan.digest != command.plan:
        raise NotFound("no plan has this digest", where=command.plan[:80], next_step="lever release list")
    version = tx.get(KIND_MODEL_VERSION, version_id_of(plan.candidate.version), ModelVersion)
    same = version is not None and version.bundle == plan.candidate.bundle
    return {
        "tier": version.risk_tier if version is not None else plan.risk_tier,
        "gates": version.gates if version is not None and same else "inconclusive",
        "approvals_valid": len(valid_approvals(tx, plan)),
        "frozen": frozen(tx, plan.environment, plan.endpoint) is not None,
        "author": plan.author,
        "unattended": tx.actor.kind != "human",
        "break_glass": isinstance(command, ApplyPlan) and bool(command.break_glass.strip()),
    } | evidence_facts(tx, plan)
