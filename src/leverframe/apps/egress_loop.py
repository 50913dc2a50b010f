"""The worker's egress: follows the audit chain and sends what is due."""

import time
from pathlib import Path

from leverframe.apps.egress.addresses import parse_networks
from leverframe.apps.egress.client import Egress
from leverframe.apps.egress.destination import parse_allowed
from leverframe.apps.egress.outbox import Outbox
from leverframe.apps.egress.sender import Sender
from leverframe.apps.webhooks import WebhookFollower
from leverframe.governance.ledger.store import Ledger
from leverframe.governance.signing import SigningKey

PAUSE_S = 0.5


class EgressLoop:
    """One look queues what happened and sends what is due. Pauses between attempts are of the machine's clock: a replay must not end them.

    Raises
    ------
    InvalidInput: a setting is no list of hosts or networks.
    """

    def __init__(
        self, ledger: Ledger, key: SigningKey, outbox: Path, environment: str, *, hosts: str, networks: str, authorities: str = ""
    ) -> None:
        self._outbox = Outbox(outbox)
        self._egress = Egress(parse_allowed(hosts), parse_networks(networks), key, authorities=authorities)
        self._sender = Sender(self._outbox, self._egress)
        self._followers = (WebhookFollower(ledger, self._outbox, environment),)

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
