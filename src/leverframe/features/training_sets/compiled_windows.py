"""Windowed aggregates ready to be asked: at each question's own moment, straight from the rows, without a timeline of all moments.

A source has two moments of change a row and window, and questions are often fewer. A sweep costs time in proportion to questions and to
the rows in their windows (``timelines/sweep.py``).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leverframe.core.feature import FeatureView
from leverframe.core.training_set_report import ViewMatch
from leverframe.features.rows.numbering import Ints
from leverframe.features.timelines.known_rows import KnownRows
from leverframe.features.timelines.sweep import Points
from leverframe.features.timelines.window_answers import NumberedRows, fill, numbered_rows
from leverframe.features.training_sets.asof import NOTHING, Asked, EntityKeys, keys_with_rows, positions
from leverframe.features.training_sets.match_report import view_match


@dataclass(frozen=True)
class CompiledWindows:
    """Known rows ``[rows]`` in order of (code, moment). ``event_us`` (the newest of the entity so far) has one element more, which nobody
    reads the value of. ``has_rows`` says of every code whether there are rows of that key; its last element stands for unknown keys.
    """

    view: FeatureView
    codes: Ints
    rows: NumberedRows
    event_us: Ints
    has_rows: NDArray[np.bool_]

    def answer(self, asked: Asked) -> tuple[NDArray[np.float64], ViewMatch]:
        """The features, float64 ``[features, questions]`` (NaN: no value), and how many questions had any."""
        in_order = positions(asked, self.codes, self.rows.come)
        block = np.empty((len(self.view.features), len(in_order)))
        numbers, order, came = asked.numbers, asked.order, in_order + 1
        known = in_order != NOTHING
        if not known.all():
            # Nothing, not even that there were no rows, is known of an entity before its first row.
            block[:, order[~known]] = np.nan
            numbers, order, came = numbers[known], order[known], came[known]
        fill(self.rows, Points(numbers, order, len(in_order)), came, block)
        at = asked.in_their_order(in_order)
        found, ages_us = at != NOTHING, asked.moments_us - self.event_us[at]
        return block, view_match(self.view.name, known=self.has_rows[asked.codes], found=found, alive=found, ages_us=ages_us)


def compile_windows(view: FeatureView, known: KnownRows, codes: Ints, keys: EntityKeys) -> CompiledWindows:
    """Number the rows of ``known_rows(view, …)``, whose keys and moments are among ``keys``; ``codes`` are the rows' places there."""
    return CompiledWindows(
        view=view,
        codes=codes,
        rows=numbered_rows(known, codes, keys.clock),
        event_us=np.append(known.newest_event_us, 0),
        has_rows=keys_with_rows(codes, keys),
    )
