"""Bytes named by their digest, kept in a local folder or an object store, and checked again on every read.

A name is never a path: an artifact is asked for by SHA-256, a published object by a name of letters, digits and ``._-``.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from leverframe.core.digest import Digest, check_digest, digest_bytes
from leverframe.core.errors import Integrity, InvalidInput, NotFound
from leverframe.governance.durable_files import sync_folder
from leverframe.governance.objects import LocalObjects, open_objects

HEX_DIGITS = 64


class ArtifactStore:
    """Content-addressed bytes, optionally with a local copy of everything that was read.

    Parameters
    ----------
    url: see :func:`open_objects`.
    options: see :func:`open_objects`.
    cache_dir: keep verified copies here, and read them first: a gateway restarts with the store away.
    """

    def __init__(self, url: str, *, options: Mapping[str, Any] | None = None, cache_dir: Path | None = None) -> None:
        self._objects = open_objects(url, options)
        self._cache = LocalObjects(cache_dir) if cache_dir is not None else None

    def put(self, data: bytes) -> Digest:
        """Keep ``data`` and return its name; durable when this returns. A damaged copy already there is replaced.

        Raises
        ------
        Unavailable: disk full, no permission, store away; nothing was kept.
        """
        digest = digest_bytes(data)
        name = _object_name(digest)
        if self._objects.size(name) == len(data) and self._objects.read(name) == data:
            if isinstance(self._objects, LocalObjects):
                # Whoever wrote it may have died between rename and sync: the name must be durable for us too.
                sync_folder(self._objects.path(name).parent)
            return digest
        self._objects.put(name, data)
        return digest

    def get(self, digest: Digest) -> bytes:
        """The bytes named ``digest``.

        Raises
        ------
        NotFound: nobody put them here.  Integrity: what is here has another digest.  Unavailable: the store does not answer.
        """
        name = _object_name(digest)
        if self._cache is not None:
            cached = self._cache.read(name)
            if cached is not None and digest_bytes(cached) == digest:
                return cached
        data = self._objects.read(name)
        if data is None:
            raise NotFound(
                "no such artifact", where=digest, next_step="check the digest, or restore it from a backup of the artifact store"
            )
        found = digest_bytes(data)
        if found != digest:
            raise Integrity(
                "artifact is damaged or was replaced", where=digest, expected=digest, got=found, next_step="put the original bytes again"
            )
        if self._cache is not None:
            self._cache.put(name, data)
        return data

    def pieces(self, digest: Digest) -> Iterator[bytes]:
        """The bytes named ``digest`` a few MiB at a time, *unchecked*: whoever reads them all looks at their digest.

        Raises
        ------
        NotFound: nobody put them here.  Unavailable: the store does not answer.
        """
        found = self._objects.pieces(_object_name(digest))
        if found is None:
            raise NotFound("no such artifact", where=digest)
        return found

    def put_pieces(self, digest: Digest, pieces: Iterable[bytes]) -> None:
        """Keep bytes whose digest was looked at before, piece by piece: what a backup gives back.

        Raises
        ------
        Unavailable: disk full, no permission, store away; nothing was kept.
        """
        self._objects.put(_object_name(digest), pieces)

    def sizes(self) -> Iterator[tuple[Digest, int]]:
        """What is kept here, each name with its length in bytes, in no order.

        Raises
        ------
        Unavailable: the store does not answer.
        """
        named = ((name.rpartition("/")[2], size) for name, size in self._objects.sizes())
        return ((f"sha256:{name}", size) for name, size in named if len(name) == HEX_DIGITS)

    def has(self, digest: Digest) -> bool:
        """Whether bytes are kept under this name (not whether they are intact)."""
        name = _object_name(digest)
        return (self._cache is not None and self._cache.size(name) is not None) or self._objects.size(name) is not None

    def size(self, digest: Digest) -> int:
        """Length in bytes.

        Raises
        ------
        NotFound: nobody put them here.
        """
        size = self._objects.size(_object_name(digest))
        if size is None:
            raise NotFound("no such artifact", where=digest)
        return size

    def delete(self, digest: Digest) -> None:
        """Remove the bytes named ``digest`` for good, copies here included; none there is fine.

        Only what no record names any more may be deleted: see ``data.doomed``.

        Raises
        ------
        Unavailable: the store does not answer, or refuses.
        """
        name = _object_name(digest)
        if self._cache is not None:
            self._cache.delete(name)
        self._objects.delete(name)

    def local_path(self, digest: Digest) -> Path:
        """A local file with exactly these bytes, checked now; read it, never write it.

        Raises
        ------
        NotFound, Integrity, Unavailable: as :meth:`get`.  InvalidInput: a remote store without ``cache_dir``.
        """
        local = self._cache or self._objects
        if not isinstance(local, LocalObjects):
            raise InvalidInput("a remote store has no local files", where="cache_dir", expected="a folder for local copies", got="none")
        self.get(digest)
        return local.path(_object_name(digest))


def _object_name(digest: Digest) -> str:
    """``sha256/ab/<64 hex digits>``: two levels, so that no folder grows without bound."""
    hexdigits = check_digest(digest).partition(":")[2]
    return f"sha256/{hexdigits[:2]}/{hexdigits}"
