"""Reads the prediction log as it grows: sealed segments whole, open ones up to what their writer has committed."""

from io import FileIO
from pathlib import Path

import msgspec

from leverframe.core.errors import Integrity, InvalidInput
from leverframe.core.prediction import FRAME, LogRecord, PredictionRecord, decode_frames
from leverframe.core.segment import (
    DATA_OFFSET,
    TOTALS,
    Counts,
    SegmentHeader,
    SegmentName,
    parse_segment_name,
    segment_name,
    unpack_header,
)
from leverframe.monitoring.label_match import LabelMatcher

BYTES_PER_POLL_MAX = 8 << 20
"""Committed bytes read in one poll (some 20,000 records); what is left waits for the next."""

HEADER_READS_MAX = 16
"""A header that changes faster than this is taken as last read; totals only grow, so the next poll corrects it."""

FINDINGS_MAX = 100
"""Findings kept in words; beyond it they are only counted."""


class WorkerPosition(msgspec.Struct, frozen=True, kw_only=True):
    """How far one worker's log was read: everything before ``offset`` of segment ``number``, and all segments with lower numbers.

    ``served_read`` counts served answers read so far, ``served_before`` those in segments that were gone before this reader began (turned
    to Parquet), ``served_lost`` those that were logged and could not be read. ``damaged_here`` counts damaged frames of this segment, which
    are answers or labels, nobody can tell.
    """

    number: int
    offset: int = DATA_OFFSET
    served_read: int = 0
    served_before: int = 0
    served_lost: int = 0
    damaged_here: int = 0
    damaged_frames: int = 0


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """Where a reader stands, as plain data: keep it beside what was made of the records, and a restarted reader goes on from there."""

    workers: dict[str, WorkerPosition] = {}


def earlier(one: Position, other: Position) -> Position:
    """Up to where two readers are both past: of each worker that both have read, the place that comes first."""
    both = one.workers.keys() & other.workers.keys()
    return Position(
        workers={worker: min(one.workers[worker], other.workers[worker], key=lambda at: (at.number, at.offset)) for worker in both}
    )


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Something in the log that is not as it should be; ``records`` is how many answers it concerns, as far as one can tell."""

    kind: str
    segment: str
    what: str
    records: int = 0


class LogTotals(msgspec.Struct, frozen=True, kw_only=True):
    """What the writers counted, what the reader saw, and whether the two agree.

    ``adds_up`` is served = logged + dropped for every worker; one answer that is being written while its segment is changed is not held
    against it, unless it is still missing when nothing moved since the last poll. ``behind`` counts logged answers not yet read,
    ``served_lost`` those that never will be (each was reported as a finding).
    """

    counts: Counts
    served_read: int
    served_lost: int
    damaged_frames: int
    findings: int
    adds_up: bool
    behind: int


def is_served(record: LogRecord) -> bool:
    """Whether the record is an answer that a caller got (not a shadow's, not a label)."""
    return isinstance(record, PredictionRecord) and record.role != "shadow"


class LogReader:
    """Gives each committed record of a folder of segments once.

    Parameters
    ----------
    folder: where gateway workers write their segments; need not exist yet.
    position: where an earlier reader stood; the default starts at the beginning.
    matcher: what an earlier reader's labels were matched with; by default nothing was asked before.
    bytes_per_poll_max: committed bytes read in one poll; one frame larger than that is still read.

    A record whose bytes are damaged is left out, counted, and named in :attr:`findings`; the records after it are still given.
    """

    def __init__(
        self,
        folder: Path,
        position: Position | None = None,
        *,
        matcher: LabelMatcher | None = None,
        bytes_per_poll_max: int = BYTES_PER_POLL_MAX,
    ) -> None:
        if bytes_per_poll_max < 1:
            raise InvalidInput("a poll must be allowed to read something", where="bytes_per_poll_max", expected=">= 1")
        self._folder = folder
        self._workers = dict(position.workers) if position else {}
        self._bytes_max = bytes_per_poll_max
        self._counts: dict[str, Counts] = {}
        self._counts_before: dict[str, Counts] = {}
        self._findings: list[Finding] = []
        self._findings_total = 0
        self._turn = 0
        self._unreadable: set[str] = set()
        self.matcher = matcher or LabelMatcher()

    @property
    def position(self) -> Position:
        """Where the reader stands after the last poll."""
        return Position(workers=dict(self._workers))

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What was found wrong, oldest first, at most ``FINDINGS_MAX``."""
        return tuple(self._findings)

    @property
    def totals(self) -> LogTotals:
        """The log's balance as of the last poll."""
        counts = Counts()
        for each in self._counts.values():
            counts = counts.plus(each)
        served = sum(worker.served_read for worker in self._workers.values())
        lost = sum(worker.served_lost for worker in self._workers.values())
        before = sum(worker.served_before for worker in self._workers.values())
        return LogTotals(
            counts=counts,
            served_read=served,
            served_lost=lost,
            damaged_frames=sum(worker.damaged_frames for worker in self._workers.values()),
            findings=self._findings_total,
            adds_up=all(each.adds_up or self._counts_before.get(worker) != each for worker, each in self._counts.items()),
            behind=max(0, counts.logged - served - lost - before),
        )

    def poll(self) -> list[LogRecord]:
        """Records committed since the last poll, in order within each worker; empty when there is nothing new.

        Labels by entity and time come with the id of their prediction, once that is found.

        Workers take turns at being read first, so that a busy one cannot keep the others waiting for ever.
        """
        self._counts_before = dict(self._counts)
        segments = self._list()
        workers = sorted(segments)
        records: list[LogRecord] = []
        budget = self._bytes_max
        if workers:
            self._turn = (self._turn + 1) % len(workers)
        for worker in workers[self._turn :] + workers[: self._turn]:
            for name in segments[worker]:
                if budget <= 0:
                    break
                read, used = self._read(name, budget)
                records.extend(read)
                budget -= used
                if worker not in self._workers or self._workers[worker].number <= name.number:
                    break  # not at its end yet: what comes after must wait
        return self.matcher.match(records)

    def _list(self) -> dict[str, list[SegmentName]]:
        """Segments still to be read, by worker, in order; the workers' counts are taken on the way."""
        found: dict[str, dict[int, SegmentName]] = {}
        if not self._folder.is_dir():
            return {}
        for path in self._folder.iterdir():
            if path.name.endswith(TOTALS):
                header = self._header(path)
                if header is not None:
                    self._note_counts(header)
                continue
            name = parse_segment_name(path.name)
            if name is None or (name.worker in self._workers and name.number < self._workers[name.worker].number):
                continue
            held = found.setdefault(name.worker, {}).get(name.number)
            if held is None or name.sealed:
                found[name.worker][name.number] = name
        segments = {worker: [by_number[n] for n in sorted(by_number)] for worker, by_number in found.items()}
        for worker, names in segments.items():
            # The newest header holds the worker's counts; a sealed one may lack the answer that was being written when it was sealed.
            header = self._header(self._folder / segment_name(worker, names[-1].number, sealed=names[-1].sealed))
            if header is not None:
                self._note_counts(header)
        return segments

    def _header(self, path: Path) -> SegmentHeader | None:
        try:
            with path.open("rb", buffering=0) as file:
                data = _steady(file)
            # A page of counts is reserved before it is first written.
            return unpack_header(data) if any(data) else None
        except FileNotFoundError:
            return None  # sealed or compacted since it was listed; the next poll sees its new name
        except Integrity as exc:
            if path.name not in self._unreadable:
                self._unreadable.add(path.name)
                self._find("unreadable", path.name, exc.what)
            return None

    def _note_counts(self, header: SegmentHeader) -> None:
        self._counts[header.worker] = self._counts.get(header.worker, Counts()).highest(header.counts)

    def _find(self, kind: str, segment: str, what: str, records: int = 0) -> None:
        self._findings_total += 1
        if len(self._findings) < FINDINGS_MAX:
            self._findings.append(Finding(kind=kind, segment=segment, what=what, records=records))

    def _read(self, name: SegmentName, budget: int) -> tuple[list[LogRecord], int]:
        """Up to ``budget`` bytes of new records of one segment, and how many bytes were taken."""
        file_name = segment_name(name.worker, name.number, sealed=name.sealed)
        path = self._folder / file_name
        # The header first: what it calls committed is whole by then, whatever is being appended meanwhile.
        header = self._header(path)
        if header is None:
            return [], 0
        self._note_counts(header)
        at = self._workers.get(name.worker)
        if at is None or at.number != name.number:
            at = self._enter(name, header, at)
        size = min(header.used - at.offset, max(budget, FRAME.size))
        if size <= 0:
            self._leave(name, header, at)
            return [], 0
        try:
            data = _span(path, at.offset, size, header.used)
        except FileNotFoundError:
            return [], 0
        records, taken, damaged = self._decode(data, file_name, at.offset, left=header.used - at.offset)
        if len(data) < size:
            missing = header.used - at.offset - len(data)
            self._find("truncated", file_name, f"{missing:,} bytes that its header calls committed are not in the file")
            damaged, taken = damaged + 1, header.used - at.offset
        at = msgspec.structs.replace(
            at,
            offset=at.offset + taken,
            served_read=at.served_read + sum(map(is_served, records)),
            damaged_here=at.damaged_here + damaged,
            damaged_frames=at.damaged_frames + damaged,
        )
        self._leave(name, header, at)
        return records, taken

    def _enter(self, name: SegmentName, header: SegmentHeader, at: WorkerPosition | None) -> WorkerPosition:
        """The position at the start of a segment; answers logged in segments that are gone are reported, not forgotten."""
        if at is None:
            return WorkerPosition(number=name.number, served_before=header.before.logged)
        gone = header.before.logged - _accounted(at)
        if gone > 0:
            file_name = segment_name(name.worker, name.number, sealed=name.sealed)
            self._find("gone", file_name, f"{gone:,} answers logged before it are in no segment that could be read", gone)
        return msgspec.structs.replace(
            at, number=name.number, offset=DATA_OFFSET, served_lost=at.served_lost + max(0, gone), damaged_here=0
        )

    def _leave(self, name: SegmentName, header: SegmentHeader, at: WorkerPosition) -> None:
        """Step past a sealed segment that is read to its end, once its balance is checked."""
        if not name.sealed or at.offset < header.used:
            self._workers[name.worker] = at
            return
        lost = header.counts.logged - _accounted(at)
        if not 0 <= lost <= at.damaged_here:
            file_name = segment_name(name.worker, name.number, sealed=True)
            self._find("balance", file_name, f"its header counts {lost:+,} answers against those read", abs(lost))
        self._workers[name.worker] = msgspec.structs.replace(
            at, number=name.number + 1, offset=DATA_OFFSET, served_lost=at.served_lost + lost, damaged_here=0
        )

    def _decode(self, data: bytes, segment: str, base: int, *, left: int) -> tuple[list[LogRecord], int, int]:
        """Records of ``data``, how many of the ``left`` committed bytes are dealt with, and how many frames were damaged."""
        records: list[LogRecord] = []
        offset = damaged = 0
        while offset < len(data):
            try:
                for record, end in decode_frames(data, offset):
                    records.append(record)
                    offset = end
            except (Integrity, msgspec.MsgspecError):
                after = _after(data, offset, left)
                given_up = "" if after is not None else f", and so are the {left - offset:,} bytes after it: its length cannot be trusted"
                self._find("damaged", segment, f"the frame at offset {base + offset} is damaged{given_up}", 1)
                damaged += 1
                if after is None:
                    return records, left, damaged
                offset = after
                continue
            if len(data) < left and _fits(data, offset, left):
                break  # the bounded read ended inside a frame: it is taken whole with the next poll
            if offset < left:
                self._find("torn", segment, f"{left - offset:,} committed bytes at offset {base + offset} are no frame", 1)
                return records, left, damaged + 1
        return records, offset, damaged


def _steady(file: FileIO) -> bytes:
    """The first bytes of a file that is being changed in place: read until two reads agree, so that no half-written counts are taken."""
    data = file.read(DATA_OFFSET)
    for _ in range(HEADER_READS_MAX):
        file.seek(0)
        again = file.read(DATA_OFFSET)
        if again == data:
            break
        data = again
    return data


def _accounted(at: WorkerPosition) -> int:
    """Logged answers that are dealt with one way or another."""
    return at.served_read + at.served_before + at.served_lost


def _span(path: Path, offset: int, size: int, used: int) -> bytes:
    """Bytes from ``offset``: ``size`` of them, or as many as the first frame needs if it is larger, never beyond ``used``."""
    with path.open("rb") as file:
        file.seek(offset)
        data = file.read(size)
        if len(data) >= FRAME.size:
            first = FRAME.size + int(FRAME.unpack_from(data)[0])
            if first > len(data) and offset + first <= used:
                data += file.read(first - len(data))
    return data


def _fits(data: bytes, offset: int, left: int) -> bool:
    """Whether the frame that begins at ``offset`` may be a good one that ``data`` only cuts short."""
    if offset + FRAME.size > len(data):
        return True
    length = int(FRAME.unpack_from(data, offset)[0])
    return length > 0 and offset + FRAME.size + length <= left


def _after(data: bytes, offset: int, left: int) -> int | None:
    """The end of a damaged frame, if what follows there proves its length; None when nothing after it can be trusted."""
    after = offset + FRAME.size + int(FRAME.unpack_from(data, offset)[0])
    if after > left:
        return None
    if after == left or after + FRAME.size > len(data):
        return after
    try:
        followed = next(decode_frames(data, after), None) is not None
    except (Integrity, msgspec.MsgspecError):
        return None
    return after if followed or _fits(data, after, left) else None
