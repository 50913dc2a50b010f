"""Follows the audit chain and queues run events for the collector. A new collector is told the whole story from the first entry on."""

import logging

import msgspec

from leverframe.apps.egress.outbox import Message, Outbox
from leverframe.apps.openlineage.events import EventMaker, safely
from leverframe.core.digest import digest_bytes
from leverframe.governance.ledger.store import Ledger

ENTRIES_MAX = 200
EVENTS_OF_ENTRY_MAX = 2
PREFIX = "openlineage/"

log = logging.getLogger("leverframe.openlineage")


class OpenLineageFollower:
    """Queues events for the collector at ``url``; empty: for nobody, and what waited for an earlier one is dropped."""

    def __init__(self, ledger: Ledger, outbox: Outbox, maker: EventMaker, url: str) -> None:
        self._ledger = ledger
        self._outbox = outbox
        self._maker = maker
        self._url = url
        self._channel = f"{PREFIX}{digest_bytes(url.encode())[7:19]}" if url else ""
        for channel in outbox.channels():
            if channel.startswith(PREFIX) and channel != self._channel:
                outbox.forget(channel)

    def look(self, now_us: int) -> None:
        """Queue what happened since the last look, as far as there is room."""
        if not self._channel:
            return
        after = self._outbox.cursor(self._channel) or 0
        entries = self._ledger.audit(after=after, limit=min(ENTRIES_MAX, max(0, self._outbox.room(self._channel) // EVENTS_OF_ENTRY_MAX)))
        messages = []
        for entry in entries:
            events, complaint = safely(self._maker.events, entry)
            if complaint:
                log.warning("no event for audit entry %d: %s", entry.seq, complaint)
            for place, event in enumerate(events):
                body = msgspec.json.encode(event)
                messages.append(Message(id=f"run-event-{entry.seq}-{place}", url=self._url, content_type="application/json", body=body))
        if entries:
            self._outbox.put(self._channel, entries[-1].seq, messages, now_us)
