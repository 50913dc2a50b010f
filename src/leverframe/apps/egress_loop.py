"""The worker's egress: follows the audit chain and sends what is due."""

import time

from leverframe.apps.egress.client import Egress
from leverframe.apps.egress.outbox import Outbox
from leverframe.apps.egress.sender import Sender
from leverframe.apps.openlineage.events import EventMaker
from leverframe.apps.openlineage.follower import OpenLineageFollower
from leverframe.apps.platform.lineage import Lineage
from leverframe.apps.platform.parts import Parts
from leverframe.apps.webhooks import WebhookFollower
from leverframe.apps.witness import WitnessFollower

PAUSE_S = 0.5


class EgressLoop:
    """One look queues what happened and sends what is due. Pauses between attempts are of the machine's clock: a replay must not end them.

    Raises
    ------
    InvalidInput: a setting is no list of hosts or networks.
    """

    def __init__(self, parts: Parts) -> None:
        settings, ledger = parts.settings, parts.ledger
        self._outbox = Outbox(settings.outbox_file)
        self._egress = Egress.by_settings(settings, parts.key)
        self._sender = Sender(self._outbox, self._egress)
        maker = EventMaker(ledger, parts.artifacts, Lineage(parts), settings.environment, parts.key.key_id)
        self._followers = (
            WebhookFollower(ledger, self._outbox, settings.environment),
            OpenLineageFollower(ledger, self._outbox, maker, settings.openlineage_url),
            WitnessFollower(ledger, self._outbox, parts.key, parts.trust, settings.witness_url, settings.witness_interval_s),
        )

    def look(self) -> None:
        """Follow, then send."""
        now_us = time.time_ns() // 1000
        for follower in self._followers:
            follower.look(now_us)
        self._sender.look(now_us)

    def close(self) -> None:
        """Let go of the outbox and the connections."""
        self._egress.close()
        self._outbox.close()
