"""The online store's port: the newest values of each entity, read by key in microseconds. numpy only: gateways import this.

A row is one fixed-layout record: event time and arrival time (int64 microseconds), then the features (float64, NaN for missing), little
endian. Rows live under (view, view version), so that models bound to different versions of a view are served side by side.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from struct import Struct
from typing import Any, Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from leverframe.core.errors import Conflict, InvalidInput, LimitExceeded, SchemaMismatch
from leverframe.core.schema import ViewBinding

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]

NEVER_US = int(np.iinfo(np.int64).min)
"""The event and arrival time of a row that does not exist."""

RowReader = Callable[[Sequence[bytes]], list[tuple[Any, ...]]]
"""One entity's stored row in each of several views, given its key in each: event time, arrival time, then the features; no TTL applied."""

MISSING_KEY = b""
"""The key of an entity with a missing part; nothing is ever stored under it."""

KEY_BYTES_MAX = 256


class ViewMeta(msgspec.Struct, frozen=True, kw_only=True):
    """What a store holds of one version of a view. ``watermark_us``: every change up to this moment is in it."""

    view: str
    view_version: str
    features: tuple[str, ...]
    watermark_us: int
    newest_event_us: int = NEVER_US
    newest_arrival_us: int = NEVER_US


@dataclass(frozen=True)
class EntityRows:
    """Rows to be written: ``n`` keys, event and arrival times ``[n]``, values float64 ``[n, features]`` (NaN: missing)."""

    keys: Sequence[bytes]
    event_us: Int
    arrival_us: Int
    values: Float

    def packed(self) -> list[bytes]:
        """Each row in its stored form."""
        times = np.stack([self.event_us, self.arrival_us], axis=1).astype("<i8", copy=False)
        table = np.concatenate([times.view("<f8"), self.values.astype("<f8", copy=False)], axis=1)
        width = table.shape[1] * 8
        data = table.tobytes()
        return [data[at : at + width] for at in range(0, len(data), width)]


@dataclass(frozen=True)
class OnlineRows:
    """Values float64 ``[n, features]``, NaN where there is none or it has expired; event and arrival times ``[n]`` of the stored rows.

    A row that does not exist has the times ``NEVER_US``; one that has expired keeps its times, and its values in ``stored``, so that its
    age can be told and its last value be used where a model declares that.
    """

    values: Float
    event_us: Int
    arrival_us: Int
    stored: Float


class OnlineStore(Protocol):
    """Newest values by entity. Every method that changes something is atomic: readers and crashes see the old state or the new one."""

    def write(self, rows: EntityRows, meta: ViewMeta, *, replace: bool = False, after: int | None = None) -> None:
        """Put ``rows`` and ``meta`` under (view, version); with ``replace``, entities that are not in ``rows`` go.

        The first version of a view that is written becomes the active one. With ``after``, only while the version's :meth:`revision` is
        that: a writer that computed its rows from what it had read must not bury what another wrote meanwhile.

        Raises
        ------
        Conflict: the revision is another one by now; nothing was changed.
        Unavailable: the store is full, read-only or unreachable; nothing was changed.
        """
        ...

    def revision(self, view: str, view_version: str) -> int:
        """How many times a version was changed, ever; 0 for one that never was. Every write, forgetting and dropping counts."""
        ...

    def forget(self, view: str, key: bytes) -> int:
        """Take an entity out of every version of ``view``; returns from how many it went.

        Raises
        ------
        Unavailable: the store cannot be written; nothing was changed.
        """
        ...

    def rows(self, view: str, view_version: str, rows_max: int) -> EntityRows:
        """Everything that is stored of a version, by key; none when nothing is.

        Raises
        ------
        LimitExceeded: more than ``rows_max`` rows.
        """
        ...

    def read(self, binding: ViewBinding, keys: Sequence[bytes], now_us: int) -> OnlineRows:
        """The values of ``keys`` as the binding's view version has them, expired ones (event time at or before now - TTL) as NaN.

        Raises
        ------
        Unavailable: the store cannot be reached.    SchemaMismatch: stored rows have another width than the binding.
        """
        ...

    def meta(self, view: str, view_version: str = "") -> ViewMeta | None:
        """What is held of a version (empty: the active one) of ``view``; None when nothing is."""
        ...

    def views(self) -> list[ViewMeta]:
        """What is held of every version of every view, ordered by view and version."""
        ...

    def activate(self, view: str, view_version: str) -> None:
        """Make a version that has been written the one that freshness and status speak of.

        Raises
        ------
        NotFound: nothing is held of that version.
        """
        ...

    def drop(self, view: str, view_version: str) -> int:
        """Forget a version; returns how many rows went."""
        ...

    def close(self) -> None:
        """Let go of files and connections."""
        ...


def _part(value: object) -> bytes | None:
    """One part of a key, or None when it is missing."""
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bytes):
        return bytes(value)
    if value is None or isinstance(value, (float, np.floating)):
        if value is None or np.isnan(value):
            return None
        raise InvalidInput("a float cannot be an entity key", expected="text or an integer", got=type(value).__name__)
    return str(int(value)).encode() if isinstance(value, (int, np.integer)) else str(value).encode()


def entity_key(parts: Iterable[object]) -> bytes:
    """The bytes an entity is stored under, the same online and offline: text as UTF-8, integers in decimal.

    Parts are joined by the unit separator (0x1f; escaped inside a part); a key longer than 256 bytes is replaced by its SHA-256.

    Raises
    ------
    InvalidInput: a part is a float.

    >>> entity_key(["JFK"]), entity_key([7, "a"]), entity_key([None])
    (b'JFK', b'7\\x1fa', b'')
    """
    encoded = []
    for value in parts:
        part = _part(value)
        if part is None:
            return MISSING_KEY
        if b"\x1f" in part or b"\x1b" in part:
            part = part.replace(b"\x1b", b"\x1be").replace(b"\x1f", b"\x1bu")
        encoded.append(part)
    key = b"\x1f".join(encoded) or b"\x1bn"
    return key if len(key) <= KEY_BYTES_MAX else b"\x1bh" + sha256(key).digest()


def entity_keys(columns: Sequence[Sequence[object] | npt.NDArray[np.generic]]) -> list[bytes]:
    """``entity_key`` of each row of parallel key columns.

    >>> entity_keys([["JFK", None], ["AA", "AA"]])
    [b'JFK\\x1fAA', b'']
    """
    if len(columns) == 1 and isinstance(columns[0], list) and (plain := _plain_keys(columns[0])) is not None:
        return plain
    return [entity_key(parts) for parts in zip(*columns, strict=True)]


def _plain_keys(column: Sequence[object]) -> list[bytes] | None:
    """The keys of a column of texts that are stored as they are; None when any value is of another kind, empty, long or to be escaped."""
    if set(map(type, column)) != {str}:
        return None
    keys = [text.encode() for text in column]  # type: ignore[attr-defined]  # all are text
    lengths = set(map(len, keys))
    together = b"".join(keys)
    return None if min(lengths) == 0 or max(lengths) > KEY_BYTES_MAX or b"\x1f" in together or b"\x1b" in together else keys


def missing_row(features: int) -> bytes:
    """The stored form of a row that does not exist."""
    return np.array([NEVER_US, NEVER_US], dtype="<i8").tobytes() + np.full(features, np.nan, dtype="<f8").tobytes()


def unpack_rows(packed: bytearray, rows: int, binding: ViewBinding, now_us: int) -> OnlineRows:
    """Stored rows, one after the other, as arrays over the same memory, with the binding's TTL applied.

    Raises
    ------
    SchemaMismatch: the stored rows have another width than the binding has features.
    """
    width = 2 + len(binding.features)
    if len(packed) != rows * width * 8:
        raise wrong_width(binding, len(packed), rows)
    table = np.frombuffer(packed, dtype="<f8").reshape(rows, width)
    times = table.view("<i8")
    event_us = times[:, 0]
    values = stored = table[:, 2:]
    if binding.ttl_us:
        expired = event_us <= now_us - binding.ttl_us
        if expired.any():
            values = np.where(expired[:, None], np.nan, stored)
    return OnlineRows(values=values, event_us=event_us, arrival_us=times[:, 1], stored=stored)


def stored_rows(view: str, features: int, stored: Sequence[tuple[bytes, bytes]]) -> EntityRows:
    """Keys and stored rows as :class:`EntityRows`, ordered by key.

    Raises
    ------
    SchemaMismatch: a row has another width than ``features``.
    """
    ordered = sorted(stored)
    binding = ViewBinding(view=view, view_version="", entity_fields=(), features=("",) * features)
    found = unpack_rows(bytearray().join([row for _, row in ordered]), len(ordered), binding, 0)
    return EntityRows(keys=[key for key, _ in ordered], event_us=found.event_us, arrival_us=found.arrival_us, values=found.stored)


def check_revision(view: str, after: int | None, held: int) -> None:
    """Return when a write that wants to come ``after`` a revision may happen on the one that is ``held``.

    Raises
    ------
    Conflict: another writer was first.
    """
    if after is not None and after != held:
        raise Conflict(
            "another writer changed this view version meanwhile; nothing was written",
            where=f"view {view}",
            expected=f"revision {after}",
            got=f"revision {held}",
            next_step=f"lever features materialize {view}",
        )


def check_rows_max(view: str, rows: int, rows_max: int) -> None:
    """Return when ``rows`` are few enough.

    Raises
    ------
    LimitExceeded: they are not.
    """
    if rows > rows_max:
        raise LimitExceeded("more entities than can be read at once", where=f"view {view}", expected=f"at most {rows_max:,}")


def wrong_width(binding: ViewBinding, got: int, rows: int) -> SchemaMismatch:
    """The error of ``rows`` stored rows that are ``got`` bytes long together and do not fit ``binding``."""
    return SchemaMismatch(
        "stored rows have another width than the model's signature",
        where=f"view {binding.view}",
        expected=f"{len(binding.features)} features",
        got=f"{got} bytes for {rows} rows",
        next_step=f"run: lever features materialize {binding.view}",
    )


def row_struct(features: int) -> Struct:
    """A stored row as Python numbers: event time, arrival time, then the features."""
    return Struct(f"<qq{features}d")
