"""Keys and moments as whole numbers: what sorting and searching many rows of several columns comes down to."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from leverframe.features.rows.numbering_c import codes_by_hash, distinct_by_hash
from leverframe.features.rows.strides import strides

Ints = NDArray[np.int64]
UNKNOWN = -1
"""The number of a key that is not among the known ones."""
_CODE = "__code"
_DIGIT_BITS = 16
_NUMBER_MAX = 2**63 - 1


@dataclass(frozen=True)
class Clock:
    """How (code, moment) becomes one number that sorts like the pair. ``ticks``: the moments there are, when ranks must stand for them."""

    first_us: int
    last_us: int
    ticks: Ints | None = None

    def numbers(self, codes: Ints, moments_us: Ints, order: Ints | None = None, out: Ints | None = None) -> Ints:
        """One int64 a pair; moments before the first one count as just before it, those after the last one as the last one.

        Parameters
        ----------
        order: of the pairs to be numbered; None: as they lie.
        out: where the numbers go; None: into an array of their own.
        """
        numbers = np.empty(len(codes), dtype=np.int64) if out is None else out
        for part in strides(len(codes)):
            those = part if order is None else order[part]
            np.add(codes[those] * self._key_ticks, self._ticks_of(moments_us[those]), out=numbers[part])
        return numbers

    @property
    def _key_ticks(self) -> int:
        """How many moments a key has, with the one before the first."""
        return self.last_us - self.first_us + 2 if self.ticks is None else len(self.ticks) + 1

    def _ticks_of(self, moments_us: Ints) -> Ints:
        if self.ticks is None:
            return np.clip(moments_us, self.first_us - 1, self.last_us) - (self.first_us - 1)
        return np.searchsorted(self.ticks, moments_us, side="right")

    def moments_us(self, codes: Ints, numbers: Ints) -> Ints:
        """The moments that ``numbers`` stand for; those of pairs whose moments are among the clock's."""
        ticks = numbers - codes * self._key_ticks
        return ticks + (self.first_us - 1) if self.ticks is None else self.ticks[ticks - 1]


def clock_of(moments_us: Sequence[Ints], keys: int) -> Clock:
    """A clock for these moments and codes below ``keys``. Many keys over a long time do not fit one number: then moments become ranks."""
    moments = [m for m in moments_us if len(m)]
    if not moments:
        return Clock(first_us=0, last_us=0)
    first, last = min(int(m.min()) for m in moments), max(int(m.max()) for m in moments)
    fits = (last - first + 2) * (keys + 1) <= _NUMBER_MAX
    return Clock(first_us=first, last_us=last, ticks=None if fits else distinct_sorted(np.concatenate(moments)))


def distinct_sorted(numbers: Ints) -> Ints:
    """What ``np.unique`` gives; since numpy 2.3 that hashes, which takes ten times as long as sorting these."""
    numbers = np.sort(numbers)
    distinct: Ints = numbers[np.concatenate([np.ones(min(len(numbers), 1), dtype=np.bool_), numbers[1:] != numbers[:-1]])]
    return distinct


def distinct_keys(rows: pl.DataFrame) -> tuple[pl.DataFrame, Ints]:
    """The distinct rows (none of them null), in order, and for each row its place among them; int64."""
    by_hash = distinct_by_hash(rows)
    if by_hash is not None:
        return by_hash
    known = rows.lazy().unique().sort(rows.columns).collect()
    return known, key_codes(rows, known)


def key_codes(rows: pl.DataFrame, known: pl.DataFrame) -> Ints:
    """For each row the number of its key in ``known`` (distinct rows without nulls), int64, ``UNKNOWN`` where it is not there."""
    by_hash = codes_by_hash(rows, known)
    if by_hash is not None:
        return by_hash
    numbered = rows.lazy().join(known.lazy().with_row_index(_CODE), on=rows.columns, how="left", maintain_order="left")
    return numbered.select(pl.col(_CODE).cast(pl.Int64).fill_null(UNKNOWN)).collect()[_CODE].to_numpy()


def order_by_code(codes: Ints, keys: int, order: Ints | None) -> Ints:
    """The order by code of rows that are in ``order`` (None: as they lie), which it keeps within a code.

    By radix, which is what numpy's stable sort of 16-bit digits is: 3 ns a row and digit.
    """
    for shift in range(0, max((keys + 1).bit_length(), 1), _DIGIT_BITS):
        digit = np.empty(len(codes), dtype=np.uint16)
        for part in strides(len(codes)):
            digit[part] = ((codes[part] - UNKNOWN) >> shift).astype(np.uint16)
        step = np.argsort(digit if order is None else digit[order], kind="stable")
        order = step if order is None else order[step]
    assert order is not None, "there is at least one digit"
    return order
