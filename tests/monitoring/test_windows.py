import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.monitoring.world import ENDPOINT, START_US, VERSION, answer, day_of_answers, label, rows, shape

from leverframe.core.clock import HOUR_US
from leverframe.core.errors import InvalidInput
from leverframe.core.statistics.binning import count_bins
from leverframe.monitoring.fold import Windows
from leverframe.monitoring.windows import Window

SHAPE = shape()


def _folded(batches: list) -> Windows:
    windows = Windows(lambda endpoint, version: SHAPE if version == VERSION else None)
    windows.switch_off(ENDPOINT, ("weather_temp",))
    for batch in batches:
        windows.fold(batch)
    return windows


def _state(windows: Windows) -> dict:
    hours = windows.hours(ENDPOINT, VERSION)
    return {hour: [getattr(w, name).tolist() for name in Window.__slots__ if name != "shape"] for hour, w in hours.items()}


def _records(seed: int) -> list:
    rng = np.random.default_rng(seed)
    records = day_of_answers(rng, START_US, per_hour=6, hours=5, frozen=bool(seed % 2))
    matrix, scores = rows(rng, 8)
    records.append(answer("two-rows", START_US, matrix[:2], scores[:2], disabled=1))
    records += [label("two-rows", START_US, 1.0, row=1), label("two-rows", START_US, 1.0, row=1), label("two-rows", START_US, 0.0)]
    records.append(answer("off", START_US, np.array([1.0, np.nan, 2.0]), [0.4], disabled=1))
    records.append(answer("failed", START_US, matrix[2], [], status="error"))
    records.append(answer("constant", START_US, matrix[2], [0.2], status="fallback"))
    records.append(answer("unseen", START_US, matrix[3], [0.3], role="shadow"))
    records.append(answer("broken", START_US, matrix[:2], [0.3]))
    records.append(label("nobody", START_US, 1.0))
    return records


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 5), cuts=st.lists(st.integers(0, 75), max_size=6), shuffle=st.booleans())
def test_any_split_of_the_records_gives_the_same_counts(seed: int, cuts: list[int], shuffle: bool) -> None:
    records = _records(seed)
    whole = _state(_folded([records]))
    if shuffle:
        records = [records[i] for i in np.random.default_rng(seed).permutation(len(records))]
        whole = _state(_folded([records]))
    edges = [0, *sorted(cuts), len(records)]
    assert _state(_folded([records[a:b] for a, b in itertools.pairwise(edges)])) == whole


def test_hours_add_up_to_direct_counts() -> None:
    rng = np.random.default_rng(3)
    records = day_of_answers(rng, START_US, per_hour=10, hours=6)
    window = _folded([records]).between(ENDPOINT, VERSION, START_US, START_US + 6 * HOUR_US)
    matrix = np.frombuffer(b"".join(r.features for r in records[::2])).reshape(-1, 3)
    for index, column in enumerate(SHAPE.profile.columns):
        expected = count_bins(matrix[:, index], column.edges, column.low, column.high)
        assert window.column(index).tolist() == expected.tolist()
    assert (window.count("requests"), window.count("rows"), window.count("labels")) == (60, 60, 60)
    scores = np.array([r.outputs[0] for r in records[::2]])
    labels = np.array([r.label for r in records[1::2]])
    assert window.losses[0] / 1e9 == pytest.approx(float(((scores - labels) ** 2).sum()), abs=1e-6)
    assert window.latency_us(0.99) >= 900


def test_each_kind_of_answer_is_tallied_where_it_belongs() -> None:
    windows = _folded([_records(0)])
    window = windows.between(ENDPOINT, VERSION, START_US, START_US + HOUR_US)
    tally = {name: window.count(name) for name in ("errors", "fallbacks", "shadows", "malformed", "requests", "rows")}
    assert tally == {"errors": 1, "fallbacks": 1, "shadows": 1, "malformed": 1, "requests": 11, "rows": 9}
    assert window.disabled.tolist() == [0, 1, 0], "a value switched off on purpose is not a missing one"
    assert window.column(1)[-2] == 0
    assert windows.minutes[ENDPOINT].between(START_US, START_US + HOUR_US) == (9, 2)


def test_versions_do_not_mix() -> None:
    with pytest.raises(InvalidInput):
        Window(SHAPE).add(Window(shape(version="flight-delay@v2", days=20)))


def test_bounds_hold() -> None:
    windows = Windows(lambda endpoint, version: SHAPE, hours_max=4, pending_max=10)
    windows.fold(day_of_answers(np.random.default_rng(1), START_US, per_hour=3, hours=9)[::2])
    assert len(windows.hours(ENDPOINT, VERSION)) == 4
    assert windows.unlabelled == 17
    windows.fold([label(f"x{i}", START_US, 1.0) for i in range(30)])
    assert windows.orphans == 20


def test_an_unknown_version_is_counted_and_not_looked_into() -> None:
    windows = _folded([[answer("a", START_US, np.zeros(3), [0.5], version="other@v9")]])
    assert (windows.unknown, windows.versions(ENDPOINT)) == (1, ())
