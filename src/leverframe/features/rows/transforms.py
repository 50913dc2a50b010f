"""The way out of SQL: a function from LazyFrame to LazyFrame that prepares a view's source, for the embedded engine alone.

Code never comes from a client. The function is part of a package that the operator installed where features are computed, and announced
there as an entry point:

    [project.entry-points."leverframe.transforms"]
    deduplicated_events = "our_features.events:deduplicated"

A view names it (``transform="deduplicated_events"``). It must look at each row by itself, or keep event and arrival times true otherwise:
what it returns is taken for rows that were known from their arrival on. Its code is not part
of the view's version; change its name with it.
"""

from collections.abc import Callable
from functools import cache
from importlib.metadata import entry_points
from typing import cast

import polars as pl

from leverframe.core.errors import InvalidInput
from leverframe.core.feature import FeatureView

GROUP = "leverframe.transforms"
Transform = Callable[[pl.LazyFrame], pl.LazyFrame]


@cache
def _transform(name: str) -> Transform | None:
    found = [point for point in entry_points(group=GROUP) if point.name == name]
    return cast("Transform", found[0].load()) if found else None


def transformed(view: FeatureView, source: pl.LazyFrame) -> pl.LazyFrame:
    """The rows the view is made of: ``source``, through the view's transform when it has one.

    Raises
    ------
    InvalidInput: no installed package announces the transform, or it gives no LazyFrame.
    """
    if not view.transform:
        return source
    transform = _transform(view.transform)
    if transform is None:
        raise InvalidInput(
            "no installed package announces this transform",
            where=f"{view.name}.transform",
            expected=", ".join(sorted(point.name for point in entry_points(group=GROUP))) or f"an entry point of {GROUP!r}",
            got=view.transform,
            next_step="install the package that has it where features are computed",
        )
    rows = transform(source)
    if not isinstance(rows, pl.LazyFrame):
        raise InvalidInput(
            "a transform gives a LazyFrame", where=f"{view.name}.transform", expected="polars.LazyFrame", got=type(rows).__name__
        )
    return rows
