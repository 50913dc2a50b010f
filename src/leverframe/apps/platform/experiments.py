"""Use cases of experiments: plan, approve, start, stop, look, and the report. Every route change is published before the answer."""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

import msgspec

from leverframe.apps.platform.experiment_reports import ExperimentReports
from leverframe.apps.platform.experiment_traffic import forecast, today
from leverframe.apps.platform.looking import Looking
from leverframe.apps.platform.parts import Parts
from leverframe.apps.platform.requirements import APPROVALS_NEEDED, Requirements
from leverframe.apps.platform.views.experiments import ExperimentPlanView, ExperimentRequest, ExperimentView, ReportView
from leverframe.apps.platform.views.release import IntervalPoint
from leverframe.core.actor import Actor
from leverframe.core.assignment import LAYER_BUCKETS
from leverframe.core.command import Command
from leverframe.core.compatibility import incompatibilities
from leverframe.core.errors import Fault, InvalidInput, NotFound, Refused
from leverframe.core.model import SIGNATURE, ModelSpec, ModelVersion
from leverframe.core.route import Endpoint
from leverframe.core.schema import Signature
from leverframe.governance.bundles import open_bundle
from leverframe.governance.decision import OWN_POLICY, OwnPolicy
from leverframe.release.experiments.decide import ending
from leverframe.release.experiments.plan import KIND_EXPERIMENT_PLAN, Column, ExperimentPlan
from leverframe.release.experiments.planning import ApproveExperiment, PlanExperiment, StartExperiment, experiment_facts
from leverframe.release.experiments.records import KIND_EXPERIMENT, KIND_READOUT, Experiment, ReadoutNote
from leverframe.release.experiments.running import StopExperiment
from leverframe.release.planning.planning import get_version
from leverframe.release.records import KIND_APPROVAL, KIND_ENDPOINT, KIND_MODEL, REASON_CHARS_MAX, Approval


class Experiments:
    """From several versions to the one that is better for callers."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._reports = ExperimentReports(parts)
        self._requirements = Requirements(parts)

    # Plans -------------------------------------------------------------------------------------------------------

    def plan(self, actor: Actor, request: ExperimentRequest, *, key: str) -> ExperimentPlanView:
        """Write a plan down; nothing runs yet.

        Raises
        ------
        NotFound: no such version, or nothing is live to compare with.    Refused: a variant would break today's callers.
        InvalidInput: a field or column that not every arm has, or a plan that cannot be carried out.
        """
        versions = [get_version(self._parts.ledger, name) for name in request.versions]
        spec = self._parts.ledger.get(KIND_MODEL, versions[0].model, ModelSpec) if versions else None
        signatures = self._signatures(request, versions)
        if request.hash_field and request.hash_field not in {field.name for field in signatures[0].request}:
            raise _unknown("hash_field", request.hash_field, [field.name for field in signatures[0].request])
        shares = request.shares or tuple(round(100.0 / (len(versions) + 1), 4) for _ in versions)
        for version in versions:
            self._requirements.observe(version)
        command = PlanExperiment(
            environment=request.environment,
            endpoint=request.endpoint,
            versions=request.versions,
            shares=shares,
            primary=request.primary,
            guardrails=request.guardrails,
            traffic=request.traffic,
            layer=request.layer,
            hash_field=request.hash_field,
            covariate=_column(request.covariate, signatures) if request.covariate else None,
            segments=tuple(_column(name, signatures) for name in request.segments),
            alpha=request.alpha,
            min_us=request.min_us,
            horizon_us=request.horizon_us,
            label_horizon_us=request.label_horizon_us,
            owner_team=spec.team if spec is not None else "",
            note=request.note[:REASON_CHARS_MAX],
        )
        receipt = self._parts.ledger.write(actor, command, key=key)
        return self.plan_of(str(receipt.result["plan"]))

    def _signatures(self, request: ExperimentRequest, versions: Sequence[ModelVersion]) -> list[Signature]:
        """Of the control and of every variant; a variant that would break today's callers is refused."""
        endpoint = self._parts.ledger.get(KIND_ENDPOINT, f"{request.environment}/{request.endpoint}", Endpoint)
        live = endpoint.live if endpoint is not None else None
        if live is None:
            where = f"{request.environment}/{request.endpoint}"
            raise NotFound("nothing is live here to compare with", where=where, next_step="lever release plan")
        control = self._signature(live.bundle, live.envelope)
        signatures = [control]
        for version in versions:
            signature = self._signature(version.bundle, version.envelope)
            broken = incompatibilities(control, signature)
            if broken:
                raise Refused(
                    "callers who meet this variant would break: " + "; ".join(f"{fault.where}: {fault.what}" for fault in broken)[:300],
                    where=version.name,
                    expected=broken[0].expected,
                    got=broken[0].got,
                    next_step="an experiment's variants take what the control takes, and give what it gives",
                    faults=broken,
                )
            signatures.append(signature)
        return signatures

    def _signature(self, bundle: str, envelope: str) -> Signature:
        opened = open_bundle(self._parts.artifacts, self._parts.trust, bundle, envelope)
        return msgspec.json.decode(opened.read(SIGNATURE), type=Signature)

    def plan_of(self, digest: str) -> ExperimentPlanView:
        """One plan by its digest, with how long it will take by today's traffic.

        Raises
        ------
        NotFound: no experiment's plan has this digest.
        """
        plan = self._plan(digest)
        shown = self._plan_view(plan)
        control = self._signature(plan.control.bundle, plan.control.envelope)
        named = [column for column in control.columns if column.field == plan.hash_field and column.source == "request"]
        column = _column(named[0].name, [control]) if plan.hash_field and named else None
        return msgspec.structs.replace(shown, forecast=forecast(plan, today(self._parts.settings.log_folder, plan, column)))

    def plans(self) -> tuple[ExperimentPlanView, ...]:
        """Plans that were not started yet, newest first."""
        ledger = self._parts.ledger
        started = {experiment.plan for experiment in ledger.find(KIND_EXPERIMENT, Experiment)}
        plans = [plan for plan in ledger.find(KIND_EXPERIMENT_PLAN, ExperimentPlan) if plan.digest not in started]
        return tuple(self._plan_view(plan) for plan in sorted(plans, key=lambda p: (p.created_at_us, p.id), reverse=True))

    def _plan(self, digest: str) -> ExperimentPlan:
        plan = self._parts.ledger.get(KIND_EXPERIMENT_PLAN, digest, ExperimentPlan)
        if plan is None:
            raise NotFound("no experiment's plan has this digest", where=digest[:80], next_step="lever experiment list")
        return plan

    def _plan_view(self, plan: ExperimentPlan) -> ExperimentPlanView:
        now_us, ledger = self._parts.clock.now_us(), self._parts.ledger
        approvals = [
            approval
            for approval in ledger.find(KIND_APPROVAL, Approval, prefix=f"{plan.digest}/")
            if not approval.withdrawn and now_us < approval.expires_us and approval.approver != plan.author
        ]
        needed = APPROVALS_NEEDED.get(plan.risk_tier, 2)
        missing = self._missing(plan)
        if len(approvals) < needed:
            more = needed - len(approvals)
            missing.append(f"{more} more approval{'s' if more > 1 else ''} by someone other than {plan.author}")
        return ExperimentPlanView(
            digest=plan.digest,
            plan=msgspec.to_builtins(plan),
            approvals=tuple(approval.approver for approval in approvals),
            needed=needed,
            missing=tuple(missing),
        )

    def _missing(self, plan: ExperimentPlan) -> list[str]:
        """What keeps it from starting beside approvals, asked of the very policies that will decide."""
        asking, now_us = Actor(subject="somebody", roles=("engineer",), teams=(plan.team,)), self._parts.clock.now_us()
        command = StartExperiment(plan=plan.digest, owner_team=plan.team)
        facts = experiment_facts(command, Looking(self._parts.ledger, asking, now_us))
        own = tuple(policy.text for policy in self._parts.ledger.find(OWN_POLICY, OwnPolicy))
        decision = self._parts.policy.with_own(own).decide(asking, command.action, command.resource(), plan.team, facts)
        if decision.allowed:
            return []
        denied = zip(decision.policy_ids, decision.reasons, strict=False)
        return [f"{reason} ({rule})" for rule, reason in denied if rule != "experiment-approved"]

    def approve(self, actor: Actor, digest: str, *, note: str, key: str) -> ExperimentPlanView:
        """Approve exactly this plan."""
        plan = self._plan(digest)
        self._parts.ledger.write(actor, ApproveExperiment(plan=digest, owner_team=plan.team, note=note), key=key)
        return self._plan_view(plan)

    # Experiments -------------------------------------------------------------------------------------------------

    def start(self, actor: Actor, digest: str, *, key: str) -> ExperimentView:
        """Let callers meet the variants, as planned."""
        plan = self._plan(digest)
        return self.experiment(str(self._write(actor, StartExperiment(plan=digest, owner_team=plan.team), key)["experiment"]))

    def stop(self, actor: Actor, id: str, *, reason: str, key: str) -> ExperimentView:
        """End an experiment; everybody meets the control again, at once."""
        found = self._experiment(id)
        self._write(actor, StopExperiment(experiment=id, owner_team=found.team, reason=reason), key)
        return self.experiment(id)

    def _write(self, actor: Actor, command: Command, key: str) -> dict[str, Any]:
        receipt = self._parts.ledger.write(actor, command, key=key)
        self._parts.publisher.publish()
        return receipt.result if isinstance(receipt.result, dict) else {}

    def _experiment(self, id: str) -> Experiment:
        found = self._parts.ledger.get(KIND_EXPERIMENT, id, Experiment)
        if found is None:
            raise NotFound("no such experiment", where=id[:120], next_step="lever experiment list")
        return found

    def experiment(self, id: str) -> ExperimentView:
        """One experiment with its newest read-out.

        Raises
        ------
        NotFound: no such experiment.
        """
        return self._view(self._experiment(id))

    def experiments(self, endpoint: str = "") -> tuple[ExperimentView, ...]:
        """Experiments of an endpoint (empty: of all), newest first."""
        found = [each for each in self._parts.ledger.find(KIND_EXPERIMENT, Experiment) if endpoint in ("", each.endpoint)]
        return tuple(self._view(each) for each in sorted(found, key=lambda e: (e.started_us, e.id), reverse=True))

    def report(self, id: str, *, again: bool) -> ReportView:
        """The final report; with ``again`` it is computed from the log once more and the bytes are compared."""
        return self._reports.report(id, again=again)

    def _view(self, experiment: Experiment) -> ExperimentView:
        plan = self._plan(experiment.plan)
        note = self._parts.ledger.get(KIND_READOUT, experiment.id, ReadoutNote)
        return ExperimentView(
            id=experiment.id,
            endpoint=experiment.endpoint,
            environment=experiment.environment,
            team=experiment.team,
            layer=experiment.layer,
            low=100.0 * experiment.assignment.low / LAYER_BUCKETS,
            high=100.0 * experiment.assignment.high / LAYER_BUCKETS,
            versions=plan.versions,
            shares=plan.shares,
            metric=plan.primary.metric,
            better=plan.primary.better,
            effect=plan.primary.effect,
            state=experiment.state,
            outcome=experiment.outcome,
            winner=experiment.winner,
            summary=_summary(plan, experiment, note),
            started_by=experiment.started_by,
            approvals=experiment.approvals,
            started_at_us=experiment.started_us,
            ended_at_us=experiment.ended_us,
            horizon_at_us=experiment.started_us + plan.horizon_us,
            plan_digest=experiment.plan,
            report=experiment.report,
            proposed=experiment.proposed,
            log=experiment.log,
            readout=note.readout if note is not None else None,
            intervals=tuple(
                IntervalPoint(
                    rule=p.rule, stage=p.stage, at_us=p.at_us, n=p.n, estimate=p.estimate, low=p.low, high=p.high, margin=p.margin
                )
                for p in (note.paths if note is not None else ())
            ),
        )


def _summary(plan: ExperimentPlan, experiment: Experiment, note: ReadoutNote | None) -> str:
    """Where it stands, in one sentence."""
    if not experiment.running:
        return next((entry.reason for entry in reversed(experiment.log) if entry.event == experiment.outcome), "")
    return ending(plan, experiment, note.readout, note.readout.at_us).reason if note is not None else "nobody has met it yet"


def _column(name: str, signatures: Sequence[Signature]) -> Column:
    """Where the input column ``name`` stands in every arm's rows."""
    positions, categories = [], []
    for signature in signatures:
        found = {column.name: (place, column) for place, column in enumerate(signature.columns)}
        if name not in found:
            raise _unknown("column", name, [column.name for column in signature.columns])
        place, column = found[name]
        positions.append(place)
        categories.append(column.categories)
    return Column(name=name, positions=tuple(positions), categories=tuple(categories) if any(categories) else ())


def _unknown(where: str, name: str, known: Sequence[str]) -> InvalidInput:
    close = ", ".join(get_close_matches(name, known, n=3)) or ", ".join(known[:10])
    return InvalidInput("not every arm has this", where=where, expected=close, got=name[:80], faults=(Fault(where=where, what="unknown"),))
