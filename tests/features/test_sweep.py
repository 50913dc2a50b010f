"""Sweeps: the compiled engine and the one in numpy against a look at every row, and against each other to the last bit."""

import ctypes
import math
import shutil
import subprocess
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leverframe.features.timelines import sweep_c
from leverframe.features.timelines.deviation import deviation
from leverframe.features.timelines.sweep import Points, Room, Sweep, SweepEngine, sweep_of
from leverframe.features.timelines.sweep_c import CompiledSweeps, sweep_engine
from leverframe.features.timelines.sweep_numpy import NumpySweeps

Array = npt.NDArray[Any]
SUMS = ("count", "share", "sum", "mean", "std")


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> CompiledSweeps:
    """From the very source, whatever was installed."""
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))))
    library = tmp_path_factory.mktemp("sweep") / "sweep.so"
    flags = (
        "-std=gnu11",
        "-O3",
        "-fPIC",
        "-shared",
        "-ffp-contract=off",
        "-fno-math-errno",
        "-fno-trapping-math",
        "-Wall",
        "-Wextra",
        "-Werror",
    )
    subprocess.run([compiler, *flags, "-o", library, sweep_c.SOURCE, "-lm"], check=True, timeout=60)
    return CompiledSweeps(ctypes.CDLL(str(library)))


row = st.tuples(st.integers(0, 30), st.integers(1, 12), st.integers(-9, 9), st.booleans())
rows_lists = st.lists(row, max_size=30)
points_lists = st.lists(st.integers(-2, 45), max_size=20).map(sorted)
sizes = st.sampled_from([1, 10**9, 3 * 10**16])
"""Thirty of the last ones, times nine, are just what millionths may add up to."""


def come_and_leave(rows: list[tuple[int, int, int, bool]], *, in_order: bool) -> tuple[np.ndarray, np.ndarray]:
    come = np.array(sorted(r[0] for r in rows), dtype=np.int64)
    return come, come + (5 if in_order else np.array([r[1] for r in rows], dtype=np.int64))


def points_at(at: list[int]) -> Points:
    """Answers go to every second place, from the last one back."""
    return Points(np.array(at, dtype=np.int64), np.arange(len(at), dtype=np.int64)[::-1] * 2, 2 * len(at))


@given(rows_lists, points_lists, sizes, st.booleans(), st.booleans())
@settings(max_examples=150, deadline=None, derandomize=True)
def test_both_engines_say_what_a_look_at_every_row_says(
    compiled: CompiledSweeps, rows: list[tuple[int, int, int, bool]], at: list[int], size: int, in_order: bool, some_missing: bool
) -> None:
    """A row counted too long, an overflow of squares, or a bit of difference between the engines would show here."""
    come, leave = come_and_leave(rows, in_order=in_order)
    whole = np.array([r[2] * size for r in rows], dtype=np.int64)
    there = np.array([r[3] for r in rows], dtype=np.bool_) if some_missing else None
    data = whole, there, np.abs(whole // size), whole / 7.0, np.argsort([r[1] for r in rows], kind="stable")
    found = [every_answer(engine, sweep_of(engine, come, leave, points_at(at)), *data) for engine in (compiled, NumpySweeps())]
    assert found[0].tobytes() == found[1].tobytes()
    assert np.isneginf(found[0][:, 1::2]).all()  # places of no point are left alone
    for point, place in zip(at, range(2 * len(at) - 2, -1, -2), strict=True):
        inside = [i for i in range(len(rows)) if come[i] <= point < leave[i]]
        np.testing.assert_array_equal(found[0][:, place], by_hand(inside, *data))


def every_answer(
    engine: SweepEngine, sweep: Sweep, whole: Array, there: Array | None, groups: Array, values: Array, recency: Array
) -> Array:
    block, room = np.full((9, sweep.points.places), -np.inf), Room()
    engine.sums(sweep, whole, there, dict(zip(SUMS, block[:5], strict=True)), room)
    engine.extreme(sweep, values, there, 1.0, block[5], room)
    engine.extreme(sweep, values, there, -1.0, block[6], room)
    engine.last(sweep, recency, values, there, block[7], room)
    engine.distinct(sweep, groups, there, block[8], room)
    return block


def by_hand(inside: list[int], whole: Array, there: Array | None, groups: Array, values: Array, recency: Array) -> list[float]:
    those = [i for i in inside if there is None or there[i]]
    numbers = [int(whole[i]) for i in those]
    return [
        len(those),
        len(those) / len(inside) if inside else math.nan,
        sum(numbers) / 1e6,
        sum(numbers) / 1e6 / len(those) if those else math.nan,
        deviation(len(those), sum(numbers), sum(x * x for x in numbers)),
        max((values[i] for i in those), default=math.nan),
        min((values[i] for i in those), default=math.nan),
        values[max(those, key=recency.__getitem__)] if those else math.nan,
        len({int(groups[i]) for i in those}),
    ]


@given(st.lists(st.integers(0, 40), max_size=60).map(sorted), st.lists(st.integers(-3, 45), max_size=60).map(sorted))
@settings(max_examples=150, deadline=None, derandomize=True)
def test_numbers_are_counted_up_to_each_point(compiled: CompiledSweeps, numbers: list[int], at: list[int]) -> None:
    """Several merges run side by side: one that began or ended beside its part would count wrongly here."""
    expected = [sum(number <= point for number in numbers) for point in at]
    for engine in (compiled, NumpySweeps()):
        assert engine.before(np.array(numbers, dtype=np.int64), np.array(at, dtype=np.int64)).tolist() == expected


@pytest.mark.parametrize("in_order", [True, False])
@pytest.mark.parametrize("rows", [15, 16, 17, 100, 5_000])
def test_windows_of_any_length_are_compared_whole(compiled: CompiledSweeps, rows: int, in_order: bool) -> None:
    """Rows are compared by blocks and runs of blocks: one left out at an edge would be found here."""
    rng = np.random.default_rng(rows)
    come = np.sort(rng.integers(0, 3 * rows, rows))
    leave = come + (2 * rows if in_order else rng.integers(1, 3 * rows, rows))
    points, values = Points(np.arange(-5, 7 * rows), None, 7 * rows + 5), rng.normal(size=rows)
    for sign in (1.0, -1.0):
        out, again = np.empty(points.places), np.empty(points.places)
        compiled.extreme(sweep_of(compiled, come, leave, points), values, None, sign, out, Room())
        NumpySweeps().extreme(sweep_of(NumpySweeps(), come, leave, points), values, None, sign, again, Room())
        assert out.tobytes() == again.tobytes()
        best = [max((sign * values[(come <= at) & (at < leave)]), default=math.nan) for at in points.at[:: rows // 5]]
        np.testing.assert_array_equal(sign * out[:: rows // 5], best)


def test_a_library_of_another_version_is_not_called(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its calls would read past their arguments."""
    monkeypatch.setattr(sweep_c, "INTERFACE", sweep_c.INTERFACE + 1)
    sweep_engine.cache_clear()
    try:
        assert isinstance(sweep_engine(), NumpySweeps)
    finally:
        sweep_engine.cache_clear()


def test_arrays_of_the_wrong_size_never_reach_the_library(compiled: CompiledSweeps) -> None:
    """It would read or write outside of them."""
    numbers = np.arange(3, dtype=np.int64)
    with pytest.raises(AssertionError, match="among the places"):
        Points(numbers, np.array([0, 1, 3]), 3)
    sweep = sweep_of(compiled, numbers, numbers + 1, Points(numbers, None, 3))
    with pytest.raises(AssertionError, match="a value a row"):
        compiled.sums(sweep, numbers[:2], None, {"sum": np.empty(3)}, Room())
    with pytest.raises(AssertionError, match="a value a row"):
        compiled.extreme(sweep, numbers.astype(np.float64), np.ones(2, dtype=np.bool_), 1.0, np.empty(3), Room())
    with pytest.raises(AssertionError, match="an answer a place"):
        compiled.extreme(sweep, numbers.astype(np.float64), None, 1.0, np.empty(2), Room())
    with pytest.raises(AssertionError, match="from zero"):
        compiled.distinct(sweep, numbers - 1, None, np.empty(3), Room())
    with pytest.raises(AssertionError, match="from zero"):
        compiled.last(sweep, numbers + 1, numbers.astype(np.float64), None, np.empty(3), Room())
