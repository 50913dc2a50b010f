"""From the ledger's routes to the signed route table that gateways read."""

import msgspec

from leverframe.apps.clocks import SystemClock
from leverframe.core.clock import Clock
from leverframe.core.command import Journal
from leverframe.core.digest import canonical_json
from leverframe.core.route import RouteTable
from leverframe.governance.identity import callers
from leverframe.governance.publication import Publication
from leverframe.governance.signing import SigningKey, TrustStore
from leverframe.release.rollout.routes import route_table

ROUTES_TYPE = "application/vnd.leverframe.routes+json"


def publication_name(environment: str) -> str:
    """The published name of an environment's route table."""
    return f"routes-{environment}"


def checkpoint_name(environment: str) -> str:
    """The published name of the newest signed checkpoint of the audit chain."""
    return f"checkpoint-{environment}"


class Publisher:
    """Publishes what the ledger wants, and can tell whether that is already out.

    Both the control API (right after a change) and the worker (all the time) publish: publishing twice is harmless, since a gateway only
    takes a newer table, and a crash between commit and publication is repaired by the worker's next look.
    """

    def __init__(
        self, journal: Journal, publication: Publication, key: SigningKey, trust: TrustStore, clock: Clock, environment: str
    ) -> None:
        self._journal = journal
        self._publication = publication
        self._key = key
        self._trust = trust
        self._clock = clock
        self._environment = environment
        self._machine = SystemClock()

    def published(self) -> RouteTable | None:
        """The table that is out, or None.

        Raises
        ------
        Integrity: what is out was not signed by this installation.
        """
        envelope = self._publication.read(publication_name(self._environment))
        if envelope is None:
            return None
        return msgspec.json.decode(self._trust.verify(envelope, ROUTES_TYPE), type=RouteTable)

    def desired(self) -> RouteTable:
        """The table the ledger calls for."""
        return route_table(self._journal, self._environment, callers(self._journal, now_us=self._machine.now_us()), self._clock.now_us())

    def publish(self) -> RouteTable:
        """Publish the desired table if it differs from what is out; returns the table that is out now."""
        desired = self.desired()
        published = self.published()
        if published is not None and published.generation >= desired.generation and published.callers == desired.callers:
            return published
        if published is not None and published.issued_at_us >= desired.issued_at_us:
            # A replayed clock may stand still; gateways order tables of one generation by the moment of issue.
            desired = msgspec.structs.replace(desired, issued_at_us=published.issued_at_us + 1)
        self._publication.publish(publication_name(self._environment), self._key.sign(ROUTES_TYPE, canonical_json(desired)))
        return desired

    def publish_checkpoint(self, envelope: bytes) -> None:
        """Keep a signed checkpoint outside the database, where whoever rewrites the database does not reach."""
        self._publication.publish(checkpoint_name(self._environment), envelope)

    def checkpoints(self) -> tuple[bytes, ...]:
        """The checkpoint kept outside the database, if there is one."""
        envelope = self._publication.read(checkpoint_name(self._environment))
        return () if envelope is None else (envelope,)

    def publish_monitor(self, report: bytes) -> None:
        """Leave the worker's newest monitor report where the control API reads it."""
        self._publication.publish(f"monitor-{self._environment}", report)

    def publish_traffic(self, counted: bytes) -> None:
        """Leave what the worker has counted of each endpoint's traffic where the control API reads it."""
        self._publication.publish(f"traffic-{self._environment}", counted)

    def traffic(self) -> bytes | None:
        """What the worker has counted of each endpoint's traffic."""
        return self._publication.read(f"traffic-{self._environment}")

    def publish_live(self, looks: bytes) -> None:
        """Leave what the release controller saw at its newest look where the control API reads it."""
        self._publication.publish(f"live-{self._environment}", looks)

    def live(self) -> bytes | None:
        """What the release controller saw at its newest look."""
        return self._publication.read(f"live-{self._environment}")

    def monitor(self) -> bytes | None:
        """The worker's newest monitor report."""
        return self._publication.read(f"monitor-{self._environment}")
