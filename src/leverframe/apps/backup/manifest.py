"""What a backup consists of: the digest of every file, and where its audit chain ends. Signed, and written last: it makes the backup."""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import msgspec

from leverframe.core.digest import Digest, canonical_json, digest_bytes
from leverframe.core.errors import Integrity, NotFound
from leverframe.governance.durable_files import unavailable, write_durably
from leverframe.governance.signing import SigningKey, TrustStore

FILE = "backup.json"
PAYLOAD_TYPE = "application/vnd.leverframe.backup+json"
LEDGER, WORKFLOWS, OUTBOX = "ledger.db", "workflows.db", "outbox.db"
ARTIFACTS, PUBLISHED, KEYS = "artifacts", "published", "keys"
READ_BYTES_MAX = 16 * 1024 * 1024


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """``files`` are digests by name, artifacts apart: those are named by theirs, and ``artifacts`` is the digest of the list of names.

    ``entries`` and ``chain`` say where the audit chain ends: its last number and hash.
    """

    made_at_us: int
    entries: int
    chain: str
    files: dict[str, Digest]
    artifacts: Digest
    artifacts_total: int
    artifacts_bytes: int
    format: str = "leverframe.backup/1"


def write_manifest(folder: Path, manifest: Manifest, key: SigningKey) -> None:
    """Make ``folder`` a backup."""
    write_durably(folder / FILE, key.sign(PAYLOAD_TYPE, canonical_json(manifest)))


def read_manifest(folder: Path, trust: TrustStore) -> Manifest:
    """The manifest of the backup in ``folder``, if a trusted key signed it.

    Raises
    ------
    NotFound: no backup, or one that was never finished.  Integrity: not signed by a trusted key.
    """
    try:
        envelope = (folder / FILE).read_bytes()
    except FileNotFoundError as error:
        raise NotFound("no backup here, or one that was not finished", where=str(folder), next_step="lever backup FOLDER") from error
    except OSError as error:
        raise unavailable(error, FILE) from error
    return msgspec.json.decode(trust.verify(envelope, PAYLOAD_TYPE), type=Manifest)


def pieces_of(path: Path) -> Iterator[bytes]:
    """A file's bytes, piece by piece.

    Raises
    ------
    Unavailable: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            while piece := file.read(READ_BYTES_MAX):
                yield piece
    except OSError as error:
        raise unavailable(error, path.name) from error


def digest_of_file(path: Path) -> Digest:
    """The digest of a file, read in pieces."""
    digest = sha256()
    for piece in pieces_of(path):
        digest.update(piece)
    return f"sha256:{digest.hexdigest()}"


def artifacts_in(folder: Path) -> dict[str, Path]:
    """Every artifact below ``folder``, by its digest."""
    return {f"sha256:{path.name}": path for path in _files(folder) if len(path.name) == 64}


def names_digest(names: Iterator[str] | list[str]) -> Digest:
    """The digest of a list of artifacts' names."""
    return digest_bytes("\n".join(sorted(names)).encode())


def files_in(folder: Path) -> dict[str, Path]:
    """Every other file of a backup, by its name below ``folder``."""
    return {
        path.relative_to(folder).as_posix(): path
        for path in _files(folder)
        if path != folder / FILE and path.relative_to(folder).parts[0] != ARTIFACTS
    }


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.startswith("."))


def check_artifact(digest: Digest, path: Path) -> None:
    """Raise Integrity unless ``path`` holds what its name says."""
    if digest_of_file(path) != digest:
        raise Integrity("an artifact is damaged", where=digest, got=str(path), next_step="take it from an older backup")
