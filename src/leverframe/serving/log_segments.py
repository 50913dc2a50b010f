"""The writer of the prediction log: one memory-mapped segment at a time, counts that add up over kill -9 and full disks.

The layout is :mod:`leverframe.core.segment`; why a mapping, decision 0006. Blocks are reserved before a segment is used, so a full disk is
met here, where records are then dropped and counted, and never in the middle of an answer.
"""

import fcntl
import mmap
import os
import threading
import time
from contextlib import suppress
from pathlib import Path

from leverframe.core.clock import Clock
from leverframe.core.errors import Integrity, Refused, Unavailable
from leverframe.core.prediction import LabelRecord, LogRecord, PredictionRecord, decode_frames, encode_frame
from leverframe.core.segment import (
    DATA_OFFSET,
    LOGGED,
    LOGGED_OFFSET,
    MOVING,
    MOVING_OFFSET,
    TOTALS,
    Counts,
    SegmentHeader,
    check_worker,
    pack_header,
    parse_segment_name,
    segment_name,
    unpack_header,
)

SEGMENT_BYTES = 16 * 1024 * 1024
SEAL_S = 60.0
RETRY_S = 0.25
"""How soon after a refused reservation the disk is asked again."""
_MOVING_END = MOVING_OFFSET + MOVING.size
_LOGGED_END = LOGGED_OFFSET + LOGGED.size
_pack_logged = LOGGED.pack


class SegmentLog:
    """Appends answers, unseen answers and labels of one gateway worker.

    Parameters
    ----------
    folder: where segments lie; made when it is not there.
    worker: names the files; two processes never share one.
    segment_bytes: size of a segment; a larger record is dropped and counted.
    seal_s: a segment with records in it is sealed at this age, seconds.
    """

    def __init__(self, folder: Path, worker: str, clock: Clock, *, segment_bytes: int = SEGMENT_BYTES, seal_s: float = SEAL_S) -> None:
        self._folder = folder
        self._worker = check_worker(worker)
        self._clock = clock
        self._segment_bytes = segment_bytes
        self._seal_s = seal_s
        self._memory: mmap.mmap | None = None
        self._spare: mmap.mmap | None = None
        self._spare_lock = threading.Lock()
        self._spare_path = folder / f"{worker}.spare"
        self._number = 0
        self._used = DATA_OFFSET
        self._room = 0
        self._retry_at = self._opened_at = 0.0
        self._totals_memory: mmap.mmap | None = None
        self.problem = ""
        self._set_counts(Counts())
        self._open()

    # ---- appending --------------------------------------------------------------------------------------------------------------------

    def answer(self, record: PredictionRecord) -> bool:
        """Count an answer as served, and log it (True) or drop it; call before the answer is sent."""
        # Appending may change segments, which writes the counts: so both counts of an answer move together, after it.
        logged = self._append(encode_frame(record))
        self.served += 1
        if not logged:
            self.dropped += 1
            self._commit()
            return False
        self.logged += 1
        memory = self._memory
        assert memory is not None
        # As _commit, of the three numbers that moved: they lie side by side, so this is one copy too.
        memory[LOGGED_OFFSET:_LOGGED_END] = _pack_logged(self._used, self.served, self.logged)
        return True

    def shadow(self, record: PredictionRecord) -> bool:
        """Log an unseen answer (True) or drop it."""
        if self._append(encode_frame(record)):
            self.shadows_logged += 1
            self._commit()
            return True
        self.drop_shadow()
        return False

    def drop_shadow(self) -> None:
        """Count an unseen answer that was never made."""
        self.shadows_dropped += 1
        self._commit()

    def label(self, record: LabelRecord) -> bool:
        """Log a label (True) or drop it."""
        if self._append(encode_frame(record)):
            self.labels_logged += 1
            self._commit()
            return True
        self.labels_dropped += 1
        self._commit()
        return False

    @property
    def counts(self) -> Counts:
        """Totals since this worker first started."""
        return Counts(
            served=self.served,
            logged=self.logged,
            dropped=self.dropped,
            shadows_logged=self.shadows_logged,
            shadows_dropped=self.shadows_dropped,
            labels_logged=self.labels_logged,
            labels_dropped=self.labels_dropped,
        )

    def _append(self, frame: bytes) -> bool:
        """Copy ``frame`` behind the committed part; it counts once :meth:`_commit` has moved ``used`` past it."""
        end = self._used + len(frame)
        if end > self._room and not self._next_segment(len(frame)):
            return False
        end = self._used + len(frame)
        memory = self._memory
        assert memory is not None
        memory[self._used : end] = frame
        self._used = end
        return True

    def _commit(self, sealed_at_us: int = 0) -> None:
        """Make the newest record and the counts true, by one copy: a reader or a crash sees the old ones or these."""
        moving = MOVING.pack(
            sealed_at_us,
            self._used,
            self.served,
            self.logged,
            self.dropped,
            self.shadows_logged,
            self.shadows_dropped,
            self.labels_logged,
            self.labels_dropped,
        )
        memory = self._memory or self._totals_memory
        if memory is not None:
            memory[MOVING_OFFSET:_MOVING_END] = moving

    def _set_counts(self, counts: Counts) -> None:
        self.served, self.logged, self.dropped = counts.served, counts.logged, counts.dropped
        self.shadows_logged, self.shadows_dropped = counts.shadows_logged, counts.shadows_dropped
        self.labels_logged, self.labels_dropped = counts.labels_logged, counts.labels_dropped

    # ---- segments ---------------------------------------------------------------------------------------------------------------------

    def maintain(self) -> None:
        """Seal an old segment, and ask a full disk again; call a few times a second."""
        now = time.monotonic()
        old = self._memory is not None and self._used > DATA_OFFSET and now - self._opened_at > self._seal_s
        if old or (self.problem and now >= self._retry_at):
            self._next_segment(0)

    def prepare(self) -> None:
        """Reserve the next segment ahead of need (slow: call from a thread), so that changing segments costs microseconds."""
        with self._spare_lock, suppress(OSError):
            if self._spare is None and self._memory is not None and self._used > self._segment_bytes // 2:
                self._spare = self._reserve(self._spare_path)

    def close(self) -> None:
        """Seal what is open and let go of the folder."""
        if self._memory is not None:
            self._seal()
        self._write_totals()
        with suppress(OSError):
            self._spare_path.unlink(missing_ok=True)
        if self._totals_memory is not None:
            # A mapping holds the file open, and with it the lock.
            self._totals_memory.close()
            self._totals_memory = None
        os.close(self._lock)

    def _next_segment(self, needed: int) -> bool:
        """Change to a fresh segment with room for ``needed`` bytes; False when that cannot be had now (the old one keeps the counts)."""
        if needed > self._segment_bytes - DATA_OFFSET:
            return False
        now = time.monotonic()
        if self.problem and now < self._retry_at:
            return False
        try:
            with self._spare_lock:
                memory, self._spare = self._spare or self._reserve(self._spare_path), None
            number = self._number + 1
            header = SegmentHeader(
                worker=self._worker, number=number, opened_at_us=self._clock.now_us(), before=self.counts, counts=self.counts
            )
            memory[:DATA_OFFSET] = pack_header(header)
            if self._memory is not None:
                self._seal()
            os.rename(self._spare_path, self._folder / segment_name(self._worker, number, sealed=False))
        except OSError as error:
            self.problem = f"no room for a log segment ({error.strerror or type(error).__name__}); answers go on and are counted as dropped"
            self._retry_at = now + RETRY_S
            return False
        self._memory, self._number, self._opened_at = memory, number, now
        self._used, self._room, self.problem = DATA_OFFSET, self._segment_bytes, ""
        return True

    def _reserve(self, path: Path) -> mmap.mmap:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, self._segment_bytes)
            return mmap.mmap(descriptor, self._segment_bytes)
        except OSError:
            with suppress(OSError):
                path.unlink()
            raise
        finally:
            os.close(descriptor)

    def _seal(self) -> None:
        """Mark the open segment as finished, cut it to what was used and rename it."""
        assert self._memory is not None
        self._commit(sealed_at_us=self._clock.now_us())
        self._memory.close()
        self._memory, self._room = None, 0
        _finish(self._folder, self._worker, self._number, self._used)
        self._write_totals()

    def _write_totals(self) -> None:
        if self._totals_memory is not None:
            header = SegmentHeader(worker=self._worker, number=self._number, opened_at_us=0, counts=self.counts)
            self._totals_memory[:DATA_OFFSET] = pack_header(header)

    # ---- starting ---------------------------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self._folder / f"{self._worker}{TOTALS}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise Unavailable("the log folder cannot be used", where=str(self._folder), got=type(error).__name__) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise Refused(
                "another process writes this worker's log", where=self._worker, next_step="give each gateway its own --worker"
            ) from error
        counts = self._open_totals()
        for name in sorted(filter(None, map(parse_segment_name, os.listdir(self._folder))), key=lambda n: n.number):
            if name.worker == self._worker:
                counts = counts.highest(self._recover(name.number, name.sealed))
                self._number = max(self._number, name.number)
        self._set_counts(counts)
        self._write_totals()
        self._next_segment(0)

    def _open_totals(self) -> Counts:
        """The counts kept beside the segments; a new page of them when there is none (or, on a full disk, none at all)."""
        counts = Counts()
        data = os.pread(self._lock, DATA_OFFSET, 0)
        with suppress(Integrity):
            counts = unpack_header(data).counts if data else counts
        with suppress(OSError):
            os.posix_fallocate(self._lock, 0, DATA_OFFSET)
            self._totals_memory = mmap.mmap(self._lock, DATA_OFFSET)
        return counts

    def _recover(self, number: int, sealed: bool) -> Counts:
        """Counts of an earlier segment; one that a dead process left open is recounted from its frames and sealed."""
        path = self._folder / segment_name(self._worker, number, sealed=sealed)
        with path.open("rb" if sealed else "r+b") as file:
            try:
                header = unpack_header(file.read(DATA_OFFSET))
            except Integrity:
                path.rename(path.with_suffix(".damaged"))
                return Counts()
            if sealed:
                return header.counts
            counts = _recount(header, file.read(header.used - DATA_OFFSET))
            moving = MOVING.pack(self._clock.now_us(), header.used, *_in_order(counts))
            file.seek(MOVING_OFFSET)
            file.write(moving)
        _finish(self._folder, self._worker, number, header.used)
        return counts


def _finish(folder: Path, worker: str, number: int, used: int) -> None:
    path = folder / segment_name(worker, number, sealed=False)
    os.truncate(path, used)
    path.rename(folder / segment_name(worker, number, sealed=True))


def _in_order(counts: Counts) -> tuple[int, ...]:
    return tuple(getattr(counts, name) for name in Counts.__struct_fields__)


def _recount(header: SegmentHeader, data: bytes) -> Counts:
    """Counts by the frames that are there; drops by the header, which is all that is known of them."""
    answers = shadows = labels = 0
    with suppress(Integrity):
        for record, _ in decode_frames(data):
            kind = _kind(record)
            answers += kind == "answer"
            shadows += kind == "shadow"
            labels += kind == "label"
    before, now = header.before, header.counts
    logged = before.logged + answers
    return Counts(
        served=logged + now.dropped,
        logged=logged,
        dropped=now.dropped,
        shadows_logged=before.shadows_logged + shadows,
        shadows_dropped=now.shadows_dropped,
        labels_logged=before.labels_logged + labels,
        labels_dropped=now.labels_dropped,
    )


def _kind(record: LogRecord) -> str:
    if isinstance(record, LabelRecord):
        return "label"
    return "shadow" if record.role == "shadow" else "answer"
