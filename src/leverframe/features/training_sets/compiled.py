"""Views ready to be asked: histories as arrays, their keys numbered once, however many batches of questions come."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from leverframe.core.feature import FeatureView
from leverframe.core.training_set_report import ViewMatch
from leverframe.features.rows.numbering import Ints
from leverframe.features.rows.side_by_side import side_by_side
from leverframe.features.rows.source_rows import moment
from leverframe.features.timelines.known_rows import KnownRows
from leverframe.features.timelines.newest_known import NewestKnown
from leverframe.features.training_sets.asof import NEVER_ASKED_US, Asked, EntityKeys, ask, entity_keys_of
from leverframe.features.training_sets.compiled_timeline import CompiledTimeline, compile_timeline
from leverframe.features.training_sets.compiled_windows import CompiledWindows, compile_windows

History = pl.DataFrame | NewestKnown | KnownRows
"""What a view can be asked for its values of any moment: a timeline, or the rows that one would be made of, which needs none."""
_ASKED = "__asked_us"


@dataclass(frozen=True)
class CompiledViews:
    """Several views, with the numbered keys of each entity they are about."""

    views: tuple[CompiledTimeline | CompiledWindows, ...]
    keys: dict[tuple[str, ...], EntityKeys]


def keys_schema(history: History) -> pl.Schema:
    """The columns of a history, its entity's keys among them, with their types."""
    return history.schema if isinstance(history, pl.DataFrame) else history.entities.schema


def compile_views(histories: Sequence[tuple[FeatureView, History]]) -> CompiledViews:
    """Number the keys of the histories and lay their columns out to be looked up, or to be swept."""
    keyed = side_by_side(lambda pair: _Keyed.of(*pair), histories)
    by_entity: dict[tuple[str, ...], list[_Keyed]] = {}
    for each in keyed:
        by_entity.setdefault(each.view.entity, []).append(each)
    keys = {
        entity: entity_keys_of([each.known.entities for each in of], [m for each in of for m in each.moments_us])
        for entity, of in by_entity.items()
    }
    return CompiledViews(views=tuple(side_by_side(lambda each: each.compiled(keys[each.view.entity]), keyed)), keys=keys)


@dataclass(frozen=True)
class _Keyed:
    """A history whose keys are numbered among themselves."""

    view: FeatureView
    known: NewestKnown | KnownRows

    @classmethod
    def of(cls, view: FeatureView, history: History) -> "_Keyed":
        return cls(view, NewestKnown.of_timeline(history, view.entity) if isinstance(history, pl.DataFrame) else history)

    @property
    def moments_us(self) -> Sequence[Ints]:
        """At which rows come and leave windows."""
        return [self.known.known_us, *self.known.leaving_us] if isinstance(self.known, KnownRows) else []

    def compiled(self, keys: EntityKeys) -> CompiledTimeline | CompiledWindows:
        if isinstance(self.known, KnownRows):
            return compile_windows(self.view, self.known, keys)
        return compile_timeline(self.view, self.known, keys)


def answer(compiled: CompiledViews, questions: pl.DataFrame, asked_at: str) -> tuple[list[pl.Series], tuple[ViewMatch, ...]]:
    """A series ``<view>.<feature>`` for each feature, in the questions' order, and what each view had.

    Parameters
    ----------
    questions: as ``check_questions`` wants them.
    """
    moments = questions.select(moment(asked_at, questions.schema[asked_at]).fill_null(NEVER_ASKED_US).alias(_ASKED))
    moments_us = moments[_ASKED].to_numpy()
    asked = dict(zip(compiled.keys, side_by_side(lambda keys: ask(questions, moments_us, keys), compiled.keys.values()), strict=True))
    # Views go side by side; a single one has all threads for its windows.
    threads = max(1, pl.thread_pool_size() // max(1, len(compiled.views)))
    answers = side_by_side(lambda view: _answer(view, asked[view.view.entity], threads), compiled.views)
    return [column for columns, _ in answers for column in columns], tuple(match for _, match in answers)


def _answer(compiled: CompiledTimeline | CompiledWindows, asked: Asked, threads: int) -> tuple[list[pl.Series], ViewMatch]:
    block, match = compiled.answer(asked, threads)
    names = (f"{compiled.view.name}.{feature}" for feature in compiled.view.features)
    return [pl.Series(name, row, dtype=pl.Float64, nan_to_null=True) for name, row in zip(names, block, strict=True)], match
