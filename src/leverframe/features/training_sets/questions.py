"""What questions must look like before views can be joined to them; every fault is named at once."""

from collections.abc import Mapping, Sequence

import polars as pl

from leverframe.core.errors import Fault, SchemaMismatch
from leverframe.core.feature import FeatureView
from leverframe.features.rows.source_rows import entity_key_type

MOMENT = "int64 microseconds UTC, or a datetime with a time zone"


def check_questions(
    schema: Mapping[str, pl.DataType], asked_at: str, lines: Sequence[tuple[FeatureView, Mapping[str, pl.DataType]]]
) -> None:
    """Check the questions' ``schema`` against the views and their timelines' schemas.

    A datetime without a zone is refused: a wall clock shows one hour twice in autumn and skips one in spring, so it names no moment.

    Raises
    ------
    SchemaMismatch: with every fault.
    """
    faults = _moment_faults(schema, asked_at)
    for view, line in lines:
        for key in view.entity:
            got = schema.get(key)
            if got is None:
                faults.append(Fault(where=f"{view.name}.{key}", what="questions lack the entity key", expected=key))
            elif entity_key_type(got) != line[key]:
                faults.append(Fault(where=f"{view.name}.{key}", what="key of another type", expected=str(line[key]), got=str(got)))
        faults += [
            Fault(where=f"{view.name}.{feature}", what="the questions already have a column of this name")
            for feature in view.features
            if f"{view.name}.{feature}" in schema
        ]
    names = [view.name for view, _ in lines]
    faults += [Fault(where=name, what="a view is given twice") for name in dict.fromkeys(names) if names.count(name) > 1]
    if faults:
        raise SchemaMismatch(
            "; ".join(f"{f.where}: {f.what}" for f in faults),
            where="training set",
            expected=faults[0].expected,
            got=faults[0].got,
            next_step=_next_step(schema, asked_at),
            faults=faults,
        )


def in_utc(questions: pl.DataFrame, asked_at: str) -> pl.DataFrame:
    """The questions with ``asked_at`` marked as UTC if it has no zone: for rows of snapshots, which hold UTC by contract."""
    dtype = questions.schema.get(asked_at)
    if isinstance(dtype, pl.Datetime) and dtype.time_zone is None:
        return questions.with_columns(pl.col(asked_at).dt.replace_time_zone("UTC"))
    return questions


def _moment_faults(schema: Mapping[str, pl.DataType], asked_at: str) -> list[Fault]:
    dtype = schema.get(asked_at)
    if isinstance(dtype, pl.Datetime) and dtype.time_zone is None:
        return [Fault(where=asked_at, what="a local time without its zone names no moment", expected=MOMENT, got=str(dtype))]
    if dtype is None or not (dtype.is_integer() or isinstance(dtype, pl.Datetime)):
        return [Fault(where=asked_at, what="the moment of the question", expected=MOMENT, got=str(dtype or ""))]
    return []


def _next_step(schema: Mapping[str, pl.DataType], asked_at: str) -> str:
    dtype = schema.get(asked_at)
    if isinstance(dtype, pl.Datetime) and dtype.time_zone is None:
        return f'say where the clock hung: pl.col("{asked_at}").dt.replace_time_zone("America/New_York", ambiguous=…)'
    return "give the questions the views' entity columns and the moment asked"
