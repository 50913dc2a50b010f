"""Verify an audit chain on any machine: no server, only an export or a copy of the ledger, public keys, and checkpoints kept elsewhere."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from leverframe.apps.platform.views import VerifyView
from leverframe.core.errors import NotFound
from leverframe.governance.ledger import copies
from leverframe.governance.ledger.verify import AuditReport
from leverframe.governance.signing import TrustStore


def verify_file(path: Path, keys: Path, checkpoints: Sequence[Path] = ()) -> VerifyView:
    """Follow the chain in ``path`` (what ``lever audit export`` wrote).

    Parameters
    ----------
    keys: folder of the installation's public keys (``*.pub``), which the checkpoints must be signed with.
    checkpoints: envelopes noted earlier, off the host; they show a record that was cut short or rewritten since.

    Raises
    ------
    NotFound: a file cannot be read, or there is no key.
    """

    def followed(trust: TrustStore, envelopes: Sequence[bytes]) -> AuditReport:
        with path.open("rb") as lines:
            return copies.verify_export(lines, trust, envelopes)

    return _verified(followed, path, keys, checkpoints)


def verify_copy(path: Path, keys: Path, checkpoints: Sequence[Path] = ()) -> VerifyView:
    """Follow the chain in a copy of a SQLite ledger, which is only read; parameters and errors as of :func:`verify_file`."""
    return _verified(lambda trust, envelopes: copies.verify_file(path, trust, envelopes), path, keys, checkpoints)


def read_envelopes(paths: Sequence[Path]) -> list[bytes]:
    """The checkpoints in files.

    Raises
    ------
    NotFound: one cannot be read.
    """
    try:
        return [path.read_bytes() for path in paths]
    except OSError as exc:
        raise NotFound("this checkpoint cannot be read", where=str(exc.filename), got=exc.strerror or "") from exc


def _verified(
    follow: Callable[[TrustStore, Sequence[bytes]], AuditReport], path: Path, keys: Path, checkpoints: Sequence[Path]
) -> VerifyView:
    started = time.perf_counter()
    trust = TrustStore.from_folder(keys)
    if not len(trust):
        raise NotFound("no public key to check the checkpoints with", where=str(keys), next_step="copy keys/*.pub here, add --keys FOLDER")
    try:
        report = follow(trust, read_envelopes(checkpoints))
    except OSError as exc:
        raise NotFound("this file cannot be read", where=str(exc.filename or path), got=exc.strerror or "") from exc
    return VerifyView(
        ok=report.ok,
        entries=report.entries,
        first_bad_seq=report.first_bad_seq,
        what=report.what or f"the chain holds, vouched for up to entry {report.vouched_seq}",
        seconds=round(time.perf_counter() - started, 3),
    )
