"""Feature definitions as data: what the features room compiles and every other room only names."""

from typing import Literal

import msgspec

Aggregation = Literal["count", "sum", "mean"]


class Aggregate(msgspec.Struct, frozen=True, kw_only=True):
    """A windowed aggregation, e.g. the mean of ``dep_delay`` over 2 h.

    A source row counts at moment ``t`` when its event time lies in ``(t - window_us, t]`` *and* it had arrived by ``t``.
    """

    name: str
    function: Aggregation
    column: str = ""
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
    """

    name: str
    source: str
    entity: tuple[str, ...]
    event_time: str
    arrival_time: str
    expressions: tuple[Expression, ...] = ()
    aggregates: tuple[Aggregate, ...] = ()
    where: str = ""
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
