"""Verify an exported audit chain on any machine: no server, only the file, public keys, and checkpoints kept elsewhere."""

import time
from collections.abc import Sequence
from pathlib import Path

from leverframe.apps.platform.views import VerifyView
from leverframe.core.errors import NotFound
from leverframe.governance.ledger.copies import verify_export
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
    started = time.perf_counter()
    trust = TrustStore.from_folder(keys)
    if not len(trust):
        raise NotFound("no public key to check the checkpoints with", where=str(keys), next_step="copy keys/*.pub here, add --keys FOLDER")
    try:
        envelopes = [checkpoint.read_bytes() for checkpoint in checkpoints]
        with path.open("rb") as lines:
            report = verify_export(lines, trust, envelopes)
    except OSError as exc:
        raise NotFound("this file cannot be read", where=str(exc.filename or path), got=exc.strerror or "") from exc
    return VerifyView(
        ok=report.ok,
        entries=report.entries,
        first_bad_seq=report.first_bad_seq,
        what=report.what or f"the chain holds, vouched for up to entry {report.vouched_seq}",
        seconds=round(time.perf_counter() - started, 3),
    )
