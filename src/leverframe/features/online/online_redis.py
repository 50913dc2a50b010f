"""The online store for many machines: Redis, one packed value an entity, read with one MGET.

Keys: ``{lf:<view>:<view version>}:<generation>:<entity key>``; the hash tag keeps a version's rows on one cluster node, so that
a read is one command. A full rewrite writes a new generation beside the old one and switches a pointer; a reader asks for the rows of the
generation it saw last together with the pointer, and again when that has moved. An incremental write is one MULTI/EXEC.
"""

import struct
from collections.abc import Sequence
from typing import Any

import msgspec
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from leverframe.core.errors import InvalidInput, NotFound, Unavailable
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

ROWS_PER_COMMAND = 5_000
"""A full rewrite goes over in pieces of this many rows, so that other clients are served in between."""

READS_MAX = 4
"""A read that meets a new generation this many times in a row gives up: something rewrites the view without end."""

WRITES_MAX = 20
"""A write that does not care who was first is tried again this often when another came between."""

VIEWS = "lf:views"


def _tag(view: str, view_version: str) -> bytes:
    return f"{{lf:{view}:{view_version}}}".encode()


class RedisOnlineStore:
    """See :class:`leverframe.features.online.online.OnlineStore`.

    Parameters
    ----------
    client: a connected ``redis.Redis`` with ``decode_responses=False``; its socket timeouts bound how long a read may take.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._generations: dict[bytes, bytes] = {}

    @classmethod
    def at(cls, url: str, timeout_s: float) -> "RedisOnlineStore":
        """The store at a ``redis://``, ``rediss://`` or ``unix://`` address whose every wait ends after ``timeout_s``; nothing is retried.

        Raises
        ------
        InvalidInput: not such an address.
        """
        try:
            client = redis.Redis.from_url(
                url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s, retry=Retry(NoBackoff(), 0), decode_responses=False
            )
        except ValueError as error:
            raise InvalidInput(
                "not the address of a Redis server", where="LEVER_ONLINE_URL", expected="redis://host:port/db, rediss:// or unix://"
            ) from error
        return cls(client)

    def ping(self) -> None:
        """Return when the server answers.

        Raises
        ------
        Unavailable: it does not, in time.
        """
        try:
            self._client.ping()
        except redis.RedisError as error:
            raise _unavailable(error) from error

    def fields(self, asked: Sequence[tuple[bytes, Sequence[bytes]]]) -> list[list[bytes | None]]:
        """Fields of several hashes in one round trip: how another tool's rows on the same server are read (see ``online_feast``).

        Raises
        ------
        Unavailable: the server does not answer, in time.
        """
        try:
            with self._client.pipeline(transaction=False) as pipe:
                for key, names in asked:
                    pipe.hmget(key, list(names))
                return [list(values) for values in pipe.execute()]
        except redis.RedisError as error:
            raise _unavailable(error) from error

    def write(self, rows: EntityRows, meta: ViewMeta, *, replace: bool = False, after: int | None = None) -> None:
        """Put rows and meta under (view, version)."""
        tag = _tag(meta.view, meta.view_version)
        try:
            for _ in range(WRITES_MAX):
                if self._try_write(tag, rows, meta, replace, after):
                    return
        except redis.RedisError as error:
            raise _unavailable(error) from error
        raise Unavailable("other writers change this view without end", where="redis", got=f"{WRITES_MAX} writes that came too late")

    def _try_write(self, tag: bytes, rows: EntityRows, meta: ViewMeta, replace: bool, after: int | None) -> bool:
        """One attempt; False when another writer was first and the caller did not ask to be told."""
        with self._client.pipeline(transaction=True) as pipe:
            pipe.watch(tag + b":revision")
            revision, held = int(pipe.get(tag + b":revision") or 0), pipe.get(tag + b":generation")
            check_revision(meta.view, after, revision)
            generation = self._client.incr(tag + b":last") if replace or held is None else int(held)
            prefix = tag + b":%d:" % generation
            packed = {prefix + key: row for key, row in zip(rows.keys, rows.packed(), strict=True)}
            if replace:
                self._put_in_pieces(packed)
                packed = {}
            pipe.multi()
            if packed:
                pipe.mset(packed)
            pipe.set(tag + b":meta", msgspec.json.encode(meta))
            pipe.set(tag + b":generation", generation)
            pipe.incr(tag + b":revision")
            try:
                pipe.execute()
            except redis.WatchError:
                if replace:
                    self._delete(prefix + b"*")
                check_revision(meta.view, after, int(self._client.get(tag + b":revision") or 0))
                return False
        self._client.hsetnx(VIEWS, meta.view, meta.view_version)
        self._client.sadd(f"{VIEWS}:{meta.view}", meta.view_version)
        if replace:
            self._sweep(tag, generation)
        return True

    def _sweep(self, tag: bytes, generation: int) -> None:
        """Delete the rows of every generation before the present one: the replaced one, and any that a dead writer left half-made."""
        for old in range(int(self._client.get(tag + b":swept") or 0) + 1, generation):
            self._delete(tag + b":%d:*" % old)
        self._client.set(tag + b":swept", generation - 1)

    def _put_in_pieces(self, packed: dict[bytes, bytes]) -> None:
        items = list(packed.items())
        for at in range(0, len(items), ROWS_PER_COMMAND):
            self._client.mset(dict(items[at : at + ROWS_PER_COMMAND]))

    def _delete(self, pattern: bytes) -> int:
        gone = 0
        for key in self._client.scan_iter(match=_escaped(pattern), count=ROWS_PER_COMMAND):
            gone += self._client.unlink(key)
        return gone

    def revision(self, view: str, view_version: str) -> int:
        """How many times a version was changed, ever."""
        try:
            return int(self._client.get(_tag(view, view_version) + b":revision") or 0)
        except redis.RedisError as error:
            raise _unavailable(error) from error

    def forget(self, view: str, key: bytes) -> int:
        """Take an entity out of every version; the revision goes first, so that no writer that still knows the entity can bring it back."""
        gone = 0
        try:
            for member in sorted(self._client.smembers(f"{VIEWS}:{view}")):
                tag = _tag(view, member.decode())
                self._client.incr(tag + b":revision")
                generation = self._client.get(tag + b":generation")
                gone += 0 if generation is None else self._client.delete(tag + b":" + generation + b":" + key)
        except redis.RedisError as error:
            raise _unavailable(error) from error
        return gone

    def rows(self, view: str, view_version: str, rows_max: int) -> EntityRows:
        """Everything that is stored of a version; entities that are changed while it is read come as they were or as they are."""
        meta, tag = self.meta(view, view_version), _tag(view, view_version)
        try:
            prefix = tag + b":" + (self._client.get(tag + b":generation") or b"0") + b":"
            keys = sorted(set(self._client.scan_iter(match=_escaped(prefix + b"*"), count=ROWS_PER_COMMAND)))
            check_rows_max(view, len(keys), rows_max)
            found: list[bytes | None] = []
            for at in range(0, len(keys), ROWS_PER_COMMAND):
                found += self._client.mget(keys[at : at + ROWS_PER_COMMAND])
        except redis.RedisError as error:
            raise _unavailable(error) from error
        stored = [(key[len(prefix) :], row) for key, row in zip(keys, found, strict=True) if row is not None]
        return stored_rows(view, len(meta.features) if meta else 0, stored)

    def read(self, binding: ViewBinding, keys: Sequence[bytes], now_us: int) -> OnlineRows:
        """The values of ``keys``, in one round trip unless the view has been rewritten since the last read."""
        missing = missing_row(len(binding.features))
        (found,) = self._fetch([(_tag(binding.view, binding.view_version), keys)])
        packed = bytearray().join([row if row is not None and key else missing for key, row in zip(keys, found, strict=True)])
        return unpack_rows(packed, len(keys), binding, now_us)

    def reader(self, bindings: Sequence[ViewBinding]) -> RowReader:
        """Reads one entity in each of ``bindings``, all in one round trip.

        The reader raises Unavailable when the server does not answer in time, and SchemaMismatch as :meth:`read` does.
        """
        compiled = [(_tag(b.view, b.view_version), missing_row(len(b.features)), row_struct(len(b.features)).unpack, b) for b in bindings]

        def read(keys: Sequence[bytes]) -> list[tuple[Any, ...]]:
            found = self._fetch([(tag, [key]) for (tag, _, _, _), key in zip(compiled, keys, strict=True)])
            rows = []
            for (_, missing, unpack, binding), key, (row,) in zip(compiled, keys, found, strict=True):
                try:
                    rows.append(unpack(row if row is not None and key else missing))
                except struct.error as error:
                    raise wrong_width(binding, len(row or b""), 1) from error
            return rows

        return read

    def _fetch(self, asked: Sequence[tuple[bytes, Sequence[bytes]]]) -> list[list[bytes | None]]:
        """The stored rows of each (tag, keys), each tag's of one generation."""
        found: list[list[bytes | None]] = [[None] * len(keys) for _, keys in asked]
        open_: Sequence[int] = range(len(asked))
        try:
            for _ in range(READS_MAX):
                with self._client.pipeline(transaction=False) as pipe:
                    for index in open_:
                        tag, keys = asked[index]
                        prefix = tag + b":" + self._generations.get(tag, b"0") + b":"
                        pipe.mget([*(prefix + key for key in keys), tag + b":generation"])
                    answers = pipe.execute()
                moved = []
                for index, (*rows, generation) in zip(open_, answers, strict=True):
                    tag = asked[index][0]
                    if generation is None:
                        self._generations.pop(tag, None)
                    elif generation == self._generations.get(tag):
                        found[index] = rows
                    else:
                        self._generations[tag] = generation
                        moved.append(index)
                if not moved:
                    return found
                open_ = moved
        except redis.RedisError as error:
            raise _unavailable(error) from error
        raise Unavailable("the view is rewritten faster than it can be read", where="redis", got=f"{READS_MAX} generations")

    def meta(self, view: str, view_version: str = "") -> ViewMeta | None:
        """What is held of a version (empty: the active one)."""
        try:
            version = view_version or (self._client.hget(VIEWS, view) or b"").decode()
            found = self._client.get(_tag(view, version) + b":meta")
        except redis.RedisError as error:
            raise _unavailable(error) from error
        return None if found is None else msgspec.json.decode(found, type=ViewMeta)

    def views(self) -> list[ViewMeta]:
        """What is held of every version of every view."""
        try:
            held = []
            for view in sorted(self._client.hkeys(VIEWS)):
                name = view.decode()
                versions = sorted(version.decode() for version in self._client.smembers(f"{VIEWS}:{name}"))
                held += [meta for version in versions if (meta := self.meta(name, version)) is not None]
        except redis.RedisError as error:
            raise _unavailable(error) from error
        return held

    def activate(self, view: str, view_version: str) -> None:
        """Make a written version the active one."""
        if self.meta(view, view_version) is None:
            raise NotFound(
                "nothing is held of this view version", where=view, got=view_version, next_step=f"lever features materialize {view}"
            )
        try:
            self._client.hset(VIEWS, view, view_version)
        except redis.RedisError as error:
            raise _unavailable(error) from error

    def drop(self, view: str, view_version: str) -> int:
        """Forget a version."""
        tag = _tag(view, view_version)
        try:
            generation = self._client.get(tag + b":generation")
            self._client.incr(tag + b":revision")
            self._client.delete(tag + b":meta", tag + b":generation")
            self._client.srem(f"{VIEWS}:{view}", view_version)
            if self._client.hget(VIEWS, view) == view_version.encode():
                self._client.hdel(VIEWS, view)
            return 0 if generation is None else self._delete(tag + b":%d:*" % int(generation))
        except redis.RedisError as error:
            raise _unavailable(error) from error

    def close(self) -> None:
        """Return the connections."""
        self._client.close()


def _escaped(pattern: bytes) -> bytes:
    """A SCAN pattern whose only wildcard is its last character."""
    text = pattern[:-1]
    for special in (b"\\", b"*", b"?", b"[", b"]"):
        text = text.replace(special, b"\\" + special)
    return text + b"*"


def _unavailable(error: Exception) -> Unavailable:
    return Unavailable(
        "the online store cannot be reached",
        where="redis",
        got=type(error).__name__,
        next_step="check the server and its memory: redis-cli info memory",
    )
