"""Distributions of features: every value is counted once, a wild one does not flatten the picture, and a personal one is not told."""

import numpy as np
import polars as pl

from leverframe.core.feature import Expression, FeatureView
from leverframe.features.timelines.distribution import BINS, distributions

VIEW = FeatureView(
    name="w",
    source="s",
    entity=("k",),
    event_time="e",
    arrival_time="e",
    expressions=(Expression(name="v", sql="x"), Expression(name="same", sql="x * 0 + 3"), Expression(name="none", sql="x / y")),
)


def source(values: list[float | None]) -> pl.LazyFrame:
    rows = len(values)
    columns = {"k": pl.Series(["A"] * rows), "e": pl.Series(range(rows), dtype=pl.Int64), "x": pl.Series(values, dtype=pl.Float64)}
    return pl.LazyFrame(columns | {"y": pl.Series([None] * rows, dtype=pl.Float64)})


def test_every_value_is_counted_once_and_the_wild_one_stands_in_the_last_bin() -> None:
    values = [float(v) for v in range(999)] + [1e12, None]
    seen = distributions(VIEW, source(values))[0]
    assert (seen.rows, seen.missing, sum(seen.counts), len(seen.counts)) == (1001, 1, 1000, BINS)
    assert (seen.minimum, seen.maximum) == (0.0, 1e12)
    assert seen.edges[-1] < 1000
    assert seen.quartiles == tuple(np.quantile(np.array(values[:-1]), (0.25, 0.5, 0.75)).tolist())
    assert max(seen.counts) < 60, "equal values, about equal bars"


def test_a_constant_and_a_feature_without_any_value() -> None:
    _, same, none = distributions(VIEW, source([1.0, 2.0, 3.0]))
    assert (same.counts, same.edges, same.std) == ((3,), (2.5, 3.5), 0.0)
    assert (none.rows, none.missing, none.counts, none.quartiles) == (3, 3, (), None)


def test_of_a_personal_feature_only_the_missing_share_is_told() -> None:
    seen = distributions(VIEW, source([41.0, None]), hidden=("v",))[0]
    assert (seen.hidden, seen.rows, seen.missing) == (True, 2, 1)
    assert (seen.mean, seen.minimum, seen.maximum, seen.quartiles, seen.counts, seen.edges) == (None, None, None, None, (), ())
