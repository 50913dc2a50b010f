"""The release controller: reads the log, judges, and writes commands. It owns no state that matters.

**Everything it knows can be read again.** Where a release stands is in the ledger, and what was seen is in the prediction log, from the
stage's first route generation on. So it may die before, during or after any step: the next one reads, recomputes and goes on. A decision's
idempotency key names release, stage and decision, so a decision taken twice is carried out once.
"""

from collections.abc import Iterable
from itertools import islice
from typing import Any, Protocol

import msgspec

from leverframe.core.actor import PLATFORM
from leverframe.core.clock import HOUR_US
from leverframe.core.command import Command, Journal
from leverframe.core.digest import digest_record, short
from leverframe.core.errors import Conflict, Forbidden, NotFound, Refused
from leverframe.core.prediction import LogRecord
from leverframe.core.route import Endpoint
from leverframe.release.control.decide import Decision, decide
from leverframe.release.control.line import REFUSED_WAIT_US, Line, Look
from leverframe.release.control.live import LiveLook, live_look
from leverframe.release.evidence.evidence import StageEvidence
from leverframe.release.levers.operate import ExpireLever
from leverframe.release.machine import Event
from leverframe.release.plans.plan import KIND_PLAN, ReleasePlan
from leverframe.release.records import KIND_ENDPOINT, KIND_LEVER, KIND_RELEASE, Lever, Release
from leverframe.release.rollout.back import Rollback
from leverframe.release.rollout.rollout import AdvanceRelease, CompleteRelease, HoldRelease, NoteEvidence

RECORDS_MAX = 50_000
"""Log records read in one tick. When there are more, this tick judges as of the last record read, and the next one reads on."""

NOTE_EVERY_US = 6 * HOUR_US
"""How often evidence that decides nothing is noted for people to look at."""


class Observations(Protocol):
    """The prediction log of the environment, as the controller reads it."""

    def __call__(self, since: int) -> Iterable[tuple[int, LogRecord]]:
        """Records appended after position ``since`` (0: from the start), each with the position just after it."""
        ...


class Controller:
    """Drives the releases of one environment.

    Parameters
    ----------
    journal: the control plane's memory.    environment: whose releases.    records_max: log records read in one tick.
    """

    def __init__(self, journal: Journal, environment: str, *, records_max: int = RECORDS_MAX) -> None:
        self._journal = journal
        self._environment = environment
        self._records_max = records_max
        self._position = 0
        self._evidence: dict[str, StageEvidence] = {}
        self._noted_us: dict[str, int] = {}
        self._refused: dict[str, tuple[str, int, str]] = {}
        self._line = Line(journal, environment)
        self._seen: dict[str, tuple[Release, StageEvidence, Decision, int]] = {}
        self._held_up: dict[str, str] = {}

    def tick(self, observations: Observations, now_us: int) -> tuple[Look, ...]:
        """Read what is new, look at every release under way, carry out what the evidence calls for, start who is first in line, put back
        expired levers.

        The log is read before the ledger: what this tick read cannot belong to a route the ledger did not show yet, so nothing is missed.

        Raises
        ------
        Unavailable: the ledger did not answer; nothing is lost, tick again.
        """
        batch = list(islice(observations(self._position), self._records_max))
        releases = self._releases()
        self._fold(batch, releases)
        behind = len(batch) == self._records_max
        self._seen, self._held_up = {}, {}
        looks = tuple(self._look(release, plan, endpoint, now_us, behind=behind) for release, plan, endpoint in releases)
        started = self._line.look(now_us)
        self._put_back_levers(now_us)
        return (*looks, *started)

    def live(self) -> tuple[LiveLook, ...]:
        """What the newest tick saw of each release under way, for people; nothing is decided by it, so it is put into words when asked."""
        return tuple(live_look(*self._seen[id], held_up=self._held_up.get(id, "")) for id in sorted(self._seen))

    def _releases(self) -> list[tuple[Release, ReleasePlan, Endpoint]]:
        found = []
        for endpoint in self._journal.find(KIND_ENDPOINT, Endpoint, prefix=f"{self._environment}/"):
            release = self._journal.get(KIND_RELEASE, endpoint.release, Release)
            if release is None or not release.active:
                continue
            plan = self._journal.get(KIND_PLAN, release.plan, ReleasePlan)
            if plan is not None:
                found.append((release, plan, endpoint))
        return found

    def _fold(self, batch: list[tuple[int, LogRecord]], releases: list[tuple[Release, ReleasePlan, Endpoint]]) -> None:
        evidence = {}
        for release, plan, _ in releases:
            known = self._evidence.get(release.id)
            if known is None or known.generation != release.generation:
                known = StageEvidence(plan, release.stage, release.generation, release.stage_started_us)
            evidence[release.id] = known
        try:
            for known in evidence.values():
                known.fold(record for _, record in batch)
        except Exception:
            # Half a batch folded is worse than none: forget everything and read the log again.
            self._evidence, self._position = {}, 0
            raise
        self._evidence = evidence
        if batch:
            self._position = batch[-1][0]

    def _look(self, release: Release, plan: ReleasePlan, endpoint: Endpoint, now_us: int, *, behind: bool) -> Look:
        evidence = self._evidence[release.id]
        as_of_us = min(now_us, evidence.counts.last_at_us) if behind else now_us
        decision = decide(release.progress, evidence, as_of_us)
        self._seen[release.id] = release, evidence, decision, as_of_us
        event = decision.event
        if event is not None and endpoint.pinned:
            event, decision = None, msgspec.structs.replace(decision, reason=f"pinned by an operator; otherwise: {decision.reason}")
        if event is None:
            self._note(release, evidence, decision, now_us)
            return Look(release=release.id, event=None, reason=decision.reason)
        key = f"release/{release.id}/{release.stage}/{event}/{len(release.log)}-{release.log[-1].at_us}"
        waiting = self._refused.get(release.id)
        if event != "harm" and waiting and waiting[0] == key and 0 <= now_us - waiting[1] < REFUSED_WAIT_US:
            self._held_up[release.id] = waiting[2]
            return Look(release=release.id, event=None, reason=waiting[2])
        return self._carry_out(release, plan, evidence, decision, event, key, now_us)

    def _carry_out(
        self, release: Release, plan: ReleasePlan, evidence: StageEvidence, decision: Decision, event: Event, key: str, now_us: int
    ) -> Look:
        try:
            self._journal.write(PLATFORM, _command(release, plan, evidence, decision, event), key=key)
        except Conflict as conflict:
            # Another controller, or a person, was first; the next tick reads where the release stands now.
            return Look(release=release.id, event=None, reason=conflict.sentence())
        except Refused as refused:
            self._refused[release.id] = (key, now_us, refused.sentence())
            self._held_up[release.id] = refused.sentence()
            return Look(release=release.id, event=None, reason=refused.sentence())
        except Forbidden as forbidden:
            return self._lost_its_ground(release, plan, evidence, decision, forbidden, key, now_us)
        return Look(release=release.id, event=event, reason=decision.reason)

    def _lost_its_ground(
        self, release: Release, plan: ReleasePlan, evidence: StageEvidence, decision: Decision, why: Forbidden, key: str, now_us: int
    ) -> Look:
        """What it started with (an approval, an exception) holds no more: it is put on hold, and a person is asked."""
        reason = f"proven, but it may not climb: {why.sentence()}"
        if why.where != release.id:
            # Said by policy, which knows the rule and not the command that mends it.
            reason += f" What it lacks and what to type: lever release show {short(plan.digest)}"
        self._refused[release.id] = (key, now_us, reason)
        self._held_up[release.id] = reason
        if release.state != "running":
            return Look(release=release.id, event=None, reason=reason)
        held = msgspec.structs.replace(decision, reason=reason)
        try:
            self._journal.write(PLATFORM, _command(release, plan, evidence, held, "stalled"), key=f"{key}/held")
        except (Conflict, Refused) as other:
            return Look(release=release.id, event=None, reason=other.sentence())
        return Look(release=release.id, event="stalled", reason=reason)

    def _note(self, release: Release, evidence: StageEvidence, decision: Decision, now_us: int) -> None:
        key = f"release/{release.id}/{release.stage}/note/{now_us // NOTE_EVERY_US}"
        if not decision.verdicts or self._noted_us.get(release.id) == now_us // NOTE_EVERY_US:
            return
        self._noted_us[release.id] = now_us // NOTE_EVERY_US
        try:
            self._journal.write(PLATFORM, _noting(release, evidence, decision), key=key)
        except (Conflict, Refused):
            return  # Noted already by a controller before this one, or the release has moved on.

    def _put_back_levers(self, now_us: int) -> None:
        for lever in self._journal.find(KIND_LEVER, Lever, prefix=f"{self._environment}/"):
            if lever.expires_us is None or now_us < lever.expires_us:
                continue
            try:
                self._journal.write(PLATFORM, _expiry(lever), key=f"lever/expired/{digest_record(lever)}")
            except (Conflict, Refused, NotFound):
                continue  # An operator was first.


def _command(release: Release, plan: ReleasePlan, evidence: StageEvidence, decision: Decision, event: Event) -> Command:
    paths = tuple(point for path in evidence.paths.values() for point in path)
    facts: dict[str, Any] = {
        "owner_team": release.team,
        "reason": decision.reason,
        "verdicts": decision.verdicts,
        "counts": evidence.counts,
        "paths": paths,
    }
    if event == "harm":
        return Rollback(environment=plan.environment, endpoint=plan.endpoint, release=release.id, **facts)
    if event == "proven":
        return AdvanceRelease(release=release.id, stage=release.stage, **facts)
    if event == "watched":
        return CompleteRelease(release=release.id, stage=release.stage, **facts)
    return HoldRelease(release=release.id, stage=release.stage, event=event, **facts)


def _noting(release: Release, evidence: StageEvidence, decision: Decision) -> NoteEvidence:
    return NoteEvidence(
        release=release.id,
        stage=release.stage,
        owner_team=release.team,
        reason=decision.reason,
        verdicts=decision.verdicts,
        counts=evidence.counts,
        paths=tuple(point for path in evidence.paths.values() for point in path),
    )


def _expiry(lever: Lever) -> Command:
    return ExpireLever(
        environment=lever.environment,
        endpoint=lever.endpoint,
        owner_team=lever.team,
        lever=lever.lever,
        argument=lever.argument,
        reason=f"expired: {lever.reason}",
    )
