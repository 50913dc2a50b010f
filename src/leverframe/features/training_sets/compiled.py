"""Views ready to be asked: timelines as arrays, their keys numbered once, however many batches of questions come."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from leverframe.core.feature import FeatureView
from leverframe.core.training_set_report import ViewMatch
from leverframe.features.declared.definitions import EVENT, VALID_FROM
from leverframe.features.rows.numbering import Ints, key_codes
from leverframe.features.rows.source_rows import moment
from leverframe.features.training_sets.asof import NEVER_ASKED_US, NOTHING, Asked, EntityKeys, ask, entity_keys_of, positions
from leverframe.features.training_sets.match_report import view_match

STRIDE_ROWS = 65_536
_ASKED = "__asked_us"
_T = TypeVar("_T")
_R = TypeVar("_R")


@dataclass(frozen=True)
class CompiledView:
    """A timeline as arrays ``[rows]`` in order of (code, moment).

    ``event_us`` and ``values`` have one element more, a row without values, which is what position ``NOTHING`` reads. ``has_rows`` says of
    every number whether the view has rows of that key; its last element stands for keys that nobody knows.
    """

    view: FeatureView
    codes: Ints
    valid_from_us: Ints
    event_us: Ints
    values: tuple[NDArray[np.float64], ...]
    has_rows: NDArray[np.bool_]


@dataclass(frozen=True)
class CompiledViews:
    """Several views, with the numbered keys of each entity they are about."""

    views: tuple[CompiledView, ...]
    keys: dict[tuple[str, ...], EntityKeys]


def compile_views(lines: Sequence[tuple[FeatureView, pl.DataFrame]]) -> CompiledViews:
    """Number the keys of the timelines and lay their columns out for look-up by position."""
    by_entity: dict[tuple[str, ...], list[pl.DataFrame]] = {}
    for view, line in lines:
        by_entity.setdefault(view.entity, []).append(line)
    keys = {entity: entity_keys_of(entity, held) for entity, held in by_entity.items()}
    return CompiledViews(views=tuple(side_by_side(lambda pair: _compiled(*pair, keys[pair[0].entity]), lines)), keys=keys)


def answer(compiled: CompiledViews, questions: pl.DataFrame, asked_at: str) -> tuple[list[pl.Series], tuple[ViewMatch, ...]]:
    """A series ``<view>.<feature>`` for each feature, in the questions' order, and what each view had.

    Parameters
    ----------
    questions: as ``check_questions`` wants them.
    """
    moments = questions.select(moment(asked_at, questions.schema[asked_at]).fill_null(NEVER_ASKED_US).alias(_ASKED))
    moments_us = moments[_ASKED].to_numpy()
    asked = dict(zip(compiled.keys, side_by_side(lambda keys: ask(questions, moments_us, keys), compiled.keys.values()), strict=True))
    answers = side_by_side(lambda view: _answer(asked[view.view.entity], view), compiled.views)
    return [column for columns, _ in answers for column in columns], tuple(match for _, match in answers)


def side_by_side(function: Callable[[_T], _R], items: Iterable[_T]) -> list[_R]:
    """``function`` of each item, in order, on as many threads as Polars has; numpy and Polars let go of the interpreter while they work."""
    with ThreadPoolExecutor(pl.thread_pool_size()) as pool:
        return list(pool.map(function, items))


def _compiled(view: FeatureView, line: pl.DataFrame, keys: EntityKeys) -> CompiledView:
    codes = key_codes(line.select(view.entity), keys.known)
    if bool((codes[1:] < codes[:-1]).any()):
        # Ours come in order of their keys; from elsewhere a timeline need only be in order of time within each key.
        order = np.argsort(codes, kind="stable")
        codes, line = codes[order], line[order]
    has_rows = np.zeros(keys.known.height + 1, dtype=np.bool_)
    has_rows[codes] = True
    return CompiledView(
        view=view,
        codes=codes,
        valid_from_us=line[VALID_FROM].to_numpy(),
        event_us=np.append(line[EVENT].fill_null(line[VALID_FROM]).to_numpy(), 0),
        values=tuple(np.append(line[feature].fill_null(np.nan).to_numpy(), np.nan) for feature in view.features),
        has_rows=has_rows,
    )


def _answer(asked: Asked, compiled: CompiledView) -> tuple[list[pl.Series], ViewMatch]:
    view = compiled.view
    at = positions(asked, compiled.codes, compiled.valid_from_us)
    # One block for all columns and strides that fit the processor's cache: the kernel hands out few large pages instead of many small ones.
    block = np.empty((len(view.features), len(at)))
    strides = range(0, max(len(at), 1), STRIDE_ROWS)
    match = reduce(add, (_answer_stride(asked, compiled, at, block, slice(start, start + STRIDE_ROWS)) for start in strides))
    names = (f"{view.name}.{feature}" for feature in view.features)
    return [pl.Series(name, row, dtype=pl.Float64, nan_to_null=True) for name, row in zip(names, block, strict=True)], match


def _answer_stride(asked: Asked, compiled: CompiledView, at: Ints, block: NDArray[np.float64], rows: slice) -> ViewMatch:
    """Fill ``block[:, rows]`` with the values at the positions ``at[rows]`` that are within their TTL."""
    view, at = compiled.view, at[rows]
    found = at != NOTHING
    alive = found
    ages_us = asked.moments_us[rows] - compiled.event_us[at]
    if view.ttl_us and view.expressions:
        alive = found & (ages_us < view.ttl_us)
        at = np.where(alive, at, NOTHING)
    for values, column in zip(compiled.values, block, strict=True):
        np.take(values, at, out=column[rows], mode="wrap")
    return view_match(view.name, known=compiled.has_rows[asked.codes[rows]], found=found, alive=alive, ages_us=ages_us)
