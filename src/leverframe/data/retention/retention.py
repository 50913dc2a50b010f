"""How long snapshots are kept: which may go, which stay and by what."""

from collections.abc import Mapping, Sequence

import msgspec

from leverframe.core.clock import DAY_US
from leverframe.core.dataset import Snapshot
from leverframe.core.digest import Digest
from leverframe.core.errors import InvalidInput

KIND_RETENTION = "retention"
KEEP_LAST_MAX = 100_000
SETTLE_US = 3_600_000_000
"""A snapshot younger than an hour stays: somebody may be starting to use it."""


class Retention(msgspec.Struct, frozen=True, kw_only=True):
    """Keep the newest ``keep_last`` snapshots, and those younger than ``keep_days``; what anything refers to is always kept.

    ``keep_days`` None: age alone keeps nothing.
    """

    dataset: str
    keep_last: int = 1
    keep_days: float | None = None


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """One snapshot's lot under a policy: ``because`` names what keeps it; it goes when nothing does."""

    digest: Digest
    created_at_us: int
    rows: int
    bytes: int
    because: tuple[str, ...]


def check_retention(policy: Retention) -> None:
    """Raise InvalidInput unless the policy keeps at least the newest snapshot."""
    if not 1 <= policy.keep_last <= KEEP_LAST_MAX:
        raise InvalidInput("not a number of snapshots", where="keep_last", expected=f"1 to {KEEP_LAST_MAX:,}", got=str(policy.keep_last))
    if policy.keep_days is not None and not 0 <= policy.keep_days <= 36_500:
        raise InvalidInput("not an age", where="keep_days", expected="0 to 36,500 days", got=str(policy.keep_days))


def decide(
    policy: Retention, snapshots: Sequence[Snapshot], references: Mapping[Digest, Sequence[str]], latest: Digest, now_us: int
) -> tuple[Kept, ...]:
    """What becomes of each snapshot, newest first.

    Parameters
    ----------
    references: what uses a snapshot (versions, runs, evidence), by its digest.
    latest: the dataset's current snapshot.
    """
    newest = sorted(snapshots, key=lambda s: (s.created_at_us, s.digest), reverse=True)
    decided = []
    for place, snapshot in enumerate(newest):
        age_us = now_us - snapshot.created_at_us
        because = [f"used by {what}" for what in references.get(snapshot.digest, ())]
        if snapshot.digest == latest:
            because.append("the dataset's newest rows")
        if place < policy.keep_last:
            because.append(f"one of the last {policy.keep_last}")
        if policy.keep_days is not None and age_us < policy.keep_days * DAY_US:
            because.append(f"younger than {policy.keep_days:g} days")
        if age_us < SETTLE_US:
            because.append("younger than an hour")
        decided.append(
            Kept(
                digest=snapshot.digest,
                created_at_us=snapshot.created_at_us,
                rows=snapshot.rows,
                bytes=snapshot.bytes,
                because=tuple(because),
            )
        )
    return tuple(decided)
