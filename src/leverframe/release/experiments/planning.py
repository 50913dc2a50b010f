"""Before an experiment runs: its plan, the approvals it needs, and starting exactly what was approved."""

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec

from leverframe.core.clock import iso_from_us
from leverframe.core.command import Command, Transaction
from leverframe.core.digest import Digest, canonical_json
from leverframe.core.errors import Conflict, InvalidInput, NotFound, Refused
from leverframe.core.model import ModelSpec, ModelVersion, version_id_of
from leverframe.core.route import Endpoint
from leverframe.release.approvals.approvals import APPROVAL_EXPIRES_US, frozen, record_approval, valid_approvals
from leverframe.release.experiments.plan import (
    ALPHA,
    DEFAULT_GUARDRAILS,
    HORIZON_US,
    KIND_EXPERIMENT_PLAN,
    MIN_US,
    START_WITHIN_US,
    Column,
    ExperimentPlan,
    Guardrail,
    Primary,
    Variant,
    check_experiment,
)
from leverframe.release.experiments.records import KIND_EXPERIMENT, Experiment
from leverframe.release.experiments.running import begin, require_free
from leverframe.release.planning.environments import require_way
from leverframe.release.planning.planning import OnPlan, get_version
from leverframe.release.plans.plan import LABEL_HORIZON_US, VersionRef
from leverframe.release.plans.team_rules import TeamRules, rules_of
from leverframe.release.plans.windows import closed_because, opens_at
from leverframe.release.records import KIND_ENDPOINT, KIND_MODEL, KIND_MODEL_VERSION, KIND_RELEASE, Release
from leverframe.release.requirements.facts import evidence_facts
from leverframe.release.rollout.rollout import require_team
from leverframe.release.rollout.routes import next_value


class PlanExperiment(Command, frozen=True, kw_only=True):
    """Write down an experiment of ``versions`` (``<model>@v<number>``) against what is live on an endpoint.

    ``shares``: percent of those who take part, one a version. ``covariate`` and ``segments`` name columns with their places in every arm's
    rows, control first, as read from the signatures.
    """

    action: ClassVar[str] = "Experiment.Plan"
    environment: str
    endpoint: str
    versions: tuple[str, ...]
    shares: tuple[float, ...]
    primary: Primary
    guardrails: tuple[Guardrail, ...] = DEFAULT_GUARDRAILS
    traffic: float = 100.0
    layer: str = ""
    hash_field: str = ""
    covariate: Column | None = None
    segments: tuple[Column, ...] = ()
    alpha: float = ALPHA
    min_us: int = MIN_US
    horizon_us: int = HORIZON_US
    label_horizon_us: int = LABEL_HORIZON_US
    owner_team: str = ""
    note: str = ""

    def resource(self) -> str:
        """``endpoint/<environment>/<name>``."""
        return f"endpoint/{self.environment}/{self.endpoint}"

    def team(self) -> str:
        """The endpoint's team."""
        return self.owner_team


class _OnPlan(OnPlan, frozen=True, kw_only=True):
    kind: ClassVar[str] = KIND_EXPERIMENT_PLAN


class ApproveExperiment(_OnPlan, frozen=True, kw_only=True):
    """Say yes to exactly the experiment with this digest."""

    action: ClassVar[str] = "Release.Approve"
    note: str = ""
    expires_after_us: int = APPROVAL_EXPIRES_US


class StartExperiment(_OnPlan, frozen=True, kw_only=True):
    """Let callers meet the variants, as planned."""

    action: ClassVar[str] = "Experiment.Start"


def get_experiment_plan(tx: Transaction, digest: Digest) -> ExperimentPlan:
    """The plan named ``digest``, checked against its name.

    Raises
    ------
    NotFound: no experiment's plan has this digest.
    """
    plan = tx.get(KIND_EXPERIMENT_PLAN, digest, ExperimentPlan)
    if plan is None or plan.digest != digest:
        raise NotFound("no experiment's plan has this digest", where=digest[:80], next_step="lever experiment list")
    return plan


def plan_experiment(command: PlanExperiment, tx: Transaction) -> dict[str, str]:
    """Put the plan; tiers are the registry's, the control is what is live."""
    if len(command.versions) != len(command.shares):
        raise InvalidInput("a share for each version", where="shares", expected=str(len(command.versions)), got=str(len(command.shares)))
    endpoint = tx.get(KIND_ENDPOINT, f"{command.environment}/{command.endpoint}", Endpoint)
    live = endpoint.live if endpoint is not None else None
    if endpoint is None or live is None:
        raise NotFound("nothing is live here to compare with", where=command.resource(), next_step="lever release plan")
    release = tx.get(KIND_RELEASE, endpoint.release, Release)
    require_team(command.owner_team, release.team if release is not None else command.owner_team, where=command.resource())
    versions = [_version(tx, name, command.owner_team) for name in command.versions]
    plan = ExperimentPlan(
        id=f"{command.environment}.{command.endpoint}.x{next_value(tx, f'experiments/{command.environment}/{command.endpoint}'):04d}",
        environment=command.environment,
        endpoint=command.endpoint,
        team=command.owner_team,
        control=VersionRef(version=live.version, bundle=live.bundle, envelope=live.envelope),
        variants=tuple(
            Variant(version=VersionRef(version=v.name, bundle=v.bundle, envelope=v.envelope), share=share)
            for v, share in zip(versions, command.shares, strict=True)
        ),
        primary=command.primary,
        guardrails=command.guardrails,
        traffic=command.traffic,
        layer=command.layer,
        hash_field=command.hash_field,
        covariate=command.covariate,
        segments=command.segments,
        alpha=command.alpha,
        min_us=command.min_us,
        horizon_us=command.horizon_us,
        label_horizon_us=command.label_horizon_us,
        risk_tier="low" if all(version.risk_tier == "low" for version in versions) else "high",
        author=tx.actor.subject,
        created_at_us=tx.now_us,
        note=command.note,
    )
    # Numbers take the type their field declares before the plan is named, so that a plan read back has the same digest.
    plan = msgspec.json.decode(canonical_json(check_experiment(plan)), type=ExperimentPlan)
    tx.put(KIND_EXPERIMENT_PLAN, plan.digest, plan)
    return {"plan": plan.digest, "experiment": plan.id}


def _version(tx: Transaction, name: str, team: str) -> ModelVersion:
    version = get_version(tx, name)
    spec = tx.get(KIND_MODEL, version.model, ModelSpec)
    require_team(team, spec.team if spec is not None else team, where=name)
    return version


def approve_experiment(command: ApproveExperiment, tx: Transaction) -> dict[str, Any]:
    """Record the approval; the author cannot give it, and once the experiment runs or ran it means nothing."""
    plan = get_experiment_plan(tx, command.plan)
    require_team(command.owner_team, plan.team, where=plan.id)
    started = tx.get(KIND_EXPERIMENT, plan.id, Experiment) is not None
    next_step = f"lever experiment status {plan.id}"
    over = Conflict("the experiment was started already", where=plan.id, next_step=next_step) if started else None
    return record_approval(tx, plan, note=command.note, expires_after_us=command.expires_after_us, over=over)


def experiment_facts(command: _OnPlan, tx: Transaction) -> Mapping[str, Any]:
    """What the policy decides on: the strictest tier and the weakest gates of all variants, approvals that hold now, freeze, author."""
    plan = get_experiment_plan(tx, command.plan)
    found = [(variant, tx.get(KIND_MODEL_VERSION, version_id_of(variant.version.version), ModelVersion)) for variant in plan.variants]
    passed = all(version is not None and version.bundle == v.version.bundle and version.gates == "pass" for v, version in found)
    evidence = [
        evidence_facts(tx, _Met(candidate=v.version, endpoint=plan.endpoint, digest=plan.digest, author=plan.author, team=plan.team))
        for v in plan.variants
    ]
    return _weakest(evidence) | {
        "tier": "low" if all(version is not None and version.risk_tier == "low" for _, version in found) else "high",
        "gates": "pass" if passed else "inconclusive",
        "approvals_valid": len(valid_approvals(tx, plan)),
        "frozen": frozen(tx, plan.environment, plan.endpoint) is not None,
        "author": plan.author,
        "unattended": tx.actor.kind != "human",
    }


class _Met(msgspec.Struct, frozen=True, kw_only=True):
    """One variant as the evidence rules ask about it."""

    candidate: VersionRef
    endpoint: str
    digest: Digest
    author: str
    team: str


def _weakest(evidence: list[dict[str, Any]]) -> dict[str, Any]:
    """What holds of every variant: true only where all are, what any of them lacks, the worst count."""
    facts: dict[str, Any] = {}
    for name in evidence[0]:
        values = [each[name] for each in evidence]
        if isinstance(values[0], bool):
            facts[name] = all(values)
        elif isinstance(values[0], list):
            facts[name] = sorted({item for value in values for item in value})
        else:
            facts[name] = min(values) if name == "error_budget_left_ppm" else max(values)
    return facts


def _require_hours(tx: Transaction, plan: ExperimentPlan, rules: TeamRules) -> None:
    """Callers meet new versions only in the hours in which the team lets releases climb; ending an experiment works at any hour."""
    environment = rules.environment(plan.environment)
    calendar = environment.calendar if environment is not None else None
    reason = closed_because(calendar, tx.now_us) if calendar is not None else ""
    if calendar is not None and reason:
        opens_us = opens_at(calendar, tx.now_us)
        raise Refused(
            f"nothing starts now: {reason}",
            where=plan.endpoint_id,
            expected=f"open again at {iso_from_us(opens_us)}" if opens_us is not None else "open again within a year: it does not",
            got=iso_from_us(tx.now_us),
            next_step="wait",
        )


def start_experiment(command: StartExperiment, tx: Transaction) -> dict[str, Any]:
    """Set the route: refused while anything else decides who meets what on this endpoint, or where the layer has no room."""
    plan = get_experiment_plan(tx, command.plan)
    require_team(command.owner_team, plan.team, where=plan.id)
    if tx.get(KIND_EXPERIMENT, plan.id, Experiment) is not None:
        raise Conflict("the experiment was started already; a plan runs once", where=plan.id, next_step="lever experiment plan ...")
    if tx.now_us >= plan.created_at_us + START_WITHIN_US:
        raise Refused("the plan is older than 30 days", where=plan.id, next_step="plan the experiment again")
    freeze = frozen(tx, plan.environment, plan.endpoint)
    if freeze is not None:
        raise Refused(f"releases are frozen: {freeze.reason}", where=plan.endpoint_id, next_step="lever unfreeze, or wait")
    rules = rules_of(tx, plan.team)
    for variant in plan.variants:
        require_way(tx, rules, plan.environment, plan.endpoint, variant.version)
    _require_hours(tx, plan, rules)
    endpoint = require_free(tx, plan)
    live = endpoint.live
    if live is None or (live.version, live.bundle) != (plan.control.version, plan.control.bundle):
        raise Refused(
            "the plan is stale: another version is live than when it was written",
            where=plan.id,
            expected=plan.control.version,
            got=live.version if live else "no live version",
            next_step="plan the experiment again",
        )
    experiment = begin(tx, plan, endpoint, tuple(approval.approver for approval in valid_approvals(tx, plan)))
    return {"experiment": experiment.id, "generation": experiment.generation}
