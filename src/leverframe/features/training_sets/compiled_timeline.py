"""A view of row expressions, or a timeline, ready to be asked: its newest known rows, and its columns as arrays."""

from dataclasses import dataclass, replace
from functools import partial, reduce
from itertools import pairwise
from operator import add

import numpy as np
import polars as pl
from numpy.typing import NDArray

from leverframe.core.feature import FeatureView
from leverframe.core.training_set_report import ViewMatch
from leverframe.features.rows.numbering import key_codes
from leverframe.features.rows.side_by_side import side_by_side
from leverframe.features.timelines.newest import Newest
from leverframe.features.timelines.newest_c import newest_engine
from leverframe.features.timelines.newest_known import NewestKnown
from leverframe.features.training_sets.asof import Asked, EntityKeys

PART_ROWS_MIN = 65_536
"""So many questions a thread at least: for fewer it is not worth one."""


@dataclass(frozen=True)
class CompiledTimeline:
    """Newest known rows by the entity's numbered keys, and the columns they are places in, float64 ``[places]`` (NaN: no value)."""

    view: FeatureView
    newest: Newest
    values: tuple[NDArray[np.float64], ...]

    def answer(self, asked: Asked, threads: int) -> tuple[NDArray[np.float64], ViewMatch]:
        """The features, float64 ``[features, questions]`` (NaN: no value), and how many questions had any."""
        questions = len(asked.codes)
        # One block for all columns: the kernel hands out few large pages, not many small ones.
        block = np.empty((len(self.values), questions))
        ends = np.linspace(0, questions, max(1, min(threads, questions // PART_ROWS_MIN)) + 1, dtype=np.int64).tolist()
        parts = [slice(begin, end) for begin, end in pairwise(ends)]
        return block, reduce(add, side_by_side(partial(self._answer, asked, block), parts, len(parts)))

    def _answer(self, asked: Asked, block: NDArray[np.float64], part: slice) -> ViewMatch:
        """Fill ``block[:, part]`` with the values that are within their TTL."""
        # What windows hold has no age: rows leave them.
        ttl_us = self.view.ttl_us if self.view.expressions else 0
        seen = newest_engine().answer(self.newest, asked.codes, asked.moments_us, ttl_us, self.values, block, part)
        return seen.match(self.view.name, part.stop - part.start)


def compile_timeline(view: FeatureView, known: NewestKnown, keys: EntityKeys) -> CompiledTimeline:
    """Number the rows of ``newest_known(…)``, whose keys are among ``keys``, by these."""
    newest = known.newest
    # Both lists of keys are in order: where they are equally long they are the same.
    if known.entities.height != keys.known.height:
        rows_of = np.zeros(keys.known.height, dtype=np.int64)
        rows_of[key_codes(known.entities, keys.known)] = np.diff(newest.starts)
        newest = replace(newest, starts=np.concatenate([[0], np.cumsum(rows_of)]))
    # Several columns at once, of which Polars then copies none: to turn what is missing into NaN on the way out takes twice as long.
    values = known.rows.select(pl.col(view.features).fill_null(np.nan))
    return CompiledTimeline(view=view, newest=newest, values=tuple(column.to_numpy() for column in values))
