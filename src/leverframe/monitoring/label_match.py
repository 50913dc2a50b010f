"""Labels by entity and time: whoever learns the outcome often knows the flight, and not the prediction's id.

Such a label belongs to the newest prediction for that entity that was asked at or before the label's moment. Workers' logs are not read in
one order, so a label that finds nothing waits for a few reads.
"""

import os
from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from itertools import islice

import msgspec

from leverframe.core.prediction import LabelRecord, LogRecord, PredictionRecord

REMEMBERED_MAX = 200_000
"""Predictions that can be found by entity, at times a tenth more; the oldest are forgotten, and labels of theirs count as unmatched."""
WITHIN_US = 7 * 86_400_000_000
"""A prediction asked longer than this before the label's moment is not what it is about."""
WAITING_MAX = 20_000
"""Labels that wait for their prediction; one more pushes out the oldest, which counts as unmatched."""
READS_MAX = 5
"""Reads that a label waits for."""

SALT_BYTES = 16


class KeptMatcher(msgspec.Struct, frozen=True, kw_only=True):
    """What a matcher remembers, as plain data. Entities are digests under ``salt``: who was asked about is in the log and nowhere else.

    ``asked``: (entity, moment, id) of each prediction, oldest first; ``waiting``: (read, entity, label) without its entities.
    """

    salt: bytes
    asked: list[tuple[bytes, int, str]]
    waiting: list[tuple[int, bytes, LabelRecord]]
    reads: int
    unmatched: int


class LabelMatcher:
    """Gives labels that name an entity the id of the prediction they are about.

    >>> matcher = LabelMatcher()
    >>> asked = PredictionRecord(
    ...     id="p1", endpoint="m", tenant="t", version="m@v1", role="live", generation=1, asked_at_us=100, latency_us=1, status="ok",
    ...     outputs=(0.5,), entities={"tailnum": "N1"},
    ... )
    >>> label = LabelRecord(id="", endpoint="m", label=1.0, known_at_us=900, entities={"tailnum": "N1"}, asked_at_us=150)
    >>> [record.id for record in matcher.match([asked, label])]
    ['p1', 'p1']
    """

    def __init__(self, kept: KeptMatcher | None = None) -> None:
        self._salt = kept.salt if kept else os.urandom(SALT_BYTES)
        self._asked: dict[bytes, list[tuple[int, str]]] = {}
        self._order: dict[tuple[bytes, str], int] = {}
        self._waiting: deque[tuple[int, bytes, LabelRecord]] = deque(kept.waiting if kept else ())
        self._reads = kept.reads if kept else 0
        self.unmatched = kept.unmatched if kept else 0
        """Labels that found no prediction."""
        for entity, at_us, id in kept.asked if kept else ():
            self._remember(entity, at_us, id)

    def kept(self) -> KeptMatcher:
        """What must be known to go on from here after a restart."""
        return KeptMatcher(
            salt=self._salt,
            asked=[(entity, at_us, id) for (entity, id), at_us in self._order.items()],
            waiting=list(self._waiting),
            reads=self._reads,
            unmatched=self.unmatched,
        )

    def match(self, records: Iterable[LogRecord]) -> list[LogRecord]:
        """``records`` with labels by entity given their prediction's id; those that find none yet come with a later read, or never."""
        self._reads += 1
        given: list[LogRecord] = []
        labels: list[tuple[int, bytes, LabelRecord]] = []
        for record in records:
            if isinstance(record, LabelRecord) and record.entities:
                about = self._entity(record.endpoint, record.entities)
                labels.append((self._reads, about, msgspec.structs.replace(record, entities={})))
                continue
            if isinstance(record, PredictionRecord) and record.entities and record.role != "shadow":
                self._remember(self._entity(record.endpoint, record.entities), record.asked_at_us, record.id)
            given.append(record)
        waiting, self._waiting = self._waiting, deque()
        for came, entity, label in (*waiting, *labels):
            id = self._find(entity, label.asked_at_us)
            if id is not None:
                given.append(msgspec.structs.replace(label, id=id))
            elif self._reads - came >= READS_MAX:
                self.unmatched += 1
            else:
                self._waiting.append((came, entity, label))
        while len(self._waiting) > WAITING_MAX:
            self._waiting.popleft()
            self.unmatched += 1
        return given

    def _entity(self, endpoint: str, entities: Mapping[str, str]) -> bytes:
        named = msgspec.json.encode((endpoint, sorted(entities.items())))
        return blake2b(named, digest_size=16, key=self._salt).digest()

    def _remember(self, entity: bytes, at_us: int, id: str) -> None:
        if (entity, id) in self._order:
            return  # another arm's answer to the same request, or a retry
        asked = self._asked.setdefault(entity, [])
        asked.insert(bisect_right(asked, (at_us, id)), (at_us, id))
        self._order[entity, id] = at_us
        if len(self._order) > REMEMBERED_MAX + REMEMBERED_MAX // 10:
            self._forget_oldest(len(self._order) - REMEMBERED_MAX)

    def _forget_oldest(self, count: int) -> None:
        """Many at once: what a busy entity was asked is a long list, which is gone through for all of them together."""
        gone: dict[bytes, set[str]] = {}
        for entity, id in list(islice(self._order, count)):
            del self._order[entity, id]
            gone.setdefault(entity, set()).add(id)
        for entity, ids in gone.items():
            kept = [each for each in self._asked.pop(entity) if each[1] not in ids]
            if kept:
                self._asked[entity] = kept

    def _find(self, entity: bytes, at_us: int) -> str | None:
        asked = self._asked.get(entity, ())
        place = bisect_right(asked, (at_us, "\U0010ffff"))
        if not place or at_us - asked[place - 1][0] > WITHIN_US:
            return None
        return asked[place - 1][1]
