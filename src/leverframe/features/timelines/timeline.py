"""A view compiled: for each entity, the moments its values change and the values from then on.

The value at moment ``t`` is the last row with ``valid_from_us <= t`` (for row expressions, unless its event is as old as the TTL).
Training sets, batch materialisation and parity checks all read this one frame; the stream engine arrives at the same rows by steps.
"""

import polars as pl

from leverframe.core.feature import FeatureView
from leverframe.features.declared.definitions import ARRIVAL, EVENT, VALID_FROM
from leverframe.features.rows.source_rows import source_rows
from leverframe.features.timelines.known_rows import known_rows
from leverframe.features.timelines.newest_known import newest_known
from leverframe.features.timelines.window_timeline import aggregates_timeline


def timeline(view: FeatureView, source: pl.LazyFrame) -> pl.DataFrame:
    """Rows (entity keys, ``valid_from_us``, ``event_us``, ``arrival_us``, float64 features), ordered by entity and ``valid_from_us``.

    An entity has at most one row a moment. A feature without a value is null.

    Raises
    ------
    InvalidInput: the view does not fit the source.

    >>> from leverframe.core.feature import Expression
    >>> value = Expression(name="v", sql="x")
    >>> view = FeatureView(name="w", source="s", entity=("k",), event_time="e", arrival_time="a", expressions=(value,))
    >>> late_correction = pl.LazyFrame({"k": ["A", "A"], "e": [10, 5], "a": [11, 12], "x": [1.0, 2.0]})
    >>> timeline(view, late_correction).select("valid_from_us", "v").rows()
    [(11, 1.0)]
    """
    newest = view.expressions
    line = newest_known(source_rows(view, source), view.entity).timeline() if newest else aggregates_timeline(known_rows(view, source))
    return line.select(*view.entity, VALID_FROM, EVENT, ARRIVAL, *view.features)
