"""The archive of the prediction log: segments that no reader needs any more, as Parquet by endpoint and hour, and the way back to records.

::

    segments/<worker>-<number>.json                                  when it was sealed, how long it was, its files
    predictions/endpoint=<e>/hour=<h>/<worker>-<number>.parquet      answers asked in that hour (since 1970, UTC)
    labels/endpoint=<e>/hour=<h>/<worker>-<number>.parquet           labels that became known in it

A row has ``end``, the offset in the segment just after its frame, so that a stretch of the log which ended within a segment reads again as
it was. Whoever looks into the files with tools of their own need not know: they are plain Parquet, and ``segment`` and ``end`` are columns.
"""

import io
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import polars as pl

from leverframe.core.clock import HOUR_US
from leverframe.core.errors import Integrity
from leverframe.core.prediction import Exposure, LabelRecord, LogRecord, PredictionRecord
from leverframe.core.segment import DATA_OFFSET, SEALED, SegmentName, parse_segment_name
from leverframe.governance.durable_files import make_folder, write_durably

OWNER_ONLY = 0o600
"""As segments are: what callers asked is nobody else's to read."""
PREDICTIONS, LABELS, SEGMENTS = "predictions", "labels", "segments"

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
    "more_outputs": pl.Binary,
    "routed": pl.Boolean,
    "experiment": pl.String,
    "experiment_key": pl.UInt64,
    "segment": pl.String,
    "end": pl.Int64,
}
"""``entities`` is JSON; ``experiment`` and ``experiment_key`` are null for callers who took part in none."""
_LABEL_SCHEMA: _Schema = {
    "id": pl.String,
    "endpoint": pl.String,
    "label": pl.Float64,
    "known_at_us": pl.Int64,
    "row": pl.Int64,
    "entities": pl.String,
    "asked_at_us": pl.Int64,
    "segment": pl.String,
    "end": pl.Int64,
}


class Archived(msgspec.Struct, frozen=True, kw_only=True):
    """One segment that is in the archive; ``used`` is the offset just after its last frame, ``files`` are relative to the archive."""

    sealed_at_us: int
    used: int
    records: int
    files: tuple[str, ...]


Placed = tuple[LogRecord, int]
"""A record and the offset just after its frame."""


class LogArchive:
    """Archived segments, by the name they had (``gw-0-00000003``).

    Parameters
    ----------
    folder: where the archive is; need not exist yet.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def names(self) -> dict[str, SegmentName]:
        """Every archived segment."""
        index = self._folder / SEGMENTS
        found = (path.stem for path in index.glob("*.json")) if index.is_dir() else ()
        parsed = {stem: parse_segment_name(f"{stem}{SEALED}") for stem in found}
        return {stem: name for stem, name in parsed.items() if name is not None}

    def entry(self, segment: str) -> Archived:
        """What is known of a segment without its rows.

        Raises
        ------
        Integrity: it is not in the archive, or its entry is damaged.
        """
        try:
            return msgspec.json.decode((self._folder / SEGMENTS / f"{segment}.json").read_bytes(), type=Archived)
        except (OSError, msgspec.MsgspecError) as error:
            raise Integrity("a segment of the prediction log is not in the archive", where=segment) from error

    def put(self, segment: str, records: Iterable[Placed], *, sealed_at_us: int, used: int) -> Archived:
        """Keep a segment; the same records give the same files, and the entry comes last.

        Raises
        ------
        Unavailable: a file cannot be written.
        """
        parts: dict[Path, list[Placed]] = {}
        count = 0
        for placed in records:
            parts.setdefault(self._folder / _place(placed[0]) / f"{segment}.parquet", []).append(placed)
            count += 1
        for path, part in parts.items():
            self.write(path, segment, part)
        files = tuple(sorted(path.relative_to(self._folder).as_posix() for path in parts))
        entry = Archived(sealed_at_us=sealed_at_us, used=used, records=count, files=files)
        make_folder(self._folder / SEGMENTS)
        write_durably(self._folder / SEGMENTS / f"{segment}.json", msgspec.json.encode(entry))
        return entry

    def write(self, path: Path, segment: str, part: list[Placed]) -> None:
        """Write one file of the archive, whole or not at all."""
        schema = _PREDICTION_SCHEMA if isinstance(part[0][0], PredictionRecord) else _LABEL_SCHEMA
        buffer = io.BytesIO()
        rows = [{**_row(record), "segment": segment, "end": end} for record, end in part]
        pl.DataFrame(rows, schema=schema, orient="row").write_parquet(buffer, compression="zstd", statistics=True)
        make_folder(path.parent)
        write_durably(path, buffer.getvalue(), mode=OWNER_ONLY)

    def read(self, segment: str, stop: int) -> Iterator[LogRecord]:
        """The records of a segment up to the offset ``stop``, in the order they were written.

        Raises
        ------
        Integrity: a file of it is gone or damaged, or records are missing.
        """
        entry = self.entry(segment)
        placed = sorted((each for file in entry.files for each in self.placed(self._folder / file)), key=lambda each: each[1])
        if len(placed) != entry.records:
            expected, got = f"{entry.records:,} records", f"{len(placed):,}"
            raise Integrity("an archived segment is not whole", where=segment, expected=expected, got=got)
        ends = [end for _, end in placed if end <= stop]
        if DATA_OFFSET < stop < entry.used and (not ends or ends[-1] != stop):
            raise Integrity("the prediction log has no frame that ends here", where=f"{segment}, offset {stop:,}")
        yield from (record for record, end in placed if end <= stop)

    def placed(self, path: Path) -> list[Placed]:
        """The records of one file, each with its offset.

        Raises
        ------
        Integrity: it is gone or damaged.
        """
        make = _prediction if path.relative_to(self._folder).parts[0] == PREDICTIONS else _label
        try:
            return [(make(row), row["end"]) for row in pl.read_parquet(path.read_bytes(), hive_partitioning=False).iter_rows(named=True)]
        except (OSError, KeyError, pl.exceptions.PolarsError, msgspec.MsgspecError) as error:
            what = "a file of the prediction log's archive is gone or damaged"
            raise Integrity(what, where=str(path.relative_to(self._folder)), next_step="restore it, or remove it") from error

    def files(self) -> Iterator[tuple[str, Path]]:
        """Every file with the name of its segment."""
        for segment in sorted(self.names()):
            for file in self.entry(segment).files:
                yield segment, self._folder / file


def partition(endpoint: str) -> str:
    """The folder name of an endpoint's partition; characters that a path could misread are escaped.

    >>> partition("prod/flight-delay")
    'endpoint=prod%2Fflight-delay'
    """
    return f"endpoint={quote(endpoint, safe='').replace('.', '%2E')}"


def _place(record: LogRecord) -> Path:
    answer = isinstance(record, PredictionRecord)
    at_us = record.asked_at_us if isinstance(record, PredictionRecord) else record.known_at_us
    return Path(PREDICTIONS if answer else LABELS) / partition(record.endpoint) / f"hour={at_us // HOUR_US}"


def _row(record: LogRecord) -> dict[str, Any]:
    row = msgspec.structs.asdict(record)
    row["entities"] = msgspec.json.encode(record.entities, order="sorted").decode()
    if isinstance(record, PredictionRecord):
        exposure = row.pop("exposure")
        row["experiment"], row["experiment_key"] = (exposure.experiment, exposure.key) if exposure is not None else (None, None)
    return row


def _entities(row: Mapping[str, Any]) -> dict[str, str]:
    return msgspec.json.decode(row["entities"], type=dict[str, str])


def _prediction(row: Mapping[str, Any]) -> PredictionRecord:
    plain = {name: row[name] for name in PredictionRecord.__struct_fields__ if name not in ("outputs", "entities", "exposure")}
    exposure = Exposure(row["experiment"], row["experiment_key"]) if row["experiment"] is not None else None
    return PredictionRecord(**plain, outputs=tuple(row["outputs"]), entities=_entities(row), exposure=exposure)


def _label(row: Mapping[str, Any]) -> LabelRecord:
    return LabelRecord(**{name: row[name] for name in LabelRecord.__struct_fields__ if name != "entities"}, entities=_entities(row))
