"""Which snapshots a stream leaves behind: every batch's of the last hour, then the last of each hour, then the last of each day.

A batch every few seconds makes thousands of snapshots a day, of which each has the rows of the one before and a few more. The last of a
window has all of them; what goes is the possibility to read the rows as of a moment in between (decision 0051).
"""

from collections.abc import Collection, Iterator, Sequence

import msgspec

from leverframe.core.clock import DAY_US, HOUR_US
from leverframe.core.dataset import Snapshot
from leverframe.core.digest import Digest
from leverframe.data.commands import Quarantine
from leverframe.data.retention.retention import SETTLE_US

HOURLY_DAYS = 2
"""For so many days the last snapshot of an hour stays, before that the last of a day."""


ROWS_ASIDE_MAX = 100_000
"""Rows that are set aside are gathered up to so many in one blob."""


class Thinned(msgspec.Struct, frozen=True, kw_only=True):
    """``kept`` stands for the batches ``going``, older ones first; the last thing recorded of it is ``report_digest``, a report of all."""

    kept: Digest
    going: tuple[Digest, ...]
    report_digest: Digest = ""


def thin(snapshots: Collection[Snapshot], used: Collection[Digest], latest: Digest, now_us: int) -> tuple[Thinned, ...]:
    """What one dataset's ``snapshots`` of batches come down to; windows from which nothing goes are left out.

    Parameters
    ----------
    used: digests that anything refers to; they stay.
    latest: the dataset's newest snapshot; it stays.
    """
    stay = {*used, latest}
    came_us = _came_us(snapshots)
    leading_to: dict[Digest, list[Digest]] = {}
    for snapshot in snapshots:
        if snapshot.erased is not None and snapshot.digest not in stay:
            leading_to.setdefault(snapshot.erased.replaced_by, []).append(snapshot.digest)
    settled = [each for each in snapshots if each.erased is None and now_us - each.created_at_us >= SETTLE_US]
    settled.sort(key=lambda each: (came_us[each.digest], each.created_at_us, each.digest))
    found = []
    for run in _runs(settled, came_us, now_us):
        going = [each.digest for each in run[:-1] if each.digest not in stay]
        if going:
            # Whoever asks for a snapshot from before a deletion is sent to what remains of it: with that, the sign-post goes.
            posts = [post for digest in going for post in _posts(digest, leading_to)]
            found.append(Thinned(kept=run[-1].digest, going=(*posts, *going)))
    return tuple(found)


def gather(aside: Collection[Quarantine], now_us: int) -> tuple[tuple[Quarantine, ...], ...]:
    """What batches set aside that belongs together, oldest first: of one stream and contract version, in one window.

    Batches of which nothing was taken are apart: their reports are said nowhere else.
    """
    runs: dict[tuple[str, str, bool, tuple[int, int]], list[list[Quarantine]]] = {}
    settled = [each for each in aside if each.stream and now_us - each.recorded_at_us >= SETTLE_US]
    for each in sorted(settled, key=lambda each: (each.recorded_at_us, each.digest)):
        run = runs.setdefault((each.stream, each.contract_version, each.whole, _window(each.recorded_at_us, now_us)), [[]])
        if sum(held.rows for held in run[-1]) + each.rows > ROWS_ASIDE_MAX:
            run.append([])
        run[-1].append(each)
    return tuple(tuple(some) for run in runs.values() for some in run if len(some) > 1)


def _came_us(snapshots: Collection[Snapshot]) -> dict[Digest, int]:
    """When the rows of each snapshot came: what remains after a deletion counts from the snapshot that it remains of."""
    came = {each.digest: each.created_at_us for each in snapshots}
    for old in sorted((each for each in snapshots if each.erased is not None), key=lambda each: each.created_at_us):
        assert old.erased is not None
        if old.erased.replaced_by in came:
            came[old.erased.replaced_by] = came[old.digest]
    return came


def _runs(settled: Sequence[Snapshot], came_us: dict[Digest, int], now_us: int) -> Iterator[list[Snapshot]]:
    """Batches that follow each other within one window under one contract; rows that were offered otherwise in between part them."""
    run: list[Snapshot] = []
    before: tuple[Digest, int, int] | None = None
    for snapshot in settled:
        place = (snapshot.contract_digest, *_window(came_us[snapshot.digest], now_us)) if snapshot.stream else None
        if place is None or place != before:
            if run:
                yield run
            run = []
        if snapshot.stream:
            run.append(snapshot)
        before = place
    if run:
        yield run


def _window(at_us: int, now_us: int) -> tuple[int, int]:
    """The day of ``at_us``, and its hour while days are told apart by hours."""
    day = at_us // DAY_US
    return (day, at_us // HOUR_US) if now_us // DAY_US - day < HOURLY_DAYS else (day, -1)


def _posts(digest: Digest, leading_to: dict[Digest, list[Digest]]) -> Iterator[Digest]:
    for post in leading_to.get(digest, ()):
        yield from _posts(post, leading_to)
        yield post
