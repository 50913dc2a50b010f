"""Who waits in line is started when nothing is in the way: by command, so that policy decides again on the approvals that hold then."""

import msgspec

from leverframe.core.actor import PLATFORM
from leverframe.core.clock import MINUTE_US
from leverframe.core.command import Journal
from leverframe.core.errors import Conflict, Forbidden, NotFound, Refused
from leverframe.core.route import Endpoint
from leverframe.release.approvals.approvals import freeze_at
from leverframe.release.approvals.hours import shut
from leverframe.release.machine import Event
from leverframe.release.planning.applying import DropQueued, StartQueued
from leverframe.release.plans.plan import KIND_PLAN, ReleasePlan
from leverframe.release.records import KIND_ENDPOINT, KIND_QUEUE, KIND_RELEASE, Queue, Release

REFUSED_WAIT_US = 10 * MINUTE_US
"""How long a refused decision (a freeze, a withdrawn approval) is left alone before it is tried again."""


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What one look at one release said (``reason``), and the event that was carried out (None: none)."""

    release: str
    event: Event | None
    reason: str


class Line:
    """The releases in line of one environment; of each endpoint's, the first is started as soon as it may."""

    def __init__(self, journal: Journal, environment: str) -> None:
        self._journal = journal
        self._environment = environment
        self._refused: dict[str, tuple[int, str]] = {}

    def look(self, now_us: int) -> tuple[Look, ...]:
        """Start whoever may start; what was refused is left alone for a while."""
        looks = []
        for queue in self._journal.find(KIND_QUEUE, Queue, prefix=f"{self._environment}/"):
            release = self._journal.get(KIND_RELEASE, queue.waiting[0].release, Release)
            plan = self._journal.get(KIND_PLAN, queue.waiting[0].plan, ReleasePlan)
            if release is not None and plan is not None:
                looks.append(self._one(release, plan, now_us))
        return tuple(looks)

    def _one(self, release: Release, plan: ReleasePlan, now_us: int) -> Look:
        waits = self._in_the_way(plan, now_us)
        refused = self._refused.get(release.id)
        if not waits and refused is not None and 0 <= now_us - refused[0] < REFUSED_WAIT_US:
            waits = refused[1]
        if waits:
            return Look(release=release.id, event=None, reason=f"waits in line: {waits}")
        start = StartQueued(plan=release.plan, owner_team=release.team)
        try:
            result = self._journal.write(PLATFORM, start, key=f"release/{release.id}/start/{release.log[-1].at_us}").result
        except Conflict as conflict:
            return Look(release=release.id, event=None, reason=conflict.sentence())
        except Refused as reason:
            self._refused[release.id] = (now_us, reason.sentence())
            return Look(release=release.id, event=None, reason=f"waits in line: {reason.sentence()}")
        except Forbidden as forbidden:
            return self._drop(release, forbidden.sentence())
        self._refused.pop(release.id, None)
        started = result["state"] != "aborted"
        return Look(release=release.id, event="apply" if started else "abort", reason=f"its turn in line: {result['state']}")

    def _in_the_way(self, plan: ReleasePlan, now_us: int) -> str:
        endpoint = self._journal.get(KIND_ENDPOINT, plan.endpoint_id, Endpoint)
        current = self._journal.get(KIND_RELEASE, endpoint.release, Release) if endpoint is not None else None
        running = self._journal.get(KIND_PLAN, current.plan, ReleasePlan) if current is not None and current.active else None
        if current is not None and running is not None and not running.endless:
            return f"{current.id} is {current.state}"
        if endpoint is not None and endpoint.experiment is not None:
            return f"experiment {endpoint.experiment.experiment} runs on the endpoint"
        if endpoint is not None and endpoint.pinned:
            return "the endpoint is pinned"
        freeze = freeze_at(self._journal, plan.environment, plan.endpoint, now_us)
        return f"releases are frozen: {freeze.reason}" if freeze is not None else shut(self._journal, plan, now_us)[0]

    def _drop(self, release: Release, reason: str) -> Look:
        drop = DropQueued(release=release.id, reason=reason, owner_team=release.team)
        try:
            self._journal.write(PLATFORM, drop, key=f"release/{release.id}/drop")
        except (Conflict, NotFound):
            return Look(release=release.id, event=None, reason="somebody was first")
        return Look(release=release.id, event="abort", reason=reason)
