"""Named bytes in a local folder or an object store: what artifacts and publications are kept in. Owner of obstore."""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Protocol, TypeVar
from urllib.parse import unquote, urlsplit

import obstore
import obstore.store
from obstore.exceptions import BaseError

from leverframe.core.errors import InvalidInput, Unavailable
from leverframe.governance.durable_files import sync_folder, unavailable, write_durably

PIECE_BYTES = 8 * 1024 * 1024
"""How much is in memory of bytes that are read in pieces."""

_REMOTE_SCHEMES = ("s3", "gs", "az", "memory")
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}(/[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}){0,3}")


T = TypeVar("T")


class Objects(Protocol):
    """A place for named bytes. ``put`` is durable and atomic when it returns; ``read`` gives None where there is nothing."""

    def put(self, name: str, data: bytes | Iterable[bytes]) -> None:
        """Store ``data``, whole or in pieces, as ``name``, replacing what was there."""
        ...

    def read(self, name: str) -> bytes | None:
        """The bytes called ``name``, or None."""
        ...

    def pieces(self, name: str) -> Iterator[bytes] | None:
        """The bytes called ``name``, a few MiB at a time, or None."""
        ...

    def sizes(self) -> Iterator[tuple[str, int]]:
        """What there is, each name with its length in bytes, in no order."""
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

    def put(self, name: str, data: bytes | Iterable[bytes]) -> None:
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

    def pieces(self, name: str) -> Iterator[bytes] | None:
        """The bytes, piece by piece, or None."""
        try:
            file = self.path(name).open("rb")
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise unavailable(error, name) from error
        return _pieces(file, name)

    def sizes(self) -> Iterator[tuple[str, int]]:
        """Every file's place below the root; what is being written aside is none."""
        for path in self.root.rglob("*"):
            try:
                if path.is_file() and not path.name.startswith("."):
                    yield path.relative_to(self.root).as_posix(), path.stat().st_size
            except FileNotFoundError:
                continue  # deleted since it was listed

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

    def put(self, name: str, data: bytes | Iterable[bytes]) -> None:
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

    def pieces(self, name: str) -> Iterator[bytes] | None:
        """The bytes, as they arrive, or None."""
        try:
            arriving = self._store.get(name).stream(min_chunk_size=PIECE_BYTES)
        except FileNotFoundError:
            return None
        except (BaseError, OSError) as error:
            raise self._unavailable(error) from error
        return self._told(bytes(piece) for piece in arriving)

    def sizes(self) -> Iterator[tuple[str, int]]:
        """Every object below the prefix, a thousand a request."""
        return self._told((str(meta["path"]), int(meta["size"])) for chunk in self._store.list(chunk_size=1_000) for meta in chunk)

    def _told(self, arriving: Iterator[T]) -> Iterator[T]:
        """``arriving``, with the store's failures in the project's words."""
        try:
            yield from arriving
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


def _pieces(file: BinaryIO, name: str) -> Iterator[bytes]:
    try:
        with file:
            while piece := file.read(PIECE_BYTES):
                yield piece
    except OSError as error:
        raise unavailable(error, name) from error


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
