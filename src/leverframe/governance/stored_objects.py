"""Objects that somebody else writes: listed and read with a stamp, so that one that changes under the reader is noticed."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec
import obstore
import obstore.store
from obstore.exceptions import BaseError

from leverframe.core.errors import Conflict, InvalidInput, LimitExceeded, NotFound, Unavailable

LISTED_MAX = 50_000


class Stamp(msgspec.Struct, frozen=True, order=True):
    """An object by name, with what changes when it is written: size in bytes, the store's tag, and its time."""

    name: str
    size: int
    mark: str


class ForeignObjects:
    """The objects below one location. Nothing is ever written there.

    Parameters
    ----------
    url: ``s3://bucket/prefix``, ``gs://``, ``az://`` or ``file:///folder``, from a checked declaration, never from whoever asks.
    options: what obstore takes for that store.
    """

    def __init__(self, url: str, options: Mapping[str, Any]) -> None:
        parts = urlsplit(url)
        self._where = f"{parts.scheme}://{parts.netloc}"
        try:
            if parts.scheme == "file":
                self._store: Any = obstore.store.LocalStore(prefix=parts.path)
            else:
                self._store = obstore.store.from_url(url, **options)
        except (BaseError, OSError, ValueError, TypeError) as error:
            raise InvalidInput("not an object store that can be opened", where=self._where, got=type(error).__name__) from error

    def stamps(self) -> list[Stamp]:
        """Every object, by name.

        Raises
        ------
        LimitExceeded: more than 50,000.  Unavailable: the store does not answer.
        """
        found: list[Stamp] = []
        try:
            for chunk in self._store.list(chunk_size=1_000):
                found += [_stamp(meta) for meta in chunk]
                if len(found) > LISTED_MAX:
                    step = "declare a source with a narrower prefix"
                    raise LimitExceeded("too many objects", where=self._where, expected=f"at most {LISTED_MAX:,}", next_step=step)
        except (BaseError, OSError) as error:
            raise self._unavailable(error) from error
        return sorted(found)

    def read(self, stamp: Stamp, bytes_max: int) -> bytes:
        """The bytes of a listed object, if it is what was listed, before and after.

        Raises
        ------
        LimitExceeded: larger than ``bytes_max``.  Conflict: it changed, or went, since it was listed.  Unavailable.
        """
        if stamp.size > bytes_max:
            raise LimitExceeded("object too large", where=stamp.name, expected=f"at most {bytes_max:,} bytes", got=f"{stamp.size:,}")
        try:
            before = _stamp(self._store.head(stamp.name))
            data = bytes(self._store.get(stamp.name).bytes()) if before == stamp else b""
            after = _stamp(self._store.head(stamp.name))
        except FileNotFoundError as error:
            raise NotFound("the object went away while it was read", where=stamp.name, next_step="read the source again") from error
        except (BaseError, OSError) as error:
            raise self._unavailable(error) from error
        if not before == stamp == after or len(data) != stamp.size:
            raise Conflict(
                "the object changed while it was read; nothing of it was taken",
                where=stamp.name,
                expected=f"{stamp.size:,} bytes as listed",
                got=f"{after.size:,} bytes of another writing" if after != stamp else f"{len(data):,} bytes",
                next_step="read the source again when its writer is done",
            )
        return data

    def _unavailable(self, error: Exception) -> Unavailable:
        step = "check that the bucket exists, the credentials are valid and the endpoint can be reached; then repeat"
        return Unavailable(f"the object store did not answer as it should ({type(error).__name__})", where=self._where, next_step=step)


def _stamp(meta: Mapping[str, Any]) -> Stamp:
    return Stamp(str(meta["path"]), int(meta["size"]), f"{meta.get('e_tag') or ''}/{meta['last_modified'].isoformat()}")
