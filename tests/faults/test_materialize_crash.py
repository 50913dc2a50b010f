"""``kill -9`` at random moments of a materialisation: a reader finds the old values or the new ones, never both; LMDB and Redis."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from leverframe.core.feature import Expression, FeatureView
from leverframe.features.declared.bindings import binding
from leverframe.features.online.online import OnlineStore, entity_keys
from leverframe.features.online.online_address import open_for_writing

VIEW = FeatureView(name="w", source="s", entity=("k",), event_time="e", arrival_time="a", expressions=(Expression(name="v", sql="x"),))
ENTITIES = 12_000
KILLS = 8

_MATERIALIZE = """
import sys
from pathlib import Path
import polars as pl
from leverframe.core.feature import Expression, FeatureView
from leverframe.features.materialization.materialize import materialize, write_slices
from leverframe.features.online.online import NEVER_US
from leverframe.features.online.online_address import open_for_writing
from leverframe.features.materialization.slices import compute, key_ranges

view = FeatureView(name="w", source="s", entity=("k",), event_time="e", arrival_time="a", expressions=(Expression(name="v", sql="x"),))
url, folder, how, first, entities = sys.argv[1], Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
store = open_for_writing(url, folder)
for turn in range(first, first + 100_000):
    source = pl.LazyFrame({"k": range(entities), "e": [turn] * entities, "a": [turn] * entities, "x": [float(turn)] * entities})
    if how == "whole":
        parts = [compute(view, source, part) for part in key_ranges(view, source, turn, 4)]
        write_slices(view, parts, store, turn, since_us=NEVER_US)
    else:
        for part in key_ranges(view, source, turn, 4):
            held = store.meta("w")
            write_slices(view, [compute(view, source, part)], store, turn, since_us=held.watermark_us if held else NEVER_US)
    print(turn, flush=True)
"""


def _killed(url: str, folder: Path, how: str, first: int, chance: random.Random) -> int:
    """Materialise over and over until a kill at a random moment; returns how many turns were whole by then."""
    about = [sys.executable, "-c", _MATERIALIZE, url, str(folder), how, str(first), str(ENTITIES)]
    process = subprocess.Popen(about, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    whole = int(process.stdout.readline())
    time.sleep(chance.uniform(0.0, 0.12))
    process.send_signal(signal.SIGKILL)
    process.wait()
    whole = max([whole, *map(int, process.stdout.read().split())])
    process.stdout.close()
    return whole


def _found(store: OnlineStore) -> tuple[set[float], int]:
    meta = store.meta("w")
    assert meta is not None
    return set(store.read(binding(VIEW), entity_keys([list(range(ENTITIES))]), 1).values[:, 0].tolist()), meta.watermark_us


@pytest.mark.parametrize("where", ["lmdb", "redis"])
@pytest.mark.slow
def test_old_or_new_at_every_kill(tmp_path: Path, where: str, request: pytest.FixtureRequest) -> None:
    """Half a materialisation serves two moments side by side."""
    url: Any = request.getfixturevalue("redis_url") if where == "redis" else ""
    chance, whole = random.Random(7), 0
    for _ in range(KILLS):
        whole = _killed(url, tmp_path / "online", "whole", whole + 1, chance)
        store = open_for_writing(url, tmp_path / "online")
        values, watermark_us = _found(store)
        store.close()
        assert values == {float(watermark_us)}, "two moments side by side"
        assert watermark_us >= whole, "what had been acknowledged is lost"
        whole = watermark_us


@pytest.mark.slow
def test_negative_control_written_part_by_part_a_kill_leaves_a_mixture(tmp_path: Path) -> None:
    chance, whole, mixed = random.Random(7), 0, 0
    for _ in range(4 * KILLS):
        whole = _killed("", tmp_path / "online", "parts", whole + 1, chance)
        store = open_for_writing("", tmp_path / "online")
        values, whole = _found(store)
        store.close()
        mixed += len(values) > 1
        if mixed:
            break
    assert mixed, "no kill left a mixture: the test above proves nothing"
