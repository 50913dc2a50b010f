"""Feature definitions as data: what the features room compiles and every other room only names."""

from typing import Literal

import msgspec

Aggregation = Literal["count", "sum", "mean", "min", "max", "std", "last", "distinct", "share"]


class Aggregate(msgspec.Struct, frozen=True, kw_only=True):
    """A windowed aggregation, e.g. the mean of ``dep_delay`` over 2 h.

    A source row counts at moment ``t`` when its event time lies in ``(t - window_us, t]`` *and* it had arrived by ``t``.
    Missing values (null, not finite) of ``column`` count for nothing.

    ============  ==========================================================================================  ==================
    function      value                                                                                        over no rows
    ============  ==========================================================================================  ==================
    ``count``     number of values of ``column``; of rows, when ``column`` is empty                            0
    ``sum``       in exact millionths                                                                          0
    ``mean``      the sum over the number of values                                                            missing
    ``std``       sample standard deviation (``ddof = 1``), from exact sums; missing for fewer than two values  missing
    ``min``       the least value                                                                              missing
    ``max``       the greatest value                                                                           missing
    ``last``      the value with the latest event time; ties: latest arrival, then the later row               missing
    ``distinct``  number of distinct values; of text, integer, boolean and decimal columns                     0
    ``share``     share of all rows for which the SQL predicate ``condition`` is true (null is not true)       missing
    ============  ==========================================================================================  ==================
    """

    name: str
    function: Aggregation
    column: str = ""
    condition: str = ""
    window_us: int
    description: str = ""


class Expression(msgspec.Struct, frozen=True, kw_only=True):
    """A row expression in SQL over the source's columns; its value is cast to float64."""

    name: str
    sql: str
    description: str = ""


class FeatureView(msgspec.Struct, frozen=True, kw_only=True):
    """Features of one entity from one source, declared once, used offline and online.

    ``event_time`` and ``arrival_time`` are timestamp columns (microseconds, UTC) of the source: when it happened, and when
    one could have known it. ``ttl_us`` counts from event time (0: never expires) and applies to row expressions;
    aggregates expire by their window. ``freshness_sla_us`` is how old the newest arrived row may be before the feed is late
    (0: a static table).  ``where`` is an optional SQL predicate on source rows.
    A view has either ``expressions`` or ``aggregates``, not both.

    ``row_key`` names a column with the identity of a row (an event id). Of all rows of one entity with the same key, aggregates count
    the one that arrived last (ties: the later event, then the later row), from its arrival on: a correction replaces what it corrects,
    a duplicate counts once, and a correction that no longer meets ``where`` withdraws the row. Row expressions need no key: the latest
    arrival of the newest event is their value anyway.

    A view is computed by every engine (Polars, Spark, streams), and SQL that one of them cannot compute as the others do is refused when
    the view is applied. ``embedded_only`` gives Spark up for the view: it may use all SQL that Polars has. ``transform`` names a function
    of an installed package that prepares the source's rows (see ``features/rows/transforms.py``); such a view is embedded only, too.
    """

    name: str
    source: str
    entity: tuple[str, ...]
    event_time: str
    arrival_time: str
    expressions: tuple[Expression, ...] = ()
    aggregates: tuple[Aggregate, ...] = ()
    where: str = ""
    row_key: str = ""
    transform: str = ""
    embedded_only: bool = False
    ttl_us: int = 0
    freshness_sla_us: int = 0
    owner: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()

    @property
    def features(self) -> tuple[str, ...]:
        """Feature names in stored column order."""
        return (*(e.name for e in self.expressions), *(a.name for a in self.aggregates))


class Freshness(msgspec.Struct, frozen=True, kw_only=True):
    """How old a view's newest data is at a moment: ``lag_us`` = now - newest arrival; ``late`` when above the SLA."""

    view: str
    source: str
    newest_event_us: int
    newest_arrival_us: int
    checked_at_us: int
    lag_us: int
    sla_us: int
    late: bool
