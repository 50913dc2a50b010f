"""What a view's aggregates need of a row: the columns every engine prepares once, and which aggregate reads which of them."""

from dataclasses import dataclass
from typing import Literal

from leverframe.core.feature import Aggregate, Aggregation, FeatureView

Kind = Literal["exact", "number", "value", "present", "condition"]
"""``exact``: fixed point, for sums. ``number``: float64, for extremes. ``value``: anything that can be told apart. ``present``: is there
a value. ``condition``: does the predicate hold."""

_NEEDS: dict[Aggregation, Kind] = {
    "count": "present",
    "sum": "exact",
    "mean": "exact",
    "std": "exact",
    "min": "number",
    "max": "number",
    "last": "number",
    "distinct": "value",
    "share": "condition",
}


@dataclass(frozen=True)
class Input:
    """One prepared column: what is made of which source column (or predicate)."""

    kind: Kind
    of: str


def input_column(index: int) -> str:
    """The prepared column that holds the view's input number ``index``."""
    return f"__input_{index}"


def input_of(aggregate: Aggregate, counted_exactly: frozenset[str] = frozenset()) -> Input | None:
    """What ``aggregate`` reads; ``None``: rows only. Values of columns that are summed anyway are counted with the sums."""
    if aggregate.function == "share":
        return Input("condition", aggregate.condition)
    if not aggregate.column:
        return None
    kind = "exact" if aggregate.function == "count" and aggregate.column in counted_exactly else _NEEDS[aggregate.function]
    return Input(kind, aggregate.column)


def inputs(view: FeatureView) -> tuple[Input, ...]:
    """The distinct inputs of the view's aggregates, in order of first use.

    >>> window = {"column": "x", "window_us": 5}
    >>> both = (Aggregate(name="n", function="count", **window), Aggregate(name="m", function="mean", **window))
    >>> inputs(FeatureView(name="w", source="s", entity=("k",), event_time="e", arrival_time="a", aggregates=both))
    (Input(kind='exact', of='x'),)
    """
    return tuple(dict.fromkeys(found for _, found in aggregate_inputs(view) if found is not None))


def aggregate_inputs(view: FeatureView) -> tuple[tuple[Aggregate, Input | None], ...]:
    """Each aggregate with what it reads."""
    summed = frozenset(a.column for a in view.aggregates if _NEEDS[a.function] == "exact")
    return tuple((a, input_of(a, summed)) for a in view.aggregates)
