"""Sealed segments become Parquet in the archive, exactly once however often the process dies on the way.

A segment's rows go to files with the segment's name, each written aside, synced and renamed; then its entry in the archive's index; only
then is the segment removed. Killed in between, the next run writes the same files again, byte for byte, so nothing is lost or doubled.
"""

from pathlib import Path

import msgspec

from leverframe.core.errors import Integrity
from leverframe.core.prediction import decode_frames
from leverframe.core.segment import DATA_OFFSET, SEALED, SegmentHeader, parse_segment_name, unpack_header
from leverframe.governance.durable_files import sync_folder
from leverframe.monitoring.log_archive import LogArchive, Placed
from leverframe.monitoring.log_reader import Position

SEGMENTS_PER_RUN_MAX = 64


class Compacted(msgspec.Struct, frozen=True, kw_only=True):
    """What a run did: segments turned into files, records in them, and segments left as they are because bytes of theirs are damaged."""

    segments: int
    records: int
    files: int
    damaged: tuple[str, ...] = ()


def compact(
    folder: Path, archive: LogArchive, *, read_until: Position, sealed_before_us: int, segments_max: int = SEGMENTS_PER_RUN_MAX
) -> Compacted:
    """Turn sealed segments of ``folder`` into files of ``archive`` and remove them; at most ``segments_max``, oldest first.

    Parameters
    ----------
    read_until: only segments that a reader at this position has left behind.
    sealed_before_us: only segments that were sealed before this moment.

    A segment with a damaged frame stays where it is, and is named in the result: what is left of it can only be read there.

    Raises
    ------
    Unavailable: a file cannot be written; nothing was removed that is not durably in place.
    """
    done = records = files = 0
    damaged: list[str] = []
    for path in _sealed(folder, read_until):
        if done == segments_max:
            break
        try:
            header, rows = _read(path, sealed_before_us)
        except (Integrity, msgspec.MsgspecError):
            damaged.append(path.name)
            continue
        if header is None:
            continue
        kept = archive.put(path.name.removesuffix(SEALED), rows, sealed_at_us=header.sealed_at_us, used=header.used)
        # From here on the segment is a copy. Its removal may be lost with the power; it is then simply done again.
        path.unlink(missing_ok=True)
        sync_folder(folder)
        done, records, files = done + 1, records + kept.records, files + len(kept.files)
    return Compacted(segments=done, records=records, files=files, damaged=tuple(damaged))


def _sealed(folder: Path, read_until: Position) -> list[Path]:
    found = []
    for path in folder.iterdir() if folder.is_dir() else ():
        name = parse_segment_name(path.name)
        if name is None or not name.sealed:
            continue
        read = read_until.workers.get(name.worker)
        if read is not None and name.number < read.number:
            found.append((name.worker, name.number, path))
    return [path for _, _, path in sorted(found)]


def _read(path: Path, sealed_before_us: int) -> tuple[SegmentHeader | None, list[Placed]]:
    """The header of a sealed segment and all its records, each with the offset just after it; no header: it is too young.

    Raises
    ------
    Integrity: fewer bytes or frames than its header says, or a damaged frame.
    """
    with path.open("rb") as file:
        header = unpack_header(file.read(DATA_OFFSET))
        if header.sealed_at_us >= sealed_before_us:
            return None, []
        data = file.read(header.used - DATA_OFFSET)
    rows: list[Placed] = []
    end = DATA_OFFSET
    for record, after in decode_frames(data):
        end = DATA_OFFSET + after
        rows.append((record, end))
    if end != header.used:
        raise Integrity("a sealed segment ends before its committed bytes do", where=path.name, expected=str(header.used), got=str(end))
    return header, rows
