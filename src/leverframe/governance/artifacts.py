"""Bytes named by their digest, kept in a local folder or an object store, and checked again on every read.

A name is never a path: an artifact is asked for by SHA-256, a published object by a name of letters, digits and ``._-``. Owner of obstore.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

import obstore
import obstore.store
from obstore.exceptions import BaseError

from leverframe.core.digest import Digest, check_digest, digest_bytes
from leverframe.core.errors import Integrity, InvalidInput, NotFound, Unavailable
from leverframe.governance.durable_files import sync_folder, unavailable, write_durably

_REMOTE_SCHEMES = ("s3", "gs", "az", "memory")
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}(/[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}){0,3}")


class Objects(Protocol):
    """A place for named bytes. ``put`` is durable and atomic when it returns; ``read`` gives None where there is nothing."""

    def put(self, name: str, data: bytes) -> None:
        """Store ``data`` as ``name``, replacing what was there."""
        ...

    def read(self, name: str) -> bytes | None:
        """The bytes called ``name``, or None."""
        ...

    def size(self, name: str) -> int | None:
        """Their length in bytes, or None."""
        ...

    def delete(self, name: str) -> None:
        """Remove the bytes called ``name``; durable when it returns. Nothing there is fine."""
        ...


class LocalObjects:
    """Objects as files under ``root``."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, name: str, data: bytes) -> None:
        """Store ``data``: written aside, synced, renamed, folder synced."""
        write_durably(self.path(name), data)

    def read(self, name: str) -> bytes | None:
        """The bytes, or None."""
        try:
            return self.path(name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise unavailable(error, name) from error

    def size(self, name: str) -> int | None:
        """Length in bytes, or None."""
        try:
            return self.path(name).stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise unavailable(error, name) from error

    def delete(self, name: str) -> None:
        """Remove the file, and make that durable."""
        try:
            self.path(name).unlink()
            sync_folder(self.path(name).parent)
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise unavailable(error, name) from error

    def path(self, name: str) -> Path:
        """Where ``name`` lies."""
        return self.root / name


class RemoteObjects:
    """Objects in S3, GCS, Azure or memory; a put there is atomic and acknowledged when durable."""

    def __init__(self, url: str, options: Mapping[str, Any]) -> None:
        self._where = f"{urlsplit(url).scheme}://{urlsplit(url).netloc}"
        try:
            self._store = obstore.store.from_url(url, **options)
        except (BaseError, ValueError, TypeError) as error:
            raise InvalidInput("not an object store that can be opened", where=self._where, got=type(error).__name__) from error

    def put(self, name: str, data: bytes) -> None:
        """Store ``data`` in one request (parts, when it is large), visible whole or not at all."""
        try:
            self._store.put(name, data)
        except (BaseError, OSError) as error:
            raise self._unavailable(error) from error

    def read(self, name: str) -> bytes | None:
        """The bytes, or None."""
        try:
            return bytes(self._store.get(name).bytes())
        except FileNotFoundError:
            return None
        except (BaseError, OSError) as error:
            raise self._unavailable(error) from error

    def size(self, name: str) -> int | None:
        """Length in bytes, or None."""
        try:
            return int(self._store.head(name)["size"])
        except FileNotFoundError:
            return None
        except (BaseError, OSError) as error:
            raise self._unavailable(error) from error

    def delete(self, name: str) -> None:
        """Remove the object."""
        try:
            self._store.delete(name)
        except FileNotFoundError:
            return
        except (BaseError, OSError) as error:
            raise self._unavailable(error) from error

    def _unavailable(self, error: Exception) -> Unavailable:
        return Unavailable(
            f"the object store did not answer as it should ({type(error).__name__})",
            where=self._where,
            next_step="check that the bucket exists, the credentials are valid and the endpoint can be reached; then repeat",
        )


def open_objects(url: str, options: Mapping[str, Any] | None = None) -> Objects:
    """The place ``url`` names: a folder (plain path or ``file://``), ``s3://bucket/prefix``, ``gs://``, ``az://`` or ``memory:///``.

    Parameters
    ----------
    options: what obstore takes for that store, for instance ``endpoint``, ``region``, ``access_key_id``, ``client_options``.

    Raises
    ------
    InvalidInput: another scheme. The URL comes from the operator's settings, never from a client.
    """
    scheme = urlsplit(url).scheme if "://" in url else ""
    if scheme in ("", "file"):
        return LocalObjects(Path(unquote(urlsplit(url).path) if scheme else url))
    if scheme not in _REMOTE_SCHEMES:
        raise InvalidInput("unknown kind of store", where="store url", expected=f"a folder or {', '.join(_REMOTE_SCHEMES)}", got=scheme)
    return RemoteObjects(url, options or {})


def check_object_name(name: str) -> str:
    """Return ``name`` if it is a plain relative name (up to four parts, none starting with a dot).

    Raises
    ------
    InvalidInput: anything that could leave its folder.

    >>> check_object_name("routes/prod.json")
    'routes/prod.json'
    """
    if not _NAME.fullmatch(name):
        raise InvalidInput(
            "not a name for stored bytes", where="name", expected="letters, digits, . _ - and at most three /", got=name[:80]
        )
    return name


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
