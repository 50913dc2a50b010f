"""Timelines, as-of joins, batch materialisation and streams against a slow reference that restates the definition word by word."""

import math
from dataclasses import dataclass, field

import duckdb
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from leverframe.core.feature import Aggregate, Expression, FeatureView
from leverframe.features.bindings import binding
from leverframe.features.materialize import materialize
from leverframe.features.online import entity_keys
from leverframe.features.online_memory import MemoryOnlineStore
from leverframe.features.point_in_time import training_set
from leverframe.features.stream import ViewStream
from leverframe.features.timeline import timeline

ENTITIES = ["A", "B", "C"]
ASKABLE = [*ENTITIES, "Z", None]

NEWEST = FeatureView(
    name="newest",
    source="s",
    entity=("k",),
    event_time="happened",
    arrival_time="arrived",
    expressions=(Expression(name="value", sql="x"), Expression(name="double", sql="x * 2")),
    ttl_us=7,
)
COUNTED = FeatureView(
    name="counted",
    source="s",
    entity=("k",),
    event_time="happened",
    arrival_time="arrived",
    aggregates=(
        Aggregate(name="rows_5", function="count", window_us=5),
        Aggregate(name="n_5", function="count", column="x", window_us=5),
        Aggregate(name="sum_5", function="sum", column="x", window_us=5),
        Aggregate(name="mean_5", function="mean", column="x", window_us=5),
        Aggregate(name="mean_9", function="mean", column="x", window_us=9),
        Aggregate(name="sum_y_9", function="sum", column="y", window_us=9),
    ),
)


@dataclass(frozen=True)
class SourceRow:
    k: str | None
    happened: int
    arrived: int
    x: float | None
    y: float


# Small integers make ties, late corrections and expiries frequent; tenths are not exact in binary, so that float drift would show.
values = st.one_of(st.none(), st.integers(-50, 50).map(lambda n: n / 10))
source_row = st.builds(
    SourceRow,
    k=st.sampled_from([*ENTITIES, None]),
    happened=st.integers(0, 20),
    arrived=st.integers(0, 24),
    x=values,
    y=st.integers(-9, 9).map(lambda n: n / 7),
)
source = st.lists(source_row, max_size=25)
questions = st.lists(st.tuples(st.sampled_from(ASKABLE), st.one_of(st.none(), st.integers(-1, 40))), max_size=15)


def frame(rows: list[SourceRow]) -> pl.DataFrame:
    schema = {"k": pl.String, "happened": pl.Int64, "arrived": pl.Int64, "x": pl.Float64, "y": pl.Float64}
    return pl.DataFrame([vars(r) for r in rows], schema=schema)


def question_frame(asked: list[tuple[str | None, int | None]]) -> pl.DataFrame:
    return pl.DataFrame({"k": [k for k, _ in asked], "t": [t for _, t in asked]}, schema={"k": pl.String, "t": pl.Int64})


def newest_reference(rows: list[SourceRow], entity: str | None, at: int | None) -> list[float | None]:
    """The newest event that had happened and arrived by then; ties: latest arrival, then last in the source; gone after the TTL."""
    if at is None:
        return [None, None]
    known = [
        (r.happened, r.arrived, i, r)
        for i, r in enumerate(rows)
        if r.k is not None and r.k == entity and r.happened <= at and r.arrived <= at
    ]
    if not known:
        return [None, None]
    happened, _, _, row = max(known, key=lambda item: item[:3])
    if happened <= at - NEWEST.ttl_us or row.x is None:
        return [None, None]
    return [row.x, row.x * 2]


def micro(value: float) -> int:
    return math.floor(abs(value) * 1e6 + 0.5) * (1 if value >= 0 else -1)


def counted_reference(rows: list[SourceRow], entity: str | None, at: int | None) -> list[float | None]:
    """Every aggregate from scratch over the rows in (t - window, t] that had arrived by t; nothing before the entity was first seen."""
    if at is None or not any(r.k is not None and r.k == entity and max(r.happened, r.arrived) <= at for r in rows):
        return [None] * len(COUNTED.features)
    result: list[float | None] = []
    for aggregate in COUNTED.aggregates:
        inside = [r for r in rows if r.k == entity and at - aggregate.window_us < r.happened <= at and r.arrived <= at]
        if not aggregate.column:
            result.append(float(len(inside)))
            continue
        numbers = [micro(v) for v in (getattr(r, aggregate.column) for r in inside) if v is not None]
        total = sum(numbers) / 1e6
        whole = {"count": float(len(numbers)), "sum": total, "mean": total / len(numbers) if numbers else None}
        result.append(whole[aggregate.function])
    return result


def features_of(view: FeatureView, joined: pl.DataFrame) -> list[list[float | None]]:
    return [list(row) for row in joined.select(f"{view.name}.{f}" for f in view.features).rows()]


@given(source, questions)
@settings(max_examples=150, deadline=None, derandomize=True)
def test_training_set_is_the_definition_row_for_row(rows: list[SourceRow], asked: list[tuple[str | None, int | None]]) -> None:
    """A failure means a training row sees the future, an expired value, or the wrong correction."""
    result = training_set(question_frame(asked), "t", [(NEWEST, frame(rows).lazy()), (COUNTED, frame(rows).lazy())])
    assert result.frame.select("k", "t").rows() == asked  # none dropped, doubled or moved
    assert features_of(NEWEST, result.frame) == [newest_reference(rows, k, t) for k, t in asked]
    assert features_of(COUNTED, result.frame) == [counted_reference(rows, k, t) for k, t in asked]


@given(source, questions)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_duckdb_agrees_as_an_independent_oracle(rows: list[SourceRow], asked: list[tuple[str | None, int | None]]) -> None:
    """Another engine's ASOF JOIN on the naive rows ordered by knowledge, with the winner found by a window function."""
    ours = training_set(question_frame(asked), "t", [(NEWEST, frame(rows).lazy())])
    connection = duckdb.connect()
    connection.execute("CREATE TABLE src (i BIGINT, k VARCHAR, happened BIGINT, arrived BIGINT, x DOUBLE)")
    connection.execute("CREATE TABLE asked (i BIGINT, k VARCHAR, t BIGINT)")
    if rows:
        connection.executemany("INSERT INTO src VALUES (?, ?, ?, ?, ?)", [[i, r.k, r.happened, r.arrived, r.x] for i, r in enumerate(rows)])
    if asked:
        connection.executemany("INSERT INTO asked VALUES (?, ?, ?)", [[i, k, t] for i, (k, t) in enumerate(asked)])
    oracle = connection.execute(
        """
        WITH known AS (SELECT *, greatest(happened, arrived) AS valid_from FROM src WHERE k IS NOT NULL),
             best AS (
               SELECT k, valid_from,
                      arg_max(row(x, happened), row(happened, arrived, i))
                        OVER (PARTITION BY k ORDER BY valid_from RANGE UNBOUNDED PRECEDING) AS winner
               FROM known),
             line AS (SELECT DISTINCT k, valid_from, winner FROM best)
        SELECT CASE WHEN winner[2] > t - ? THEN winner[1] END
        FROM asked ASOF LEFT JOIN line ON asked.k = line.k AND asked.t >= line.valid_from ORDER BY asked.i
        """,
        [NEWEST.ttl_us],
    ).fetchall()
    assert ours.frame["newest.value"].to_list() == [value for (value,) in oracle]


@dataclass
class Replay:
    """What the store says of every entity after each advance."""

    answers: list[list[list[float]]] = field(default_factory=list)


def online(view: FeatureView, store: MemoryOnlineStore, at: int) -> list[list[float | None]]:
    read = store.read(binding(view), entity_keys([ASKABLE]), at)
    return [[None if math.isnan(v) else v for v in row] for row in read.values.tolist()]


@given(source, st.lists(st.integers(0, 40), max_size=12).map(sorted), st.integers(0, 25), st.randoms(use_true_random=False))
@settings(max_examples=120, deadline=None, derandomize=True)
def test_stream_is_batch_is_the_definition_at_every_moment(rows: list[SourceRow], moments: list[int], split: int, random: object) -> None:
    """Rows pushed out of order and in two parts, duplicates included, end in what batch and the definition say."""
    for view, reference in ((NEWEST, newest_reference), (COUNTED, counted_reference)):
        streamed, batched = MemoryOnlineStore(), MemoryOnlineStore()
        stream = ViewStream(view, streamed)
        doubled = rows + rows[: len(rows) // 2]
        stream.push(frame(doubled[:split]))
        stream.push(frame(doubled[split:]))
        for at in moments:
            stream.advance(at)
            materialize(view, frame(doubled).lazy(), batched, at)
            expected = [reference(doubled, entity, at) for entity in ASKABLE]
            assert online(view, streamed, at) == expected
            assert online(view, batched, at) == expected


@given(source, st.integers(0, 40))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_a_timeline_has_one_row_a_moment_in_order(rows: list[SourceRow], at: int) -> None:
    """Two rows at one moment, or a row out of order, would make an as-of join pick at random."""
    for view in (NEWEST, COUNTED):
        line = timeline(view, frame(rows).lazy())
        assert line.select("k", "valid_from_us").n_unique() == line.height
        assert line.sort("k", "valid_from_us", maintain_order=True).equals(line)
        assert line.filter(pl.col("event_us") > pl.col("valid_from_us")).is_empty()
