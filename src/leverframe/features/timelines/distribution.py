"""How a feature's values lie: counts in equal bins between the outer percentiles, so that one wild value does not flatten the picture."""

from collections.abc import Iterable

import numpy as np
import polars as pl

from leverframe.core.feature import FeatureView
from leverframe.core.feature_page import FeatureDistribution
from leverframe.features.timelines.timeline import timeline

BINS = 24
SAMPLE_ROWS_MAX = 100_000
"""Of a source's newest rows so many are compiled: enough for a picture, cheap enough for a page."""
OUTER = (0.005, 0.995)


def distributions(view: FeatureView, source: pl.LazyFrame, hidden: Iterable[str] = ()) -> tuple[FeatureDistribution, ...]:
    """The distribution of each feature over the changes that the newest source rows make; of ``hidden`` ones no value is told.

    Raises
    ------
    InvalidInput: the view does not fit the source.
    """
    line = timeline(view, source.tail(SAMPLE_ROWS_MAX))
    secret = frozenset(hidden)
    return tuple(_of(feature, line[feature], told=feature not in secret) for feature in view.features)


def _of(feature: str, values: pl.Series, *, told: bool) -> FeatureDistribution:
    known = values.drop_nulls().to_numpy()
    missing = len(values) - len(known)
    if not told or not len(known):
        return FeatureDistribution(feature=feature, rows=len(values), missing=missing, hidden=not told)
    low, high = (float(q) for q in np.quantile(known, OUTER))
    if low == high:
        low, high = float(known.min()), float(known.max())
    edges = np.linspace(low, high, BINS + 1) if high > low else np.array([low - 0.5, low + 0.5])
    counts, _ = np.histogram(np.clip(known, edges[0], edges[-1]), edges)
    quartiles = np.quantile(known, (0.25, 0.5, 0.75))
    return FeatureDistribution(
        feature=feature,
        rows=len(values),
        missing=missing,
        mean=float(known.mean()),
        std=float(known.std(ddof=1)) if len(known) > 1 else None,
        minimum=float(known.min()),
        quartiles=(float(quartiles[0]), float(quartiles[1]), float(quartiles[2])),
        maximum=float(known.max()),
        edges=tuple(edges.tolist()),
        counts=tuple(counts.tolist()),
    )
