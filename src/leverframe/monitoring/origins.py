"""Where each input column comes from: what makes nine alarms one alert."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from leverframe.core.column_reads import column_features
from leverframe.core.feature import FeatureView
from leverframe.core.schema import InputColumn


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """A column's feature, its view, and the source that feeds the view."""

    column: str
    view: str
    feature: str
    source: str


Origins = Mapping[str, Origin]
"""Column name to origin; columns that come with the request are not in it."""


def origins(columns: Iterable[InputColumn], views: Iterable[FeatureView]) -> dict[str, Origin]:
    """The origin of every looked-up column, and of every expression that reads one: its first.

    >>> columns = [InputColumn(name="origin_weather_temp", source="view", view="origin_weather", feature="temp")]
    >>> weather = FeatureView(name="origin_weather", source="weather", entity=("origin",), event_time="e", arrival_time="a")
    >>> origins(columns, [weather])["origin_weather_temp"].source
    'weather'
    """
    sources = {view.name: view.source for view in views}
    known = {}
    for column in columns:
        for feature in column_features(column)[:1]:
            source = sources.get(feature.view, feature.view)
            known[column.name] = Origin(column=column.name, view=feature.view, feature=feature.name, source=source)
    return known


def disabled_columns(known: Origins, patterns: Sequence[str]) -> tuple[str, ...]:
    """The columns that an endpoint's ``disabled_features`` (``view.feature`` or ``view.*``) switch off."""
    off = set(patterns)
    return tuple(o.column for o in known.values() if f"{o.view}.{o.feature}" in off or f"{o.view}.*" in off)


def described(known: Origins) -> dict[str, str]:
    """Column to words for a sentence."""
    return {column: f"feed {origin.source}" for column, origin in known.items()}
