"""Windowed aggregates ready to be asked: at each question's own moment, straight from the rows, without a timeline of all moments.

A source has two moments of change a row and window, and questions are often fewer.
"""

from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np
from numpy.typing import NDArray

from leverframe.core.feature import FeatureView
from leverframe.core.training_set_report import ViewMatch
from leverframe.features.rows.numbering import Ints, key_codes
from leverframe.features.rows.strides import strides
from leverframe.features.timelines.known_rows import KnownRows
from leverframe.features.timelines.newest import Seen
from leverframe.features.timelines.sweep import Points
from leverframe.features.timelines.window_answers import NumberedRows, fill, numbered_rows
from leverframe.features.training_sets.asof import NOTHING, Asked, EntityKeys, keys_with_rows, positions


@dataclass(frozen=True)
class CompiledWindows:
    """Known rows ``[rows]`` in order of (code, moment); ``event_us`` is the newest of the entity so far.

    ``has_rows`` says of every code whether there are rows of that key; its last element stands for keys that nobody knows.
    """

    view: FeatureView
    codes: Ints
    rows: NumberedRows
    event_us: Ints
    has_rows: NDArray[np.bool_]

    def answer(self, asked: Asked, threads: int) -> tuple[NDArray[np.float64], ViewMatch]:
        """The features, float64 ``[features, questions]`` (NaN: no value), and how many questions had any."""
        assert asked.in_order is not None, "views of windows have a clock"
        at, order, numbers = positions(asked, asked.in_order, self.codes, self.rows.come), asked.in_order.order, asked.in_order.numbers
        block = np.empty((len(self.view.features), len(at)))
        match = reduce(add, (self._match(asked, at[part], order[part]) for part in strides(len(at))))
        if match.unmatched:
            # Nothing, not even that there were no rows, is known of an entity before its first row.
            known = at != NOTHING
            block[:, order[~known]] = np.nan
            at, order, numbers = at[known], order[known], numbers[known]
        at += 1
        fill(self.rows, Points(numbers, order, block.shape[1]), came=at, block=block, threads=threads)
        return block, match

    def _match(self, asked: Asked, at: Ints, order: Ints) -> ViewMatch:
        found = at != NOTHING
        known, moments_us = self.has_rows[asked.codes[order]], asked.moments_us[order]
        ages_us = moments_us - self.event_us[at] if len(self.event_us) else moments_us
        return Seen.of(known=known, found=found, alive=found, ages_us=ages_us).match(self.view.name, len(at))


def compile_windows(view: FeatureView, known: KnownRows, keys: EntityKeys) -> CompiledWindows:
    """Number the rows of ``known_rows(view, …)``, whose keys and moments are among ``keys``, by these."""
    assert keys.clock is not None, "the rows' moments were given"
    # Both lists of keys are in order: where they are equally long they are the same.
    codes = known.codes if known.entities.height == keys.known.height else key_codes(known.entities, keys.known)[known.codes]
    return CompiledWindows(
        view=view,
        codes=codes,
        rows=numbered_rows(known, codes, keys.clock),
        event_us=known.newest_event_us,
        has_rows=keys_with_rows(codes, keys),
    )
