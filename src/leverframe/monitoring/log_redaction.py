"""Somebody's records in the prediction log made nobody's: their key and inputs are overwritten, and everything else stays where it is.

A record keeps its length, its place, its answer and its checksum, so that counts still add up, readers keep their positions, and what was
computed from the log can be computed again. A sealed segment is written aside and renamed; in an open one the frame is overwritten, which
its writer never looks back at. Segments with damaged frames are done up to the damage. Files of the archive are written anew.
"""

import os
import struct
from collections.abc import Callable
from pathlib import Path

import msgspec

from leverframe.core.digest import digest_bytes
from leverframe.core.errors import Integrity, InvalidInput, Unavailable
from leverframe.core.prediction import LogRecord, PredictionRecord, decode_frames, encode_frame
from leverframe.core.segment import DATA_OFFSET, parse_segment_name, unpack_header
from leverframe.governance.durable_files import write_durably
from leverframe.monitoring.log_archive import OWNER_ONLY, LogArchive

_MISSING = struct.pack("<d", float("nan"))

Whose = Callable[[str, str], bool]
"""Whether the value of an entity field (its name, its text) names the person."""


def redact(folder: Path, archive: LogArchive, whose: Whose, token: str) -> int:
    """Overwrite every record of ``folder`` and ``archive`` that names the person; doing it again changes nothing. How many there were.

    Parameters
    ----------
    token: what stands for the person from now on is made from it, so that answers and labels of one person still find each other.

    Raises
    ------
    Unavailable: a segment cannot be written.    Integrity: a file of the archive cannot be read.
    """
    # A segment that became files just now is looked for there afterwards.
    live = sum(_segment(path, whose, token) for path in sorted(folder.iterdir()) if _is_segment(path)) if folder.is_dir() else 0
    return live + sum(_archived(archive, segment, path, whose, token) for segment, path in archive.files())


def _archived(archive: LogArchive, segment: str, path: Path, whose: Whose, token: str) -> int:
    if not path.exists():
        return 0  # Somebody let that hour go.
    placed = archive.placed(path)
    changed = 0
    for index, (record, end) in enumerate(placed):
        fields = [field for field, text in record.entities.items() if whose(field, text)]
        if fields:
            placed[index] = nobody(record, fields, token), end
            changed += 1
    if changed:
        archive.write(path, segment, placed)
    return changed


def _is_segment(path: Path) -> bool:
    return parse_segment_name(path.name) is not None


def _segment(path: Path, whose: Whose, token: str) -> int:
    try:
        data = path.read_bytes()
        used = unpack_header(data).used
    except (FileNotFoundError, Integrity, InvalidInput):
        return 0  # It was sealed, or turned into files, just now; or it never was a segment.
    changed: list[tuple[int, bytes]] = []
    start = DATA_OFFSET
    try:
        for record, end in decode_frames(memoryview(data)[:used], DATA_OFFSET):
            fields = [field for field, text in record.entities.items() if whose(field, text)]
            if fields:
                frame = encode_frame(nobody(record, fields, token))
                assert len(frame) == end - start, "a record that is overwritten keeps its length"
                changed.append((start, frame))
            start = end
    except (Integrity, msgspec.MsgspecError):
        pass
    if changed:
        _overwrite(path, data, changed)
    return len(changed)


def nobody(record: LogRecord, fields: list[str], token: str) -> LogRecord:
    """``record`` without the person that ``fields`` name: another key of the same length, and inputs that are missing.

    >>> from leverframe.core.prediction import LabelRecord
    >>> record = LabelRecord(id="", endpoint="e", label=1.0, known_at_us=1, entities={"rider": "ann", "stop": "x"})
    >>> nobody(record, ["rider"], "t").entities
    {'rider': 'e3b', 'stop': 'x'}
    """
    stand_in = {field: _filler(token, len(record.entities[field].encode())) for field in fields}
    gone: dict[str, object] = {"entities": {**record.entities, **stand_in}}
    if isinstance(record, PredictionRecord):
        gone["features"] = _MISSING * (len(record.features) // len(_MISSING))
    return msgspec.structs.replace(record, **gone)


def _filler(token: str, length: int) -> str:
    digits = digest_bytes(token.encode()).partition(":")[2]
    return (digits * (length // len(digits) + 1))[:length]


def _overwrite(path: Path, data: bytes, changed: list[tuple[int, bytes]]) -> None:
    name = parse_segment_name(path.name)
    try:
        if name is not None and name.sealed:
            whole = bytearray(data)
            for at, frame in changed:
                whole[at : at + len(frame)] = frame
            write_durably(path, bytes(whole), mode=OWNER_ONLY)
            return
        handle = os.open(path, os.O_WRONLY)
        try:
            for at, frame in changed:
                os.pwrite(handle, frame, at)
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        raise Unavailable("the prediction log cannot be written", where=path.name, got=type(error).__name__) from error
