"""Tests beside definitions: what holds, what is told of what does not, and that a test that cannot fail is refused."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from leverframe.core.errors import InvalidInput
from leverframe.core.feature import Aggregate, Expression, FeatureView
from leverframe.core.feature_example import Difference, FeatureTest
from leverframe.features.definition_tests import ENGINES, run_feature_test

HOUR_US = 3_600_000_000
DELAYS = FeatureView(
    name="delays",
    source="departures",
    entity=("origin",),
    event_time="departed_at",
    arrival_time="known_at",
    aggregates=(
        Aggregate(name="mean_2h", function="mean", column="delay", window_us=2 * HOUR_US),
        Aggregate(name="n_2h", function="count", window_us=2 * HOUR_US),
    ),
)
HOLDS = FeatureTest(
    name="windows",
    view="delays",
    rows=(
        {"origin": "JFK", "departed_at": "2013-01-01T10:00:00Z", "known_at": "2013-01-01T10:05:00Z", "delay": 30.0},
        {"origin": "JFK", "departed_at": "2013-01-01T11:00:00Z", "known_at": "2013-01-01T11:05:00Z", "delay": 10.0},
    ),
    asked=(
        {"origin": "JFK", "at": "2013-01-01T12:30:00Z"},
        {"origin": "JFK", "at": "2013-01-01T10:04:59Z"},
        {"origin": "JFK", "at": "2013-01-01T11:30:00Z"},
        {"origin": "LGA", "at": "2013-01-01T11:30:00Z"},
    ),
    expected={"mean_2h": (10.0, None, 20.0, None), "n_2h": (1.0, None, 2.0, None)},
)


def test_both_engines_give_what_the_team_wrote() -> None:
    results = run_feature_test(HOLDS, DELAYS)
    assert [(r.engine, r.differences, r.error) for r in results] == [("polars", (), ""), ("stream", (), "")]


@pytest.mark.slow
def test_spark_gives_them_too(spark: Any, tmp_path: Path) -> None:
    from leverframe.features.spark_definition_tests import spark_engine

    engines = {**ENGINES, "spark": spark_engine(spark, tmp_path)}
    assert [(r.engine, r.differences, r.error) for r in run_feature_test(HOLDS, DELAYS, engines)] == [(e, (), "") for e in engines]
    wrong = msgspec.structs.replace(HOLDS, expected={"n_2h": (1.0, None, 3.0, None)})
    (result,) = run_feature_test(wrong, DELAYS, {"spark": engines["spark"]})
    assert result.differences == (Difference(asked=HOLDS.asked[2], feature="n_2h", expected=3.0, got=2.0),)


def test_a_wrong_value_is_told_with_its_question_on_each_engine() -> None:
    wrong = msgspec.structs.replace(HOLDS, expected={"mean_2h": (10.0, None, 21.0, 0.0)})
    results = run_feature_test(wrong, DELAYS)
    told = (
        Difference(asked=HOLDS.asked[2], feature="mean_2h", expected=21.0, got=20.0),
        Difference(asked=HOLDS.asked[3], feature="mean_2h", expected=0.0, got=None),
    )
    assert [r.differences for r in results] == [told, told]
    assert not any(r.holds for r in results)


def test_values_expire_by_the_view_s_ttl_on_both_engines() -> None:
    view = FeatureView(
        name="weather",
        source="hours",
        entity=("origin",),
        event_time="at",
        arrival_time="at",
        expressions=(Expression(name="wind", sql="wind * 2"),),
        ttl_us=HOUR_US,
    )
    test = FeatureTest(
        name="ttl",
        view="weather",
        rows=({"origin": "JFK", "at": 0, "wind": 4.0},),
        asked=({"origin": "JFK", "at": HOUR_US - 1}, {"origin": "JFK", "at": HOUR_US}),
        expected={"wind": (8.0, None)},
    )
    assert all(r.holds for r in run_feature_test(test, view))


def test_an_engine_that_refuses_the_rows_says_so_in_its_result() -> None:
    lacking = msgspec.structs.replace(HOLDS, rows=({"origin": "JFK", "departed_at": 1, "known_at": 1},))
    results = run_feature_test(lacking, DELAYS)
    assert [r.engine for r in results] == ["polars", "stream"]
    assert all("has no column 'delay'" in r.error and not r.holds for r in results)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"expected": {}}, "nothing is expected"),
        ({"expected": {"median": (1.0, 1.0, 1.0, 1.0)}}, "no such feature"),
        ({"expected": {"n_2h": (1.0,)}}, "one value a question"),
        ({"asked": ({"origin": "JFK"},), "expected": {"n_2h": (1.0,)}}, "incomplete"),
        ({"asked": ({"origin": "JFK", "at": "yesterday"},), "expected": {"n_2h": (1.0,)}}, "not a moment"),
        ({"rows": ()}, "number out of range"),
    ],
)
def test_a_test_that_cannot_hold_or_cannot_fail_is_refused(change: dict[str, Any], what: str) -> None:
    with pytest.raises(InvalidInput, match=what):
        run_feature_test(msgspec.structs.replace(HOLDS, **change), DELAYS)
