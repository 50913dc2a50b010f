"""A ledger of a million entries, made in bulk: a genuine chain over genuine routes of a few busy endpoints, entry by entry sealed."""

import random
from collections.abc import Iterator

import msgspec
from sqlalchemy import Connection, insert, text

from leverframe.core.digest import canonical_json, digest_bytes
from leverframe.core.route import Arm, Endpoint
from leverframe.governance.ledger.chain import GENESIS, AuditEntry, Change, seal
from leverframe.governance.ledger.engines import Sessions
from leverframe.governance.ledger.schema import audit, record

ENDPOINTS = 10
STEP_US = 1_000_000
BATCH = 5_000
_JSON = msgspec.json.Encoder()


def name(place: int) -> str:
    """The name of the endpoint at ``place``."""
    return f"flight-delay-{place}"


def _route(place: int, revision: int) -> bytes:
    digest = f"sha256:{revision % 997:064x}"
    arm = Arm(version=f"flight-delay@v{revision % 997}", bundle=digest, envelope=digest, role="live", weight=100.0)
    return canonical_json(Endpoint(name=name(place), arms=(arm,), release=f"prod.{name(place)}.{revision % 97:04d}"))


def chain(entries: int) -> Iterator[tuple[AuditEntry, dict[str, object]]]:
    """Every entry with the one row it wrote."""
    prev = GENESIS
    for seq in range(1, entries + 1):
        place, revision = (seq - 1) % ENDPOINTS, (seq - 1) // ENDPOINTS + 1
        id, body, at_us = f"prod/{name(place)}", _route(place, revision), seq * STEP_US
        entry = seal(
            AuditEntry(
                seq=seq,
                at_us=at_us,
                recorded_at_us=at_us,
                actor="platform",
                roles=("platform",),
                action="Release.Advance",
                resource=f"endpoint/{id}",
                team="flights",
                key=f"k{seq}",
                command="AdvanceRelease",
                body='{"reason":"every rule is proven"}',
                result="{}",
                changes=(Change("endpoint", id, revision, digest_bytes(body)),),
                policy_ids=("advance",),
                prev=prev,
            )
        )
        prev = entry.hash
        more = seq + ENDPOINTS <= entries
        row: dict[str, object] = {
            "kind": "endpoint",
            "id": id,
            "revision": revision,
            "body": body.decode(),
            "from_us": at_us,
            "to_us": at_us + ENDPOINTS * STEP_US if more else None,
            "from_seq": seq,
            "to_seq": seq + ENDPOINTS if more else None,
        }
        yield entry, row


def fill(sessions: Sessions, entries: int) -> None:
    """Put the chain into an empty ledger, past its door: this is how a measurement begins, and nothing else may."""
    with sessions.writing() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SET LOCAL statement_timeout = 0"))
        waiting: list[tuple[AuditEntry, dict[str, object]]] = []
        for pair in chain(entries):
            waiting.append(pair)
            if len(waiting) == BATCH:
                _put(connection, waiting)
                waiting = []
        if waiting:
            _put(connection, waiting)


def _put(connection: Connection, pairs: list[tuple[AuditEntry, dict[str, object]]]) -> None:
    values = []
    for entry, _ in pairs:
        fields = msgspec.structs.asdict(entry)
        values.append(fields | {n: _JSON.encode(fields[n]).decode() for n in ("roles", "changes", "policy_ids")})
    connection.execute(insert(audit), values)
    connection.execute(insert(record), [row for _, row in pairs])


def moments(entries: int, count: int, seed: int) -> list[tuple[str, int, int]]:
    """So many questions: an endpoint, a moment, and a later moment of knowing."""
    draw = random.Random(seed)
    asked = []
    for _ in range(count):
        at = draw.randrange(ENDPOINTS, entries)
        asked.append((name(draw.randrange(ENDPOINTS)), at * STEP_US, draw.randrange(at, entries + 1) * STEP_US))
    return asked
