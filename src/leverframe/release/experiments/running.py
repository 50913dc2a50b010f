"""An experiment under way: the route while it runs, its end, and the commands that bring it there.

**The route is the control's again before anything else happens.** An end is one route write; the report is made afterwards, from the log. A
crash between the two leaves an experiment that is ``concluding``, and the next look goes on.
"""

from typing import Any, ClassVar

import msgspec

from leverframe.core.assignment import LAYER_BUCKETS, Assignment
from leverframe.core.command import Command, Transaction
from leverframe.core.digest import check_digest
from leverframe.core.errors import Conflict, InvalidInput, LeverframeError, NotFound, Refused
from leverframe.core.route import Arm, Endpoint
from leverframe.release.evidence.evidence import Point
from leverframe.release.experiments.plan import KIND_EXPERIMENT_PLAN, ExperimentPlan
from leverframe.release.experiments.readout import Readout
from leverframe.release.experiments.records import (
    KIND_EXPERIMENT,
    KIND_EXPERIMENT_OPEN,
    KIND_READOUT,
    LOG_ENTRIES_MAX,
    Entry,
    Experiment,
    OpenExperiment,
    Outcome,
    ReadoutNote,
)
from leverframe.release.planning.planning import PlanRelease, plan_release
from leverframe.release.records import KIND_ENDPOINT, KIND_RELEASE, Release
from leverframe.release.rollout.rollout import require_team
from leverframe.release.rollout.routes import live_arm, put_endpoint

ONE_CHANGE = "one change at a time on an endpoint"
"""The rule that keeps releases and experiments out of each other's way."""


class _OnExperiment(Command, frozen=True, kw_only=True):
    experiment: str
    owner_team: str = ""

    def resource(self) -> str:
        """``experiment/<id>``."""
        return f"experiment/{self.experiment}"

    def team(self) -> str:
        """The experiment's team."""
        return self.owner_team


class StopExperiment(_OnExperiment, frozen=True, kw_only=True):
    """End an experiment and go back to the control; a person's word needs no evidence."""

    action: ClassVar[str] = "Experiment.Stop"
    reason: str


class ConcludeExperiment(_OnExperiment, frozen=True, kw_only=True):
    """End an experiment on evidence; a winner is proposed as an ordinary release, which needs what any release needs."""

    action: ClassVar[str] = "Experiment.Conclude"
    outcome: Outcome
    reason: str
    winner: str = ""
    readout: Readout | None = None
    paths: tuple[Point, ...] = ()


class NoteReadout(_OnExperiment, frozen=True, kw_only=True):
    """Keep what an experiment says so far, for people to see; changes nothing else."""

    action: ClassVar[str] = "Experiment.Note"
    readout: Readout
    paths: tuple[Point, ...] = ()


class FileReport(_OnExperiment, frozen=True, kw_only=True):
    """Name the final report of an experiment that has ended; ``report`` is the digest of its bytes."""

    action: ClassVar[str] = "Experiment.Conclude"
    report: str
    readout: Readout
    paths: tuple[Point, ...] = ()


def get_experiment(tx: Transaction, id: str) -> tuple[Experiment, ExperimentPlan]:
    """An experiment with its plan.

    Raises
    ------
    NotFound: no such experiment.
    """
    experiment = tx.get(KIND_EXPERIMENT, id, Experiment)
    plan = tx.get(KIND_EXPERIMENT_PLAN, experiment.plan, ExperimentPlan) if experiment else None
    if experiment is None or plan is None:
        raise NotFound("no such experiment", where=id[:120], next_step="lever experiment list")
    return experiment, plan


def require_free(tx: Transaction, plan: ExperimentPlan) -> Endpoint:
    """The endpoint, when nothing else decides who meets what there.

    Raises
    ------
    Refused: a release is under way, another experiment runs, or an operator holds the route; the rule and the other are named.
    """
    endpoint = tx.get(KIND_ENDPOINT, plan.endpoint_id, Endpoint)
    if endpoint is None:
        raise NotFound("no such endpoint", where=plan.endpoint_id, next_step="lever status")
    if endpoint.pinned or endpoint.killed:
        raise Refused("the endpoint is pinned or switched off", where=plan.endpoint_id, next_step="lever unpin or lever unkill")
    if endpoint.experiment is not None:
        other = endpoint.experiment.experiment
        raise Refused(
            f"experiment {other} runs on this endpoint",
            where=plan.endpoint_id,
            expected=ONE_CHANGE,
            got=other,
            next_step=f"wait, or: lever experiment stop {other}",
        )
    release = tx.get(KIND_RELEASE, endpoint.release, Release)
    if release is not None and release.active:
        raise Refused(
            f"release {release.id} is {release.state} on this endpoint",
            where=plan.endpoint_id,
            expected=ONE_CHANGE,
            got=release.id,
            next_step=f"wait, or: lever release abort {release.id}",
        )
    return endpoint


def room_in_layer(tx: Transaction, plan: ExperimentPlan) -> tuple[int, int]:
    """The first stretch of the layer's line that no running experiment of the environment holds.

    Raises
    ------
    Refused: there is no stretch that is long enough; who holds it is named.
    """
    held = []
    for open in tx.find(KIND_EXPERIMENT_OPEN, OpenExperiment, prefix=f"{plan.environment}."):
        other = tx.get(KIND_EXPERIMENT, open.experiment, Experiment)
        if other is not None and other.running and other.layer == plan.layer and plan.layer:
            held.append((other.assignment.low, other.assignment.high, other.id))
    low, free = 0, 0
    for start, end, _ in sorted([*held, (LAYER_BUCKETS, LAYER_BUCKETS, "")]):
        if start - low >= plan.buckets:
            return low, low + plan.buckets
        free, low = max(free, start - low), max(low, end)
    holders = ", ".join(f"{id} {100 * (high - low) / LAYER_BUCKETS:g} %" for low, high, id in held)
    raise Refused(
        f"layer {plan.layer} has no {plan.traffic:g} % of callers left; it is held by {holders}",
        where=plan.id,
        expected=f"at most {100 * free / LAYER_BUCKETS:g} %",
        got=f"{plan.traffic:g} %",
        next_step="take less traffic, wait, or use another layer",
    )


def begin(tx: Transaction, plan: ExperimentPlan, endpoint: Endpoint, approvals: tuple[str, ...]) -> Experiment:
    """Create the experiment of a plan and set its route, all in the caller's transaction."""
    low, high = room_in_layer(tx, plan)
    assignment = Assignment(
        experiment=plan.id,
        # Salts of the experiment's own, so that nobody is a guinea pig twice because of how they hash.
        salt=f"{plan.id}/{plan.digest}",
        layer_salt=f"layer/{plan.environment}/{plan.layer}" if plan.layer else f"layer/{plan.id}/{plan.digest}",
        low=low,
        high=high,
        shares=tuple(variant.share for variant in plan.variants),
        hash_field=plan.hash_field,
    )
    arms: list[Arm] = []
    for variant in plan.variants:
        weight = variant.share * assignment.traffic / 100.0
        arms.append(msgspec.structs.replace(live_arm(variant.version, weight), role="canary"))
    control = live_arm(plan.control, 100.0 - sum(arm.weight for arm in arms))
    routed = msgspec.structs.replace(endpoint, arms=(control, *arms), experiment=assignment)
    generation = put_endpoint(tx, plan.environment, routed)
    experiment = Experiment(
        id=plan.id,
        plan=plan.digest,
        environment=plan.environment,
        endpoint=plan.endpoint,
        team=plan.team,
        layer=plan.layer,
        assignment=assignment,
        generation=generation,
        started_by=tx.actor.subject,
        approvals=approvals,
        started_us=tx.now_us,
        log=(Entry(at_us=tx.now_us, event="start", actor=tx.actor.subject, reason=plan.note or "started as planned"),),
    )
    tx.put(KIND_EXPERIMENT, plan.id, experiment)
    tx.put(KIND_EXPERIMENT_OPEN, plan.id, OpenExperiment(experiment=plan.id, generation=generation))
    return experiment


def _end(tx: Transaction, experiment: Experiment, plan: ExperimentPlan, outcome: Outcome, reason: str, **facts: Any) -> Experiment:
    """Everybody meets the control again, if the route is still the experiment's."""
    endpoint = tx.get(KIND_ENDPOINT, plan.endpoint_id, Endpoint)
    if endpoint is not None and endpoint.experiment is not None and endpoint.experiment.experiment == experiment.id:
        put_endpoint(tx, plan.environment, msgspec.structs.replace(endpoint, arms=(live_arm(plan.control),), experiment=None))
    ended = msgspec.structs.replace(experiment, state="concluding", outcome=outcome, ended_us=tx.now_us, **facts)
    return _log(tx, ended, outcome, reason)


def _log(tx: Transaction, experiment: Experiment, event: str, reason: str) -> Experiment:
    log = (*experiment.log, Entry(at_us=tx.now_us, event=event, actor=tx.actor.subject, reason=reason))
    logged = msgspec.structs.replace(experiment, log=log if len(log) <= LOG_ENTRIES_MAX else (log[0], *log[2:]))
    tx.put(KIND_EXPERIMENT, experiment.id, logged)
    return logged


def _running(command: _OnExperiment, tx: Transaction) -> tuple[Experiment, ExperimentPlan]:
    experiment, plan = get_experiment(tx, command.experiment)
    require_team(command.owner_team, experiment.team, where=experiment.id)
    if not experiment.running:
        raise Conflict("the experiment has ended", where=experiment.id, expected="running", got=experiment.outcome or experiment.state)
    return experiment, plan


def stop_experiment(command: StopExperiment, tx: Transaction) -> dict[str, Any]:
    """A person ends it."""
    experiment, plan = _running(command, tx)
    if not command.reason.strip():
        raise InvalidInput("say why; the record keeps it", where="reason", expected="a reason", got="nothing")
    ended = _end(tx, experiment, plan, "stopped", command.reason)
    return {"experiment": ended.id, "outcome": ended.outcome}


def conclude_experiment(command: ConcludeExperiment, tx: Transaction) -> dict[str, Any]:
    """The evidence ends it."""
    experiment, plan = _running(command, tx)
    if command.outcome in ("", "stopped"):
        raise InvalidInput("not an outcome of evidence", where="outcome", got=command.outcome)
    if (command.outcome == "winner") != (command.winner in plan.versions[1:]):
        raise InvalidInput("a winner is one of the variants", where="winner", expected=", ".join(plan.versions[1:]), got=command.winner)
    endpoint = tx.get(KIND_ENDPOINT, plan.endpoint_id, Endpoint)
    if endpoint is not None and endpoint.pinned and command.outcome != "interrupted":
        raise Refused("the endpoint is pinned: only a person may move its route", where=plan.endpoint_id, next_step="lever unpin")
    ended = _end(tx, experiment, plan, command.outcome, command.reason, winner=command.winner)
    if command.winner:
        ended = _propose(tx, ended, plan, command.reason)
    if command.readout is not None:
        tx.put(KIND_READOUT, experiment.id, ReadoutNote(experiment=experiment.id, readout=command.readout, paths=command.paths))
    return {"experiment": ended.id, "outcome": ended.outcome, "proposed": ended.proposed}


def _propose(tx: Transaction, experiment: Experiment, plan: ExperimentPlan, reason: str) -> Experiment:
    """Plan the winner's release in the same transaction; a plan that cannot be made is no reason to let the experiment run on."""
    wish = PlanRelease(
        environment=plan.environment,
        endpoint=plan.endpoint,
        version=experiment.winner,
        owner_team=plan.team,
        strategy="canary",
        hash_field=plan.hash_field,
        label_horizon_us=plan.label_horizon_us,
        note=f"winner of experiment {plan.id}: {reason}",
    )
    try:
        proposed = plan_release(wish, tx)
    except LeverframeError as error:
        return _log(tx, experiment, "not proposed", error.sentence())
    named = msgspec.structs.replace(experiment, proposed=str(proposed["plan"]))
    return _log(tx, named, "proposed", f"release {proposed['release']} of {experiment.winner} is planned; it needs what any release needs")


def note_readout(command: NoteReadout, tx: Transaction) -> None:
    """Replace the noted read-out."""
    experiment, _ = _running(command, tx)
    tx.put(KIND_READOUT, experiment.id, ReadoutNote(experiment=experiment.id, readout=command.readout, paths=command.paths))


def file_report(command: FileReport, tx: Transaction) -> dict[str, Any]:
    """Close the experiment with its report."""
    experiment, _ = get_experiment(tx, command.experiment)
    require_team(command.owner_team, experiment.team, where=experiment.id)
    if experiment.state != "concluding":
        raise Conflict("no report is awaited", where=experiment.id, expected="concluding", got=experiment.state)
    closed = msgspec.structs.replace(experiment, state="ended", report=check_digest(command.report))
    _log(tx, closed, "report", f"the final report is {command.report}")
    tx.put(KIND_READOUT, experiment.id, ReadoutNote(experiment=experiment.id, readout=command.readout, paths=command.paths))
    tx.delete(KIND_EXPERIMENT_OPEN, experiment.id)
    return {"experiment": experiment.id, "report": command.report}
