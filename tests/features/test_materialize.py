"""Batch materialisation: incremental, idempotent, and old or new when killed."""

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from leverframe.core.errors import InvalidInput
from leverframe.core.feature import Expression, FeatureView
from leverframe.features.declared.bindings import binding
from leverframe.features.declared.definitions import view_version
from leverframe.features.materialization.materialize import materialize
from leverframe.features.online.online import entity_keys
from leverframe.features.online.online_lmdb import LmdbOnlineStore
from leverframe.features.online.online_memory import MemoryOnlineStore

VIEW = FeatureView(name="w", source="s", entity=("k",), event_time="e", arrival_time="a", expressions=(Expression(name="v", sql="x"),))
SOURCE = pl.LazyFrame({"k": ["A", "B", "A"], "e": [1, 2, 8], "a": [1, 3, 9], "x": [1.0, 2.0, 3.0]})


def values(store: MemoryOnlineStore) -> list[float]:
    return np.nan_to_num(store.read(binding(VIEW), entity_keys([["A", "B"]]), 99).values[:, 0], nan=-1.0).tolist()


def test_only_what_changed_since_the_watermark_is_written() -> None:
    store = MemoryOnlineStore()
    done = [materialize(VIEW, SOURCE, store, at) for at in (2, 5, 5, 9)]
    assert [(d.entities, d.incremental, d.watermark_us) for d in done] == [(1, False, 2), (1, True, 5), (0, True, 5), (1, True, 9)]
    assert values(store) == [3.0, 2.0]
    meta = store.meta("w")
    assert meta is not None
    assert (meta.view_version, meta.newest_event_us, meta.newest_arrival_us) == (view_version(VIEW), 8, 9)


def test_the_store_does_not_go_back_unless_rewritten_in_full() -> None:
    store = MemoryOnlineStore()
    materialize(VIEW, SOURCE, store, 9)
    with pytest.raises(InvalidInput, match="--full"):
        materialize(VIEW, SOURCE, store, 2)
    assert values(store) == [3.0, 2.0]
    assert materialize(VIEW, SOURCE, store, 2, full=True).entities == 1
    assert values(store) == [1.0, -1.0]


_MATERIALIZE = """
import sys
from pathlib import Path
import polars as pl
from leverframe.core.feature import Expression, FeatureView
from leverframe.features.materialization.materialize import materialize
from leverframe.features.online.online_lmdb import LmdbOnlineStore

view = FeatureView(name="w", source="s", entity=("k",), event_time="e", arrival_time="a", expressions=(Expression(name="v", sql="x"),))
store = LmdbOnlineStore(Path(sys.argv[1]))
for turn in range(1, 100_000):
    source = pl.LazyFrame({"k": range(3_000), "e": [turn] * 3_000, "a": [turn] * 3_000, "x": [float(turn)] * 3_000})
    materialize(view, source, store, turn, full=True)
    print(turn, flush=True)
"""


@pytest.mark.parametrize("after_turns", [1, 4, 9])
def test_killed_in_the_middle_leaves_old_or_new_and_a_rerun_completes(tmp_path: Path, after_turns: int) -> None:
    """Half a materialisation would serve two moments side by side."""
    process = subprocess.Popen([sys.executable, "-c", _MATERIALIZE, str(tmp_path / "online")], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for _ in range(after_turns):
        process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    store = LmdbOnlineStore(tmp_path / "online")
    keys = entity_keys([list(range(3_000))])
    found = store.read(binding(VIEW), keys, 1)
    meta = store.meta("w")
    assert meta is not None
    assert set(found.values[:, 0].tolist()) == {float(meta.watermark_us)}
    assert meta.watermark_us >= after_turns
    again = pl.LazyFrame({"k": range(3_000), "e": [10**6] * 3_000, "a": [10**6] * 3_000, "x": [7.0] * 3_000})
    assert materialize(VIEW, again, store, 10**6).entities == 3_000
    assert set(store.read(binding(VIEW), keys, 1).values[:, 0].tolist()) == {7.0}
    store.close()
