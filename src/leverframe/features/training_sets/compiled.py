"""Views ready to be asked: histories as arrays, their keys numbered once, however many batches of questions come."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from leverframe.core.feature import FeatureView
from leverframe.core.training_set_report import ViewMatch
from leverframe.features.declared.definitions import VALID_FROM
from leverframe.features.rows.numbering import Ints, distinct_keys, key_codes
from leverframe.features.rows.side_by_side import side_by_side
from leverframe.features.rows.source_rows import moment
from leverframe.features.timelines.known_rows import KnownRows
from leverframe.features.training_sets.asof import NEVER_ASKED_US, Asked, EntityKeys, ask, entity_keys_of
from leverframe.features.training_sets.compiled_timeline import CompiledTimeline, compile_timeline
from leverframe.features.training_sets.compiled_windows import CompiledWindows, compile_windows

History = pl.DataFrame | KnownRows
"""What a view can be asked for its values of any moment: a timeline; or the rows that windows count, which needs no timeline of them."""
_ASKED = "__asked_us"


@dataclass(frozen=True)
class CompiledViews:
    """Several views, with the numbered keys of each entity they are about."""

    views: tuple[CompiledTimeline | CompiledWindows, ...]
    keys: dict[tuple[str, ...], EntityKeys]


def keys_schema(history: History) -> pl.Schema:
    """The columns of a history, its entity's keys among them, with their types."""
    return history.entities.schema if isinstance(history, KnownRows) else history.schema


def compile_views(histories: Sequence[tuple[FeatureView, History]]) -> CompiledViews:
    """Number the keys of the histories and lay their columns out for look-up by position, or for sweeps."""
    keyed = side_by_side(lambda pair: _Keyed.of(*pair), histories)
    by_entity: dict[tuple[str, ...], list[_Keyed]] = {}
    for each in keyed:
        by_entity.setdefault(each.view.entity, []).append(each)
    keys = {entity: entity_keys_of([k.known for k in of], [m for k in of for m in k.moments_us]) for entity, of in by_entity.items()}
    return CompiledViews(views=tuple(side_by_side(lambda each: each.compiled(keys[each.view.entity]), keyed)), keys=keys)


@dataclass(frozen=True)
class _Keyed:
    """A history with its distinct keys, in order, each row's place among them, and the moments at which anything changes."""

    view: FeatureView
    history: History
    known: pl.DataFrame
    codes: Ints
    moments_us: Sequence[Ints]

    @classmethod
    def of(cls, view: FeatureView, history: History) -> "_Keyed":
        if isinstance(history, KnownRows):
            return cls(view, history, history.entities, history.codes, [history.known_us, *history.leaving_us])
        return cls(view, history, *distinct_keys(history.select(view.entity)), [history[VALID_FROM].to_numpy()])

    def compiled(self, keys: EntityKeys) -> CompiledTimeline | CompiledWindows:
        # Both lists of keys are in order: where they are equally long they are the same.
        codes = self.codes if self.known.height == keys.known.height else key_codes(self.known, keys.known)[self.codes]
        if isinstance(self.history, KnownRows):
            return compile_windows(self.view, self.history, codes, keys)
        return compile_timeline(self.view, self.history, codes, keys)


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
