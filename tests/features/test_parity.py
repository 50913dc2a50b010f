"""P19, the feature half: what the online store serves is what the offline timeline says, on a random feed, through LMDB."""

from pathlib import Path

import numpy as np
import polars as pl

from leverframe.core.feature import Aggregate, Expression, FeatureView
from leverframe.features.declared.bindings import binding
from leverframe.features.online.online import entity_keys
from leverframe.features.online.online_lmdb import LmdbOnlineStore
from leverframe.features.parity_verdicts import judge
from leverframe.features.timelines.stream import ViewStream
from leverframe.features.timelines.timeline import timeline

MINUTE = 60_000_000
ENTITIES = [f"E{i}" for i in range(12)]
DELAYS = FeatureView(
    name="delays",
    source="s",
    entity=("k",),
    event_time="e",
    arrival_time="a",
    aggregates=tuple(
        Aggregate(name=f"{function}_{minutes}", function=function, column="x", window_us=minutes * MINUTE)
        for minutes in (30, 240)
        for function in ("mean", "count", "sum")
    ),
)
WEATHER = FeatureView(
    name="weather",
    source="s",
    entity=("k",),
    event_time="e",
    arrival_time="a",
    expressions=(Expression(name="x", sql="x"), Expression(name="ratio", sql="x / 3")),
    ttl_us=90 * MINUTE,
)


def feed(seed: int, rows: int = 3_000) -> pl.DataFrame:
    """Events over two days; one row in ten arrives hours late, one in twenty is a correction of an earlier event, some values miss."""
    rng = np.random.default_rng(seed)
    happened = rng.integers(0, 2 * 24 * 60, rows) * MINUTE
    happened[rng.random(rows) < 0.05] = happened[0]
    late = np.where(rng.random(rows) < 0.1, rng.integers(0, 300, rows), rng.integers(0, 3, rows)) * MINUTE
    x = np.where(rng.random(rows) < 0.05, np.nan, np.round(rng.normal(10, 30, rows), 2))
    return pl.DataFrame({"k": rng.choice(ENTITIES, rows), "e": happened, "a": happened + late, "x": x})


def served(view: FeatureView, source: pl.DataFrame, path: Path, shift_us: int = 0) -> pl.DataFrame:
    """Every entity read from LMDB at 850 moments; ``shift_us`` moves the feed, to see a fault found."""
    store = LmdbOnlineStore(path)
    stream = ViewStream(view, store)
    stream.push(source.with_columns(pl.col("a") + shift_us))
    keys = entity_keys([[*ENTITIES, "unknown"]])
    moments = np.sort(np.random.default_rng(1).choice(2 * 24 * 60, 850, replace=False)) * MINUTE
    frames = []
    for at in moments.tolist():
        stream.advance(at)
        read = store.read(binding(view), keys, at)
        frames.append(
            pl.DataFrame(read.values.copy(), schema=list(view.features)).with_columns(
                k=pl.Series([*ENTITIES, "unknown"]), t=pl.lit(at, pl.Int64)
            )
        )
    store.close()
    return pl.concat(frames)


def questions(view: FeatureView, source: pl.DataFrame, path: Path, shift_us: int = 0) -> pl.DataFrame:
    """What was served, as the log has it."""
    found = served(view, source, path, shift_us).rename({"t": "asked_us"})
    return found.with_columns(pl.format("p-{}", pl.int_range(pl.len())).alias("prediction"))


def test_ten_thousand_rows_served_online_equal_the_offline_timeline_bit_for_bit(tmp_path: Path) -> None:
    source = feed(3)
    for view in (DELAYS, WEATHER):
        verdicts = judge(view, timeline(view, source.lazy()), questions(view, source, tmp_path / view.name), lag_us=0)
        assert [verdict.feature for verdict in verdicts] == [*view.features]
        assert {(verdict.answer, verdict.cells, verdict.equal) for verdict in verdicts} == {("pass", 850 * 13, 850 * 13)}


def test_a_feed_five_minutes_late_is_found_with_examples(tmp_path: Path) -> None:
    """The negative control: parity must be able to fail."""
    source = feed(3)
    wrong = judge(DELAYS, timeline(DELAYS, source.lazy()), questions(DELAYS, source, tmp_path / "late", 5 * MINUTE), lag_us=0)[0]
    assert wrong.answer == "fail"
    assert wrong.cells - wrong.equal > 1_000
    assert wrong.examples[0].served != wrong.examples[0].offline
    assert wrong.examples[0].asked_at_us % MINUTE == 0


def test_a_value_that_held_a_moment_ago_is_late_and_one_that_never_did_is_wrong(tmp_path: Path) -> None:
    """A store that is brought forward every five minutes is not skewed; one that holds another number is."""
    source, line = feed(3), timeline(WEATHER, feed(3).lazy())
    asked = questions(WEATHER, source, tmp_path / "late", 5 * MINUTE)
    patient = judge(WEATHER, line, asked, lag_us=6 * 60 * MINUTE)
    assert {v.answer for v in patient} == {"pass"}
    assert all(v.late > 100 for v in patient)
    assert {v.answer for v in judge(WEATHER, line, asked, lag_us=0)} == {"fail"}
    spoiled = asked.with_columns(pl.when(pl.col("x").is_not_nan()).then(pl.col("x") + 0.5).otherwise(pl.col("x")).alias("x"))
    x, ratio = judge(WEATHER, line, spoiled, lag_us=6 * 60 * MINUTE)
    assert (x.feature, x.answer, ratio.answer) == ("x", "fail", "pass")
    assert x.wrong_share > 0.2
    assert x.examples[0].served is not None
    assert x.examples[0].prediction.startswith("p-")
    hidden = judge(WEATHER, line, spoiled, lag_us=0, masked=frozenset({"x"}))[0].examples[0]
    assert (hidden.served, hidden.offline, hidden.masked) == (None, None, True)


def test_what_the_model_is_fed_for_nothing_is_no_skew_and_few_cells_decide_nothing(tmp_path: Path) -> None:
    source, line = feed(3), timeline(WEATHER, feed(3).lazy())
    asked = questions(WEATHER, source, tmp_path / "x").with_columns(pl.col("x").fill_nan(-99.0))
    assert judge(WEATHER, line, asked, lag_us=0)[0].answer == "fail"
    assert judge(WEATHER, line, asked, lag_us=0, defaults={"x": -99.0})[0].answer == "pass"
    assert judge(WEATHER, line, asked.head(20), lag_us=0, defaults={"x": -99.0})[0].answer == "inconclusive"
