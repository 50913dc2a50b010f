"""What makes a feature view valid, and what changes its version."""

import msgspec
import polars as pl
import pytest

from leverframe.core.errors import InvalidInput
from leverframe.core.feature import Aggregate, Expression, FeatureView
from leverframe.features.declared.definitions import check_view, view_version

SCHEMA = {"origin": pl.String(), "at": pl.Int64(), "known": pl.Int64(), "delay": pl.Float64(), "note": pl.String()}
VIEW = FeatureView(
    name="delays",
    source="departures",
    entity=("origin",),
    event_time="at",
    arrival_time="known",
    aggregates=(Aggregate(name="mean_2h", function="mean", column="delay", window_us=7_200_000_000),),
)


def change(**fields: object) -> FeatureView:
    return msgspec.structs.replace(VIEW, **fields)


def test_a_valid_view_is_returned_as_it_is() -> None:
    assert check_view(VIEW, SCHEMA) is VIEW


def test_every_fault_is_named_at_once() -> None:
    """A person must not have to apply once for each mistake."""
    broken = change(
        name="Delays!",
        entity=(),
        expressions=(Expression(name="event_us", sql="avg(x)"),),
        aggregates=(Aggregate(name="bad", function="mean", window_us=0),),
        ttl_us=-1,
    )
    with pytest.raises(InvalidInput) as caught:
        check_view(broken)
    whats = {fault.what for fault in caught.value.faults}
    assert whats == {
        "not a name",
        "a view needs an entity",
        "a view has expressions or aggregates, exactly one of the two",
        "a duration cannot be negative",
        "a reserved name",
        "a window must be longer than nothing",
        "mean needs a column",
        "only row functions may be called",
    }


def test_every_disagreement_with_the_source_is_named_at_once() -> None:
    broken = change(
        entity=("origni", "delay"),
        event_time="note",
        aggregates=(
            Aggregate(name="a", function="mean", column="note", window_us=1),
            Aggregate(name="b", function="sum", column="dely", window_us=1),
        ),
    )
    with pytest.raises(InvalidInput) as caught:
        check_view(broken, SCHEMA)
    wheres = sorted((f.where, f.got, f.expected) for f in caught.value.faults)
    assert wheres == [
        ("delays.a", "String", "a numeric column"),
        ("delays.b", "dely", "delay"),
        ("delays.entity", "Float64", "text or integer"),
        ("delays.entity", "origni", "origin"),
        ("delays.event_time", "String", "int64 microseconds UTC"),
    ]


def test_expressions_are_typed_against_the_source() -> None:
    broken = change(
        aggregates=(), expressions=(Expression(name="text", sql="note"), Expression(name="gone", sql="nope * 2")), where="delay + 1"
    )
    with pytest.raises(InvalidInput) as caught:
        check_view(broken, SCHEMA)
    assert [(f.where, f.what) for f in caught.value.faults] == [
        ("delays.text", "wrong type of value"),
        ("delays.gone", "the source cannot answer this SQL"),
        ("delays.where", "wrong type of value"),
    ]


def aggregate(**fields: object) -> Aggregate:
    return msgspec.convert({"name": "v", "window_us": 1} | fields, Aggregate)


def test_what_an_aggregate_takes_depends_on_its_function() -> None:
    """A share without a predicate, or a predicate that nobody would look at, is a mistake to be told at once."""
    shares = (
        aggregate(name="a", function="share"),
        aggregate(name="b", function="share", column="delay", condition="delay > 15"),
        aggregate(name="c", function="mean", column="delay", condition="delay > 15"),
        aggregate(name="d", function="share", condition="max(delay) > 15"),
    )
    with pytest.raises(InvalidInput) as caught:
        check_view(change(aggregates=shares))
    assert [(f.where, f.what) for f in caught.value.faults] == [
        ("delays.a", "share needs a condition"),
        ("delays.b", "share counts rows by a condition and takes no column"),
        ("delays.c", "only share takes a condition"),
        ("delays.d.condition", "only row functions may be called"),
    ]
    typed = (aggregate(name="e", function="share", condition="delay + 1"), aggregate(name="f", function="max", column="note"))
    with pytest.raises(InvalidInput) as caught:
        check_view(change(aggregates=typed, row_key="delay"), SCHEMA)
    assert [f.where for f in caught.value.faults] == ["delays.row_key", "delays.f", "delays.e.condition"]
    texts = (aggregate(name="g", function="distinct", column="note"), aggregate(name="h", function="count", column="note"))
    assert check_view(change(aggregates=texts, row_key="note"), SCHEMA).features == ("g", "h")


def test_row_expressions_take_no_row_key() -> None:
    with pytest.raises(InvalidInput, match="a row key belongs to windowed aggregates"):
        check_view(change(aggregates=(), expressions=(Expression(name="v", sql="delay"),), row_key="note"))


def test_the_version_follows_the_values_and_not_the_words() -> None:
    """A corrected description must not make every bundle's binding stale; a changed window must."""
    assert view_version(change(description="x", owner="y", tags=("z",), freshness_sla_us=5)) == view_version(VIEW)
    others = [
        change(name="other"),
        change(source="other"),
        change(entity=("origin", "note")),
        change(event_time="known"),
        change(arrival_time="at"),
        change(where="delay > 0"),
        change(ttl_us=9),
        change(row_key="note"),
        change(aggregates=(Aggregate(name="mean_2h", function="share", condition="delay > 0", window_us=7_200_000_000),)),
        change(aggregates=(Aggregate(name="mean_2h", function="share", condition="delay > 1", window_us=7_200_000_000),)),
        change(aggregates=(Aggregate(name="mean_2h", function="mean", column="delay", window_us=1),)),
        change(aggregates=(Aggregate(name="mean_2h", function="sum", column="delay", window_us=7_200_000_000),)),
    ]
    assert len({view_version(VIEW), *map(view_version, others)}) == 13


def test_sql_that_spark_cannot_compute_alike_is_refused_when_a_view_is_applied_unless_it_gives_spark_up() -> None:
    """Found at the first training set on Spark, it would be a surprise months later."""
    trimmed = change(aggregates=(), expressions=(Expression(name="v", sql="length(trim(note))"),), where="round(delay, 1) > 0")
    with pytest.raises(InvalidInput) as caught:
        check_view(trimmed)
    assert [(f.where, f.what) for f in caught.value.faults] == [
        ("delays.v", "Spark cannot compute this SQL as Polars does"),
        ("delays.where", "Spark cannot compute this SQL as Polars does"),
    ]
    alone = msgspec.structs.replace(trimmed, embedded_only=True)
    assert check_view(alone) is alone
    assert check_view(trimmed, SCHEMA) is trimmed, "a view that was applied before is computed as ever"
    assert view_version(alone) == view_version(trimmed)
