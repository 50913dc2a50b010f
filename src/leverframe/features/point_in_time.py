"""Training sets as of each question's moment: what the online store would have answered then, and nothing later."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from leverframe.core.errors import Fault, SchemaMismatch
from leverframe.core.feature import FeatureView
from leverframe.features.definitions import EVENT, VALID_FROM
from leverframe.features.source_rows import entity_key_type, moment
from leverframe.features.timeline import timeline

ROW = "__row"
ASKED = "__asked_us"


@dataclass(frozen=True)
class TrainingSet:
    """``frame``: the questions in their order, with a float64 column ``<view>.<feature>`` for each feature (null: no value then).

    ``unmatched`` counts, for each view, the questions for which it had no row at all (unknown entity, not yet known, or expired).
    """

    frame: pl.DataFrame
    unmatched: dict[str, int]


def training_set(questions: pl.LazyFrame | pl.DataFrame, asked_at: str, views: Sequence[tuple[FeatureView, pl.LazyFrame]]) -> TrainingSet:
    """Join every view's features to the questions as of the moment each was asked. No row is dropped, doubled or moved.

    Parameters
    ----------
    questions: one row a question, with ``asked_at`` and the views' entity columns; a missing key or moment gets no values.
    asked_at: column of moments, microseconds UTC.
    views: each view with its source's rows.

    Raises
    ------
    SchemaMismatch: a column is missing or has another type than the view's key; names all of them.
    InvalidInput: a view does not fit its source.
    """
    return join_timelines(questions, asked_at, [(view, timeline(view, source)) for view, source in views])


def join_timelines(questions: pl.LazyFrame | pl.DataFrame, asked_at: str, lines: Sequence[tuple[FeatureView, pl.DataFrame]]) -> TrainingSet:
    """``training_set`` on views that are compiled already (see ``timeline``)."""
    frame = questions.lazy().collect()
    _check_questions(frame, asked_at, lines)
    keys = dict.fromkeys(key for view, _ in lines for key in view.entity)
    asked = (
        frame.with_row_index(ROW)
        .select(
            ROW,
            moment(asked_at, frame.schema[asked_at]).alias(ASKED),
            *(pl.col(k).cast(entity_key_type(frame.schema[k])) for k in keys),
        )
        .sort(ASKED, maintain_order=True)
    )
    unmatched: dict[str, int] = {}
    columns: list[pl.DataFrame] = []
    for view, line in lines:
        found = _as_of(asked, view, line)
        unmatched[view.name] = int(found["__unmatched"].sum())
        columns.append(found.drop("__unmatched"))
    joined = pl.concat([asked.select(ROW), *columns], how="horizontal").sort(ROW).drop(ROW)
    return TrainingSet(frame=frame.hstack(joined), unmatched=unmatched)


def _as_of(asked: pl.DataFrame, view: FeatureView, line: pl.DataFrame) -> pl.DataFrame:
    """The view's features for ``asked`` (sorted by moment), in that order, and whether no row was found."""
    found = asked.lazy().join_asof(
        # Sorted within each entity, which is all that a join by entity needs; Polars cannot check that by itself.
        line.lazy(), left_on=ASKED, right_on=VALID_FROM, by=list(view.entity), check_sortedness=False, coalesce=False,
    )  # fmt: skip
    alive = pl.col(VALID_FROM).is_not_null()
    if view.ttl_us and view.expressions:
        alive = alive & (pl.col(EVENT) > pl.col(ASKED) - view.ttl_us)
    result = found.select(
        ROW,
        alive.not_().alias("__unmatched"),
        *(pl.when(alive).then(pl.col(f)).alias(f"{view.name}.{f}") for f in view.features),
    ).collect()
    assert result[ROW].equals(asked[ROW]), "an as-of join must neither drop, double nor move a question"
    return result.drop(ROW)


def _check_questions(frame: pl.DataFrame, asked_at: str, lines: Sequence[tuple[FeatureView, pl.DataFrame]]) -> None:
    faults = []
    dtype = frame.schema.get(asked_at)
    if dtype is None or not (dtype.is_integer() or isinstance(dtype, pl.Datetime)):
        faults.append(Fault(where=asked_at, what="the moment of the question", expected="int64 microseconds UTC", got=str(dtype or "")))
    for view, line in lines:
        for key in view.entity:
            got = frame.schema.get(key)
            if got is None:
                faults.append(Fault(where=f"{view.name}.{key}", what="questions lack the entity key", expected=key))
            elif entity_key_type(got) != line.schema[key]:
                faults.append(Fault(where=f"{view.name}.{key}", what="key of another type", expected=str(line.schema[key]), got=str(got)))
        faults += [
            Fault(where=f"{view.name}.{feature}", what="the questions already have a column of this name")
            for feature in view.features
            if f"{view.name}.{feature}" in frame.schema
        ]
    names = [view.name for view, _ in lines]
    faults += [Fault(where=name, what="a view is given twice") for name in dict.fromkeys(names) if names.count(name) > 1]
    if faults:
        raise SchemaMismatch(
            "; ".join(f"{f.where}: {f.what}" for f in faults),
            where="training set",
            expected=faults[0].expected,
            got=faults[0].got,
            next_step="give the questions the views' entity columns and the moment asked",
            faults=faults,
        )
