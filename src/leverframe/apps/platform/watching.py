"""Use cases of following a release: what the controller saw a moment ago, in plain words."""

import msgspec

from leverframe.apps.platform.known import known_release
from leverframe.apps.platform.parts import Parts
from leverframe.apps.platform.unknown import known
from leverframe.apps.platform.views.release import IntervalPoint, WatchView
from leverframe.core.clock import span_words
from leverframe.release.approvals.hours import shut
from leverframe.release.control.live import LiveLook
from leverframe.release.evidence.evidence import Point
from leverframe.release.machine import ENDED
from leverframe.release.plans.plan import KIND_PLAN, ReleasePlan
from leverframe.release.records import KIND_QUEUE, Queue, Release


class Watching:
    """Reads what the worker left; where nothing was left of a release, that is said."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def watch(self, release_id: str) -> WatchView:
        """A release as of now.

        Raises
        ------
        NotFound: no such release.
        """
        release = known_release(self._parts.ledger, release_id)
        look = next((each for each in self._looks() if each.release == release_id), None) if release.active else None
        last = release.log[-1]
        return WatchView(
            id=release.id,
            state=release.state,
            stage=last.stage,
            weight=last.weight,
            at_us=look.at_us if look is not None else last.at_us,
            lines=self._lines(release, look),
            eta_us=look.eta_us if look is not None else None,
            ended=release.state in ENDED,
            flagged=release.flagged or "",
            verdicts=look.verdicts if look is not None else last.verdicts,
            intervals=tuple(_point(point) for point in look.paths) if look is not None else (),
        )

    def _looks(self) -> tuple[LiveLook, ...]:
        left = self._parts.publisher.live()
        if left is None:
            return ()
        try:
            return msgspec.msgpack.decode(left, type=tuple[LiveLook, ...])
        except msgspec.DecodeError:
            return ()  # Left by a worker of another version; its next look replaces it.

    def _lines(self, release: Release, look: LiveLook | None) -> tuple[str, ...]:
        last = release.log[-1]
        if release.state == "planned":
            return (self._waits(release),)
        if not release.active:
            return (f"{release.state.replace('_', ' ')}: {last.reason}",)
        if look is None:
            return (f"{release.state} at {last.stage}: {last.reason}", "no look of the release controller is known; next: lever doctor")
        return (*look.lines, *self._closed(release))

    def _waits(self, release: Release) -> str:
        queue = self._parts.ledger.get(KIND_QUEUE, f"{release.environment}/{release.endpoint}", Queue)
        line = [each.release for each in queue.waiting] if queue is not None else []
        place = line.index(release.id) + 1 if release.id in line else 0
        closed = "".join(f"; {each}" for each in self._closed(release))
        return f"waits in line, number {place} of {len(line)}{closed}"

    def _closed(self, release: Release) -> tuple[str, ...]:
        plan = self._parts.ledger.get(KIND_PLAN, release.plan, ReleasePlan)
        if plan is None or release.state == "watching":
            return ()
        now_us = self._parts.clock.now_us()
        reason, opens_us = shut(self._parts.ledger, plan, now_us)
        if not reason:
            return ()
        when = f"it can climb again in {span_words(opens_us - now_us)}" if opens_us is not None else "it cannot climb within a year"
        return (f"nothing climbs now: {reason}; {when}",)


def _point(point: Point) -> IntervalPoint:
    return IntervalPoint(
        rule=point.rule,
        stage=point.stage,
        at_us=point.at_us,
        n=point.n,
        estimate=known(point.estimate),
        low=known(point.low),
        high=known(point.high),
        margin=point.margin,
    )
