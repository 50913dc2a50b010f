"""Take a backup of an installation that goes on running, wherever its ledger and its artifacts are; what it looks like is always the same.

The order makes it whole. What is published first, for its checkpoint must not be ahead of the ledger. Then the ledger, in one read of the
database. Then the artifacts that were there before it and after it: bytes are written before the rows that name them, so every byte that
the copied ledger names is among them; and when one of them was deleted meanwhile, the ledger is copied anew.
"""

import os
import sqlite3
from pathlib import Path
from typing import NamedTuple

from leverframe.apps.backup.manifest import (
    ARTIFACTS,
    FILE,
    KEYS,
    LEDGER,
    OUTBOX,
    PUBLISHED,
    WORKFLOWS,
    Manifest,
    artifacts_in,
    check_artifact,
    digest_of_file,
    files_in,
    names_digest,
    pieces_of,
    write_manifest,
)
from leverframe.apps.settings import Settings
from leverframe.core.digest import Digest
from leverframe.core.errors import Conflict, Integrity, NotFound
from leverframe.governance.artifacts import ArtifactStore
from leverframe.governance.durable_files import make_folder, sync_folder, unavailable, write_durably
from leverframe.governance.ledger import copies, transfer
from leverframe.governance.publication import Publication
from leverframe.governance.signing import PRIVATE_KEY_FILE, TrustStore, load_or_create

ATTEMPTS_MAX = 5
OWNER_ONLY = 0o600
SQLITE = "sqlite:///"


class Taken(NamedTuple):
    """A finished backup, and how many artifacts had to be copied into it (the others were there from an earlier one)."""

    manifest: Manifest
    copied: int


def take(settings: Settings, folder: Path, *, now_us: int, with_keys: bool = True) -> Taken:
    """Copy the installation of ``settings`` into ``folder``; what an earlier backup left there is used again.

    Raises
    ------
    NotFound: no installation.  Conflict: bytes were deleted all the time.  Unavailable: a store does not answer, or the disk is full.
    Integrity: what was copied is damaged. Nothing is a backup until its manifest is written.
    """
    _check_here(settings)
    artifacts = ArtifactStore(settings.artifact_store_url)
    _begin(folder)
    _copy_published(Publication(settings.publication_store_url), folder / PUBLISHED)
    copied = 0
    for _ in range(ATTEMPTS_MAX):
        before = dict(artifacts.sizes())
        _copy_ledger(settings.ledger_url, folder / LEDGER)
        new, lost = _copy_artifacts(artifacts, before | dict(artifacts.sizes()), folder / ARTIFACTS)
        copied += new
        if not lost:
            break
    else:
        raise Conflict("artifacts were deleted all the time", where="artifacts", next_step="take the backup again in a while")
    for name, source in {WORKFLOWS: _file_of(settings.durable_url), OUTBOX: settings.outbox_file}.items():
        if source is not None and source.exists():
            _copy_database(source, folder / name)
        else:
            (folder / name).unlink(missing_ok=True)
    if with_keys:
        _copy_folder(settings.keys_folder, folder / KEYS, mode=OWNER_ONLY)
    manifest = _checked(folder, settings, now_us)
    write_manifest(folder, manifest, load_or_create(settings.keys_folder))
    return Taken(manifest, copied)


def _check_here(settings: Settings) -> None:
    """Raise NotFound where there is no installation, instead of making one."""
    file = _file_of(settings.ledger_url)
    if (file is not None and not file.is_file()) or not (settings.keys_folder / PRIVATE_KEY_FILE).is_file():
        raise NotFound("no installation here", where=str(settings.home), expected="a folder that lever up made", next_step="--home FOLDER")


def _file_of(url: str) -> Path | None:
    """The file of a SQLite database; None for another."""
    return Path(url.removeprefix(SQLITE)) if url.startswith(SQLITE) else None


def _copy_ledger(url: str, to: Path) -> None:
    file = _file_of(url)
    if file is not None:
        _copy_database(file, to)
        return
    aside = to.with_name(f".{to.name}.new")
    for left in to.parent.glob(f"{aside.name}*"):
        left.unlink()
    transfer.write_file(url, aside)
    _put_in_place(aside, to)


def _begin(folder: Path) -> None:
    """What is in ``folder`` is no backup any more until it is whole again."""
    try:
        make_folder(folder)
        folder.chmod(0o700)
        (folder / FILE).unlink(missing_ok=True)
        sync_folder(folder)
    except OSError as error:
        raise unavailable(error, str(folder)) from error


def _copy_database(source: Path, to: Path) -> None:
    """A consistent copy of a SQLite database that others write meanwhile: one read transaction, which holds nobody up.

    Source: SQLite, "Using the SQLite Online Backup API".
    """
    aside = to.with_name(f".{to.name}.new")
    aside.unlink(missing_ok=True)
    try:
        with sqlite3.connect(f"file:{source}?mode=ro", uri=True, timeout=10.0) as reading, sqlite3.connect(aside) as writing:
            reading.backup(writing, pages=-1)
            writing.execute("PRAGMA journal_mode=DELETE").fetchall()
        reading.close()
        writing.close()
    except sqlite3.Error as error:
        raise Integrity("the database cannot be copied", where=source.name, got=str(error)[:200], next_step="lever doctor") from error
    _put_in_place(aside, to)


def _put_in_place(aside: Path, to: Path) -> None:
    try:
        aside.chmod(OWNER_ONLY)
        with aside.open("rb+") as file:
            os.fsync(file.fileno())
        aside.replace(to)
        sync_folder(to.parent)
    except OSError as error:
        raise unavailable(error, to.name) from error


def _copy_artifacts(artifacts: ArtifactStore, wanted: dict[Digest, int], folder: Path) -> tuple[int, int]:
    """Copy what is not there yet, delete what is not wanted any more; how many were copied, and how many were gone at the source.

    Their digests are looked at when everything is there (:func:`_checked`).
    """
    there = artifacts_in(folder) if folder.is_dir() else {}
    copied = lost = 0
    for digest, size in wanted.items():
        held = there.pop(digest, None)
        if held is not None and held.stat().st_size == size:
            continue
        name = digest.partition(":")[2]
        try:
            write_durably(folder / "sha256" / name[:2] / name, artifacts.pieces(digest))
            copied += 1
        except NotFound:
            lost += 1
    # What was deleted for good at the source, a person's rows among it, must not live on here.
    for path in there.values():
        path.unlink()
    return copied, lost


def _copy_published(published: Publication, to: Path) -> None:
    """What gateways read, name by name; each is replaced whole at the source."""
    names = {name: data for name in published.names() if (data := published.read(name)) is not None}
    _delete_others(to, set(names))
    for name, data in names.items():
        write_durably(to / name, data)


def _copy_folder(source: Path, to: Path, *, mode: int) -> None:
    """Copy the files of a small folder, and delete what it has no more."""
    files = {path.relative_to(source).as_posix(): path for path in source.rglob("*") if path.is_file() and not path.name.startswith(".")}
    _delete_others(to, set(files))
    for name, path in files.items():
        write_durably(to / name, pieces_of(path), mode=mode)


def _delete_others(folder: Path, wanted: set[str]) -> None:
    for path in folder.rglob("*") if folder.is_dir() else ():
        if path.is_file() and path.relative_to(folder).as_posix() not in wanted:
            path.unlink()


def _checked(folder: Path, settings: Settings, now_us: int) -> Manifest:
    """The manifest of what was copied, once every byte and the chain were looked at."""
    artifacts = artifacts_in(folder / ARTIFACTS)
    for digest, path in artifacts.items():
        check_artifact(digest, path)
    report = copies.verify_file(folder / LEDGER, TrustStore.from_folder(settings.keys_folder))
    if not report.ok:
        raise Integrity("the record does not hold", where=LEDGER, got=report.what[:300], next_step="lever audit verify")
    return Manifest(
        made_at_us=now_us,
        entries=report.entries,
        chain=report.hash,
        files={name: digest_of_file(path) for name, path in files_in(folder).items()},
        artifacts=names_digest(list(artifacts)),
        artifacts_total=len(artifacts),
        artifacts_bytes=sum(path.stat().st_size for path in artifacts.values()),
    )
