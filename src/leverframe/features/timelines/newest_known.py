"""Which rows of a source take over, and when: the newest event known at each moment."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from leverframe.features.declared.definitions import ARRIVAL, EVENT, VALID_FROM
from leverframe.features.rows.numbering import Ints, distinct_keys
from leverframe.features.timelines.newest import Newest
from leverframe.features.timelines.newest_c import newest_engine


@dataclass(frozen=True)
class NewestKnown:
    """The rows of a source, and which of them are the newest known from when on.

    ``entities`` are the distinct keys, in order; ``newest`` numbers them by their places, and the rows by theirs.
    """

    rows: pl.DataFrame
    entities: pl.DataFrame
    newest: Newest

    @classmethod
    def of_timeline(cls, line: pl.DataFrame, entity: Sequence[str]) -> "NewestKnown":
        """A timeline as its rows; within each key it is in order of time."""
        entities, codes = distinct_keys(line.select(entity))
        # Ours come in order of their keys; from elsewhere a timeline need not.
        place = np.argsort(codes, kind="stable") if bool((codes[1:] < codes[:-1]).any()) else np.arange(len(codes))
        starts = np.concatenate([[0], np.cumsum(np.bincount(codes, minlength=entities.height))])
        from_us, event_us = line[VALID_FROM].to_numpy(), line[EVENT].fill_null(line[VALID_FROM]).to_numpy()
        return cls(line, entities, Newest(starts, from_us[place], event_us[place], place, line.height))

    def timeline(self) -> pl.DataFrame:
        """The rows that take over, with the moment they do (``valid_from_us``), in order of entity and that moment."""
        return self.rows[self.newest.place].with_columns(pl.Series(VALID_FROM, self.newest.from_us))


def newest_known(rows: pl.DataFrame, entity: Sequence[str]) -> NewestKnown:
    """Find the rows that take over.

    A correction of an older event changes nothing; ties go to the latest arrival, then to the later row. In order of (valid_from, event,
    arrival, source order) a row takes over exactly when its event is at least the newest of its entity so far.

    Parameters
    ----------
    rows: entity columns without nulls, ``event_us`` and ``arrival_us`` (int64) and any others.
    """
    event_us, arrival_us = rows[EVENT].to_numpy(), rows[ARRIVAL].to_numpy()
    entities, codes = distinct_keys(rows.select(entity))
    order = by_knowledge(np.maximum(event_us, arrival_us), event_us, arrival_us)
    return NewestKnown(rows, entities, newest_engine().take_over(codes, entities.height, event_us, arrival_us, order))


def by_knowledge(valid_from: Ints, event: Ints, arrival: Ints) -> Ints | None:
    """The order by (valid_from, event, arrival), stable, or None when the rows lie in it: feeds mostly deliver in order of time."""
    columns = (valid_from, event, arrival)
    in_order = np.ones(max(len(event) - 1, 0), dtype=np.bool_)
    for column in reversed(columns):
        in_order = (column[1:] > column[:-1]) | ((column[1:] == column[:-1]) & in_order)
    return None if bool(in_order.all()) else np.lexsort(columns[::-1])
