"""Which columns a view's features are made from."""

import pytest

from leverframe.apps.demo.project.features import VIEWS
from leverframe.core.feature import Aggregate, Expression, FeatureView
from leverframe.features.declared.lineage import sql_columns, view_columns


@pytest.mark.parametrize(
    ("sql", "columns"),
    [
        ("temp", ("temp",)),
        ("COALESCE(wind_gust, wind_speed)", ("wind_gust", "wind_speed")),
        ("2013 - year", ("year",)),
        ("CASE WHEN a > 1 AND b IN (1, 2) THEN c ELSE 0 END", ("a", "b", "c")),
        ('"Odd Name" + other', ("Odd Name", "other")),
        ("Temp + temp", ("Temp", "temp")),
        ("cast(x AS double) / nullif(y, 0)", ("x", "y")),
        ("extract(hour FROM seen_at)", ("seen_at",)),
        ("name = 'temp' AND n IS NOT NULL", ("name", "n")),
        ("a::double BETWEEN lo AND hi", ("a", "lo", "hi")),
        ("x LIKE 'it''s %'", ("x",)),
    ],
)
def test_every_column_of_an_expression_is_found_and_no_other(sql, columns):
    assert set(sql_columns(sql)) == set(columns)


def test_sql_that_cannot_be_read_gives_too_much_and_never_too_little():
    assert {"temp", "dewp"} <= set(sql_columns("temp ? dewp 'not_a_column' (("))
    assert "not_a_column" not in sql_columns("temp ? dewp 'not_a_column' ((")


def test_entity_times_and_filter_bear_on_every_feature():
    view = FeatureView(
        name="v",
        source="s",
        entity=("k1", "k2"),
        event_time="at",
        arrival_time="known",
        aggregates=(
            Aggregate(name="n", function="count", window_us=1),
            Aggregate(name="m", function="mean", column="x", window_us=7_200_000_000),
        ),
        where="ok AND x > 0",
    )
    uses = view_columns(view)
    for feature in ("n", "m"):
        assert {(u.column, u.role) for u in uses if u.feature == feature} >= {
            ("k1", "key"),
            ("k2", "key"),
            ("at", "event_time"),
            ("known", "arrival_time"),
            ("ok", "filter"),
            ("x", "filter"),
        }
    assert [(u.feature, u.column, u.how) for u in uses if u.role == "aggregate"] == [("m", "x", "mean(x) over 2 h")]


def test_the_demo_s_views_are_read_whole():
    found = {f"{view.name}.{use.feature}": set() for view in VIEWS for use in view_columns(view)}
    for view in VIEWS:
        for use in view_columns(view):
            found[f"{view.name}.{use.feature}"].add(use.column)
    assert found["origin_weather.wind_gust"] == {"wind_gust", "wind_speed", "origin", "observed_at", "known_at"}
    assert found["plane_facts.age_years"] == {"year", "tailnum", "valid_from"}
    assert found["origin_delays.mean_2h"] == {"dep_delay", "origin", "departed_at"}


def test_an_expression_of_constants_needs_no_column():
    assert [
        u.role
        for u in view_columns(
            FeatureView(name="v", source="s", entity=(), event_time="t", arrival_time="t", expressions=(Expression(name="one", sql="1"),))
        )
    ] == ["event_time", "arrival_time"]


def test_a_share_needs_the_columns_of_its_condition_and_a_view_its_row_key() -> None:
    """A column that only a predicate looks at breaks the feature just as much when it goes."""
    late = Aggregate(name="late", function="share", condition="dep_delay > 15", window_us=3_600_000_000)
    view = FeatureView(name="v", source="s", entity=("k",), event_time="e", arrival_time="a", aggregates=(late,), row_key="id")
    uses = {(use.column, use.role, use.how) for use in view_columns(view)}
    assert ("dep_delay", "aggregate", "share(dep_delay > 15) over 1 h") in uses
    assert ("id", "key", "row key") in uses
