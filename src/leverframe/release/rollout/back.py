"""Taking back: one route write to the last good version, and with it whatever was promoted on top of the bad one.

A release *rests on* the version it was compared with, and on every version its own was made from (``made_from.py``). When that version is
taken back, what rests on it goes as well, or stays and is flagged for a person, as its own plan declares. All of it is one transaction:
after a crash everything has gone back, or nothing has.
"""

from typing import Any, ClassVar

import msgspec
from msgspec import UNSET

from leverframe.core.command import Command, Transaction
from leverframe.core.errors import Conflict, Forbidden, InvalidInput, NotFound, Refused
from leverframe.core.route import Endpoint
from leverframe.core.verdict import Verdict
from leverframe.release.evidence.evidence import Counts, Point
from leverframe.release.machine import Event
from leverframe.release.plans.plan import ReleasePlan
from leverframe.release.plans.team_rules import rules_of
from leverframe.release.records import KIND_ENDPOINT, KIND_RELEASE, Release, StageEntry
from leverframe.release.rollout.made_from import TAKEN_MAX, resting_on
from leverframe.release.rollout.rollout import OnRelease, get_release, logged, note_stage, require_team, transition
from leverframe.release.rollout.routes import refresh_last_good
from leverframe.release.rollout.standing import standing


class Rollback(Command, frozen=True, kw_only=True):
    """One route write back to the last good version: no gates, no build, in any state.

    ``release`` (optional) names the release meant; if another is in charge by now, nothing is done.
    """

    action: ClassVar[str] = "Release.Rollback"
    environment: str
    endpoint: str
    reason: str
    owner_team: str = ""
    release: str = ""
    verdicts: tuple[Verdict, ...] = ()
    counts: Counts = Counts()
    paths: tuple[Point, ...] = ()

    def resource(self) -> str:
        """``endpoint/<environment>/<name>``."""
        return f"endpoint/{self.environment}/{self.endpoint}"

    def team(self) -> str:
        """The endpoint's team."""
        return self.owner_team


class KeepRelease(OnRelease, frozen=True, kw_only=True):
    """A person has looked at a flagged release: it stays, for the ``reason`` given."""

    action: ClassVar[str] = "Release.Operate"
    reason: str


def rollback(command: Rollback, tx: Transaction) -> dict[str, Any]:
    """Set the route back to the version before the release meant, and take along what rests on it.

    Raises
    ------
    NotFound: no such endpoint.    Conflict: today's route does not rest on the release meant.    Refused: there is nothing to go back to.
    """
    endpoint = tx.get(KIND_ENDPOINT, f"{command.environment}/{command.endpoint}", Endpoint)
    if endpoint is None:
        raise NotFound("no such endpoint", where=command.resource(), next_step="lever status")
    release, above = _meant(tx, command, endpoint)
    release, plan = get_release(tx, release.id)
    require_team(command.owner_team, release.team, where=command.resource())
    note_stage(tx, release, plan, command)
    event: Event = "harm" if tx.actor.kind == "platform" and release.active else "rollback"
    changed, taken, flagged = _take_back(tx, release, plan, above, event, command.reason, command.verdicts)
    for each_taken, each_flagged in _further_up(tx, changed, plan, command.reason):
        taken, flagged = taken + each_taken, flagged + each_flagged
    by_lineage, its_flagged = _made_from(tx, changed, taken, command.reason)
    taken, flagged = taken + by_lineage, flagged + its_flagged
    after = tx.get(KIND_ENDPOINT, f"{command.environment}/{command.endpoint}", Endpoint)
    live = after.live if after is not None else None
    return {
        "release": changed.id,
        "state": changed.state,
        "version": live.version if live is not None else "",
        "generation": changed.generation,
        "taken_along": taken,
        "flagged": flagged,
    }


def _meant(tx: Transaction, command: Rollback, endpoint: Endpoint) -> tuple[Release, list[Release]]:
    """The release to take back, and those that rest on it, newest first; without a name it is the newest that today's route rests on."""
    rests_on = standing(tx, command.environment, endpoint)
    if not command.release:
        if not rests_on:
            raise Refused("there is no earlier version to go back to", where=command.resource(), next_step="lever kill, or lever fallback")
        # A challenger answers nobody: who takes an endpoint back means what answers, and the challenger to it goes along.
        answers = next((i for i, release in enumerate(rests_on) if not get_release(tx, release.id)[1].endless), 0)
        return rests_on[answers], rests_on[:answers]
    place = next((i for i, release in enumerate(rests_on) if release.id == command.release), None)
    if place is None or (place > 0 and tx.actor.kind == "platform"):
        # A controller decided on what it had read; if another release is in charge by now, it reads again.
        raise Conflict(
            "this endpoint's route does not rest on that release, or another one is in charge",
            where=command.release[:120],
            expected=", ".join(release.id for release in rests_on[:5]) or "no release to take back",
            got=endpoint.release or "none",
        )
    return rests_on[place], rests_on[:place]


def _take_back(
    tx: Transaction,
    release: Release,
    plan: ReleasePlan,
    above: list[Release],
    event: Event,
    reason: str,
    verdicts: tuple[Verdict, ...] = (),
    *,
    cause: str = "",
) -> tuple[Release, list[str], list[str]]:
    """Take ``release`` back with what rests on it (``above``, newest first): what was changed, and the ids taken along and flagged.

    Parameters
    ----------
    cause: the release whose taking back this one follows from, if it is not the first.
    """
    going: list[Release] = []
    for dependant in reversed(above):
        _, its_plan = get_release(tx, dependant.id)
        if its_plan.dependants == "flag":
            _flag(tx, dependant, f"rests on {release.candidate}, taken back: {reason}", cause or release.id)
            for each in (*going, release):
                _undermine(tx, each, release, reason, verdicts if each is release else ())
            refresh_last_good(tx, release.environment, release.endpoint)
            return _now(tx, release.id), [each.id for each in going], [dependant.id]
        going.append(dependant)
    for each in reversed(going):
        _undermine(tx, each, release, reason)
    return transition(tx, release, plan, event, reason=reason, verdicts=verdicts, cause=cause), [each.id for each in going], []


def _further_up(tx: Transaction, release: Release, plan: ReleasePlan, reason: str) -> list[tuple[list[str], list[str]]]:
    """Releases of the same bundle in the environments above that were promoted from this one.

    One that is still being judged goes back, or is flagged, as its plan says; one that was proven and completed there on its own traffic is
    only flagged.
    """
    rules = rules_of(tx, release.team)
    found = []
    for step in rules.environments:
        record = tx.get(KIND_ENDPOINT, f"{step.name}/{release.endpoint}", Endpoint)
        for place, other in enumerate(standing(tx, step.name, record) if record is not None else []):
            _, its_plan = get_release(tx, other.id)
            if its_plan.promoted_from != release.environment or its_plan.candidate.bundle != plan.candidate.bundle:
                continue
            why = f"{release.id} was taken back in {release.environment}: {reason}"
            if place == 0 and other.active and its_plan.dependants != "flag":
                changed, taken, flagged = _take_back(tx, other, its_plan, [], "rollback", why, cause=release.id)
                found += [([other.id, *taken], flagged), *_further_up(tx, changed, its_plan, why)]
            else:
                _flag(tx, other, why, release.id)
                found.append(([], [other.id]))
    return found


def _made_from(tx: Transaction, bad: Release, taken: list[str], reason: str) -> tuple[list[str], list[str]]:
    """Take back, or flag, what was made from the versions taken back so far, and what was made from those in turn.

    What has been seen to is not looked at twice; every release names the first cause, ``bad``.
    """
    gone: list[str] = []
    flagged: list[str] = []
    waiting = [bad, *(_now(tx, id) for id in taken)]
    while waiting:
        for resting in list(resting_on(tx, waiting.pop(0))):
            release = resting.release
            if release.id in flagged:
                continue
            why = f"{resting.how}; {bad.id} took {bad.candidate} back in {bad.environment}: {reason}"
            full = f"more than {TAKEN_MAX} endpoints go back already" if len(gone) >= TAKEN_MAX else ""
            if resting.stays or full:
                _flag(tx, release, f"{why}; it stays: {resting.stays or full}", bad.id)
                flagged.append(release.id)
                continue
            changed, along, marked = _take_back(
                tx, release, get_release(tx, release.id)[1], list(resting.above), "rollback", why, cause=bad.id
            )
            gone, flagged = [*gone, changed.id, *along], [*flagged, *marked]
            waiting += [changed, *(_now(tx, id) for id in along)]
    return gone, flagged


def _now(tx: Transaction, id: str) -> Release:
    return get_release(tx, id)[0]


def _undermine(tx: Transaction, release: Release, bad: Release, reason: str, verdicts: tuple[Verdict, ...] = ()) -> None:
    why = reason if release.id == bad.id else f"rests on {bad.candidate}, taken back with {bad.id}: {reason}"
    cause = "" if release.id == bad.id else bad.id
    transition(tx, release, get_release(tx, release.id)[1], "undermined", reason=why, verdicts=verdicts, cause=cause)


def _flag(tx: Transaction, release: Release, why: str, cause: str) -> None:
    tx.put(KIND_RELEASE, release.id, msgspec.structs.replace(_logged(tx, release, "flagged", why, cause), flagged=why))


def _logged(tx: Transaction, release: Release, event: str, reason: str, cause: str = "") -> Release:
    last = release.log[-1]
    entry = StageEntry(
        at_us=tx.now_us,
        stage=last.stage,
        event=event,
        state=release.state,
        weight=last.weight,
        generation=release.generation,
        actor=tx.actor.subject,
        reason=reason,
        cause=cause or UNSET,
    )
    return msgspec.structs.replace(release, log=logged(release, entry))


def keep_release(command: KeepRelease, tx: Transaction) -> dict[str, Any]:
    """Take the flag away.

    Raises
    ------
    NotFound: no such release.    Forbidden: another team's, or not asked by a person.    InvalidInput: no reason.    Conflict: not flagged.
    """
    release, _ = get_release(tx, command.release)
    require_team(command.owner_team, release.team, where=release.id)
    if tx.actor.kind != "human":
        raise Forbidden("only a person says that a flagged release stays", where=release.id, expected="human", got=tx.actor.kind)
    if not command.reason.strip():
        raise InvalidInput("a flag is not taken away without a reason", where="reason", next_step="--reason '...'")
    if not release.flagged:
        raise Conflict("this release is not flagged", where=release.id)
    tx.put(KIND_RELEASE, release.id, msgspec.structs.replace(_logged(tx, release, "kept", command.reason), flagged=UNSET))
    return {"release": release.id, "state": release.state}
