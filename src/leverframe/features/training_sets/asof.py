"""The last row known at each question's moment, for many questions at once: keys become whole numbers once, then one sorted search a view.

An as-of join spends its time comparing keys and sorting. Here every distinct tuple of entity columns is numbered once for all views that
share it, and the questions are put in order of (key, moment) once, by radix passes. A view then looks up where each of its own rows takes
over, which is a search for the few among the many, and repeats its positions up to the next one. Decision 0018 has the measurements.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from leverframe.features.declared.definitions import VALID_FROM
from leverframe.features.rows.numbering import UNKNOWN, Clock, Ints, clock_of, key_codes, order_by_code
from leverframe.features.rows.source_rows import entity_key_type

NOTHING = -1
"""The position of a row that does not exist; as an index it reads the last element, so arrays get one more."""
NEVER_ASKED_US = np.iinfo(np.int64).min


@dataclass(frozen=True)
class EntityKeys:
    """The keys that the views of one entity have, numbered by their place in ``known``, and the clock for their moments."""

    known: pl.DataFrame
    clock: Clock


@dataclass(frozen=True)
class Asked:
    """Questions by one entity: ``codes`` and ``moments_us``, int64 ``[questions]``.

    ``order`` sorts the questions by (code, moment); ``numbers`` are those pairs as numbers of ``clock``, in that order.
    """

    clock: Clock
    codes: Ints
    moments_us: Ints
    order: Ints
    numbers: Ints


def entity_keys_of(entity: Sequence[str], lines: Sequence[pl.DataFrame]) -> EntityKeys:
    """Number the keys of all timelines of one entity."""
    keys = list(entity)
    known = pl.concat([line.select(keys).unique() for line in lines]).unique().sort(keys)
    return EntityKeys(known=known, clock=clock_of([line[VALID_FROM].to_numpy() for line in lines], known.height))


def ask(questions: pl.DataFrame, moments_us: Ints, keys: EntityKeys) -> Asked:
    """Number the questions' keys and put the questions in order, once for all views of the entity.

    Parameters
    ----------
    questions: holds the entity columns; a row with a null among them is numbered ``UNKNOWN``.
    moments_us: int64 ``[questions]``, ``NEVER_ASKED_US`` where there is no moment.
    """
    named = (pl.col(k).cast(entity_key_type(questions.schema[k])) for k in keys.known.columns)
    codes = key_codes(questions.select(named), keys.known)
    missing = moments_us == NEVER_ASKED_US
    if missing.any():
        codes = np.where(missing, UNKNOWN, codes)
    in_time = bool((moments_us[1:] >= moments_us[:-1]).all())
    order = order_by_code(codes, keys.known.height, None if in_time else np.argsort(moments_us, kind="stable"))
    numbers = keys.clock.numbers(codes[order], moments_us[order])
    return Asked(clock=keys.clock, codes=codes, moments_us=moments_us, order=order, numbers=numbers)


def positions(questions: Asked, line_codes: Ints, line_moments_us: Ints) -> Ints:
    """For each question the position of the last row of its key at or before its moment, int64, ``NOTHING`` where there is none.

    Parameters
    ----------
    line_codes, line_moments_us: int64 ``[rows]``, ordered by (code, moment).
    """
    rows, asked_numbers = len(line_codes), questions.numbers
    numbers = questions.clock.numbers(line_codes, line_moments_us)
    if rows > len(asked_numbers):
        at = np.searchsorted(numbers, asked_numbers, side="right") - 1
    else:
        takes_over = np.searchsorted(asked_numbers, numbers, side="left")
        at = np.repeat(np.arange(-1, rows), np.diff(takes_over, prepend=0, append=len(asked_numbers)))
    return _scattered(questions, at, line_codes)


def _scattered(questions: Asked, at: Ints, line_codes: Ints) -> Ints:
    """Positions back in the questions' own order, and ``NOTHING`` where the row before the question is another key's."""
    found = np.empty_like(at)
    found[questions.order] = at
    if len(line_codes):
        found[line_codes[found] != questions.codes] = NOTHING
    return found
