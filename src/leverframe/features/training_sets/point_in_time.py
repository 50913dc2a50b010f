"""Training sets as of each question's moment: what the online store would have answered then, and nothing later."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from leverframe.core.feature import FeatureView
from leverframe.core.training_set_report import ViewMatch
from leverframe.features.rows.side_by_side import both, side_by_side
from leverframe.features.rows.source_rows import source_rows
from leverframe.features.timelines.known_rows import known_rows
from leverframe.features.timelines.newest_known import newest_known
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
    # The source that takes longest takes as long as all else; questions need no work once they are there, so they are read beside it.
    prepared, frame = both(lambda: histories(views), questions.lazy().collect)
    return join(frame, asked_at, compile_for(frame.schema, asked_at, prepared))


def histories(views: Sequence[tuple[FeatureView, pl.LazyFrame]]) -> list[tuple[FeatureView, History]]:
    """Each view with what it can be asked, prepared side by side."""
    return side_by_side(lambda pair: (pair[0], _history(*pair)), views)


def _history(view: FeatureView, source: pl.LazyFrame) -> History:
    return known_rows(view, source) if view.aggregates else newest_known(source_rows(view, source), view.entity)


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
