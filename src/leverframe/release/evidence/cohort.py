"""Requests waiting for both arms' scores and for their label: the join by id, bounded, and fair to slow labels.

**Whoever answers first does not decide.** A flight that lands early is labelled early, and is rarely late; judging on labels as they come
would favour one outcome. So a request is judged when it is ``horizon_us`` old, by the label known within that horizon, and in the order
of asking. Labels later than that are counted, not used; when they are many, the horizon is too short and no verdict is given.
"""

from collections import OrderedDict
from collections.abc import Iterator

from leverframe.core.prediction import LabelRecord, PredictionRecord

PENDING_MAX = 200_000
"""Requests kept waiting at once. At the bound the oldest is dropped and counted; a noticeable share of dropped ones stops the verdicts."""

AWAITING_MAX = 50_000
"""Judged requests without label whose late label would still be noticed."""


class Request:
    """What is known so far of one request: scores of either arm (one a row) and labels by row."""

    __slots__ = ("asked_at_us", "candidate", "champion", "key", "labels", "served_by_candidate")

    def __init__(self, asked_at_us: int) -> None:
        self.asked_at_us = asked_at_us
        self.candidate: tuple[float, ...] | None = None
        self.champion: tuple[float, ...] | None = None
        self.labels: dict[int, float] = {}
        self.served_by_candidate = False
        self.key = ""

    def fail(self, *, candidate: bool) -> None:
        """An answer that failed has no score to compare; it stays known, so that a second copy is still a duplicate."""
        if candidate:
            self.candidate = ()
        else:
            self.champion = ()


class Cohort:
    """The window of requests not yet old enough to be judged, in the order they were asked (as far as the log tells).

    Parameters
    ----------
    unlabelled_too: requests without label are given out as well once they are old enough.    make: what a request is kept as.
    """

    def __init__(
        self, horizon_us: int, *, pending_max: int = PENDING_MAX, unlabelled_too: bool = False, make: type[Request] = Request
    ) -> None:
        self._unlabelled_too, self._make = unlabelled_too, make
        self._horizon_us = horizon_us
        self._pending_max = pending_max
        # The oldest goes first, again and again: a plain dict would look for it past all that went before.
        self._pending: OrderedDict[str, Request] = OrderedDict()
        self._awaiting: OrderedDict[str, int] = OrderedDict()
        self.requests = 0
        self.mature = 0
        self.unlabelled = 0
        self.labels = 0
        self.late = 0
        self.dropped = 0
        self.duplicates = 0
        self.contradictions = 0
        self.orphans = 0

    def answer(self, record: PredictionRecord, *, candidate: bool) -> Request | None:
        """File an arm's answer; None when this arm answered this request before (a duplicate, or a contradiction if it differs)."""
        request = self._pending.get(record.id)
        if request is None:
            if len(self._pending) >= self._pending_max:
                self._pending.pop(next(iter(self._pending)))
                self.dropped += 1
            request = self._pending[record.id] = self._make(record.asked_at_us)
            self.requests += 1
        before = request.candidate if candidate else request.champion
        if before is not None:
            self.duplicates += 1
            self.contradictions += before != record.outputs
            return None
        if candidate:
            request.candidate = record.outputs
        else:
            request.champion = record.outputs
        return request

    def label(self, record: LabelRecord) -> None:
        """File a label: the first one of a row counts, a different one later is a contradiction."""
        request = self._pending.get(record.id)
        if request is None:
            asked_at_us = self._awaiting.pop(record.id, None)
            if asked_at_us is None:
                self.orphans += 1
            else:
                self.late += 1
            return
        if record.known_at_us > request.asked_at_us + self._horizon_us:
            self.late += 1
        elif record.row in request.labels:
            self.duplicates += 1
            self.contradictions += request.labels[record.row] != record.label
        else:
            request.labels[record.row] = record.label
            self.labels += 1

    def ripe(self, now_us: int) -> Iterator[Request]:
        """Take out, oldest first, the requests that are old enough at ``now_us``; yield those that have a label (or all)."""
        limit_us = now_us - self._horizon_us
        while self._pending:
            id = next(iter(self._pending))
            request = self._pending[id]
            if request.asked_at_us > limit_us:
                return
            del self._pending[id]
            self.mature += 1
            if request.labels:
                yield request
                continue
            self.unlabelled += 1
            if self._unlabelled_too:
                yield request
                continue
            self._awaiting[id] = request.asked_at_us
            if len(self._awaiting) > AWAITING_MAX:
                self._awaiting.pop(next(iter(self._awaiting)))
