"""Labels by entity and time: whoever learns the outcome often knows the flight, and not the prediction's id.

Such a label belongs to the newest prediction for that entity that was asked at or before the label's moment. Workers' logs are not read in
one order, so a label that finds nothing waits for a few reads.
"""

from bisect import bisect_right
from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping

import msgspec

from leverframe.core.prediction import LabelRecord, LogRecord, PredictionRecord

REMEMBERED_MAX = 200_000
"""Predictions that can be found by entity; the oldest are forgotten, and labels of theirs count as unmatched."""
WITHIN_US = 7 * 86_400_000_000
"""A prediction asked longer than this before the label's moment is not what it is about."""
WAITING_MAX = 20_000
"""Labels that wait for their prediction; one more pushes out the oldest, which counts as unmatched."""
READS_MAX = 5
"""Reads that a label waits for."""

Key = tuple[str, tuple[tuple[str, str], ...]]


def _key(endpoint: str, entities: Mapping[str, str]) -> Key:
    return endpoint, tuple(sorted(entities.items()))


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

    def __init__(self) -> None:
        self._asked: dict[Key, list[tuple[int, str]]] = {}
        self._order: OrderedDict[tuple[Key, str], None] = OrderedDict()
        self._waiting: deque[tuple[int, LabelRecord]] = deque()
        self._reads = 0
        self.unmatched = 0
        """Labels that found no prediction."""

    def match(self, records: Iterable[LogRecord]) -> list[LogRecord]:
        """``records`` with labels by entity given their prediction's id; those that find none yet come with a later read, or never."""
        self._reads += 1
        given: list[LogRecord] = []
        labels: list[tuple[int, LabelRecord]] = []
        for record in records:
            if isinstance(record, LabelRecord) and record.entities:
                labels.append((self._reads, record))
                continue
            if isinstance(record, PredictionRecord) and record.entities and record.role != "shadow":
                self._remember(record)
            given.append(record)
        waiting, self._waiting = self._waiting, deque()
        for came, label in (*waiting, *labels):
            id = self._find(label)
            if id is not None:
                given.append(msgspec.structs.replace(label, id=id))
            elif self._reads - came >= READS_MAX:
                self.unmatched += 1
            else:
                self._waiting.append((came, label))
        while len(self._waiting) > WAITING_MAX:
            self._waiting.popleft()
            self.unmatched += 1
        return given

    def _remember(self, record: PredictionRecord) -> None:
        key = _key(record.endpoint, record.entities)
        if (key, record.id) in self._order:
            return  # another arm's answer to the same request, or a retry
        asked = self._asked.setdefault(key, [])
        asked.insert(bisect_right(asked, (record.asked_at_us, record.id)), (record.asked_at_us, record.id))
        self._order[key, record.id] = None
        if len(self._order) > REMEMBERED_MAX:
            (oldest, id), _ = self._order.popitem(last=False)
            kept = [each for each in self._asked[oldest] if each[1] != id]
            if kept:
                self._asked[oldest] = kept
            else:
                del self._asked[oldest]

    def _find(self, label: LabelRecord) -> str | None:
        asked = self._asked.get(_key(label.endpoint, label.entities), ())
        place = bisect_right(asked, (label.asked_at_us, "\U0010ffff"))
        if not place or label.asked_at_us - asked[place - 1][0] > WITHIN_US:
            return None
        return asked[place - 1][1]
