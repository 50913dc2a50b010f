"""Use cases of history: what was live, what was believed to be, and what is told later."""

import msgspec

from leverframe.apps.platform.parts import Parts
from leverframe.apps.platform.release import Releases
from leverframe.apps.platform.views.history import CorrectionRequest, HistoryEntry
from leverframe.core.actor import Actor
from leverframe.core.errors import InvalidInput
from leverframe.release import history
from leverframe.release.history import LiveRecord
from leverframe.release.levers.corrections import CorrectHistory


class History:
    """The past of endpoints, read off the ledger."""

    def __init__(self, parts: Parts, releases: Releases) -> None:
        self._parts = parts
        self._releases = releases

    def of(self, environment: str, endpoint: str, at_us: int | None = None, known_us: int | None = None) -> tuple[HistoryEntry, ...]:
        """What was live at ``at_us`` and why, as known at ``known_us`` (None: now); without a moment, all that ever was, and corrections.

        Raises
        ------
        NotFound: nothing was live then.    InvalidInput: ``known_us`` without a moment that it is asked about.
        """
        ledger = self._parts.ledger
        if at_us is None and known_us is not None:
            raise InvalidInput("known of which moment?", where="known_us", expected="at_us beside it", next_step="--at MOMENT")
        if at_us is not None:
            records: tuple[LiveRecord, ...] = (history.live_at(ledger, environment, endpoint, at_us, known_us=known_us),)
        else:
            records = (*history.timeline(ledger, environment, endpoint), *history.corrections(ledger, environment, endpoint))
        return tuple(self._entry(record) for record in records)

    def correct(self, actor: Actor, environment: str, endpoint: str, request: CorrectionRequest, *, key: str) -> tuple[HistoryEntry, ...]:
        """Tell later what really answered; the answer is the history with it."""
        command = CorrectHistory(
            environment=environment,
            endpoint=endpoint,
            version=request.version,
            from_us=request.from_us,
            until_us=request.until_us,
            reason=request.reason,
            owner_team=self._releases.team_of(environment, endpoint),
        )
        self._parts.ledger.write(actor, command, key=key)
        return self.of(environment, endpoint)

    def _entry(self, record: LiveRecord) -> HistoryEntry:
        read_off = record.entry is not None or record.corrected
        return HistoryEntry(
            from_us=record.from_us,
            to_us=record.to_us,
            version=record.version,
            arms=record.arms,
            release=record.release,
            actor=record.actor,
            action=record.action,
            reason=record.reason if read_off else self._lever_reason(record.seq, record.reason),
            approvals=record.approvals,
            seq=record.seq,
            corrected=record.corrected,
        )

    def _lever_reason(self, seq: int, otherwise: str) -> str:
        """The reason an operator gave for the lever that audit entry ``seq`` recorded."""
        (entry,) = self._parts.ledger.audit(after=seq - 1, limit=1)
        reason = msgspec.json.decode(entry.body).get("reason", "")
        return f"{entry.command}: {reason}" if reason else otherwise
