"""Which rows of a source take over, and when: the newest event known at each moment."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from leverframe.features.declared.definitions import ARRIVAL, EVENT, VALID_FROM
from leverframe.features.rows.numbering import Ints, clock_of, distinct_keys, order_by_code


def newest_known(rows: pl.DataFrame, entity: Sequence[str]) -> pl.DataFrame:
    """The rows that take over, with the moment they do (``valid_from_us``), ordered by entity and that moment.

    A correction of an older event changes nothing; ties go to the latest arrival, then to the later row. In order of (valid_from, event,
    arrival, source order) a row takes over exactly when its event is at least the running maximum of its entity.

    Parameters
    ----------
    rows: entity columns without nulls, ``event_us`` and ``arrival_us`` (int64) and any others.
    """
    event, arrival = rows[EVENT].to_numpy(), rows[ARRIVAL].to_numpy()
    valid_from = np.maximum(event, arrival)
    known, codes = distinct_keys(rows.select(entity))
    order = order_by_code(codes, known.height, by_knowledge(valid_from, event, arrival))
    ordered_codes, ordered_from = codes[order], valid_from[order]
    # A later entity's numbers are all higher, so one running maximum serves every entity.
    numbers = clock_of([event], known.height).numbers(ordered_codes, event[order])
    takes_over = order[(numbers == np.maximum.accumulate(numbers)).nonzero()[0]] if len(order) else order
    if len(takes_over) != len(order):
        ordered_codes, ordered_from = codes[takes_over], valid_from[takes_over]
    kept = takes_over[_last_of_its_moment(ordered_codes, ordered_from)]
    return rows[kept].with_columns(pl.Series(VALID_FROM, valid_from[kept]))


def by_knowledge(valid_from: Ints, event: Ints, arrival: Ints) -> Ints | None:
    """The order by (valid_from, event, arrival), stable, or None when the rows lie in it: feeds mostly deliver in order of time."""
    columns = (valid_from, event, arrival)
    in_order = np.ones(max(len(event) - 1, 0), dtype=np.bool_)
    for column in reversed(columns):
        in_order = (column[1:] > column[:-1]) | ((column[1:] == column[:-1]) & in_order)
    return None if bool(in_order.all()) else np.lexsort(columns[::-1])


def _last_of_its_moment(codes: Ints, valid_from: Ints) -> NDArray[np.bool_]:
    last = np.ones(len(codes), dtype=np.bool_)
    np.not_equal(codes[1:], codes[:-1], out=last[:-1])
    last[:-1] |= valid_from[1:] != valid_from[:-1]
    return last
