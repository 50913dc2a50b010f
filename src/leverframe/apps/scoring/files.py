"""Batch input and output as files: Parquet, CSV or JSON lines in, a stream of bounded parts; one Parquet file out for each.

Polars lives here and not in the serving room, which gateways import.
"""

import difflib
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from leverframe.core.digest import Digest
from leverframe.core.errors import Conflict, Fault, InvalidInput, NotFound, SchemaMismatch
from leverframe.core.schema import RequestField, Signature
from leverframe.serving.batch.output import Job, file_digest
from leverframe.serving.batch.parts import CODES, Part, ScoredPart

ROW, CODE, MISSING, VERSION = "row", "code", "missing", "model_version"
SUFFIXES = {".parquet": "parquet", ".pq": "parquet", ".csv": "csv", ".jsonl": "json", ".ndjson": "json"}
EXAMPLES_MAX = 3
_READ_ROWS = 65_536
_DTYPES: dict[str, Any] = {"float": pl.Float64, "integer": pl.Int64, "boolean": pl.Boolean, "text": pl.String}
_ACCEPTS = {"float": ("float", "integer"), "integer": ("integer",), "boolean": ("boolean",), "text": ("text",)}


def _kind(datatype: str) -> str:
    return {"F": "float", "I": "integer", "U": "integer"}.get(datatype[0], "boolean" if datatype == "BOOL" else "text")


def _kind_of(dtype: pl.DataType) -> str:
    if dtype.is_float() or dtype.is_decimal():
        return "float"
    if dtype.is_integer():
        return "integer"
    if dtype == pl.Boolean:
        return "boolean"
    return "text" if dtype in (pl.String, pl.Categorical, pl.Enum) else str(dtype)


class BatchInput:
    """Rows to be scored by models of one signature.

    Parameters
    ----------
    frame: the rows.    name: what messages call them.    digests: what they are, unless they are ``files``.
    files: digested at once by a thread, and looked at again when all was read: a file that changed meanwhile is no input.
    as_of: column of each row's moment (microseconds UTC); empty when none is needed.
    id_column: must be there and different in every row; empty: the row number alone names a row.
    keep: further columns for the output.
    """

    def __init__(
        self,
        frame: pl.LazyFrame,
        signature: Signature,
        *,
        name: str,
        digests: tuple[Digest, ...] = (),
        files: Sequence[Path] = (),
        as_of: str = "",
        id_column: str = "",
        keep: Sequence[str] = (),
    ) -> None:
        self._frame = frame
        self._signature = signature
        self._name = name
        self._digests = digests
        # First, so that it has seen the files before their bytes are named: a change in between is a change.
        self._files = {path: _state(path) for path in files}
        with_digests = ThreadPoolExecutor(1, thread_name_prefix="digest")
        self._named = [with_digests.submit(file_digest, path) for path in files]
        with_digests.shutdown(wait=False)
        self._as_of = as_of
        self.id_column = id_column
        entities = [field.name for field in signature.request if field.entity]
        self.kept = tuple(dict.fromkeys(name for name in (id_column, *entities, as_of, *keep) if name))

    @property
    def digests(self) -> tuple[Digest, ...]:
        """What the rows are; waits until their files have been read for it."""
        return self._digests or tuple(named.result() for named in self._named)

    def rows(self) -> int:
        """How many rows there are, once columns, types and ids have been found usable.

        Raises
        ------
        SchemaMismatch: columns are missing or of another type; names all of them.    InvalidInput: no rows, or ids that are not unique.
        """
        try:
            self._check_columns(self._frame.collect_schema())
            id = pl.col(self.id_column or ROW)
            # Ids that ascend differ, which is seen five times as fast as counting different ones.
            ascend = [(id > id.shift(1)).all() & (id.null_count() == 0)] if self.id_column else []
            rows, *ascending = self._frame.select(pl.len().alias(ROW), *ascend).collect(engine="streaming").row(0)
            if rows == 0:
                raise InvalidInput("there are no rows to score", where=self._name, expected="at least 1 row", got="0")
            if ascending == [False] and self._frame.select(id.drop_nulls().n_unique()).collect(engine="streaming").item() < rows:
                raise self._wrong_ids()
        except (pl.exceptions.PolarsError, OSError) as error:
            raise self._unreadable(error) from error
        return int(rows)

    def parts(self, rows_per_part: int, skip: frozenset[int]) -> Iterator[Part]:
        """See ``leverframe.serving.batch.run.Reader``."""
        wanted = [field.name for field in self._signature.request]
        present = self._frame.collect_schema().names()
        columns = list(dict.fromkeys(name for name in (*wanted, *self.kept) if name in present))
        number = 0
        try:
            for frame in _regrouped(self._frame.select(columns), rows_per_part):
                if number not in skip:
                    yield self._part(frame, number, number * rows_per_part)
                number += 1
        except (pl.exceptions.PolarsError, OSError) as error:
            raise self._unreadable(error) from error
        changed = [path.name for path, state in self._files.items() if _state(path) != state]
        if changed:
            raise Conflict(
                "the input changed while it was read", where=", ".join(changed), next_step="choose another folder and start again"
            )

    def _part(self, frame: pl.DataFrame, number: int, first_row: int) -> Part:
        columns: dict[str, Any] = {}
        unreadable = np.zeros(frame.height, dtype=np.bool_)
        for field in self._signature.request:
            columns[field.name] = _column(field, frame, unreadable)
        asked_at_us = None
        if self._as_of:
            asked = _moments(frame[self._as_of])
            unreadable |= asked.is_null().to_numpy()
            asked_at_us = asked.fill_null(0).to_numpy()
        return Part(number, first_row, frame.height, columns, unreadable, asked_at_us, frame.select(self.kept))

    def _check_columns(self, schema: Mapping[str, pl.DataType]) -> None:
        faults = [fault for field in self._signature.request if (fault := _fault(field, schema)) is not None]
        for name in self.kept:
            if name not in schema and not any(fault.where == name for fault in faults):
                faults.append(Fault(where=name, what="no such column", expected=_closest(name, schema), got="nothing"))
            elif name in (ROW, CODE, MISSING, VERSION, *(output.name for output in self._signature.outputs)):
                faults.append(Fault(where=name, what="a column of the output has this name", expected="another name for the column"))
        if self._as_of in schema and not (schema[self._as_of].is_integer() or isinstance(schema[self._as_of], pl.Datetime)):
            got = str(schema[self._as_of])
            faults.append(Fault(where=self._as_of, what="not a moment", expected="integer microseconds UTC, or a timestamp", got=got))
        if faults:
            raise SchemaMismatch(
                "; ".join(f"{fault.where}: {fault.what}" for fault in faults)[:400],
                where=self._name,
                expected=faults[0].expected,
                got=faults[0].got,
                next_step="correct the file; the model's fields are listed by: lever models show",
                faults=faults,
            )

    def _wrong_ids(self) -> InvalidInput:
        ids = self._frame.select(pl.col(self.id_column)).with_row_index(ROW)
        wrong = ids.filter(pl.col(self.id_column).is_null() | pl.col(self.id_column).is_duplicated()).select(ROW).collect()
        shown = ", ".join(str(row) for row in wrong[ROW].head(EXAMPLES_MAX))
        return InvalidInput(
            "an id is missing or given twice",
            where=f"{self._name}, column {self.id_column}",
            expected="a different id in every row",
            got=f"{wrong.height} rows, the first at {shown}",
            next_step="correct the file, or leave --id away: rows are named by their number as well",
        )

    def _unreadable(self, error: Exception) -> InvalidInput:
        # The first line of Polars' message names column and type; the rest is advice about its own options.
        got = str(error).strip().partition("\n")[0][:200]
        return SchemaMismatch(
            "the rows cannot be read as the model's fields",
            where=self._name,
            expected=", ".join(f"{field.name} {field.datatype}" for field in self._signature.request)[:300],
            got=got,
            next_step="correct the file",
        )


def open_files(
    paths: Sequence[Path], signature: Signature, *, as_of: str = "", id_column: str = "", keep: Sequence[str] = ()
) -> BatchInput:
    """Files of one format, one after the other, as one input.

    Raises
    ------
    NotFound: a file is not there.    InvalidInput: no files, an unknown ending, or several formats.
    """
    formats = {SUFFIXES.get(path.suffix.lower(), "") for path in paths}
    if len(formats) != 1 or "" in formats:
        got = ", ".join(sorted({path.suffix or path.name for path in paths}))
        raise InvalidInput("which format is this?", where="--input", expected=f"files that end in one of {', '.join(SUFFIXES)}", got=got)
    for path in paths:
        if not path.is_file():
            raise NotFound("no such file", where=str(path), next_step="check the path")
    types = {field.name: _DTYPES[_kind(field.datatype)] for field in signature.request}
    if as_of:
        types.setdefault(as_of, pl.Int64)
    name = paths[0].name if len(paths) == 1 else f"{len(paths)} files from {paths[0].name} on"
    format = formats.pop()
    try:
        frame = _scan(format, paths, types)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InvalidInput("the file cannot be read", where=name, expected=format, got=str(error).partition("\n")[0][:200]) from error
    return BatchInput(frame, signature, name=name, files=paths, as_of=as_of, id_column=id_column, keep=keep)


def _scan(format: str, paths: Sequence[Path], types: dict[str, Any]) -> pl.LazyFrame:
    if any(path.stat().st_size == 0 for path in paths):
        raise InvalidInput(
            "the file is empty", where=", ".join(p.name for p in paths if p.stat().st_size == 0), expected="rows", got="0 bytes"
        )
    if format == "parquet":
        return pl.scan_parquet(list(paths), glob=False)
    if format == "csv":
        # What the model does not read stays text: nothing is guessed, so nothing depends on which rows come first.
        return pl.scan_csv(list(paths), schema_overrides=types, infer_schema=False, glob=False)
    return pl.scan_ndjson(list(paths), schema_overrides=types, infer_schema_length=None)


def encode_part(job: Job, scored: ScoredPart, output: str) -> bytes:
    """A scored part as Parquet: ``row``, the kept columns, the score (null: none), ``code``, ``missing``, ``model_version``."""
    part = scored.part
    # Polars writes a column of nothing but "" slowly unless it is an Enum; readers of the file find strings.
    names = pl.Series(CODE, CODES, dtype=pl.Enum(CODES))
    frame = pl.DataFrame(
        [
            pl.Series(ROW, np.arange(part.first_row, part.first_row + part.rows, dtype=np.int64)),
            *part.kept.get_columns(),
            pl.Series(output, scored.scores, nan_to_null=True),
            names.gather(scored.codes),
            pl.Series(MISSING, scored.missing),
            pl.Series(VERSION, [job.version], dtype=pl.String).new_from_index(0, part.rows),
        ]
    )
    buffer = io.BytesIO()
    frame.rechunk().write_parquet(buffer, compression="zstd", compression_level=1, row_group_size=max(part.rows, 1))
    return buffer.getvalue()


def _regrouped(frame: pl.LazyFrame, rows: int) -> Iterator[pl.DataFrame]:
    """The rows in order, ``rows`` at a time; what Polars hands over in between may be of any size."""
    held: list[pl.DataFrame] = []
    held_rows = 0
    for batch in frame.collect_batches(chunk_size=min(rows, _READ_ROWS), maintain_order=True):
        held.append(batch)
        held_rows += batch.height
        while held_rows >= rows:
            together = pl.concat(held)
            yield together[:rows].rechunk()
            held, held_rows = [together[rows:]], held_rows - rows
    if held_rows:
        yield pl.concat(held).rechunk()


def _column(field: RequestField, frame: pl.DataFrame, unreadable: npt.NDArray[np.bool_]) -> Any:
    kind = _kind(field.datatype)
    if field.name not in frame.columns:
        return [None] * frame.height if kind == "text" else np.full(frame.height, np.nan)
    series = frame[field.name].cast(_DTYPES[kind])
    if kind == "text":
        return series.to_list()
    if series.null_count() == 0:
        return series.to_numpy()
    if kind == "float":
        return series.fill_null(np.nan).to_numpy()
    unreadable |= series.is_null().to_numpy()
    return series.fill_null(False if kind == "boolean" else 0).to_numpy()


def _moments(series: pl.Series) -> pl.Series:
    zone = getattr(series.dtype, "time_zone", None)
    return series.cast(pl.Datetime("us", zone)).cast(pl.Int64) if isinstance(series.dtype, pl.Datetime) else series.cast(pl.Int64)


def _fault(field: RequestField, schema: Mapping[str, pl.DataType]) -> Fault | None:
    dtype = schema.get(field.name)
    kind = _kind(field.datatype)
    if dtype is None:
        if not field.required and kind in ("float", "text"):
            return None
        return Fault(where=field.name, what="missing column", expected=field.datatype, got=_closest(field.name, schema))
    if dtype == pl.Null or _kind_of(dtype) in _ACCEPTS[kind]:
        return None
    return Fault(where=field.name, what="wrong type", expected=field.datatype, got=str(dtype))


def _closest(name: str, schema: Mapping[str, pl.DataType]) -> str:
    close = difflib.get_close_matches(name, list(schema), n=1)
    return f"'{close[0]}'" if close else "nothing"


def _state(path: Path) -> tuple[int, int, int]:
    status = os.stat(path)
    return status.st_size, status.st_mtime_ns, status.st_ino
