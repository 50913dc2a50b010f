"""Sweeps: the compiled engine and the one in numpy against a look at every row, and against each other to the last bit."""

import ctypes
import math
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leverframe.features.timelines import sweep_c
from leverframe.features.timelines.deviation import deviation
from leverframe.features.timelines.sweep import Sweep, SweepEngine
from leverframe.features.timelines.sweep_c import CompiledSweeps, sweep_engine
from leverframe.features.timelines.sweep_numpy import NumpySweeps

SOURCE = Path(sweep_c.__file__).with_name("sweep.c")
SUMS = ("count", "share", "sum", "mean", "std")


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> CompiledSweeps:
    """From the very source, whatever was installed."""
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))))
    library = tmp_path_factory.mktemp("sweep") / sweep_c.LIBRARY
    flags = ("-std=gnu11", "-O2", "-fPIC", "-shared", "-ffp-contract=off", "-Wall", "-Wextra", "-Werror")
    subprocess.run([compiler, *flags, "-o", library, SOURCE, "-lm"], check=True, timeout=60)
    return CompiledSweeps(ctypes.CDLL(str(library)))


row = st.tuples(st.integers(0, 30), st.integers(1, 12), st.integers(-9, 9), st.booleans())
rows_lists = st.lists(row, max_size=30)
points_lists = st.lists(st.integers(-2, 45), max_size=20).map(sorted)
sizes = st.sampled_from([1, 10**9, 3 * 10**16])
"""Thirty of the last ones, times nine, are just what millionths may add up to."""


def sweep_of(rows: list[tuple[int, int, int, bool]], at: list[int], *, in_order: bool) -> Sweep:
    come = np.array(sorted(r[0] for r in rows), dtype=np.int64)
    leave = come + (5 if in_order else np.array([r[1] for r in rows], dtype=np.int64))
    # Answers go to every second place, from the last one back.
    place = np.arange(len(at), dtype=np.int64)[::-1] * 2
    return Sweep(come, leave, np.array(at, dtype=np.int64), place, 2 * len(at))


@given(rows_lists, points_lists, sizes, st.booleans(), st.booleans())
@settings(max_examples=150, deadline=None, derandomize=True)
def test_both_engines_say_what_a_look_at_every_row_says(
    compiled: CompiledSweeps, rows: list[tuple[int, int, int, bool]], at: list[int], size: int, in_order: bool, some_missing: bool
) -> None:
    """A row counted too long, an overflow of squares, or a bit of difference between the engines would show here."""
    sweep = sweep_of(rows, at, in_order=in_order)
    whole = np.array([r[2] * size for r in rows], dtype=np.int64)
    there = np.array([r[3] for r in rows], dtype=np.bool_) if some_missing else None
    groups, values = np.abs(whole // size), whole / 7.0
    found = [every_answer(engine, sweep, whole, there, groups, values) for engine in (compiled, NumpySweeps())]
    assert found[0].tobytes() == found[1].tobytes()
    assert np.isneginf(found[0][:, 1::2]).all()  # places of no point are left alone
    for point, place in zip(at, range(2 * len(at) - 2, -1, -2), strict=True):
        inside = [i for i in range(len(rows)) if sweep.come[i] <= point < sweep.leave[i]]
        np.testing.assert_array_equal(found[0][:, place], [*by_hand(inside, whole, there, groups, values), (sweep.come <= point).sum()])


def every_answer(
    engine: SweepEngine, sweep: Sweep, whole: np.ndarray, there: np.ndarray | None, groups: np.ndarray, values: np.ndarray
) -> np.ndarray:
    block = np.full((9, sweep.places), -np.inf)
    engine.sums(sweep, whole, there, dict(zip(SUMS, block[:5], strict=True)))
    engine.greatest(sweep, values, values, block[5])
    engine.greatest(sweep, -values, values, block[6])
    engine.distinct(sweep, groups, block[7])
    block[8, sweep.place] = engine.before(sweep.come, sweep.at)
    return block


def by_hand(inside: list[int], whole: np.ndarray, there: np.ndarray | None, groups: np.ndarray, values: np.ndarray) -> list[float]:
    those = [i for i in inside if there is None or there[i]]
    numbers = [int(whole[i]) for i in those]
    return [
        len(those),
        len(those) / len(inside) if inside else math.nan,
        sum(numbers) / 1e6,
        sum(numbers) / 1e6 / len(those) if those else math.nan,
        deviation(len(those), sum(numbers), sum(x * x for x in numbers)),
        max((values[i] for i in inside), default=math.nan),
        min((values[i] for i in inside), default=math.nan),
        len({int(groups[i]) for i in inside}),
    ]


def test_many_rows_long_apart_are_passed_over(compiled: CompiledSweeps) -> None:
    """A question long after the last one must not walk through all rows in between, and must not keep what they added up to."""
    come = np.arange(100_000, dtype=np.int64)
    sweep = Sweep(come, come + 10, np.array([5, 50_000, 99_999, 200_000]), None, 4)
    block = every_answer(compiled, sweep, come, None, come % 3, come.astype(np.float64))
    assert block[0].tolist() == [6, 10, 10, 0]
    assert block[2].tolist() == [15 / 1e6, sum(range(49_991, 50_001)) / 1e6, sum(range(99_990, 100_000)) / 1e6, 0.0]
    assert block[5].tolist()[:3] == [5.0, 50_000.0, 99_999.0]
    assert block[6].tolist()[:3] == [0.0, 49_991.0, 99_990.0]
    assert np.isnan(block[5:7, 3]).all()


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
        Sweep(numbers, numbers + 1, numbers, np.array([0, 1, 3]), 3)
    sweep = Sweep(numbers, numbers + 1, numbers, None, 3)
    with pytest.raises(AssertionError, match="a value a row"):
        compiled.sums(sweep, numbers[:2], None, {"sum": np.empty(3)})
    with pytest.raises(AssertionError, match="an answer a place"):
        compiled.greatest(sweep, numbers.astype(np.float64), numbers.astype(np.float64), np.empty(2))
    with pytest.raises(AssertionError, match="from zero"):
        compiled.distinct(sweep, numbers - 1, np.empty(3))
