"""A timeline ready to be asked: its columns as arrays, from which the rows at the questions' positions are taken."""

from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np
import polars as pl
from numpy.typing import NDArray

from leverframe.core.feature import FeatureView
from leverframe.core.training_set_report import ViewMatch
from leverframe.features.declared.definitions import EVENT, VALID_FROM
from leverframe.features.rows.numbering import Ints
from leverframe.features.rows.strides import strides
from leverframe.features.training_sets.asof import NOTHING, Asked, EntityKeys, keys_with_rows, positions
from leverframe.features.training_sets.match_report import view_match


@dataclass(frozen=True)
class CompiledTimeline:
    """A timeline as arrays ``[rows]`` in order of (code, moment); ``numbers`` are these pairs as numbers of the keys' clock.

    ``event_us`` and ``values`` have one element more, a row without values, which is what position ``NOTHING`` reads. ``has_rows`` says of
    every code whether the view has rows of that key; its last element stands for keys that nobody knows.
    """

    view: FeatureView
    codes: Ints
    numbers: Ints
    event_us: Ints
    values: tuple[NDArray[np.float64], ...]
    has_rows: NDArray[np.bool_]

    def answer(self, asked: Asked, threads: int) -> tuple[NDArray[np.float64], ViewMatch]:
        """The features, float64 ``[features, questions]`` (NaN: no value), and how many questions had any."""
        at = asked.in_their_order(positions(asked, self.codes, self.numbers))
        # One block for all columns, and strides that fit the processor's cache: the kernel hands out few large pages, not many small ones.
        block = np.empty((len(self.view.features), len(at)))
        return block, reduce(add, (self._answer_stride(asked, at, block, part) for part in strides(len(at))))

    def _answer_stride(self, asked: Asked, at: Ints, block: NDArray[np.float64], rows: slice) -> ViewMatch:
        """Fill ``block[:, rows]`` with the values at the positions ``at[rows]`` that are within their TTL."""
        view, at = self.view, at[rows]
        found = at != NOTHING
        alive = found
        ages_us = asked.moments_us[rows] - self.event_us[at]
        if view.ttl_us and view.expressions:
            alive = found & (ages_us < view.ttl_us)
            at = np.where(alive, at, NOTHING)
        for values, column in zip(self.values, block, strict=True):
            np.take(values, at, out=column[rows], mode="wrap")
        return view_match(view.name, known=self.has_rows[asked.codes[rows]], found=found, alive=alive, ages_us=ages_us)


def compile_timeline(view: FeatureView, line: pl.DataFrame, codes: Ints, keys: EntityKeys) -> CompiledTimeline:
    """Number the rows of ``timeline(view, …)``, whose keys and moments are among ``keys``; ``codes`` are the rows' places there."""
    if bool((codes[1:] < codes[:-1]).any()):
        # Ours come in order of their keys; from elsewhere a timeline need only be in order of time within each key.
        order = np.argsort(codes, kind="stable")
        codes, line = codes[order], line[order]
    return CompiledTimeline(
        view=view,
        codes=codes,
        numbers=keys.clock.numbers(codes, line[VALID_FROM].to_numpy()),
        event_us=np.append(line[EVENT].fill_null(line[VALID_FROM]).to_numpy(), 0),
        values=tuple(np.append(line[feature].fill_null(np.nan).to_numpy(), np.nan) for feature in view.features),
        has_rows=keys_with_rows(codes, keys),
    )
