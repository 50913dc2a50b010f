"""Sealed segments become Parquet, partitioned by endpoint and hour, exactly once however often the process dies on the way.

A segment's rows go to files whose names are the segment's (``endpoint=<e>/hour=<h>/<worker>-<number>.parquet``), each written aside,
synced and renamed. Only when all of them are durable is the segment removed. Killed in between, the next run writes the same files again,
byte for byte under the same names, so nothing is lost and nothing is doubled.
"""

import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import quote

import msgspec
import polars as pl

from leverframe.core.clock import HOUR_US
from leverframe.core.errors import Integrity, InvalidInput
from leverframe.core.prediction import LogRecord, PredictionRecord, decode_frames
from leverframe.core.segment import SEALED, parse_segment_name, unpack_header
from leverframe.governance.durable_files import make_folder, sync_folder, write_durably
from leverframe.monitoring.log_reader import Position

PREDICTIONS, LABELS = "predictions", "labels"
QUARANTINE = ".damaged"
SEGMENTS_PER_RUN_MAX = 64

_Schema = Mapping[str, type[pl.DataType] | pl.DataType]

_PREDICTION_SCHEMA: _Schema = {
    "id": pl.String,
    "endpoint": pl.String,
    "tenant": pl.String,
    "version": pl.String,
    "role": pl.String,
    "generation": pl.Int64,
    "asked_at_us": pl.Int64,
    "latency_us": pl.Int64,
    "status": pl.String,
    "outputs": pl.List(pl.Float64),
    "features": pl.Binary,
    "entities": pl.String,
    "missing": pl.Int64,
    "disabled": pl.Int64,
    "code": pl.String,
    "experiment": pl.String,
    "experiment_key": pl.UInt64,
    "segment": pl.String,
}
"""``experiment`` and ``experiment_key`` are null for callers who took part in none, and in files older than the columns."""
_LABEL_SCHEMA: _Schema = {
    "id": pl.String,
    "endpoint": pl.String,
    "label": pl.Float64,
    "known_at_us": pl.Int64,
    "row": pl.Int64,
    "segment": pl.String,
}


class Compacted(msgspec.Struct, frozen=True, kw_only=True):
    """What a run did: segments turned into files, records in them, and segments set aside because bytes of theirs are damaged."""

    segments: int
    records: int
    files: int
    set_aside: tuple[str, ...] = ()


def compact(folder: Path, into: Path, *, read_until: Position | None = None, segments_max: int = SEGMENTS_PER_RUN_MAX) -> Compacted:
    """Turn sealed segments of ``folder`` into Parquet under ``into`` and remove them; at most ``segments_max``, oldest first.

    Parameters
    ----------
    read_until: only segments that a reader at this position has left behind; None takes all sealed ones.

    A segment with a damaged frame is not turned into files: it is renamed to ``<name>.damaged``, kept, and named in the result.

    Raises
    ------
    Unavailable: a file cannot be written; nothing was removed that is not durably in place.
    """
    done = records = files = 0
    aside: list[str] = []
    for path in _sealed(folder, read_until)[:segments_max]:
        try:
            rows = _records(path)
        except (Integrity, msgspec.MsgspecError):
            path.rename(path.with_name(path.name + QUARANTINE))
            sync_folder(folder)
            aside.append(path.name)
            continue
        files += _write(rows, into, path.name.removesuffix(SEALED))
        # From here on the segment is a copy. Its removal may be lost with the power; it is then simply done again.
        path.unlink(missing_ok=True)
        sync_folder(folder)
        done, records = done + 1, records + len(rows)
    return Compacted(segments=done, records=records, files=files, set_aside=tuple(aside))


def _sealed(folder: Path, read_until: Position | None) -> list[Path]:
    found = []
    for path in folder.iterdir() if folder.is_dir() else ():
        name = parse_segment_name(path.name)
        if name is None or not name.sealed:
            continue
        read = read_until.workers.get(name.worker) if read_until is not None else None
        if read_until is None or (read is not None and name.number < read.number):
            found.append((name.worker, name.number, path))
    return [path for _, _, path in sorted(found)]


def _records(path: Path) -> list[LogRecord]:
    """All records of a sealed segment.

    Raises
    ------
    Integrity: fewer bytes or frames than its header says, or a damaged frame.
    """
    data = path.read_bytes()
    header = unpack_header(data)
    rows, end = [], 512
    for record, after in decode_frames(memoryview(data)[: header.used], 512):
        rows.append(record)
        end = after
    if end != header.used:
        raise Integrity("a sealed segment ends before its committed bytes do", where=path.name, expected=str(header.used), got=str(end))
    return rows


def partition(endpoint: str) -> str:
    """The folder name of an endpoint's partition; characters that a path could misread are escaped.

    >>> partition("prod/flight-delay")
    'endpoint=prod%2Fflight-delay'
    """
    if not endpoint:
        raise InvalidInput("a record without an endpoint", where="prediction log")
    return f"endpoint={quote(endpoint, safe='').replace('.', '%2E')}"


def _write(rows: Iterable[LogRecord], into: Path, segment: str) -> int:
    """One file for each kind, endpoint and hour; returns how many. The same rows give the same files."""
    parts: dict[Path, list[dict[str, object]]] = {}
    for record in rows:
        is_prediction = isinstance(record, PredictionRecord)
        at_us = record.asked_at_us if isinstance(record, PredictionRecord) else record.known_at_us
        place = into / (PREDICTIONS if is_prediction else LABELS) / partition(record.endpoint) / f"hour={at_us // HOUR_US}"
        row = msgspec.structs.asdict(record)
        if is_prediction:
            exposure = record.exposure if isinstance(record, PredictionRecord) else None
            row["experiment"], row["experiment_key"] = (exposure.experiment, exposure.key) if exposure is not None else (None, None)
            row["entities"] = msgspec.json.encode(row["entities"], order="sorted").decode()
        parts.setdefault(place / f"{segment}.parquet", []).append({**row, "segment": segment})
    for path, part in parts.items():
        schema = _PREDICTION_SCHEMA if "outputs" in part[0] else _LABEL_SCHEMA
        buffer = io.BytesIO()
        pl.DataFrame(part, schema=schema, orient="row").write_parquet(buffer, compression="zstd", statistics=True)
        make_folder(path.parent)
        write_durably(path, buffer.getvalue())
    return len(parts)


def read_predictions(folder: Path, endpoint: str, from_us: int, to_us: int) -> pl.LazyFrame:
    """Compacted answers of an endpoint asked in ``[from_us, to_us)``; empty when there are none. Only the hours concerned are opened."""
    return _read(folder / PREDICTIONS, endpoint, "asked_at_us", _PREDICTION_SCHEMA, from_us, to_us)


def read_labels(folder: Path, endpoint: str, from_us: int, to_us: int) -> pl.LazyFrame:
    """Compacted labels of an endpoint that became known in ``[from_us, to_us)``; empty when there are none."""
    return _read(folder / LABELS, endpoint, "known_at_us", _LABEL_SCHEMA, from_us, to_us)


def _read(folder: Path, endpoint: str, at: str, schema: _Schema, from_us: int, to_us: int) -> pl.LazyFrame:
    first, last = from_us // HOUR_US, (to_us - 1) // HOUR_US
    hours = (path for path in (folder / partition(endpoint)).glob("hour=*") if first <= int(path.name[5:]) <= last)
    files = sorted(file for hour in hours for file in hour.glob("*.parquet"))
    if not files:
        return pl.LazyFrame(schema=schema)
    scanned = pl.scan_parquet(files, hive_partitioning=False, schema=dict(schema), missing_columns="insert")
    return scanned.filter((pl.col(at) >= from_us) & (pl.col(at) < to_us)).sort(at, "id")
