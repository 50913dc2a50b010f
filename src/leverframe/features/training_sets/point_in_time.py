"""Training sets as of each question's moment: what the online store would have answered then, and nothing later."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from leverframe.core.feature import FeatureView
from leverframe.core.training_set_report import ViewMatch
from leverframe.features.rows.side_by_side import side_by_side
from leverframe.features.timelines.known_rows import known_rows
from leverframe.features.timelines.timeline import timeline
from leverframe.features.training_sets.compiled import CompiledViews, History, answer, compile_views, keys_schema
from leverframe.features.training_sets.questions import check_questions


@dataclass(frozen=True)
class TrainingSet:
    """``frame``: the questions in their order, with a float64 column ``<view>.<feature>`` for each feature (null: no value then).

    ``matches`` says for each view how many questions it had a row for, why not for the others, and how old its rows were.
    """

    frame: pl.DataFrame
    matches: tuple[ViewMatch, ...]

    @property
    def unmatched(self) -> dict[str, int]:
        """For each view, the questions for which it had no row at all (unknown entity, not yet known, or expired)."""
        return {match.view: match.unmatched for match in self.matches}


def training_set(questions: pl.LazyFrame | pl.DataFrame, asked_at: str, views: Sequence[tuple[FeatureView, pl.LazyFrame]]) -> TrainingSet:
    """Join every view's features to the questions as of the moment each was asked. No row is dropped, doubled or moved.

    Parameters
    ----------
    questions: one row a question, with ``asked_at`` and the views' entity columns; a missing key or moment gets no values.
    asked_at: column of moments: int64 microseconds UTC, or datetimes with a time zone.
    views: each view with its source's rows.

    Raises
    ------
    SchemaMismatch: a column is missing or has another type than the view's key, or a moment has no time zone; names all of them.
    InvalidInput: a view does not fit its source.
    """
    frame = questions.lazy().collect()
    return join(frame, asked_at, compile_for(frame.schema, asked_at, histories(views)))


def histories(views: Sequence[tuple[FeatureView, pl.LazyFrame]]) -> list[tuple[FeatureView, History]]:
    """Each view with what it can be asked, prepared side by side."""
    prepared = side_by_side(lambda pair: known_rows(*pair) if pair[0].aggregates else timeline(*pair), views)
    return [(view, history) for (view, _), history in zip(views, prepared, strict=True)]


def compile_for(schema: Mapping[str, pl.DataType], asked_at: str, views: Sequence[tuple[FeatureView, History]]) -> CompiledViews:
    """The views, ready for any number of batches of questions that have this schema.

    Raises
    ------
    SchemaMismatch: as ``training_set``.
    """
    check_questions(schema, asked_at, [(view, keys_schema(history)) for view, history in views])
    return compile_views(views)


def join(questions: pl.DataFrame, asked_at: str, views: CompiledViews) -> TrainingSet:
    """``training_set`` on views that are compiled already."""
    columns, matches = answer(views, questions, asked_at)
    return TrainingSet(frame=questions.hstack(columns), matches=matches)


def join_timelines(questions: pl.LazyFrame | pl.DataFrame, asked_at: str, lines: Sequence[tuple[FeatureView, pl.DataFrame]]) -> TrainingSet:
    """``training_set`` on views whose timelines are there already (see ``timeline``)."""
    frame = questions.lazy().collect()
    return join(frame, asked_at, compile_for(frame.schema, asked_at, lines))
