"""A stream read from a place that somebody else keeps: no consumer group, nothing acknowledged.

Who takes rows in keeps how far it read beside the rows, in one transaction; the broker is only asked for what comes after that place. So
neither a lost acknowledgement nor a redelivery exists, and a reader that dies leaves nothing behind at the broker.
"""

from collections.abc import Mapping
from typing import Protocol

import msgspec

from leverframe.apps.streaming.address import Address
from leverframe.core.errors import Conflict, Unavailable

ONE = "0"
"""The partition of a broker that has none."""


class Fed(msgspec.Struct, frozen=True):
    """One message with its place; ``id`` as the broker or the sender named it, empty where nobody did."""

    partition: str
    place: str
    body: bytes
    headers: Mapping[str, str] = {}
    key: str = ""
    id: str = ""


class Feed(Protocol):
    """Reads one stream in the order it was written (within a partition)."""

    async def open(self, after: Mapping[str, str]) -> str:
        """Connect, to read what comes after a place of each partition (absent: from the beginning).

        Returns
        -------
        str: what the broker had dropped before it was read, in words; empty: nothing.

        Raises
        ------
        NotFound, Unavailable: no such stream, or no broker.  Conflict: the stream ends before that place: it was made anew.
        """
        ...

    async def read(self, count: int, wait_s: float) -> list[Fed]:
        """Up to ``count`` messages; none when nothing came within ``wait_s``.

        Raises
        ------
        Unavailable: the broker is lost.
        """
        ...

    async def behind(self) -> int | None:
        """Messages that were not read yet; None where the broker cannot say."""
        ...

    async def close(self) -> None:
        """Disconnect."""
        ...


def made_anew(address: Address, last: str, after: str) -> Conflict:
    """The stream is shorter than what was read of it."""
    return Conflict(
        "the stream ends before the place that was read already: it was made anew",
        where=address.shown,
        expected=f"a stream that reaches {after}",
        got=f"one that ends at {last}",
        next_step="read it under another --name",
    )


def lost(address: Address, error: Exception) -> Unavailable:
    """The broker does not answer any more."""
    return Unavailable("the broker is lost", where=address.shown, got=repr(error)[:200], next_step="start the reader again")
