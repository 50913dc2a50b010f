"""A stretch of the prediction log, whole or not at all: for what must come out the same whenever it is read again.

:class:`leverframe.monitoring.log_reader.LogReader` reads on while the log grows, and reports what is damaged. Here it is the other
way round: the end is given, and a segment that is gone or a frame that is damaged is refused, since a figure from the rest would be another
figure.
"""

from collections.abc import Iterator
from pathlib import Path

from leverframe.core.errors import Integrity, LimitExceeded
from leverframe.core.prediction import LogRecord, decode_frames
from leverframe.core.segment import DATA_OFFSET, SegmentHeader, SegmentName, parse_segment_name, segment_name, unpack_header
from leverframe.monitoring.log_archive import LogArchive
from leverframe.monitoring.log_reader import Position, WorkerPosition

SPAN_BYTES_MAX = 8 << 30
"""Committed bytes read for one answer; a longer stretch is refused."""


def ends(folder: Path) -> Position:
    """Where every worker's log ends now: up to here it does not change any more."""
    workers = {}
    for worker, names in _segments(folder).items():
        newest = names[max(names)]
        header = _header(folder, newest)
        workers[worker] = WorkerPosition(number=newest.number, offset=header.used)
    return Position(workers=workers)


def read_span(folder: Path, archive: LogArchive, upto: Position, *, from_us: int = 0) -> Iterator[LogRecord]:
    """Every record up to ``upto``, worker by worker, each in the order it was written; what is no segment any more, from the archive.

    Parameters
    ----------
    from_us: segments that were sealed before this moment are passed over; records that are wanted must not be older.

    Raises
    ------
    Integrity: a segment is gone, shorter than its header says, or holds a damaged frame.    LimitExceeded: it is more than is read at once.
    """
    left = SPAN_BYTES_MAX
    held = _segments(folder)
    archived: dict[str, dict[int, str]] = {}
    for stem, name in archive.names().items():
        archived.setdefault(name.worker, {})[name.number] = stem
    for worker, end in sorted(upto.workers.items()):
        names, stems = held.get(worker, {}), archived.get(worker, {})
        # Older segments may have been let go of; between the oldest that is there and the end none may be missing.
        kept = [number for number in (*names, *stems) if number <= end.number]
        first = min(kept, default=end.number if end.offset > DATA_OFFSET else end.number + 1)
        for number in range(first, end.number + 1):
            last = number == end.number
            if number in names:
                header = _header(folder, names[number])
                sealed_at_us, used = header.sealed_at_us, header.used
            elif number in stems:
                entry = archive.entry(stems[number])
                sealed_at_us, used = entry.sealed_at_us, entry.used
            else:
                raise Integrity("a segment of the prediction log is gone", where=segment_name(worker, number, sealed=True))
            stop = end.offset if last else used
            if not last and sealed_at_us and sealed_at_us < from_us:
                continue
            left -= stop - DATA_OFFSET
            if left < 0:
                raise LimitExceeded("more of the prediction log than is read at once", where=worker, expected=f"{SPAN_BYTES_MAX:,} bytes")
            yield from _records(folder, names[number], stop) if number in names else archive.read(stems[number], stop)


def newest(folder: Path, bytes_max: int) -> Iterator[LogRecord]:
    """The newest whole segments of every worker, about ``bytes_max`` of each, damaged ones passed over: for estimates, not for answers."""
    for _, names in sorted(_segments(folder).items()):
        left = bytes_max
        taken: list[list[LogRecord]] = []
        for number in sorted(names, reverse=True):
            try:
                header = _header(folder, names[number])
                left -= header.used
                if left < 0 and taken:
                    break
                taken.append(list(_records(folder, names[number], header.used)))
            except Integrity:
                continue
            if left < 0:
                break
        for records in reversed(taken):
            yield from records


def _segments(folder: Path) -> dict[str, dict[int, SegmentName]]:
    found: dict[str, dict[int, SegmentName]] = {}
    for path in folder.iterdir() if folder.is_dir() else ():
        name = parse_segment_name(path.name)
        if name is None:
            continue
        held = found.setdefault(name.worker, {}).get(name.number)
        if held is None or name.sealed:
            found[name.worker][name.number] = name
    return found


def _path(folder: Path, name: SegmentName) -> Path:
    open_path = folder / segment_name(name.worker, name.number, sealed=False)
    sealed = folder / segment_name(name.worker, name.number, sealed=True)
    # It may be sealed between the listing and now; then its other name holds the same bytes.
    return sealed if name.sealed or not open_path.exists() else open_path


def _header(folder: Path, name: SegmentName) -> SegmentHeader:
    try:
        with _path(folder, name).open("rb") as file:
            return unpack_header(file.read(DATA_OFFSET))
    except FileNotFoundError as error:
        raise Integrity("a segment of the prediction log is gone", where=segment_name(name.worker, name.number, sealed=True)) from error


def _records(folder: Path, name: SegmentName, stop: int) -> Iterator[LogRecord]:
    path = _path(folder, name)
    try:
        with path.open("rb") as file:
            file.seek(DATA_OFFSET)
            data = file.read(stop - DATA_OFFSET)
    except FileNotFoundError as error:
        raise Integrity("a segment of the prediction log is gone", where=path.name) from error
    end = 0
    for record, after in decode_frames(data):
        end = after
        yield record
    if end != stop - DATA_OFFSET:
        raise Integrity(
            "the prediction log is shorter than it was", where=path.name, expected=f"{stop:,} bytes", got=f"{DATA_OFFSET + end:,} bytes"
        )
