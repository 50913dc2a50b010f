"""The newest known rows without a compiler: sorted by numbers that stand for (key, moment), and looked up one stride after the other."""

from collections.abc import Sequence

import numpy as np

from leverframe.features.rows.numbering import Ints, clock_of, order_by_code
from leverframe.features.rows.strides import strides
from leverframe.features.timelines.newest import Bools, Floats, Newest, Seen

NOTHING = -1


class NumpyNewest:
    """See ``NewestEngine``."""

    def take_over(self, codes: Ints, keys: int, event_us: Ints, arrival_us: Ints, order: Ints | None) -> Newest:
        """The rows that take over."""
        from_us = np.maximum(event_us, arrival_us)
        order = order_by_code(codes, keys, order)
        # A later key's numbers are all higher, so one running maximum serves every key.
        numbers = clock_of([event_us], keys).numbers(codes, event_us, order)
        place = order[numbers == np.maximum.accumulate(numbers)] if len(order) else order
        place = place[_last_of_its_moment(codes[place], from_us[place])]
        starts = np.concatenate([[0], np.cumsum(np.bincount(codes[place], minlength=keys))])
        return Newest(starts, from_us[place], event_us[place], place, len(codes))

    def answer(
        self, newest: Newest, codes: Ints, moments_us: Ints, ttl_us: int, values: Sequence[Floats], block: Floats, part: slice
    ) -> Seen:
        """Fill ``block[:, part]`` with what is known at each question's moment."""
        row_codes, has_rows = (
            np.repeat(np.arange(newest.keys), np.diff(newest.starts)),
            np.diff(newest.starts, append=newest.starts[-1]) > 0,
        )
        clock = clock_of([newest.from_us], newest.keys)
        numbers = clock.numbers(row_codes, newest.from_us)
        codes, moments_us = codes[part], moments_us[part]
        place, ages_us = np.full(len(codes), NOTHING), np.zeros_like(moments_us)
        found, alive = np.zeros((2, len(codes)), dtype=np.bool_)
        for some in strides(len(codes) if len(row_codes) else 0):
            at = np.searchsorted(numbers, clock.numbers(codes[some], moments_us[some]), side="right") - 1
            # The row before the question may be another key's, and that of position -1 is the last one.
            found[some] = (at >= 0) & (row_codes[at] == codes[some])
            ages_us[some] = moments_us[some] - newest.event_us[at]
            alive[some] = found[some] & (ages_us[some] < ttl_us if ttl_us else True)
            place[some] = np.where(alive[some], newest.place[at], NOTHING)
        for column, answers in zip(values, block, strict=True):
            answers[part] = np.where(alive, column[place], np.nan) if len(column) else np.nan
        return Seen.of(known=has_rows[codes], found=found, alive=alive, ages_us=ages_us)


def _last_of_its_moment(codes: Ints, from_us: Ints) -> Bools:
    last = np.ones(len(codes), dtype=np.bool_)
    last[:-1] = (codes[1:] != codes[:-1]) | (from_us[1:] != from_us[:-1])
    return last
