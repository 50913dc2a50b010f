"""The online store on one machine: LMDB, a file that one process writes and many processes read without locks.

Keys: ``r`` + 8 bytes naming (view, version) + entity key; ``m`` + view + NUL + version: the meta record; ``a`` + view: the active version;
``v`` + view + NUL + version: the revision.
A write is one LMDB transaction, so a reader or a ``kill -9`` sees the old state or the new one. Commits are not synced to disk unless
``durable`` is set: values can be made again from the source, and a process's death loses nothing, only the machine's can.
"""

import os
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from time import monotonic
from typing import Any

import lmdb
import msgspec

from leverframe.core.errors import NotFound, Unavailable
from leverframe.core.schema import ViewBinding
from leverframe.features.online.online import (
    EntityRows,
    OnlineRows,
    RowReader,
    ViewMeta,
    check_revision,
    check_rows_max,
    missing_row,
    row_struct,
    stored_rows,
    unpack_rows,
    wrong_width,
)

MAP_BYTES_DEFAULT = 1 << 30
READERS_MAX = 1024
LOOK_S = 0.5
"""How often a reader looks whether its file is still the one at its path: one that was taken away would be read for ever."""


def _prefix(view: str, view_version: str) -> bytes:
    return b"r" + blake2b(f"{view}\0{view_version}".encode(), digest_size=8).digest()


class LmdbOnlineStore:
    """See :class:`leverframe.features.online.online.OnlineStore`. Opened on first use; a process may open a path only once.

    Parameters
    ----------
    path: folder of the store; made by a writer, awaited by a reader.
    read_only: True in gateways.
    map_bytes: the most the store may grow to; the file is sparse. Writers and readers agree on it by themselves.
    durable: sync every commit to disk.
    """

    def __init__(self, path: Path, *, read_only: bool = False, map_bytes: int = MAP_BYTES_DEFAULT, durable: bool = False) -> None:
        self._path = path
        self._read_only = read_only
        self._map_bytes = map_bytes
        self._durable = durable
        self._env: Any = None
        self._look_at = 0.0
        self._file: tuple[int, int, int] | None = None
        self._bound: dict[tuple[str, str, int], tuple[bytes, bytes]] = {}

    def _environment(self) -> Any:
        if self._env is not None and not (self._read_only and monotonic() >= self._look_at and self._changed()):
            return self._env
        try:
            self._env = lmdb.open(
                str(self._path), map_size=self._map_bytes, readonly=self._read_only, create=not self._read_only, max_readers=READERS_MAX,
                sync=self._durable, metasync=self._durable, max_spare_txns=8, readahead=False,
            )  # fmt: skip
            self._env.reader_check()
            self._file, self._look_at = self._seen(), monotonic() + LOOK_S
        except (lmdb.Error, OSError) as error:
            self._env = None
            raise Unavailable(
                "the online store cannot be opened",
                where=self._path.name,
                expected="a store written by: lever features materialize",
                got=type(error).__name__,
                next_step="lever features materialize",
            ) from error
        return self._env

    def _seen(self) -> tuple[int, int, int]:
        """Device, number and length of the file at our path."""
        found = os.stat(self._path / "data.mdb")
        return found.st_dev, found.st_ino, found.st_size

    def _changed(self) -> bool:
        """Whether another file lies at our path; then ours is let go.

        Raises
        ------
        Unavailable: there is none, or it has been cut short: reading behind its end would be the end of this process.
        """
        try:
            seen: tuple[int, int, int] | None = self._seen()
        except OSError:
            seen = None
        known, self._look_at = self._file, monotonic() + LOOK_S
        assert known is not None
        if seen is not None and seen[:2] == known[:2] and seen[2] >= known[2]:
            self._file = seen
            return False
        if seen is not None and seen[:2] != known[:2]:
            self._env.close()
            self._env = None
            return True
        self._look_at = 0.0
        raise Unavailable(
            "the online store's file is gone or has been cut short",
            where=self._path.name,
            expected="the file that was opened, or a whole new one in its place",
            got="no file" if seen is None else f"{seen[2]} bytes of {known[2]}",
            next_step="lever features materialize",
        )

    @contextmanager
    def _changing(self) -> Iterator[Any]:
        """One write transaction: committed whole, or not at all."""
        try:
            with self._environment().begin(write=True) as txn:
                yield txn
        except lmdb.MapFullError as error:
            raise Unavailable(
                "the online store is full; nothing was written",
                where=self._path.name,
                expected=f"room within {self._map_bytes} bytes",
                next_step="drop old view versions (lever features drop), or give the store a larger map",
            ) from error
        except lmdb.Error as error:
            full = isinstance(error, lmdb.DiskError)
            raise Unavailable(
                "the online store refused a write; nothing was changed",
                where=self._path.name,
                expected="a disk with room" if full else "",
                got=type(error).__name__,
                next_step="free space on this disk (or see `dmesg` for its errors); then repeat the command" if full else "lever doctor",
            ) from error

    @contextmanager
    def _reading(self) -> Iterator[Any]:
        env = self._environment()
        try:
            with self._begin(env) as txn:
                yield txn
        except lmdb.Error as error:
            raise Unavailable("the online store cannot be read", where=self._path.name, got=type(error).__name__) from error

    @staticmethod
    def _begin(env: Any) -> Any:
        """A read transaction; when a writer with a larger map has outgrown ours, its size is adopted first."""
        try:
            return env.begin(buffers=True)
        except lmdb.MapResizedError:
            env.set_mapsize(0)
            return env.begin(buffers=True)

    def write(self, rows: EntityRows, meta: ViewMeta, *, replace: bool = False, after: int | None = None) -> None:
        """Put rows and meta under (view, version), in one transaction."""
        prefix = _prefix(meta.view, meta.view_version)
        items = sorted(zip([prefix + key for key in rows.keys], rows.packed(), strict=True))
        with self._changing() as txn:
            check_revision(meta.view, after, _revision(txn, meta.view, meta.view_version))
            _count_change(txn, meta.view, meta.view_version)
            if replace:
                _delete_prefix(txn, prefix)
            with txn.cursor() as cursor:
                cursor.putmulti(items)
            txn.put(_meta_key(meta.view, meta.view_version), msgspec.json.encode(meta))
            txn.put(b"a" + meta.view.encode(), meta.view_version.encode(), overwrite=False)
        if replace:
            self._environment().sync(True)

    def revision(self, view: str, view_version: str) -> int:
        """How many times a version was changed, ever."""
        with self._reading() as txn:
            return _revision(txn, view, view_version)

    def forget(self, view: str, key: bytes) -> int:
        """Take an entity out of every version, in one transaction that is on disk when this returns."""
        gone = 0
        held = [meta.view_version for meta in self.views() if meta.view == view]
        with self._changing() as txn:
            for version in held:
                gone += bool(txn.delete(_prefix(view, version) + key))
                _count_change(txn, view, version)
        self._environment().sync(True)
        return gone

    def rows(self, view: str, view_version: str, rows_max: int) -> EntityRows:
        """Everything that is stored of a version, as of one moment."""
        meta, prefix = self.meta(view, view_version), _prefix(view, view_version)
        stored: list[tuple[bytes, bytes]] = []
        with self._reading() as txn, txn.cursor() as cursor:
            found = cursor.set_range(prefix)
            while found and bytes(cursor.key()[: len(prefix)]) == prefix:
                stored.append((bytes(cursor.key()[len(prefix) :]), bytes(cursor.value())))
                check_rows_max(view, len(stored), rows_max)
                found = cursor.next()
        return stored_rows(view, len(meta.features) if meta else 0, stored)

    def read(self, binding: ViewBinding, keys: Sequence[bytes], now_us: int) -> OnlineRows:
        """The values of ``keys``: about 5 µs for one entity."""
        known = (binding.view, binding.view_version, len(binding.features))
        bound = self._bound.get(known)
        if bound is None:
            bound = self._bound.setdefault(known, (_prefix(known[0], known[1]), missing_row(known[2])))
        prefix, missing = bound
        env = self._environment()
        try:
            with env.begin(buffers=True) as txn:
                packed = _joined(txn, prefix, missing, keys)
        except lmdb.Error:
            packed = self._read_again(prefix, missing, keys)
        return unpack_rows(packed, len(keys), binding, now_us)

    def reader(self, bindings: Sequence[ViewBinding]) -> RowReader:
        """Reads one entity in each of ``bindings``: what :meth:`read` gives each alone, in one transaction and without arrays.

        The reader raises Unavailable when the store cannot be read now, and SchemaMismatch as :meth:`read` does; which says more.
        """
        compiled = [(_prefix(b.view, b.view_version), missing_row(len(b.features)), row_struct(len(b.features)).unpack) for b in bindings]

        def read(keys: Sequence[bytes]) -> list[tuple[Any, ...]]:
            env = self._env if monotonic() < self._look_at and self._env is not None else self._environment()
            try:
                with env.begin() as txn:
                    get = txn.get
                    return [unpack(get(prefix + key, missing)) for (prefix, missing, unpack), key in zip(compiled, keys, strict=True)]
            except struct.error as error:
                raise wrong_width(bindings[0], 0, 1) from error
            except lmdb.Error as error:
                raise Unavailable("the online store cannot be read", where=self._path.name, got=type(error).__name__) from error

        return read

    def _read_again(self, prefix: bytes, missing: bytes, keys: Sequence[bytes]) -> bytearray:
        """The slow road after a failed read: adopts a grown map, or says what is wrong."""
        with self._reading() as txn:
            return _joined(txn, prefix, missing, keys)

    def meta(self, view: str, view_version: str = "") -> ViewMeta | None:
        """What is held of a version (empty: the active one)."""
        with self._reading() as txn:
            version = view_version or bytes(txn.get(b"a" + view.encode(), b"")).decode()
            found = txn.get(_meta_key(view, version))
            return None if found is None else msgspec.json.decode(found, type=ViewMeta)

    def views(self) -> list[ViewMeta]:
        """What is held of every version of every view."""
        with self._reading() as txn, txn.cursor() as cursor:
            held: list[ViewMeta] = []
            if cursor.set_range(b"m"):
                for key, value in cursor:
                    if bytes(key[:1]) != b"m":
                        break
                    held.append(msgspec.json.decode(value, type=ViewMeta))
            return sorted(held, key=lambda meta: (meta.view, meta.view_version))

    def activate(self, view: str, view_version: str) -> None:
        """Make a written version the active one."""
        with self._changing() as txn:
            if txn.get(_meta_key(view, view_version)) is None:
                raise NotFound(
                    "nothing is held of this view version",
                    where=view,
                    got=view_version,
                    next_step=f"lever features materialize {view}",
                )
            txn.put(b"a" + view.encode(), view_version.encode())

    def drop(self, view: str, view_version: str) -> int:
        """Forget a version."""
        with self._changing() as txn:
            gone = _delete_prefix(txn, _prefix(view, view_version))
            _count_change(txn, view, view_version)
            txn.delete(_meta_key(view, view_version))
            active = b"a" + view.encode()
            if txn.get(active) == view_version.encode():
                txn.delete(active)
            return gone

    def close(self) -> None:
        """Sync what was written and close the file."""
        if self._env is not None:
            if not self._read_only:
                self._env.sync(True)
            self._env.close()
            self._env = None


def _joined(txn: Any, prefix: bytes, missing: bytes, keys: Sequence[bytes]) -> bytearray:
    """The stored rows of ``keys``, one after the other; candidates of one request share entities, and each is read once."""
    get = txn.get
    if len(keys) == 1:
        return bytearray(get(prefix + keys[0], missing))
    found = {key: get(prefix + key, missing) for key in set(keys)}
    return bytearray().join([found[key] for key in keys])


def _meta_key(view: str, view_version: str) -> bytes:
    return f"m{view}\0{view_version}".encode()


def _revision(txn: Any, view: str, view_version: str) -> int:
    return int(bytes(txn.get(f"v{view}\0{view_version}".encode(), b"0")))


def _count_change(txn: Any, view: str, view_version: str) -> None:
    txn.put(f"v{view}\0{view_version}".encode(), b"%d" % (_revision(txn, view, view_version) + 1))


def _delete_prefix(txn: Any, prefix: bytes) -> int:
    gone = 0
    with txn.cursor() as cursor:
        found = cursor.set_range(prefix)
        while found and cursor.key().startswith(prefix):
            found = cursor.delete()
            gone += 1
    return gone
