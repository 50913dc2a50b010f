"""Signed checkpoints for a witness on another host: whoever rewrites or rolls back the ledger cannot reach what the witness keeps.

Each message's body *is* the checkpoint: kept as a file, it is what ``lever audit verify --checkpoint`` reads.
"""

from leverframe.apps.egress.outbox import Message, Outbox
from leverframe.core.clock import SECOND_US
from leverframe.core.digest import digest_bytes
from leverframe.governance.ledger.checkpoints import CHECKPOINT_TYPE, read_checkpoint
from leverframe.governance.ledger.store import Ledger
from leverframe.governance.signing import SigningKey, TrustStore

PREFIX = "witness/"


class WitnessFollower:
    """Queues a checkpoint for the witness at ``url`` when the chain grew and ``every_s`` have passed; an empty ``url``: for nobody.

    The first look after a start sends one at once: a restart must not leave a gap of a whole interval.
    """

    def __init__(self, ledger: Ledger, outbox: Outbox, key: SigningKey, trust: TrustStore, url: str, every_s: float) -> None:
        self._ledger = ledger
        self._outbox = outbox
        self._key = key
        self._trust = trust
        self._url = url
        self._every_us = int(every_s * SECOND_US)
        self._next_us = 0
        self._channel = f"{PREFIX}{digest_bytes(url.encode())[7:19]}" if url else ""
        for channel in outbox.channels():
            if channel.startswith(PREFIX) and channel != self._channel:
                outbox.forget(channel)

    def look(self, now_us: int) -> None:
        """Queue a checkpoint if one is due and something was written since the last."""
        if not self._channel or now_us < self._next_us:
            return
        sent = self._outbox.cursor(self._channel) or 0
        if self._ledger.entries_total() <= sent or self._outbox.room(self._channel) <= 0:
            return
        envelope = self._ledger.checkpoint(self._key)
        seq = read_checkpoint(self._trust, envelope).seq
        self._outbox.put(
            self._channel, seq, [Message(id=f"checkpoint-{seq}", url=self._url, content_type=CHECKPOINT_TYPE, body=envelope)], now_us
        )
        self._next_us = now_us + self._every_us
