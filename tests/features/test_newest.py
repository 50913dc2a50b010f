"""The newest known rows: the compiled engine and the one in numpy against a look at every row, and against each other to the last bit."""

import ctypes
import math
import shutil
import subprocess

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leverframe.core.feature import Expression, FeatureView
from leverframe.features.timelines import newest_c, newest_known
from leverframe.features.timelines.newest import Newest, NewestEngine, Seen
from leverframe.features.timelines.newest_c import CompiledNewest
from leverframe.features.timelines.newest_known import by_knowledge
from leverframe.features.timelines.newest_numpy import NumpyNewest
from leverframe.features.training_sets import compiled_timeline
from leverframe.features.training_sets.point_in_time import training_set

KEYS = 3
Row = tuple[int, int, int, float]
"""Key, event, arrival, value."""
Question = tuple[int, int]


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> CompiledNewest:
    """From the very source, whatever was installed."""
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))))
    library = tmp_path_factory.mktemp("newest") / "newest.so"
    flags = ("-std=gnu11", "-O3", "-fPIC", "-shared", "-Wall", "-Wextra", "-Werror")
    subprocess.run([compiler, *flags, "-o", library, newest_c.SOURCE, "-lm"], check=True, timeout=60)
    return CompiledNewest(ctypes.CDLL(str(library)))


rows_lists = st.lists(
    st.tuples(st.integers(0, KEYS - 1), st.integers(0, 12), st.integers(0, 12), st.integers(-9, 9).map(float)), max_size=30
)
questions_lists = st.lists(st.tuples(st.integers(-1, KEYS - 1), st.integers(-2, 16)), max_size=30)


def newest_of(engine: NewestEngine, rows: list[Row]) -> Newest:
    codes, event_us, arrival_us = (np.array([row[i] for row in rows], dtype=np.int64) for i in range(3))
    order = by_knowledge(np.maximum(event_us, arrival_us), event_us, arrival_us)
    return engine.take_over(codes, KEYS, event_us, arrival_us, order)


def answers_of(engine: NewestEngine, newest: Newest, rows: list[Row], asked: list[Question], ttl_us: int) -> tuple[np.ndarray, Seen]:
    """The values, and their negatives, of all questions but the first, whose place is left alone."""
    values = [np.array([sign * row[3] for row in rows], dtype=np.float64) for sign in (1, -1)]
    codes, moments_us = (np.array([question[i] for question in asked], dtype=np.int64) for i in range(2))
    block = np.full((2, len(asked)), math.inf)
    return block, engine.answer(newest, codes, moments_us, ttl_us, values, block, slice(1, len(asked)))


def by_hand(rows: list[Row], question: Question, ttl_us: int) -> tuple[int | None, float]:
    """The age of what is known then, if anything, and its value if that is within its TTL: the definition, word by word."""
    key, at_us = question
    known = [(event, arrival, place) for place, (k, event, arrival, _) in enumerate(rows) if k == key and max(event, arrival) <= at_us]
    if not known:
        return None, math.nan
    event, _, place = max(known)
    return at_us - event, math.nan if ttl_us and at_us - event >= ttl_us else rows[place][3]


@given(rows_lists, questions_lists, st.sampled_from([0, 1, 4]))
@settings(max_examples=250, deadline=None, derandomize=True)
def test_both_engines_say_what_a_look_at_every_row_says(
    compiled: CompiledNewest, rows: list[Row], asked: list[Question], ttl_us: int
) -> None:
    """A correction taken too early, another key's row, or a stale one would show here; questions come in any order."""
    newest = [newest_of(engine, rows) for engine in (compiled, NumpyNewest())]
    for name in ("starts", "from_us", "event_us", "place"):
        assert getattr(newest[0], name).tolist() == getattr(newest[1], name).tolist()
    found = [answers_of(engine, newest[0], rows, asked, ttl_us) for engine in (compiled, NumpyNewest())]
    assert found[0][0].tobytes() == found[1][0].tobytes()
    assert found[0][1] == found[1][1]
    assert np.isinf(found[0][0][:, :1]).all()
    expected = [by_hand(rows, question, ttl_us) for question in asked[1:]]
    np.testing.assert_array_equal(found[0][0][:, 1:], [[value for _, value in expected], [-value for _, value in expected]])
    ages = [age for age, value in expected if not math.isnan(value)]
    has_rows = {row[0] for row in rows}
    assert found[0][1] == Seen(
        known=sum(key in has_rows for key, _ in asked[1:]),
        found=sum(age is not None for age, _ in expected),
        alive=len(ages),
        age_us_min=min(ages, default=None),
        age_us_max=max(ages, default=None),
    )


@pytest.mark.parametrize("in_time", [True, False])
def test_more_questions_than_a_tile_and_a_long_history(compiled: CompiledNewest, *, in_time: bool) -> None:
    """Far steps onward and back within a key's rows, over the borders of tiles."""
    rng = np.random.default_rng(11)
    moments_us = rng.integers(0, 1_000_000, 9_001)
    moments_us = np.sort(moments_us) if in_time else moments_us
    codes, from_us = rng.integers(-1, 2, 9_001), np.sort(rng.choice(1_000_000, 4_000, replace=False))
    newest = Newest(
        np.array([0, 1_000, 4_000]),
        np.concatenate([from_us[::4], np.delete(from_us, slice(None, None, 4))]),
        from_us,
        np.arange(4_000),
        4_000,
    )
    values = [rng.normal(size=4_000)]
    blocks = np.empty((2, 1, 9_001))
    seen = [
        engine.answer(newest, codes, moments_us, 0, values, block, slice(0, 9_001))
        for engine, block in zip((compiled, NumpyNewest()), blocks, strict=True)
    ]
    assert blocks[0].tobytes() == blocks[1].tobytes()
    assert seen[0] == seen[1]
    assert seen[0].alive > 5_000


def test_ages_across_all_of_time_wrap_as_numpy_s_do(compiled: CompiledNewest) -> None:
    """Signed overflow would be undefined in C: an event at the beginning of time is as old as numpy says."""
    ends = np.iinfo(np.int64)
    newest = Newest(np.array([0, 1]), np.array([0]), np.array([ends.min]), np.array([0]), 1)
    seen = [
        engine.answer(newest, np.array([0]), np.array([ends.max]), 5, [np.ones(1)], np.empty((1, 1)), slice(0, 1))
        for engine in (compiled, NumpyNewest())
    ]
    assert seen[0] == seen[1]


def test_numbers_that_would_read_past_the_arrays_are_refused_before_the_call(compiled: CompiledNewest) -> None:
    newest = Newest(np.array([0, 1]), np.array([0]), np.array([0]), np.array([0]), 1)
    one = np.zeros(1, dtype=np.int64)
    block = np.empty((1, 1))
    with pytest.raises(AssertionError, match="keys are numbered"):
        compiled.answer(newest, one + 1, one, 0, [np.ones(1)], block, slice(0, 1))
    with pytest.raises(AssertionError, match="a value a place"):
        compiled.answer(newest, one, one, 0, [np.ones(0)], block, slice(0, 1))
    with pytest.raises(AssertionError, match="an answer a question"):
        compiled.answer(newest, one, one, 0, [np.ones(1)], np.empty((1, 2)), slice(0, 1))
    with pytest.raises(AssertionError, match="rows are of known keys"):
        compiled.take_over(one + 1, 1, one, one, None)
    with pytest.raises(AssertionError, match="lie side by side"):
        Newest(np.array([0, 2]), one, one, one, 1)
    with pytest.raises(AssertionError, match="among the places"):
        Newest(np.array([0, 1]), one, one, one, 0)


def test_a_training_set_is_the_same_without_a_compiler_and_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """One view of many questions is answered by several threads, each with its own; without a compiler numpy does it."""
    view = FeatureView(
        name="n", source="s", entity=("k",), event_time="e", arrival_time="a", expressions=(Expression(name="v", sql="x"),), ttl_us=40
    )
    rng = np.random.default_rng(4)
    source = pl.LazyFrame(
        {"k": rng.integers(0, 5, 300), "e": rng.integers(0, 200, 300), "a": rng.integers(0, 220, 300), "x": rng.normal(size=300)}
    )
    questions = pl.DataFrame({"k": rng.integers(0, 6, 1_000), "t": rng.integers(-5, 230, 1_000)})
    whole = training_set(questions, "t", [(view, source)])
    assert 0 < whole.matches[0].matched < 1_000
    monkeypatch.setattr(compiled_timeline, "PART_ROWS_MIN", 100)
    parts = training_set(questions, "t", [(view, source)])
    monkeypatch.setattr(compiled_timeline, "newest_engine", NumpyNewest)
    monkeypatch.setattr(newest_known, "newest_engine", NumpyNewest)
    plain = training_set(questions, "t", [(view, source)])
    assert whole.frame.equals(parts.frame)
    assert whole.frame.equals(plain.frame)
    assert whole.matches == parts.matches == plain.matches
