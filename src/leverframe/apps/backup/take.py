"""Take a backup of an installation that goes on running.

The order makes it whole. What is published first, for its checkpoint must not be ahead of the ledger. Then the ledger, in one read of the
database. Then the artifacts that were there before it and after it: bytes are written before the rows that name them, so every byte that
the copied ledger names is among them; and when one of them was deleted meanwhile, the ledger is copied anew.
"""

import os
import shutil
import sqlite3
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from leverframe.apps.backup.manifest import (
    ARTIFACTS,
    FILE,
    KEYS,
    LEDGER,
    Manifest,
    artifacts_in,
    check_artifact,
    digest_of_file,
    files_in,
    names_digest,
    write_manifest,
)
from leverframe.apps.settings import Settings
from leverframe.core.errors import Conflict, Integrity, InvalidInput, NotFound
from leverframe.governance.durable_files import make_folder, sync_folder, unavailable
from leverframe.governance.ledger import copies
from leverframe.governance.signing import TrustStore, load_or_create

ATTEMPTS_MAX = 5
OTHER_DATABASES = ("workflows.db", "outbox.db")
OWNER_ONLY = 0o600


class Taken(NamedTuple):
    """A finished backup, and how many artifacts had to be copied into it (the others were there from an earlier one)."""

    manifest: Manifest
    copied: int


def take(settings: Settings, folder: Path, *, now_us: int, with_keys: bool = True) -> Taken:
    """Copy the installation of ``settings`` into ``folder``; what an earlier backup left there is used again.

    Raises
    ------
    NotFound: no installation.  InvalidInput: its ledger or artifacts are not here.  Conflict: bytes were deleted all the time.
    Integrity: what was copied is damaged. Nothing is a backup until its manifest is written.
    """
    home = settings.home
    ledger, artifacts = _here(settings)
    _begin(folder)
    _copy_folder(home / "published", folder / "published")
    copied = 0
    for _ in range(ATTEMPTS_MAX):
        before = artifacts_in(artifacts)
        _copy_database(ledger, folder / LEDGER)
        wanted = before | artifacts_in(artifacts)
        new, lost = _copy_artifacts(wanted, folder / ARTIFACTS)
        copied += new
        if not lost:
            break
    else:
        raise Conflict("artifacts were deleted all the time", where=str(artifacts), next_step="take the backup again in a while")
    for name in OTHER_DATABASES:
        if (home / name).exists():
            _copy_database(home / name, folder / name)
    if with_keys:
        _copy_folder(settings.keys_folder, folder / KEYS, mode=OWNER_ONLY)
    manifest = _checked(folder, settings, now_us)
    write_manifest(folder, manifest, load_or_create(settings.keys_folder))
    return Taken(manifest, copied)


def _here(settings: Settings) -> tuple[Path, Path]:
    """The ledger's file and the artifacts' folder."""
    step = "back up the database and the bucket by their own means (pg_dump, versioned buckets), database first"
    if not settings.ledger_url.startswith("sqlite:///"):
        raise InvalidInput("the ledger is not a file here", where="ledger", expected="SQLite", got="another database", next_step=step)
    parts = urlsplit(settings.artifact_store_url)
    if parts.scheme not in ("", "file"):
        raise InvalidInput("the artifacts are not here", where="artifacts", expected="a folder", got=parts.scheme, next_step=step)
    ledger = Path(settings.ledger_url.removeprefix("sqlite:///"))
    if not ledger.is_file():
        raise NotFound("no installation here", where=str(settings.home), expected="a folder that lever up made", next_step="--home FOLDER")
    return ledger, Path(unquote(parts.path))


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
        aside.chmod(OWNER_ONLY)
        _synced(aside)
        aside.replace(to)
        sync_folder(to.parent)
    except sqlite3.Error as error:
        raise Integrity("the database cannot be copied", where=source.name, got=str(error)[:200], next_step="lever doctor") from error
    except OSError as error:
        raise unavailable(error, to.name) from error


def _copy_artifacts(wanted: dict[str, Path], folder: Path) -> tuple[int, int]:
    """Copy what is not there yet, delete what is not wanted any more; how many were copied, and how many were gone at the source."""
    there = artifacts_in(folder) if folder.is_dir() else {}
    copied = lost = 0
    for digest, path in wanted.items():
        held = there.pop(digest, None)
        try:
            if held is not None and held.stat().st_size == path.stat().st_size:
                continue
            _copy_file(path, folder / "sha256" / path.name[:2] / path.name)
            copied += 1
        except FileNotFoundError:
            lost += 1
    # What was deleted for good at the source, a person's rows among it, must not live on here.
    for path in there.values():
        path.unlink()
    return copied, lost


def _copy_folder(source: Path, to: Path, *, mode: int = 0o644) -> None:
    """Copy the files of a small folder, and delete what it has no more."""
    wanted = {path.relative_to(source) for path in source.rglob("*") if path.is_file() and not path.name.startswith(".")}
    for old in [path for path in to.rglob("*") if path.is_file()] if to.is_dir() else []:
        if old.relative_to(to) not in wanted:
            old.unlink()
    for name in sorted(wanted):
        _copy_file(source / name, to / name, mode=mode)


def _copy_file(source: Path, to: Path, *, mode: int = 0o644) -> None:
    """Copy one file, durably and whole.

    Raises
    ------
    FileNotFoundError: it is gone.  Unavailable: the disk is full or failing.
    """
    with source.open("rb") as reading:
        try:
            make_folder(to.parent)
            aside = to.with_name(f".{to.name}.new")
            descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
            with os.fdopen(descriptor, "wb") as writing:
                os.fchmod(writing.fileno(), mode)
                shutil.copyfileobj(reading, writing, 1024 * 1024)
                writing.flush()
                os.fsync(writing.fileno())
            aside.replace(to)
            sync_folder(to.parent)
        except OSError as error:
            raise unavailable(error, to.name) from error


def _synced(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


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
