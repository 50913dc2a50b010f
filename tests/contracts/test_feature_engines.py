"""One suite for every engine that computes features: Polars, Spark and the stream, and DuckDB as an oracle of another make.

The slow reference (``tests/features/slow_reference.py``) restates each definition; hypothesis holds the fast engines to it in
``tests/properties``. Here all of them answer the same few hundred nasty rows: late, tied, corrected, duplicated and withdrawn ones, nulls,
values that are not finite, moments around the changes of daylight saving, entities without history.
"""

import math
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import polars as pl
import pytest
from tests.features import slow_reference

from leverframe.core.errors import InvalidInput, SchemaMismatch
from leverframe.core.feature import Aggregate, Expression, FeatureView
from leverframe.features.declared.bindings import binding
from leverframe.features.online.online import entity_keys
from leverframe.features.online.online_memory import MemoryOnlineStore
from leverframe.features.rows.source_rows import source_rows
from leverframe.features.timelines import sweep_c
from leverframe.features.timelines.stream import ViewStream
from leverframe.features.training_sets.point_in_time import training_set

HOUR_US = 3_600_000_000
DST_2013_US = int(datetime(2013, 3, 10, 7, tzinfo=UTC).timestamp()) * 1_000_000
"""New York's clocks go from 2 to 3 in the morning."""
WHERE = "x IS NULL OR x > -40"
LATE = "x > 0.5 AND s <> 'red'"
EXPRESSIONS = {
    "x": "x",
    "scaled": "x / 3.0 + n",
    "ratio": "x / n",
    "rounded": "round(x) - floor(x / 7)",
    "chosen": "CASE WHEN s = 'red' THEN 1 WHEN s LIKE 'gr%' THEN 2 ELSE 0 END",
    "filled": "COALESCE(x, n, -1)",
    "clipped": "LEAST(GREATEST(x, 0), 10)",
    "remainder": "n % 3",
}
CARRIED_EXACTLY = (
    "x / y; n / 7; x / 3.0; n / n; x / 0; 1 / (x / 0); n % 3; x % 2; mod(n, 2); x + n * 0.1; -x; abs(x); sign(n); sqrt(x); "
    "floor(x); ceil(x); round(x); greatest(x, y); least(x, y, 1); coalesce(x, y, 0); nullif(x, 2.5); ifnull(y, n); "
    "if(x > 1, 1, 2); b AND x > 1; b OR x > 1; NOT b; CASE WHEN x > 1 THEN y WHEN b THEN n END; "
    "CASE s WHEN 'red' THEN 1 ELSE 0 END; x BETWEEN 0 AND 2; n IN (5, 7); x IS NULL; y IS NOT NULL; x > y; x = y; x <> y; "
    "x >= 0.5; cast(n AS double); cast(b AS int); length(s); upper(s) = 'RED'; lower(s) = 'red'; left(s, 2) = 'gr'; "
    "right(s, 1) = 'd'; substr(s, 2, 2) = 'ed'; concat(s, 'x') = 'x'; s || 'x' = 'redx'; replace(s, 'red', 'a') = 'aa'; "
    "starts_with(s, 'r'); ends_with(s, 'd'); strpos(s, 'e'); s LIKE '%r%'; s ILIKE 'red'; s NOT LIKE 'r%'; s NOT ILIKE 'RED'; s = 'it''s'; "
    "try_cast(s AS double)"
)
CARRIED_NEARLY = (
    "exp(y); ln(x); log10(x); log2(x); log1p(x); power(x, 2); sin(y); cos(y); tan(y); asin(y); acos(y); atan(x); "
    "atan2(x, y); degrees(y); radians(y)"
)
"""Functions of the machine's mathematics library: the last bit may differ."""
KEYS = {"entity": ("k",), "event_time": "happened", "arrival_time": "arrived", "source": "s"}


def aggregates(hours: int, *columns: str) -> tuple[Aggregate, ...]:
    numbers = ("count", "sum", "mean", "std", "min", "max", "last", "distinct")
    window_us = hours * HOUR_US
    return (
        Aggregate(name=f"rows_{hours}", function="count", window_us=window_us),
        *(Aggregate(name=f"{f}_{c}_{hours}", function=f, column=c, window_us=window_us) for c in columns for f in numbers),  # type: ignore[arg-type]
        Aggregate(name=f"texts_{hours}", function="distinct", column="s", window_us=window_us),
        Aggregate(name=f"said_{hours}", function="count", column="s", window_us=window_us),
        Aggregate(name=f"late_{hours}", function="share", condition=LATE, window_us=window_us),
    )


NEWEST = FeatureView(
    name="newest", expressions=tuple(Expression(name=n, sql=q) for n, q in EXPRESSIONS.items()), where=WHERE, ttl_us=5 * HOUR_US, **KEYS
)
COUNTED = FeatureView(name="counted", aggregates=(*aggregates(2, "x"), *aggregates(24, "n")), **KEYS)
CORRECTED = FeatureView(name="corrected", aggregates=aggregates(6, "x", "n"), where=WHERE, row_key="id", **KEYS)
VIEWS = (NEWEST, COUNTED, CORRECTED)


def nasty_rows() -> pl.DataFrame:
    """300 rows over a week of hours around the change of clocks; small ranges make ties, duplicates and corrections frequent."""
    draw = random.Random(7)
    rows = []
    for _ in range(300):
        happened = DST_2013_US + draw.randint(-60, 60) * HOUR_US // 2 + draw.choice([0, 0, 0, 1, -1])
        delay = draw.choice([0, 0, 0, 1, HOUR_US, 5 * HOUR_US, 30 * HOUR_US, -HOUR_US])
        row = {
            "k": draw.choice(["A", "A", "B", "C", None]),
            "happened": None if draw.random() < 0.02 else happened,
            "arrived": None if draw.random() < 0.02 else happened + delay,
            "x": draw.choice([None, math.nan, math.inf, -0.0, 0.0, 0.1, 0.2, 0.3, -70.5, 2.5, 3.5, 12.000_000_5, draw.gauss(0, 30)]),
            "n": draw.choice([None, 0, 1, -7, 5, 10**9]),
            "s": draw.choice([None, "", "red", "green", "grün"]),
            "id": draw.choice([None, *range(12)]),
        }
        rows.append(row)
        if draw.random() < 0.1:
            rows.append(row)  # delivered twice
    schema = {"k": pl.String, "happened": pl.Int64, "arrived": pl.Int64, "x": pl.Float64, "n": pl.Int64, "s": pl.String, "id": pl.Int64}
    return pl.DataFrame(rows, schema=schema)


def nasty_questions() -> pl.DataFrame:
    """Moments on and beside every edge, asked of entities with and without history; some twice, some without a key or a moment."""
    draw = random.Random(8)
    rows = [
        (draw.choice(["A", "B", "C", "Z", None]), DST_2013_US + draw.randint(-70, 100) * HOUR_US // 2 + draw.choice([0, 0, 1, -1]))
        for _ in range(400)
    ]
    asked = pl.DataFrame([*rows, *rows[:20], ("A", None), (None, None)], schema={"k": pl.String, "t": pl.Int64}, orient="row")
    return asked.with_row_index("question")


def reference_rows(source: pl.DataFrame) -> list[dict[str, Any]]:
    """The source with what its SQL says, worked out in Python."""
    rows = []
    for row in source.to_dicts():
        x, n, s = row["x"], row["n"], row["s"]
        known = x is not None
        ratio = None if x is None or n is None else x / n if n else (x * math.inf if x == x else math.nan)
        said = {
            "x / 3.0 + n": None if x is None or n is None else x / 3.0 + n,
            "x / n": ratio,
            "round(x) - floor(x / 7)": None if x is None else (float(round(x)) - math.floor(x / 7) if math.isfinite(x) else math.nan),
            EXPRESSIONS["chosen"]: 1 if s == "red" else 2 if s is not None and s.startswith("gr") else 0,
            "COALESCE(x, n, -1)": x if known else n if n is not None else -1,
            EXPRESSIONS["clipped"]: _clipped(x),
            "n % 3": None if n is None else math.fmod(n, 3),
            WHERE: x is None or x > -40 or math.isnan(x),
            LATE: _and(None if x is None else x > 0.5 or math.isnan(x), None if s is None else s != "red"),
        }
        rows.append(row | said)
    return rows


def _clipped(x: float | None) -> float:
    """Polars' greatest and least pass over what is missing, NaN included."""
    return 0.0 if x is None or math.isnan(x) else min(max(x, 0.0), 10.0)


def _and(a: bool | None, b: bool | None) -> bool | None:
    return False if a is False or b is False else None if a is None or b is None else True


Answers = list[list[float | None]]


@pytest.fixture(scope="module")
def rows() -> pl.DataFrame:
    return nasty_rows()


@pytest.fixture(scope="module")
def questions() -> pl.DataFrame:
    return nasty_questions()


@pytest.fixture(scope="module")
def polars_answers(rows: pl.DataFrame, questions: pl.DataFrame) -> dict[str, Answers]:
    frame = training_set(questions, "t", [(view, rows.lazy()) for view in VIEWS]).frame
    assert frame.select(questions.columns).equals(questions), "no question is dropped, doubled or moved"
    return {view.name: _answers(view, frame) for view in VIEWS}


def _answers(view: FeatureView, frame: pl.DataFrame) -> Answers:
    return [list(row) for row in frame.select(pl.col(f"{view.name}.{f}").fill_nan(None) for f in view.features).rows()]


def differing(view: FeatureView, ours: Answers, theirs: Answers, close: tuple[str, ...] = ()) -> list[str]:
    """The cells that differ, in words; features named in ``close`` may differ in the last bits."""
    said = []
    for number, (mine, other) in enumerate(zip(ours, theirs, strict=True)):
        for feature, a, b in zip(view.features, mine, other, strict=True):
            near = feature in close and a is not None and b is not None and math.isclose(a, b, rel_tol=1e-14)
            if a != b and not near:
                said.append(f"question {number}, {feature}: {a} and {b}")
    return said


def deviations(view: FeatureView) -> tuple[str, ...]:
    return tuple(a.name for a in view.aggregates if a.function == "std")


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_polars_is_the_definition(
    view: FeatureView, rows: pl.DataFrame, questions: pl.DataFrame, polars_answers: dict[str, Answers]
) -> None:
    """The reference rounds a deviation once, at the end; everything else is equal to the last bit."""
    told = reference_rows(rows)
    expected = [slow_reference.answer(view, told, (k,), t) for _, k, t in questions.rows()]
    assert differing(view, polars_answers[view.name], expected, deviations(view)) == []
    there = sum(value is not None for row in expected for value in row)
    assert there > 1_000, "questions that nothing answers would agree on nothing"


@pytest.mark.parametrize("view", [COUNTED, CORRECTED], ids=lambda view: view.name)
def test_without_a_compiler_the_answers_are_the_same(
    monkeypatch: pytest.MonkeyPatch, view: FeatureView, rows: pl.DataFrame, questions: pl.DataFrame, polars_answers: dict[str, Answers]
) -> None:
    """An installation without the compiled sweeps must be slower, not different."""
    monkeypatch.setattr(sweep_c, "INTERFACE", -1)
    sweep_c.sweep_engine.cache_clear()
    try:
        found = _answers(view, training_set(questions, "t", [(view, rows.lazy())]).frame)
    finally:
        sweep_c.sweep_engine.cache_clear()
    assert differing(view, found, polars_answers[view.name]) == []


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_the_stream_gives_at_every_moment_what_polars_gives(
    view: FeatureView, rows: pl.DataFrame, questions: pl.DataFrame, polars_answers: dict[str, Answers]
) -> None:
    """Pushed in three parts out of order, as brokers deliver; every question is asked at its moment."""
    stream, store = ViewStream(view, store := MemoryOnlineStore()), store
    for part in range(3):
        stream.push(rows[part * 110 : (part + 1) * 110] if part < 2 else rows[220:])
    bound, answered = binding(view), {}
    for number, key, at in sorted((q for q in questions.rows() if q[1] is not None and q[2] is not None), key=lambda q: q[2]):
        stream.advance(at)
        values = store.read(bound, entity_keys([[key]]), at).values[0].tolist()
        answered[number] = [None if math.isnan(v) else v for v in values]
    asked = sorted(answered)
    assert differing(view, [polars_answers[view.name][n] for n in asked], [answered[n] for n in asked]) == []


def oracle_rows(rows: pl.DataFrame, questions: pl.DataFrame) -> Any:
    """DuckDB with the source and the questions; what is not finite is missing, as it is to every aggregate."""
    connection = duckdb.connect()
    connection.execute("CREATE TABLE src (i BIGINT, k VARCHAR, happened BIGINT, arrived BIGINT, x DOUBLE, n BIGINT, s VARCHAR, id BIGINT)")
    connection.executemany("INSERT INTO src VALUES (?, ?, ?, ?, ?, ?, ?, ?)", [list(r) for r in rows.with_row_index("i").rows()])
    connection.execute("CREATE TABLE asked (q BIGINT, k VARCHAR, t BIGINT)")
    connection.executemany("INSERT INTO asked VALUES (?, ?, ?)", [list(r) for r in questions.rows()])
    return connection


def oracle_select(aggregate: Aggregate) -> str:
    column, inside = aggregate.column, f"happened > t - {aggregate.window_us}"
    there = f"{inside} AND {column} IS NOT NULL" + ("" if column == "s" else f" AND isfinite({column}::DOUBLE)")
    micro = f"TRY_CAST(round_even({column}::DOUBLE * 1e6, 0) AS HUGEINT)"
    whole = f"sum({micro}) FILTER ({there})::DOUBLE / 1e6"
    return {
        "count": f"count(*) FILTER ({there if column else inside})::DOUBLE",
        "sum": f"coalesce({whole}, 0)",
        "mean": f"{whole} / count(*) FILTER ({there})",
        "std": f"stddev_samp({column}::DOUBLE) FILTER ({there})",
        "min": f"min({column} + 0) FILTER ({there})::DOUBLE",
        "max": f"max({column} + 0) FILTER ({there})::DOUBLE",
        "last": f"arg_max({column}, row(happened, arrived, i)) FILTER ({there})::DOUBLE",
        "distinct": f"count(DISTINCT {column}) FILTER ({there})::DOUBLE",
        "share": f"count(*) FILTER ({inside} AND {aggregate.condition})::DOUBLE / nullif(count(*) FILTER ({inside}), 0)",
    }[aggregate.function]


@pytest.mark.parametrize("view", [COUNTED, CORRECTED], ids=lambda view: view.name)
def test_duckdb_aggregates_the_same(
    view: FeatureView, rows: pl.DataFrame, questions: pl.DataFrame, polars_answers: dict[str, Answers]
) -> None:
    """Another engine joins every question with every row known then, and lets its own aggregates loose on them."""
    newest_version = "row_number() OVER (PARTITION BY q, coalesce(id, -1 - i) ORDER BY arrived DESC, happened DESC, i DESC) = 1"
    answered = (
        oracle_rows(rows, questions)
        .execute(
            f"""
        WITH known AS (SELECT * FROM asked JOIN src USING (k) WHERE happened <= t AND arrived <= t),
             current AS (SELECT *, {newest_version if view.row_key else "true"} AS newest FROM known),
             meeting AS (SELECT *, count(*) OVER (PARTITION BY q) AS ever FROM current WHERE {view.where or "true"}),
             told AS (SELECT q, {", ".join(f"{oracle_select(a)} AS {a.name}" for a in view.aggregates)}
                      FROM meeting WHERE newest GROUP BY q),
             met AS (SELECT DISTINCT q FROM meeting)
        SELECT {", ".join(_or_nothing(a) for a in view.aggregates)}
        FROM asked LEFT JOIN told USING (q) LEFT JOIN met USING (q) ORDER BY q
        """
        )
        .fetchall()
    )
    theirs = [[None if v is None or math.isnan(v) else v for v in row] for row in answered]
    near = differing(view, polars_answers[view.name], theirs, deviations(view))
    assert [cell for cell in near if not any(name in cell for name in deviations(view))] == []
    for mine, other in zip(polars_answers[view.name], theirs, strict=True):
        for name, a, b in zip(view.features, mine, other, strict=True):
            if name in deviations(view):
                assert (a is None) == (b is None)
                assert a is None or b is None or math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-6)


def _or_nothing(aggregate: Aggregate) -> str:
    """Of an entity whose rows are all withdrawn, counts and sums are nothing, not missing."""
    empty = "0" if aggregate.function in ("count", "sum", "distinct") else "NULL"
    return f"CASE WHEN met.q IS NULL THEN NULL ELSE coalesce({aggregate.name}, {empty}) END"


def test_duckdb_finds_the_same_newest_event(rows: pl.DataFrame, questions: pl.DataFrame, polars_answers: dict[str, Answers]) -> None:
    """Its ASOF JOIN over the winners that a window function finds at every moment at which something became known."""
    answered = (
        oracle_rows(rows, questions)
        .execute(
            f"""
        WITH known AS (SELECT *, greatest(happened, arrived) AS valid_from FROM src WHERE ({WHERE}) AND k IS NOT NULL
                       AND happened IS NOT NULL AND arrived IS NOT NULL),
             best AS (SELECT k, valid_from, arg_max(row(x, happened), row(happened, arrived, i))
                        OVER (PARTITION BY k ORDER BY valid_from RANGE UNBOUNDED PRECEDING) AS winner FROM known),
             line AS (SELECT DISTINCT ON (k, valid_from) k, valid_from, winner FROM best)
        SELECT CASE WHEN winner[2] > t - {NEWEST.ttl_us} THEN winner[1] END
        FROM asked ASOF LEFT JOIN line ON asked.k = line.k AND asked.t >= line.valid_from ORDER BY asked.q
        """
        )
        .fetchall()
    )
    theirs = [None if x is None or math.isnan(x) else x for (x,) in answered]
    assert [row[0] for row in polars_answers["newest"]] == theirs


def test_spark_gives_cell_for_cell_what_polars_gives(
    spark: Any, rows: pl.DataFrame, questions: pl.DataFrame, polars_answers: dict[str, Answers], tmp_path: Path
) -> None:
    """Every view in one training set, moments as timestamps this time, the source in two files."""
    from leverframe.features.spark.spark_rows import read_rows
    from leverframe.features.spark.spark_training_set import spark_training_set

    stamped = rows.with_columns(pl.col("happened", "arrived").cast(pl.Datetime("us", "UTC")))
    stamped[:150].write_parquet(tmp_path / "first.parquet")
    stamped[150:].write_parquet(tmp_path / "second.parquet")
    questions.with_columns(pl.col("t").cast(pl.Datetime("us"))).write_parquet(tmp_path / "questions.parquet")
    source = read_rows(spark, [tmp_path / "first.parquet", tmp_path / "second.parquet"])
    answered = spark_training_set(read_rows(spark, [tmp_path / "questions.parquet"]), "t", [(view, source) for view in VIEWS])
    answered.coalesce(1).write.parquet(str(tmp_path / "out"))
    frame = pl.read_parquet(tmp_path / "out" / "*.parquet")
    assert frame.select("k").equals(questions.select("k")), "no question is dropped, doubled or moved"
    assert frame["question"].to_list() == questions["question"].to_list()
    for view in VIEWS:
        assert differing(view, polars_answers[view.name], _answers(view, frame)) == []


def test_what_is_carried_to_spark_gives_there_what_it_gives_in_polars(spark: Any, tmp_path: Path) -> None:
    """Every function that is carried, on values chosen to part the engines: zeros, NaN, halves, negative remainders, missing texts."""
    numbers = [None, 0.0, -0.0, 0.5, 1.5, 2.5, -2.5, -3.0, 1e300, -1e16, math.nan, math.inf, -math.inf]
    frame = pl.DataFrame(
        {
            "x": numbers,
            "y": [2.0, 0.0, 3.0, None, -1.5, 0.0, math.nan, 7.0, 1e-300, 3.0, 1.0, math.inf, 0.0],
            "n": [5, -5, 0, None, 7, -7, 2, 3, 10**12, 1, -1, 4, 6],
            "s": ["", None, "red", "Green", "grün", "%", "it's", "a_b", " x", "red", "redred", "RED", "é"],
            "b": [True, False, None] * 4 + [True],
        }
    )
    exact, near = CARRIED_EXACTLY.split("; "), CARRIED_NEARLY.split("; ")
    from leverframe.features.spark.spark_rows import prepared_rows, read_rows

    timed = frame.with_columns(pl.lit("A").alias("k"), happened=pl.int_range(pl.len()), arrived=pl.int_range(pl.len()))
    timed.write_parquet(tmp_path / "in.parquet")
    view = FeatureView(name="v", expressions=tuple(Expression(name=f"f{i}", sql=q) for i, q in enumerate([*exact, *near])), **KEYS)
    ours = source_rows(view, timed.lazy()).select(view.features)
    prepared = prepared_rows(view, read_rows(spark, [tmp_path / "in.parquet"])).orderBy("__order").select(*view.features)
    prepared.coalesce(1).write.parquet(str(tmp_path / "out"))
    theirs = pl.read_parquet(tmp_path / "out" / "*.parquet")
    for number, sql in enumerate([*exact, *near]):
        mine, other = ours[f"f{number}"].to_list(), theirs[f"f{number}"].to_list()
        if number < len(exact):
            assert mine == other, sql
        else:
            assert [a is None for a in mine] == [b is None for b in other], sql
            assert all(a == b or math.isclose(a, b, rel_tol=1e-15) for a, b in zip(mine, other, strict=True) if a is not None), sql


def test_spark_refuses_by_name_what_it_cannot_compute_alike(spark: Any, tmp_path: Path) -> None:
    """Rather no training set than one with other values."""
    from leverframe.features.spark.spark_rows import read_rows
    from leverframe.features.spark.spark_training_set import spark_training_set

    nasty_rows().write_parquet(tmp_path / "rows.parquet")
    nasty_questions().write_parquet(tmp_path / "questions.parquet")
    rows, asked = read_rows(spark, [tmp_path / "rows.parquet"]), read_rows(spark, [tmp_path / "questions.parquet"])
    trimmed = (Expression(name="v", sql="length(trim(s))"),)
    for view, said in (
        (msgspec.structs.replace(NEWEST, expressions=trimmed), "TRIM"),
        (msgspec.structs.replace(NEWEST, embedded_only=True), "embedded engine alone"),
        (msgspec.structs.replace(NEWEST, transform="anything"), "embedded engine alone"),
    ):
        with pytest.raises(InvalidInput, match=said):
            spark_training_set(asked, "t", [(view, rows)])
    with pytest.raises(SchemaMismatch, match="key of another type"):
        spark_training_set(asked.withColumn("k", asked["question"]), "t", [(NEWEST, rows)])
