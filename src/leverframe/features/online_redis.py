"""The online store for many machines: Redis, one packed value an entity, read with one MGET.

Keys: ``{lf:<view>:<view version>}:<generation>:<entity key>``; the hash tag keeps a version's rows on one cluster node, so that
a read is one command. A full rewrite writes a new generation beside the old one and switches a pointer; a reader that sees the
pointer move in the middle reads again. An incremental write is one MULTI/EXEC.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
import redis

from leverframe.core.errors import NotFound, Unavailable
from leverframe.core.schema import ViewBinding
from leverframe.features.online import EntityRows, OnlineRows, ViewMeta, missing_row, unpack_rows

ROWS_PER_COMMAND = 5_000
"""A full rewrite goes over in pieces of this many rows, so that other clients are served in between."""

VIEWS = "lf:views"


def _tag(view: str, view_version: str) -> bytes:
    return f"{{lf:{view}:{view_version}}}".encode()


class RedisOnlineStore:
    """See :class:`leverframe.features.online.OnlineStore`.

    Parameters
    ----------
    client: a connected ``redis.Redis`` with ``decode_responses=False``; its socket timeouts bound how long a read may take.
    """

    def __init__(self, client: Any) -> None:
        self._client = client

    def write(self, rows: EntityRows, meta: ViewMeta, *, replace: bool = False) -> None:
        """Put rows and meta under (view, version)."""
        tag = _tag(meta.view, meta.view_version)
        try:
            held = self._client.get(tag + b":generation")
            generation = self._client.incr(tag + b":last") if replace or held is None else int(held)
            prefix = tag + b":%d:" % generation
            packed = {prefix + key: row for key, row in zip(rows.keys, rows.packed(), strict=True)}
            if replace:
                self._put_in_pieces(packed)
                packed = {}
            with self._client.pipeline(transaction=True) as pipe:
                if packed:
                    pipe.mset(packed)
                pipe.set(tag + b":meta", msgspec.json.encode(meta))
                pipe.set(tag + b":generation", generation)
                pipe.execute()
            self._client.hsetnx(VIEWS, meta.view, meta.view_version)
            self._client.sadd(f"{VIEWS}:{meta.view}", meta.view_version)
            if replace and held is not None:
                self._delete(tag + b":%d:*" % int(held))
        except redis.RedisError as error:
            raise _unavailable(error) from error

    def _put_in_pieces(self, packed: dict[bytes, bytes]) -> None:
        items = list(packed.items())
        for at in range(0, len(items), ROWS_PER_COMMAND):
            self._client.mset(dict(items[at : at + ROWS_PER_COMMAND]))

    def _delete(self, pattern: bytes) -> int:
        gone = 0
        for key in self._client.scan_iter(match=_escaped(pattern), count=ROWS_PER_COMMAND):
            gone += self._client.unlink(key)
        return gone

    def read(self, binding: ViewBinding, keys: Sequence[bytes], now_us: int) -> OnlineRows:
        """The values of ``keys``: two round trips, one for the generation and one for the rows with the generation again."""
        missing = missing_row(len(binding.features))
        pointer = _tag(binding.view, binding.view_version) + b":generation"
        try:
            generation = self._client.get(pointer)
            while generation is not None:
                prefix = pointer[: -len(b"generation")] + generation + b":"
                *found, after = self._client.mget([*(prefix + key for key in keys), pointer])
                if after == generation:
                    packed = bytearray().join([row if row is not None and key else missing for key, row in zip(keys, found, strict=True)])
                    return unpack_rows(packed, len(keys), binding, now_us)
                generation = after
        except redis.RedisError as error:
            raise _unavailable(error) from error
        return unpack_rows(bytearray(missing * len(keys)), len(keys), binding, now_us)

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
            self._client.delete(tag + b":meta", tag + b":generation", tag + b":last")
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
