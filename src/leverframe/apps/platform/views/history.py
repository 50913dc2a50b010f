"""What the use cases of history take and answer."""

from typing import Annotated

import msgspec


class HistoryEntry(msgspec.Struct, frozen=True, kw_only=True):
    """What was live from ``from_us`` to ``to_us`` and why; ``corrected``: as somebody told later, and not as the route said."""

    from_us: int
    to_us: int | None
    version: str
    arms: tuple[str, ...]
    release: str
    actor: str
    action: str
    reason: str
    approvals: tuple[str, ...]
    seq: int
    corrected: bool = False


class CorrectionRequest(msgspec.Struct, frozen=True, kw_only=True):
    """From ``from_us`` to ``until_us`` (microseconds, UTC, both past) ``version`` answered, or nobody when it is empty."""

    version: Annotated[str, msgspec.Meta(max_length=300)]
    from_us: int
    until_us: int
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]
