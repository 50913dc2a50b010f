"""Questions with their keys numbered: once for all views of an entity, and put in order once for those that sweep windows.

A join by keys spends its time comparing keys and sorting. Here every distinct tuple of entity columns is numbered once for all views that
share it. Views of row expressions take questions as they come (``timelines/newest.py``); windows are swept over questions in order of
(key, moment), in which radix passes put them. Decisions 0018 and 0050 have the measurements.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from leverframe.features.rows.numbering import UNKNOWN, Clock, Ints, clock_of, key_codes, order_by_code
from leverframe.features.rows.source_rows import entity_key_type
from leverframe.features.rows.strides import strides
from leverframe.features.timelines.sweep_c import sweep_engine

NOTHING = -1
"""The position of a row that does not exist; as an index it reads the last element, whose value nobody looks at."""
NEVER_ASKED_US = np.iinfo(np.int64).min


@dataclass(frozen=True)
class EntityKeys:
    """The keys that the views of one entity have, numbered by their place in ``known``, and a clock where windows need one."""

    known: pl.DataFrame
    clock: Clock | None


@dataclass(frozen=True)
class InOrder:
    """``order`` sorts questions by (code, moment); ``numbers`` are those pairs as numbers of the keys' clock, in that order."""

    order: Ints
    numbers: Ints


@dataclass(frozen=True)
class Asked:
    """Questions by one entity: ``codes`` and ``moments_us``, int64 ``[questions]``; ``in_order`` where the keys have a clock."""

    codes: Ints
    moments_us: Ints
    in_order: InOrder | None


def entity_keys_of(keys: Sequence[pl.DataFrame], moments_us: Sequence[Ints]) -> EntityKeys:
    """Number the keys that the histories of one entity have.

    Parameters
    ----------
    keys: the distinct keys of each history.
    moments_us: at which rows come and leave windows, for the clock; none where there are no windows.
    """
    known = (keys[0] if len(keys) == 1 else pl.concat(keys).unique()).sort(keys[0].columns)
    return EntityKeys(known=known, clock=clock_of(moments_us, known.height) if moments_us else None)


def keys_with_rows(codes: Ints, keys: EntityKeys) -> NDArray[np.bool_]:
    """For each key whether it is among ``codes``; bool ``[keys + 1]``, the last one for ``UNKNOWN``."""
    has_rows = np.zeros(keys.known.height + 1, dtype=np.bool_)
    has_rows[codes] = True
    return has_rows


def ask(questions: pl.DataFrame, moments_us: Ints, keys: EntityKeys) -> Asked:
    """Number the questions' keys, once for all views of the entity.

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
    return Asked(codes, moments_us, None if keys.clock is None else _in_order(codes, moments_us, keys.known.height, keys.clock))


def _in_order(codes: Ints, moments_us: Ints, keys: int, clock: Clock) -> InOrder:
    in_time = bool((moments_us[1:] >= moments_us[:-1]).all())
    order = order_by_code(codes, keys, None if in_time else np.argsort(moments_us, kind="stable"))
    return InOrder(order, clock.numbers(codes, moments_us, order))


def positions(asked: Asked, in_order: InOrder, codes: Ints, numbers: Ints) -> Ints:
    """For each question, in order of (code, moment), the position of the last row of its key at or before its moment, or ``NOTHING``.

    Parameters
    ----------
    codes, numbers: int64 ``[rows]``, ascending; of the keys, and of (code, moment) on the keys' clock.
    """
    at = sweep_engine().before(numbers, in_order.numbers)
    at -= 1
    for part in strides(len(at) if len(codes) else 0):
        # The row before the question may be another key's. That of position -1 is the last one, and NOTHING is -1.
        found = at[part]
        found[codes[found] != asked.codes[in_order.order[part]]] = NOTHING
    return at
