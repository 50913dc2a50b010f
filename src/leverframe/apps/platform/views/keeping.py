"""What the use cases of a dataset's past take and answer."""

import msgspec

from leverframe.core.dataset import Erasure, Snapshot
from leverframe.core.digest import Digest
from leverframe.data.retention.retention import Kept, Retention


class SnapshotView(msgspec.Struct, frozen=True, kw_only=True):
    """A snapshot, whether it is the newest, and what uses it."""

    snapshot: Snapshot
    latest: bool
    used_by: tuple[str, ...] = ()


class PartView(msgspec.Struct, frozen=True, kw_only=True):
    """A part's ``state``: intact, erased, damaged or missing."""

    digest: Digest
    rows: int
    bytes: int
    state: str


class VerifiedView(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a snapshot still is what its name says, part by part; ``manifest``: none, intact, damaged or missing."""

    snapshot: Digest
    intact: bool
    manifest: str
    parts: tuple[PartView, ...]
    erasure: Erasure | None = None


class RetentionRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long snapshots are kept: the newest ``keep_last``, and those younger than ``keep_days``."""

    keep_last: int = 1
    keep_days: float | None = None


class RetentionView(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of each snapshot; those without a reason to stay go. ``applied``: how many went just now."""

    dataset: str
    policy: Retention | None
    snapshots: tuple[Kept, ...]
    applied: int = 0


class ForgetRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Delete the rows of the person whose key ``column`` is ``value``; the value is hashed at once and kept nowhere."""

    column: str
    value: str
    reason: str
