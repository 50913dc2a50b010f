"""Training sets as of each question's moment: what the online store would have answered then, and nothing later."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import polars as pl

from leverframe.core.feature import FeatureView
from leverframe.features.asof import NEVER_ASKED_US, NOTHING, Asked, asked, positions
from leverframe.features.definitions import EVENT, VALID_FROM
from leverframe.features.match_report import ViewMatch, view_match
from leverframe.features.numbering import Ints, key_codes
from leverframe.features.questions import check_questions
from leverframe.features.source_rows import moment
from leverframe.features.timeline import timeline

_ASKED = "__asked_us"
_T = TypeVar("_T")
_R = TypeVar("_R")


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
    return join_timelines(questions, asked_at, timelines(views))


def timelines(views: Sequence[tuple[FeatureView, pl.LazyFrame]]) -> list[tuple[FeatureView, pl.DataFrame]]:
    """Each view with its timeline, compiled side by side."""
    lines = _each(lambda pair: timeline(*pair), views)
    return [(view, line) for (view, _), line in zip(views, lines, strict=True)]


def join_timelines(questions: pl.LazyFrame | pl.DataFrame, asked_at: str, lines: Sequence[tuple[FeatureView, pl.DataFrame]]) -> TrainingSet:
    """``training_set`` on views that are compiled already (see ``timeline``)."""
    frame = questions.lazy().collect()
    check_questions(frame.schema, asked_at, [(view, line.schema) for view, line in lines])
    moments_us = frame.select(moment(asked_at, frame.schema[asked_at]).fill_null(NEVER_ASKED_US).alias(_ASKED))[_ASKED].to_numpy()
    by_entity: dict[tuple[str, ...], list[pl.DataFrame]] = {}
    for view, line in lines:
        by_entity.setdefault(view.entity, []).append(line)
    numbered = dict(zip(by_entity, _each(lambda item: asked(frame, moments_us, *item), by_entity.items()), strict=True))
    answers = _each(lambda pair: _answer(numbered[pair[0].entity], *pair), lines)
    columns = [column for answer, _ in answers for column in answer]
    return TrainingSet(frame=frame.hstack(columns), matches=tuple(match for _, match in answers))


def _answer(questions: Asked, view: FeatureView, line: pl.DataFrame) -> tuple[list[pl.Series], ViewMatch]:
    """The view's features, one series each in the questions' order, and what it had."""
    codes, line = _ordered(key_codes(line.select(view.entity), questions.known), line)
    at = positions(questions, codes, line[VALID_FROM].to_numpy())
    found = at != NOTHING
    alive = found
    # ``NOTHING`` is the position of the last element, so a row that says "nothing" is put behind the timeline's own.
    ages_us = questions.moments_us - np.append(line[EVENT].fill_null(line[VALID_FROM]).to_numpy(), 0)[at]
    if view.ttl_us and view.expressions:
        alive = found & (ages_us < view.ttl_us)
        at = np.where(alive, at, NOTHING)
    has_rows = np.zeros(questions.known.height + 1, dtype=np.bool_)
    has_rows[codes] = True
    columns = []
    for feature in view.features:
        values = np.append(line[feature].fill_null(np.nan).to_numpy(), np.nan)
        columns.append(pl.Series(f"{view.name}.{feature}", values.take(at), dtype=pl.Float64, nan_to_null=True))
    return columns, view_match(view.name, known=has_rows[questions.codes], found=found, alive=alive, ages_us=ages_us)


def _ordered(codes: Ints, line: pl.DataFrame) -> tuple[Ints, pl.DataFrame]:
    """The timeline in order of its keys' numbers. It is already, unless it was put together by someone else: it only has to be in order of
    time within each key."""
    if len(codes) and bool((codes[1:] < codes[:-1]).any()):
        order = np.argsort(codes, kind="stable")
        return codes[order], line[order]
    return codes, line


def _each(function: Callable[[_T], _R], items: Iterable[_T]) -> list[_R]:
    """``function`` of each item, in order, on as many threads as Polars has; numpy and Polars let go of the interpreter while they work."""
    with ThreadPoolExecutor(pl.thread_pool_size()) as pool:
        return list(pool.map(function, items))
