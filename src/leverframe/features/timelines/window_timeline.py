"""A view of windowed aggregates compiled: the moments at which anything changes for an entity, and every aggregate from then on."""

import numpy as np
import polars as pl

from leverframe.features.declared.definitions import ARRIVAL, EVENT, VALID_FROM
from leverframe.features.rows.numbering import clock_of, distinct_sorted
from leverframe.features.timelines.known_rows import KnownRows
from leverframe.features.timelines.sweep import Points
from leverframe.features.timelines.sweep_c import sweep_engine
from leverframe.features.timelines.window_answers import fill, numbered_rows


def aggregates_timeline(known: KnownRows) -> pl.DataFrame:
    """Entity keys, ``valid_from_us``, ``event_us``, ``arrival_us`` and features, in order of entity and moment.

    The moments at which rows come or go are the points. A row that never counts comes all the same, for it makes its entity known.
    """
    clock = clock_of([known.known_us, *known.leaving_us], known.entities.height)
    rows = numbered_rows(known, known.codes, clock)
    at = distinct_sorted(np.concatenate([rows.come, *(leave[leave > rows.come] for leave in rows.leave)]))
    newest = sweep_engine().before(rows.come, at) - 1
    codes = known.codes[newest]
    block = np.empty((len(known.view.features), len(at)))
    fill(rows, Points(at, None, len(at)), came=newest + 1, block=block)
    times = {VALID_FROM: clock.moments_us(codes, at), EVENT: known.newest_event_us[newest], ARRIVAL: known.newest_arrival_us[newest]}
    columns = [pl.Series(name, moments) for name, moments in times.items()]
    columns += [pl.Series(name, row, nan_to_null=True) for name, row in zip(known.view.features, block, strict=True)]
    return known.entities[codes].with_columns(columns)
