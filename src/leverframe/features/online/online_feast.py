"""Feast's online store read in place while a team moves: SQLite and Redis, without Feast, never written.

A file (made by ``lever features import feast``) says which of our views is which of Feast's, and what its join keys are.
"""

import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import msgspec
import numpy as np

from leverframe.core.clock import us_from_iso
from leverframe.core.errors import InvalidInput, NotFound, Unavailable
from leverframe.core.schema import ViewBinding
from leverframe.features.online.feast_wire import KeyKind, feast_field, feast_key, feast_number, feast_time_us
from leverframe.features.online.online import NEVER_US, OnlineRows, RowReader

KEYS_AT_ONCE_MAX = 500
"""Further keys are asked in a further statement; SQLite bounds the parameters of one."""
BUSY_S = 1.0

Stored = tuple[int, int, dict[str, bytes]]
"""Event time, arrival time (microseconds), and each feature's bytes."""


class FeastJoinKey(msgspec.Struct, frozen=True, kw_only=True):
    """One join key: our entity column's name, and the type Feast encodes it as."""

    name: str
    kind: KeyKind = "text"


class FeastView(msgspec.Struct, frozen=True, kw_only=True):
    """A view here and in Feast; ``features`` maps our names to Feast's where they differ."""

    view: str
    feast_view: str
    keys: tuple[FeastJoinKey, ...]
    features: dict[str, str] = {}


class FeastStore(msgspec.Struct, frozen=True, kw_only=True):
    """Where Feast's values lie: ``address`` is a file (sqlite) or a redis:// address without a password."""

    project: str
    kind: Literal["sqlite", "redis"]
    address: str
    views: tuple[FeastView, ...]


class FeastRows(Protocol):
    """What holds Feast's rows."""

    def fetch(self, view: FeastView, keys: Sequence[bytes], features: Sequence[str]) -> dict[bytes, Stored]:
        """What is stored under ``keys``; an entity without a row is left out. Raises Unavailable when the store cannot be read."""
        ...

    def ping(self) -> None:
        """Return when the store can be read; Unavailable when not."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class FeastSqliteRows:
    """Feast's SQLite online store: a table a view, a row a feature. Opened read-only at its first use, and again after a failure."""

    def __init__(self, path: Path, project: str) -> None:
        self._path, self._project = path, project
        self._connection: sqlite3.Connection | None = None
        self._lock = threading.Lock()

    def fetch(self, view: FeastView, keys: Sequence[bytes], features: Sequence[str]) -> dict[bytes, Stored]:
        """See :class:`FeastRows`."""
        found: dict[bytes, Stored] = {}
        table = f"{self._project}_{view.feast_view}".replace('"', '""')
        distinct = list(dict.fromkeys(keys))
        with self._lock:
            for at in range(0, len(distinct), KEYS_AT_ONCE_MAX):
                some = distinct[at : at + KEYS_AT_ONCE_MAX]
                places = ",".join("?" * len(some))
                query = f'SELECT entity_key, feature_name, value, event_ts, created_ts FROM "{table}" WHERE entity_key IN ({places})'  # noqa: S608 (the table's name is quoted, and comes from the operator's file)
                for key, feature, value, event, created in self._rows(query, some):
                    _, _, values = found.get(key, (0, 0, {}))
                    values[feature] = value
                    event_us = _moment_us(event)
                    found[key] = (event_us, event_us if created is None else _moment_us(created), values)
        return found

    def _rows(self, query: str, parameters: Sequence[bytes]) -> list[tuple[Any, ...]]:
        try:
            if self._connection is None:
                self._connection = sqlite3.connect(f"file:{self._path}?mode=ro", uri=True, timeout=BUSY_S, check_same_thread=False)
            return self._connection.execute(query, parameters).fetchall()
        except sqlite3.Error as error:
            self._connection = None
            raise Unavailable(
                "Feast's SQLite store cannot be read", where=self._path.name, got=str(error)[:120], next_step="check LEVER_ONLINE_URL"
            ) from error

    def ping(self) -> None:
        """See :class:`FeastRows`."""
        with self._lock:
            self._rows("SELECT 1 FROM sqlite_master", ())

    def close(self) -> None:
        """See :class:`FeastRows`."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None


class HashReader(Protocol):
    """The one thing asked of a Redis client: fields of several hashes in one round trip; it raises Unavailable when it cannot."""

    def fields(self, asked: Sequence[tuple[bytes, Sequence[bytes]]]) -> list[list[bytes | None]]:
        """The values of each (key, fields)."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


class FeastRedisRows:
    """Feast's Redis online store: a hash an entity, whose fields are hashed names of ``view:feature``."""

    def __init__(self, client: HashReader, project: str) -> None:
        self._client, self._project = client, project.encode()
        self._fields: dict[tuple[str, tuple[str, ...]], list[bytes]] = {}

    def fetch(self, view: FeastView, keys: Sequence[bytes], features: Sequence[str]) -> dict[bytes, Stored]:
        """See :class:`FeastRows`."""
        known = (view.feast_view, tuple(features))
        fields = self._fields.get(known)
        if fields is None:
            fields = self._fields[known] = [f"_ts:{view.feast_view}".encode(), *(feast_field(view.feast_view, f) for f in features)]
        distinct = list(dict.fromkeys(keys))
        found: dict[bytes, Stored] = {}
        answers = self._client.fields([(key + self._project, fields) for key in distinct])
        for key, (time, *values) in zip(distinct, answers, strict=True):
            event_us = feast_time_us(time)
            if event_us is not None:
                held = {name: value for name, value in zip(features, values, strict=True) if value is not None}
                found[key] = (event_us, event_us, held)
        return found

    def ping(self) -> None:
        """See :class:`FeastRows`."""
        self._client.fields([(b"", [b""])])

    def close(self) -> None:
        """See :class:`FeastRows`."""
        self._client.close()


class FeastOnlineStore:
    """The reading half of an online store over Feast's rows. Feast serves values past their TTL; here they expire like any other.

    Whatever version of a view a model is bound to, the same rows are read: Feast keeps only one.
    """

    def __init__(self, rows: FeastRows, views: Sequence[FeastView]) -> None:
        self._rows = rows
        self._views = {view.view: view for view in views}

    def read(self, binding: ViewBinding, keys: Sequence[bytes], now_us: int) -> OnlineRows:
        """The values of ``keys``, expired ones as NaN; see :class:`leverframe.features.online.online.OnlineStore`."""
        view = self._view(binding.view)
        features = [view.features.get(name, name) for name in binding.features]
        asked = [_translated(view, binding, key) for key in keys]
        held = self._rows.fetch(view, [key for key in asked if key is not None], features)
        stored = np.full((len(keys), len(features)), np.nan)
        times = np.full((2, len(keys)), NEVER_US, dtype=np.int64)
        for place, key in enumerate(asked):
            row = held.get(key) if key is not None else None
            if row is not None:
                times[0, place], times[1, place], values = row
                stored[place] = [feast_number(values.get(name), f"{view.feast_view}.{name}") for name in features]
        expired = times[0] <= now_us - binding.ttl_us if binding.ttl_us else np.zeros(len(keys), dtype=np.bool_)
        values_now = np.where(expired[:, None], np.nan, stored) if expired.any() else stored
        return OnlineRows(values=values_now, event_us=times[0], arrival_us=times[1], stored=stored)

    def reader(self, bindings: Sequence[ViewBinding]) -> RowReader:
        """Reads one entity in each of ``bindings``; no TTL is applied."""

        def read(keys: Sequence[bytes]) -> list[tuple[Any, ...]]:
            rows = []
            for binding, key in zip(bindings, keys, strict=True):
                found = self.read(binding, [key], 0)
                rows.append((int(found.event_us[0]), int(found.arrival_us[0]), *found.stored[0].tolist()))
            return rows

        return read

    def ping(self) -> None:
        """Return when Feast's store can be read; Unavailable when not."""
        self._rows.ping()

    def close(self) -> None:
        """Let go of it."""
        self._rows.close()

    def _view(self, name: str) -> FeastView:
        if name not in self._views:
            raise NotFound(
                "this view is not in Feast's store",
                where=name,
                expected=", ".join(self._views),
                next_step=f"materialise it here: lever features materialize {name}, and unset LEVER_ONLINE_URL",
            )
        return self._views[name]


def read_feast_store(path: Path) -> FeastStore:
    """The file that names Feast's store.

    Raises
    ------
    NotFound: there is none.    InvalidInput: it is not such a file.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=FeastStore)
    except OSError as error:
        raise NotFound("no such file", where=str(path)[:200], next_step="lever features import feast REPO_DIR --out DIR") from error
    except msgspec.MsgspecError as error:
        raise InvalidInput("not the description of a Feast store", where=path.name, got=str(error)[:120]) from error


def _translated(view: FeastView, binding: ViewBinding, key: bytes) -> bytes | None:
    """Our key as Feast's; None of an entity with a missing part, or of a key so long that only its hash is known here."""
    if not key or key.startswith(b"\x1bh"):
        return None
    parts = [part.replace(b"\x1bu", b"\x1f").replace(b"\x1be", b"\x1b").decode() for part in key.split(b"\x1f")]
    if key == b"\x1bn":
        parts = [""]
    if len(parts) != len(view.keys):
        return None
    kinds = {k.name: k.kind for k in view.keys}
    return feast_key(binding.entity_fields, [kinds[name] for name in binding.entity_fields], parts)


def _moment_us(stored: float | str) -> int:
    """A moment as Feast keeps it in SQLite: seconds since 1970, or (older releases) text, in UTC where it names no zone."""
    return us_from_iso(stored) if isinstance(stored, str) else round(stored * 1_000_000)
