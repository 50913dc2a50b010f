"""A release under way: stepping through the machine, with the route set in the same transaction as the state."""

from typing import Any, ClassVar, Protocol

import msgspec
from msgspec import UNSET

from leverframe.core.command import Command, Transaction
from leverframe.core.errors import Conflict, Forbidden, NotFound, Refused
from leverframe.core.route import Arm, Endpoint
from leverframe.core.verdict import Verdict, combine
from leverframe.release.approvals.approvals import frozen, valid_approvals
from leverframe.release.approvals.hours import require_open
from leverframe.release.evidence.evidence import Counts, Point
from leverframe.release.machine import ENDED, Event, Progress, step
from leverframe.release.plans.plan import KIND_PLAN, ReleasePlan, applies
from leverframe.release.records import (
    KIND_ENDPOINT,
    KIND_EVIDENCE,
    KIND_RELEASE,
    LOG_ENTRIES_MAX,
    EvidenceNote,
    Release,
    StageEntry,
)
from leverframe.release.rollout.queue import leave
from leverframe.release.rollout.routes import back_arms, live_arm, put_endpoint, stage_arms
from leverframe.release.rollout.standing import good_before


def require_team(claimed: str, owner: str, *, where: str) -> None:
    """Policy decided for the team the command named; it must be the team that owns the thing.

    Raises
    ------
    Forbidden: it is another team's.
    """
    if claimed != owner:
        raise Forbidden("this belongs to another team", where=where, expected=owner or "no team", got=claimed or "no team")


class OnRelease(Command, frozen=True, kw_only=True):
    """A command about one release."""

    release: str
    owner_team: str = ""

    def resource(self) -> str:
        """``release/<id>``."""
        return f"release/{self.release}"

    def team(self) -> str:
        """The release's team."""
        return self.owner_team


class Decided(Protocol):
    """A command that carries the evidence it was decided on."""

    @property
    def reason(self) -> str:
        """Why."""
        ...

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """The verdicts it rests on."""
        ...

    @property
    def counts(self) -> Counts:
        """What was read."""
        ...

    @property
    def paths(self) -> tuple[Point, ...]:
        """Intervals, look by look."""
        ...


class _Decided(OnRelease, frozen=True, kw_only=True):
    """``stage`` is the index the decision was made for; a release that has moved on refuses it."""

    action: ClassVar[str] = "Release.Advance"
    stage: int
    reason: str
    verdicts: tuple[Verdict, ...] = ()
    counts: Counts = Counts()
    paths: tuple[Point, ...] = ()


class AdvanceRelease(_Decided, frozen=True, kw_only=True):
    """Climb to the next stage, on verdicts that all pass."""


class HoldRelease(_Decided, frozen=True, kw_only=True):
    """Stay at this stage and ask a person: nothing proven for too long, or a comparison that cannot be trusted."""

    event: Event = "stalled"


class NoteEvidence(_Decided, frozen=True, kw_only=True):
    """Keep what the evidence says so far, for people to see; changes nothing else."""


class CompleteRelease(_Decided, frozen=True, kw_only=True):
    """End the watch: the candidate stays, alone."""


class PauseRelease(OnRelease, frozen=True, kw_only=True):
    """Stop climbing until resumed; harm still rolls back."""

    action: ClassVar[str] = "Release.Operate"
    reason: str


class ResumeRelease(OnRelease, frozen=True, kw_only=True):
    """Let a paused or holding release be judged again; it still has to prove itself."""

    action: ClassVar[str] = "Release.Operate"
    reason: str


class AbortRelease(OnRelease, frozen=True, kw_only=True):
    """End a release and go back to the champion."""

    action: ClassVar[str] = "Release.Operate"
    reason: str


def get_release(tx: Transaction, id: str) -> tuple[Release, ReleasePlan]:
    """A release with its plan.

    Raises
    ------
    NotFound: no such release.
    """
    release = tx.get(KIND_RELEASE, id, Release)
    plan = tx.get(KIND_PLAN, release.plan, ReleasePlan) if release else None
    if release is None or plan is None:
        raise NotFound("no such release", where=id[:120], next_step="lever release list")
    return release, plan


def begin(
    tx: Transaction, plan: ReleasePlan, approvals: tuple[str, ...], excepted: tuple[str, ...] = (), *, queue: bool = False
) -> Release:
    """Create the release of a plan, and set its first stage's route or (``queue``) leave it planned, to be started later.

    Parameters
    ----------
    approvals, excepted: who approved it, and the rules that exceptions lift, as of now.
    """
    release = Release(
        id=plan.id,
        plan=plan.digest,
        environment=plan.environment,
        endpoint=plan.endpoint,
        team=plan.team,
        candidate=plan.candidate.version,
        champion=plan.champion.version if plan.champion else "",
        author=plan.author,
        approvals=approvals,
        excepted=excepted or UNSET,
        started_us=tx.now_us,
        stage_started_us=tx.now_us,
        generation=0,
    )
    if queue:
        return transition(tx, release, plan, "queue", reason=plan.note or "waits in line")
    return transition(tx, release, plan, "apply", reason=plan.note or "plan applied")


def start(tx: Transaction, release: Release, plan: ReleasePlan, approvals: tuple[str, ...], excepted: tuple[str, ...] = ()) -> Release:
    """Start a release that was planned and has waited."""
    ready = msgspec.structs.replace(release, approvals=approvals, excepted=excepted or UNSET, started_us=tx.now_us)
    return transition(tx, ready, plan, "apply", reason="its turn in line")


def _route(tx: Transaction, plan: ReleasePlan, arms: tuple[Arm, ...], after: Release) -> int:
    before = tx.get(KIND_ENDPOINT, plan.endpoint_id, Endpoint)
    if before is None:
        before = Endpoint(name=plan.endpoint, arms=arms)
    fresh = before.release != plan.id
    # The salt changes once a release, so that it is not always the same callers who meet the canary first.
    salt, hash_field = (plan.id, plan.hash_field) if fresh else (before.salt, before.hash_field)
    # A route of a release is nobody's experiment any more; a rollback may cut one short.
    endpoint = msgspec.structs.replace(before, arms=arms, release=plan.id, salt=salt, hash_field=hash_field, experiment=None)
    return put_endpoint(tx, plan.environment, endpoint, after)


def transition(
    tx: Transaction,
    release: Release,
    plan: ReleasePlan,
    event: Event,
    *,
    reason: str,
    verdicts: tuple[Verdict, ...] = (),
    cause: str = "",
) -> Release:
    """Step the machine, do its action on the route, and append to the stage log; all in the caller's transaction."""
    # A challenger's only stage is not the last of a ladder: it is judged for ever, and never watched or completed.
    progress, action = step(release.progress, event, len(plan.stages) + plan.endless)
    generation, started_us = release.generation, release.stage_started_us
    after = msgspec.structs.replace(release, state=progress.state, stage=progress.stage)
    if action == "route_stage":
        generation, started_us = _route(tx, plan, stage_arms(plan, plan.stages[progress.stage]), after), tx.now_us
    elif action == "route_back":
        generation = _route(tx, plan, back_arms(plan, good_before(tx, release, plan)), after)
    elif action == "route_candidate":
        generation = _route(tx, plan, (live_arm(plan.candidate),), after)
    entry = _entry(tx, plan, progress, event, generation=generation, reason=reason, verdicts=verdicts, cause=cause)
    changed = msgspec.structs.replace(
        after,
        generation=generation,
        stage_started_us=started_us,
        ended_us=tx.now_us if progress.state in ENDED else None,
        log=logged(release, entry),
    )
    tx.put(KIND_RELEASE, release.id, changed)
    return changed


def logged(release: Release, entry: StageEntry) -> tuple[StageEntry, ...]:
    """The stage log with ``entry`` at its end, bounded."""
    log = (*release.log, entry)
    return log if len(log) <= LOG_ENTRIES_MAX else (*log[:20], *log[21:])


def _entry(
    tx: Transaction,
    plan: ReleasePlan,
    progress: Progress,
    event: Event,
    *,
    generation: int,
    reason: str,
    verdicts: tuple[Verdict, ...],
    cause: str,
) -> StageEntry:
    stage = plan.stages[progress.stage] if progress.stage >= 0 else None
    gone = progress.state in ("rolled_back", "aborted", "superseded")
    return StageEntry(
        at_us=tx.now_us,
        stage=stage.name if stage else "",
        event=event,
        state=progress.state,
        weight=0.0 if gone or stage is None else stage.weight,
        generation=generation,
        actor=tx.actor.subject,
        reason=reason,
        verdicts=verdicts,
        cause=cause or UNSET,
    )


def note_stage(tx: Transaction, release: Release, plan: ReleasePlan, command: Decided) -> None:
    """Keep the evidence of the stage the decision was made in (``release`` as it was before the decision)."""
    if release.stage < 0 or not command.verdicts:
        return
    note = EvidenceNote(
        release=release.id,
        stage=plan.stages[release.stage].name,
        at_us=tx.now_us,
        reason=command.reason,
        verdicts=command.verdicts,
        counts=command.counts,
        paths=command.paths,
    )
    tx.put(KIND_EVIDENCE, f"{release.id}/{release.stage}", note)


def _at_stage(command: _Decided, tx: Transaction) -> tuple[Release, ReleasePlan]:
    release, plan = get_release(tx, command.release)
    require_team(command.owner_team, release.team, where=release.id)
    if release.stage != command.stage or not release.active:
        raise Conflict(
            "the release has moved on since this was decided",
            where=release.id,
            expected=f"stage {command.stage}",
            got=f"{release.state}, stage {release.stage}",
        )
    return release, plan


def _require_proof(release: Release, plan: ReleasePlan, verdicts: tuple[Verdict, ...]) -> None:
    """Every rule asked in this stage has a verdict, and all of them pass: what is missing or inconclusive never promotes."""
    asked = {rule.metric for rule in plan.rules if applies(rule, plan.stages[release.stage])}
    judged = {verdict.rule for verdict in verdicts}
    if not asked or asked != judged or len(judged) != len(verdicts) or combine(verdicts) != "pass":
        missing = sorted(asked - judged) + sorted(verdict.rule for verdict in verdicts if verdict.answer != "pass")
        raise Refused("not every rule is proven", where=release.id, expected="all pass", got=", ".join(missing) or "no evidence")


def advance_release(command: AdvanceRelease, tx: Transaction) -> dict[str, Any]:
    """Climb one stage.

    Raises
    ------
    Refused: without proof, while frozen, pinned or killed, or outside the declared hours.
    Forbidden: when approvals it started with no longer hold, or, by policy (``planning/advancing.py``), when an exception that it started
        with has ended and its rule does not hold by itself.
    """
    release, plan = _at_stage(command, tx)
    if plan.endless:
        raise Refused(
            "a challenger does not climb; it is promoted by a plan of its own",
            where=release.id,
            next_step=plan.promotion,
        )
    _require_proof(release, plan, command.verdicts)
    freeze = frozen(tx, plan.environment, plan.endpoint)
    if freeze is not None:
        raise Refused(f"releases are frozen: {freeze.reason}", where=release.id, next_step="lever unfreeze, or wait")
    endpoint = tx.get(KIND_ENDPOINT, plan.endpoint_id, Endpoint)
    if endpoint is None or endpoint.pinned or endpoint.killed:
        raise Refused("the endpoint is pinned or switched off", where=plan.endpoint_id, next_step="lever unpin or lever unkill")
    require_open(tx, plan)
    if len(valid_approvals(tx, plan, running=True)) < len(release.approvals):
        raise Forbidden(
            "an approval this release started with was withdrawn, or its approver lost the role",
            where=release.id,
            next_step=f"lever release abort {release.id}, then plan it and have it approved again",
        )
    note_stage(tx, release, plan, command)
    changed = transition(tx, release, plan, "proven", reason=command.reason, verdicts=command.verdicts)
    return {"release": changed.id, "state": changed.state, "stage": changed.stage, "generation": changed.generation}


def hold_release(command: HoldRelease, tx: Transaction) -> dict[str, Any]:
    """Hold at this stage."""
    release, plan = _at_stage(command, tx)
    event: Event = "mismatch" if command.event == "mismatch" else "stalled"
    note_stage(tx, release, plan, command)
    changed = transition(tx, release, plan, event, reason=command.reason, verdicts=command.verdicts)
    return {"release": changed.id, "state": changed.state}


def note_evidence(command: NoteEvidence, tx: Transaction) -> None:
    """Replace the stage's noted evidence."""
    release, plan = _at_stage(command, tx)
    note_stage(tx, release, plan, command)


def complete_release(command: CompleteRelease, tx: Transaction) -> dict[str, Any]:
    """End the watch; refused before its time, or on a verdict of harm."""
    release, plan = _at_stage(command, tx)
    if tx.now_us < release.stage_started_us + plan.watch_us:
        raise Refused("the watch is not over", where=release.id)
    if combine(command.verdicts) == "fail":
        raise Refused("harm was seen during the watch", where=release.id, next_step="lever rollback")
    note_stage(tx, release, plan, command)
    changed = transition(tx, release, plan, "watched", reason=command.reason, verdicts=command.verdicts)
    return {"release": changed.id, "state": changed.state}


def pause_release(command: PauseRelease, tx: Transaction) -> dict[str, Any]:
    """A person stops the climb."""
    return _operate(command, tx, "pause", command.reason)


def resume_release(command: ResumeRelease, tx: Transaction) -> dict[str, Any]:
    """A person lets it go on."""
    return _operate(command, tx, "resume", command.reason)


def abort_release(command: AbortRelease, tx: Transaction) -> dict[str, Any]:
    """A person ends it."""
    return _operate(command, tx, "abort", command.reason)


def _operate(command: OnRelease, tx: Transaction, event: Event, reason: str) -> dict[str, Any]:
    release, plan = get_release(tx, command.release)
    require_team(command.owner_team, release.team, where=release.id)
    leave(tx, release)
    changed = transition(tx, release, plan, event, reason=reason)
    return {"release": changed.id, "state": changed.state, "generation": changed.generation}
