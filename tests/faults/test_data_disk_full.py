"""P4 for data: a full disk refuses what would write, with cause and fix; what is there is still read; with room again the same works."""

import contextlib
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import pytest
from tests.apps.test_materializing import CONTRACT, DAILY, LATEST, readings
from tests.whole_program import issue_tokens, open_in_process, parquet

from leverframe.apps.platform.platform import Platform
from leverframe.apps.platform.views import MaterializeRequest
from leverframe.apps.platform.views.streams import OpenStreamRequest, StreamBatch
from leverframe.apps.settings import Settings
from leverframe.core.actor import Actor
from leverframe.core.clock import DAY_US, iso_from_us
from leverframe.core.errors import LeverframeError
from leverframe.data.streams.messages import StreamMessage
from leverframe.features.declared.bindings import binding
from leverframe.features.materialization.materialize import materialize
from leverframe.features.online.online import entity_keys
from leverframe.features.online.online_address import open_for_writing

SMALL_MB = 48
LARGE = 20_000
"""Readings of a file that does not fit into what is left."""
RECOVERS_S_MAX = 5.0


class Disk(NamedTuple):
    """Where the installation lives; ``full()`` is a context in which nothing more fits."""

    folder: Path
    full: Callable[[], Any]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SMALL_MB}m", "none", str(tmp_path)], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("nobody but root mounts a tmpfs")
    try:
        yield Disk(tmp_path, lambda: _ballast(tmp_path))
    finally:
        subprocess.run(["umount", "-l", str(tmp_path)], check=True)


@contextmanager
def _ballast(folder: Path) -> Iterator[None]:
    ballast = folder / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while file.write(b"x" * 512):
            pass
    try:
        yield
    finally:
        ballast.unlink()


class Made(NamedTuple):
    platform: Platform
    ana: Actor


@pytest.fixture
def made(disk: Disk) -> Iterator[Made]:
    platform = open_in_process(Settings(home=disk.folder / "home"))
    ana = platform.access.authenticate(issue_tokens(platform)["ana"])
    platform.data.apply_contract(ana, CONTRACT, key="contract")
    assert platform.data.ingest(ana, "readings", parquet(readings(5)), format="parquet", key="first").accepted
    for view in (LATEST, DAILY):
        platform.features.apply_view(ana, view, key=view.name)
    platform.materializing.start(ana, MaterializeRequest(names=("latest",)), key="m0")
    platform.streams.open(ana, "readings", "r", OpenStreamRequest(source="nats://h/readings"), key="open")
    yield Made(platform, ana)
    platform.close()


def row(day: float, sensor: str = "new") -> dict[str, Any]:
    at = int(1_704_067_200_000_000 + day * DAY_US)
    return {"sensor": sensor, "at": iso_from_us(at), "known": iso_from_us(at), "value": day}


def attempts(made: Made) -> dict[str, Callable[[], Any]]:
    """Everything of data that writes, each with its idempotency key."""
    import msgspec

    platform, ana = made
    more = readings(LARGE // 4).filter(pl.col("value") >= 5)
    message = StreamMessage("0:1", "", msgspec.json.encode(row(7.5)).decode())
    return {
        "append": lambda: platform.data.ingest(ana, "readings", parquet(more), format="parquet", key="append", append=True),
        "push": lambda: platform.pushing.push(ana, "latest", (row(6.5),), key="push"),
        "stream": lambda: platform.streams.take(
            ana, "readings", "r", StreamBatch(after={}, upto={"0": "1"}, messages=(message,)), key="stream"
        ),
        "contract": lambda: platform.data.apply_contract(ana, CONTRACT.replace("1.0.0", "1.1.0"), key="contract 2"),
        "materialise": lambda: platform.materializing.start(ana, MaterializeRequest(names=("daily",)), key="m1"),
    }


def state(made: Made) -> tuple[Any, ...]:
    """What readers see."""
    platform = made.platform
    (dataset,) = platform.data.datasets()
    assert dataset.latest is not None
    values = platform.parts.online.read(binding(LATEST), entity_keys([["s0", "new"]]), platform.now_us()).values
    rows = platform.keeping.rows("readings")[1].collect().height
    return dataset.latest.digest, rows, dataset.contract_version, values.tolist().__repr__()


def test_a_full_disk_refuses_with_cause_and_fix_and_what_is_there_is_read(disk: Disk, made: Made) -> None:
    before = state(made)
    with disk.full():
        for name, attempt in attempts(made).items():
            started = time.monotonic()
            with pytest.raises(LeverframeError) as refused:
                attempt()
            error = refused.value
            assert error.code == "unavailable", f"{name}: {error!r}"
            assert "free space" in error.next_step, name
            assert time.monotonic() - started < 10.0, f"{name}: it took long to say so"
            assert state(made) == before, f"{name}: something was changed"
    for name, attempt in attempts(made).items():
        started = time.monotonic()
        attempt()
        assert time.monotonic() - started < RECOVERS_S_MAX, f"{name}: it is not back"
    after = state(made)
    assert (after[1], after[2]) == (LARGE + 2, "1.1.0")
    keeping = made.platform.keeping
    assert all(keeping.verify("readings", each.snapshot.digest).intact for each in keeping.snapshots("readings"))
    assert list(disk.folder.rglob(".writing-*")) == [], "what was half written lies about"
    assert made.platform.audit.verify().ok
    assert made.platform.parts.online.meta("daily") is not None


def test_an_online_store_on_a_full_disk_keeps_its_old_values(disk: Disk) -> None:
    """Nobody reads half of what was being written when the disk filled up."""
    store = open_for_writing("", disk.folder / "online")

    def rows(value: float, entities: int, at: int) -> pl.LazyFrame:
        moments = pl.Series([at] * entities).cast(pl.Datetime("us", "UTC"))
        return pl.LazyFrame({"sensor": [f"s{n}" for n in range(entities)], "at": moments, "known": moments, "value": [value] * entities})

    def seen() -> list[float]:
        return store.read(binding(LATEST), entity_keys([[f"s{n}" for n in range(100)]]), 40).values[:, 0].tolist()  # type: ignore[no-any-return]

    materialize(LATEST, rows(1.0, 100, 1), store, 10)
    with disk.full():
        with pytest.raises(LeverframeError) as refused:
            materialize(LATEST, rows(2.0, 200_000, 20), store, 20)
        assert refused.value.code == "unavailable"
        assert "free space" in refused.value.next_step
        assert seen() == [1.0] * 100
    assert seen() == [1.0] * 100
    materialize(LATEST, rows(2.0, 1_000, 30), store, 30)
    assert seen() == [2.0] * 100
    store.close()
