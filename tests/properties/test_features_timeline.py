"""Timelines, as-of joins, batch materialisation and streams against a slow reference that restates the definition word by word."""

import math
from dataclasses import dataclass, field
from typing import Any

import duckdb
import msgspec
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.features import slow_reference

from leverframe.core.feature import Aggregate, Expression, FeatureView
from leverframe.features.declared.bindings import binding
from leverframe.features.materialization.materialize import materialize
from leverframe.features.online.online import entity_keys
from leverframe.features.online.online_memory import MemoryOnlineStore
from leverframe.features.timelines.stream import ViewStream
from leverframe.features.timelines.timeline import timeline
from leverframe.features.training_sets.point_in_time import training_set

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
CONDITION = "y > 0"
COUNTED = FeatureView(
    name="counted",
    source="s",
    entity=("k",),
    event_time="happened",
    arrival_time="arrived",
    aggregates=(
        Aggregate(name="rows_5", function="count", window_us=5),
        *(
            Aggregate(name=f"{function}_{column}_{window}", function=function, column=column, window_us=window)
            for column, window in (("x", 5), ("y", 9))
            for function in ("count", "sum", "mean", "std", "min", "max", "last", "distinct")
        ),
        Aggregate(name="mean_9", function="mean", column="x", window_us=9),
        Aggregate(name="texts_5", function="distinct", column="s", window_us=5),
        Aggregate(name="said_9", function="count", column="s", window_us=9),
        Aggregate(name="share_5", function="share", condition=CONDITION, window_us=5),
    ),
)
CORRECTED = msgspec.structs.replace(COUNTED, name="corrected", row_key="id", where="x IS NULL OR x > -4")
VIEWS = (NEWEST, COUNTED, CORRECTED)


@dataclass(frozen=True)
class SourceRow:
    k: str | None
    happened: int
    arrived: int
    x: float | None
    y: float
    id: str | None = None
    s: str | None = None

    def answers(self) -> dict[str, Any]:
        """The row with what its SQL says, as the slow reference wants it."""
        where = self.x is None or self.x > -4
        return vars(self) | {"x * 2": None if self.x is None else self.x * 2, CONDITION: self.y > 0, CORRECTED.where: where}


# Small integers make ties, late corrections and expiries frequent; tenths are not exact in binary, so that float drift would show.
values = st.one_of(st.none(), st.integers(-50, 50).map(lambda n: n / 10))
source_row = st.builds(
    SourceRow,
    k=st.sampled_from([*ENTITIES, None]),
    happened=st.integers(0, 20),
    arrived=st.integers(0, 24),
    x=values,
    y=st.integers(-9, 9).map(lambda n: n / 7),
    id=st.sampled_from(["1", "2", "3", "4", None]),
    s=st.sampled_from(["red", "green", "", None]),
)
source = st.lists(source_row, max_size=25)
questions = st.lists(st.tuples(st.sampled_from(ASKABLE), st.one_of(st.none(), st.integers(-1, 40))), max_size=15)


def frame(rows: list[SourceRow]) -> pl.DataFrame:
    schema = {"k": pl.String, "happened": pl.Int64, "arrived": pl.Int64, "x": pl.Float64, "y": pl.Float64, "id": pl.String, "s": pl.String}
    return pl.DataFrame([vars(r) for r in rows], schema=schema)


def question_frame(asked: list[tuple[str | None, int | None]]) -> pl.DataFrame:
    return pl.DataFrame({"k": [k for k, _ in asked], "t": [t for _, t in asked]}, schema={"k": pl.String, "t": pl.Int64})


def reference(view: FeatureView, rows: list[SourceRow], entity: str | None, at: int | None) -> list[float | None]:
    return slow_reference.answer(view, [row.answers() for row in rows], (entity,), at)


def assert_same(view: FeatureView, ours: list[list[float | None]], expected: list[list[float | None]]) -> None:
    """Equal to the last bit, but for standard deviations: there the reference rounds once, at the end."""
    deviating = {i for i, a in enumerate(view.aggregates) if a.function == "std"}
    for mine, theirs in zip(ours, expected, strict=True):
        for i, (a, b) in enumerate(zip(mine, theirs, strict=True)):
            close = i in deviating and a is not None and b is not None and math.isclose(a, b, rel_tol=1e-14, abs_tol=0.0)
            assert a == b or close, f"{view.features[i]}: {a} instead of {b}"


def features_of(view: FeatureView, joined: pl.DataFrame) -> list[list[float | None]]:
    return [list(row) for row in joined.select(f"{view.name}.{f}" for f in view.features).rows()]


@given(source, questions)
@settings(max_examples=100, deadline=None, derandomize=True)
def test_training_set_is_the_definition_row_for_row(rows: list[SourceRow], asked: list[tuple[str | None, int | None]]) -> None:
    """A failure means a training row sees the future, an expired value, or the wrong correction."""
    result = training_set(question_frame(asked), "t", [(view, frame(rows).lazy()) for view in VIEWS])
    assert result.frame.select("k", "t").rows() == asked  # none dropped, doubled or moved
    for view in VIEWS:
        assert_same(view, features_of(view, result.frame), [reference(view, rows, k, t) for k, t in asked])


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
@settings(max_examples=80, deadline=None, derandomize=True)
def test_stream_is_batch_is_the_definition_at_every_moment(rows: list[SourceRow], moments: list[int], split: int, random: object) -> None:
    """Rows pushed out of order and in two parts, duplicates included, end in what batch and the definition say."""
    for view in VIEWS:
        streamed, batched = MemoryOnlineStore(), MemoryOnlineStore()
        stream = ViewStream(view, streamed)
        doubled = rows + rows[: len(rows) // 2]
        stream.push(frame(doubled[:split]))
        stream.push(frame(doubled[split:]))
        for at in moments:
            stream.advance(at)
            materialize(view, frame(doubled).lazy(), batched, at)
            assert online(view, streamed, at) == online(view, batched, at)
            assert_same(view, online(view, streamed, at), [reference(view, doubled, entity, at) for entity in ASKABLE])


@given(source, st.integers(0, 40))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_a_timeline_has_one_row_a_moment_in_order(rows: list[SourceRow], at: int) -> None:
    """Two rows at one moment, or a row out of order, would make an as-of join pick at random."""
    for view in VIEWS:
        line = timeline(view, frame(rows).lazy())
        assert line.select("k", "valid_from_us").n_unique() == line.height
        assert line.sort("k", "valid_from_us", maintain_order=True).equals(line)
        assert line.filter(pl.col("event_us") > pl.col("valid_from_us")).is_empty()
