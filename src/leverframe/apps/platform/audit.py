"""Use cases of the audit chain: reading, verifying, exporting."""

import time
from collections.abc import Sequence

from leverframe.apps.evidence.pack import evidence_pack
from leverframe.apps.platform.parts import Parts
from leverframe.apps.platform.views import AuditView, VerifyView
from leverframe.governance.ledger.chain import AuditEntry


class Audit:
    """What happened, in order, and whether anybody touched the record of it."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def entries(self, *, after: int = 0, limit: int = 100, newest_first: bool = True) -> tuple[AuditView, ...]:
        """Entries beyond ``after`` in reading direction."""
        return tuple(_view(entry) for entry in self._parts.ledger.audit(after=after, limit=limit, newest_first=newest_first))

    def verify(self, checkpoints: Sequence[bytes] = ()) -> VerifyView:
        """Follow the whole chain, with the checkpoint that was published outside the database and those a witness kept."""
        started = time.perf_counter()
        report = self._parts.ledger.verify(self._parts.trust, (*self._parts.publisher.checkpoints(), *checkpoints))
        return VerifyView(
            ok=report.ok,
            entries=report.entries,
            first_bad_seq=report.first_bad_seq,
            what=report.what or f"the chain holds, vouched for up to entry {report.vouched_seq}",
            seconds=round(time.perf_counter() - started, 3),
        )

    def checkpoint(self) -> bytes:
        """A signed statement of where the chain ends now, for a witness on another host.

        Raises
        ------
        NotFound: nothing was written yet.
        """
        return self._parts.ledger.checkpoint(self._parts.key)

    def export(self) -> bytes:
        """Entries, the revisions they wrote and the checkpoints as JSON lines, for verification off-host."""
        return b"".join(self._parts.ledger.export())

    def evidence(self, release_id: str) -> bytes:
        """Everything a release was decided on, as a ZIP archive that carries its own verifier."""
        parts = self._parts
        return evidence_pack(parts.ledger, parts.artifacts, parts.key, parts.trust, release_id, now_us=parts.clock.now_us())


def _view(entry: AuditEntry) -> AuditView:
    return AuditView(
        seq=entry.seq,
        at_us=entry.at_us,
        recorded_at_us=entry.recorded_at_us,
        actor=entry.actor,
        action=entry.action,
        resource=entry.resource,
        policy_ids=entry.policy_ids,
        hash=entry.hash,
        summary=entry.command,
    )
