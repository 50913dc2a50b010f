"""Make an installation again from a backup, wherever its ledger and its artifacts are to be: every byte checked first.

Artifacts that belong into a store elsewhere are put there first, since nothing names them yet; then a database elsewhere is filled in one
transaction; then the folder, put together aside, takes its place in one step. Whoever is interrupted does it again.
"""

import os
import shutil
from pathlib import Path

from leverframe.apps.backup.manifest import (
    ARTIFACTS,
    KEYS,
    LEDGER,
    PUBLISHED,
    WORKFLOWS,
    Manifest,
    artifacts_in,
    check_artifact,
    digest_of_file,
    files_in,
    names_digest,
    pieces_of,
    read_manifest,
)
from leverframe.apps.settings import Settings
from leverframe.core.errors import Fault, Integrity, NotFound, Refused
from leverframe.governance.artifacts import ArtifactStore
from leverframe.governance.durable_files import make_folder, sync_folder, unavailable
from leverframe.governance.ledger import copies
from leverframe.governance.ledger.transfer import fill_database
from leverframe.governance.publication import Publication
from leverframe.governance.signing import PRIVATE_KEY_FILE, TrustStore

FAULTS_MAX = 100


def restore(folder: Path, settings: Settings, *, keys: Path | None = None) -> Manifest:
    """Make the installation of ``settings`` from the backup in ``folder``.

    Parameters
    ----------
    keys: the installation's keys, kept elsewhere; None: those in the backup, which then only vouch for themselves.

    Raises
    ------
    Refused: its folder or its database holds something already.  NotFound: no backup, or no keys.
    Integrity: a byte of it is not what it was.  Unavailable: a store does not answer, or the disk is full.
    """
    home = settings.home
    if home.exists() and any(home.iterdir()):
        raise Refused("there is something in this folder", where=str(home), expected="a folder that is empty or not there", got="files")
    manifest = check(folder, keys=keys)
    if settings.artifacts_url:
        store = ArtifactStore(settings.artifact_store_url)
        for digest, path in artifacts_in(folder / ARTIFACTS).items():
            store.put_pieces(digest, pieces_of(path))
    if settings.database_url:
        trust = TrustStore.from_folder(keys or folder / KEYS)
        fill_database(folder / LEDGER, settings.ledger_url, trust, manifest.entries, manifest.chain)
    if settings.publication_url:
        _publish(folder, manifest, Publication(settings.publication_store_url))
    _put_together(folder, manifest, home, keys, elsewhere=_elsewhere(settings))
    return manifest


def _elsewhere(settings: Settings) -> set[str]:
    """What of a backup has no place in the installation's folder."""
    places = {
        LEDGER: settings.database_url,
        # Jobs under way are no part of the record; elsewhere they are the engine's own to keep.
        WORKFLOWS: settings.workflows_url or settings.database_url,
        ARTIFACTS: settings.artifacts_url,
        PUBLISHED: settings.publication_url,
    }
    return {name for name, url in places.items() if url}


def _publish(folder: Path, manifest: Manifest, board: Publication) -> None:
    """Publish what was published where nothing is: what gateways read by now may be newer, and the control plane publishes again."""
    for name in manifest.files:
        place, _, rest = name.partition("/")
        if place == PUBLISHED and board.read(rest) is None:
            board.publish(rest, (folder / name).read_bytes())


def _put_together(folder: Path, manifest: Manifest, home: Path, keys: Path | None, *, elsewhere: set[str]) -> None:
    aside = home.with_name(f".{home.name}.restoring")
    try:
        make_folder(home.parent)
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(mode=0o700)
        for name in (*manifest.files, ARTIFACTS):
            if name.partition("/")[0] in elsewhere:
                continue
            if (folder / name).is_dir():
                shutil.copytree(folder / name, aside / name)
            elif (folder / name).exists():
                (aside / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(folder / name, aside / name)
        if keys is not None:
            shutil.copytree(keys, aside / KEYS, dirs_exist_ok=True)
        _owned_and_synced(aside)
        if home.exists():
            home.rmdir()
        aside.rename(home)
        sync_folder(home.parent)
    except OSError as error:
        shutil.rmtree(aside, ignore_errors=True)
        raise unavailable(error, str(home)) from error


def check(folder: Path, *, keys: Path | None = None) -> Manifest:
    """Look at every byte of a backup and at its chain. See :func:`restore`."""
    trusted = keys or folder / KEYS
    if not (trusted / PRIVATE_KEY_FILE).is_file():
        raise NotFound("the installation's keys are not here", where=str(trusted), next_step="lever restore --keys FOLDER")
    trust = TrustStore.from_folder(trusted)
    manifest = read_manifest(folder, trust)
    faults = [*_file_faults(folder, manifest), *_artifact_faults(folder, manifest)]
    if faults:
        raise Integrity(
            f"{len(faults)} files of the backup are not what they were",
            where=str(folder),
            faults=faults[:FAULTS_MAX],
            next_step="restore an older backup",
        )
    report = copies.verify_file(folder / LEDGER, trust)
    if not report.ok or (report.entries, report.hash) != (manifest.entries, manifest.chain):
        raise Integrity("the record is not the one that was copied", where=LEDGER, expected=manifest.chain, got=report.what or report.hash)
    return manifest


def _file_faults(folder: Path, manifest: Manifest) -> list[Fault]:
    there = files_in(folder)
    missing = [Fault(where=name, what="missing") for name in manifest.files if name not in there]
    strange = [Fault(where=name, what="not of this backup") for name in there if name not in manifest.files]
    changed = [
        Fault(where=name, what="changed", expected=digest)
        for name, digest in manifest.files.items()
        if name in there and digest_of_file(there[name]) != digest
    ]
    return [*missing, *strange, *changed]


def _artifact_faults(folder: Path, manifest: Manifest) -> list[Fault]:
    there = artifacts_in(folder / ARTIFACTS)
    faults = []
    if names_digest(list(there)) != manifest.artifacts:
        what = "artifacts are missing, or others came"
        faults.append(Fault(where=ARTIFACTS, what=what, expected=f"{manifest.artifacts_total}", got=f"{len(there)}"))
    for digest, path in there.items():
        try:
            check_artifact(digest, path)
        except Integrity as error:
            faults.append(Fault(where=digest, what=error.what))
    return faults


def _owned_and_synced(folder: Path) -> None:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            path.chmod(0o600 if path.suffix in (".key", ".db") else 0o644)
            with path.open("rb") as file:
                os.fsync(file.fileno())
    for path in sorted(folder.rglob("*")):
        if path.is_dir():
            sync_folder(path)
