"""The definition of every feature, word by word: for each question, look at every row. Quadratic, and obviously right."""

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from leverframe.core.feature import Aggregate, FeatureView

Row = Mapping[str, Any]
"""A source row: the view's columns; the answers to SQL are given in columns named like the SQL text."""


def answer(view: FeatureView, rows: Sequence[Row], entity: tuple[Any, ...], at: int | None) -> list[float | None]:
    """The view's features of ``entity`` at the moment ``at``; nothing before the entity was first known."""
    if at is None or None in entity:
        return [None] * len(view.features)
    mine = [
        (number, row)
        for number, row in enumerate(rows)
        if tuple(row[k] for k in view.entity) == entity and row[view.event_time] is not None and row[view.arrival_time] is not None
    ]
    known = [(n, row) for n, row in mine if row[view.event_time] <= at and row[view.arrival_time] <= at]
    if view.expressions:
        return _newest(view, known, at)
    if not any(_meets(view, row) for _, row in known):
        return [None] * len(view.features)
    current = [(n, row) for n, row in known if _meets(view, row) and not _is_replaced(view, n, row, known)]
    return [_aggregate(view, a, [(n, r) for n, r in current if r[view.event_time] > at - a.window_us]) for a in view.aggregates]


def _meets(view: FeatureView, row: Row) -> bool:
    return not view.where or row[view.where] is True


def _newest(view: FeatureView, known: list[tuple[int, Row]], at: int) -> list[float | None]:
    """The newest event; ties: latest arrival, then last in the source; gone when it is as old as the TTL."""
    known = [(n, row) for n, row in known if _meets(view, row)]
    if not known:
        return [None] * len(view.features)
    _, row = max(known, key=lambda item: (item[1][view.event_time], item[1][view.arrival_time], item[0]))
    if view.ttl_us and row[view.event_time] <= at - view.ttl_us:
        return [None] * len(view.features)
    return [None if row[e.sql] is None or math.isnan(row[e.sql]) else float(row[e.sql]) for e in view.expressions]


def _is_replaced(view: FeatureView, number: int, row: Row, known: list[tuple[int, Row]]) -> bool:
    """Whether a later version of the same row is known: a later arrival; ties: the later event, then the later row."""
    if not view.row_key or row[view.row_key] is None:
        return False

    def version(n: int, r: Row) -> tuple[int, int, int]:
        return r[view.arrival_time], r[view.event_time], n

    return any(r[view.row_key] == row[view.row_key] and version(n, r) > version(number, row) for n, r in known)


def micro(value: float) -> int:
    """Millionths, rounded half to even."""
    return round(value * 1e6)


def _aggregate(view: FeatureView, aggregate: Aggregate, inside: list[tuple[int, Row]]) -> float | None:
    if aggregate.function == "share":
        return sum(row[aggregate.condition] is True for _, row in inside) / len(inside) if inside else None
    if not aggregate.column:
        return float(len(inside))
    found = [(n, row, row[aggregate.column]) for n, row in inside]
    there = [(n, row, v) for n, row, v in found if v is not None and (isinstance(v, str) or math.isfinite(v))]
    values = [v for _, _, v in there]
    if aggregate.function == "count":
        return float(len(values))
    if aggregate.function == "distinct":
        return float(len(set(values)))
    if aggregate.function == "sum":
        return sum(map(micro, values)) / 1e6
    if not values:
        return None
    if aggregate.function == "last":
        return float(max(there, key=lambda item: (item[1][view.event_time], item[1][view.arrival_time], item[0]))[2])
    if aggregate.function in ("min", "max"):
        return float(min(values) if aggregate.function == "min" else max(values))
    if aggregate.function == "mean":
        return sum(map(micro, values)) / 1e6 / len(values)
    return _std(list(map(micro, values)))


def _std(whole: list[int]) -> float | None:
    """From the textbook: exact mean, exact squares, one rounding at the end."""
    if len(whole) < 2:
        return None
    mean = Fraction(sum(whole), len(whole))
    variance = sum(((x - mean) ** 2 for x in whole), Fraction(0)) / (len(whole) - 1)
    return math.sqrt(variance) / 1e6
