"""P34: a clock that is set back, forward or stands still loses no write, breaks no chain, ends no lease and deletes nothing."""

import dataclasses
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.apps.data_streams import ANA, opened, trip
from tests.apps.test_materializing import CONTRACT, LATEST, HeldBack, readings
from tests.governance.levers import ALICE, HANDLERS, KIND_LEVER, AddToLever, Lever
from tests.whole_program import issue_tokens, parquet

from leverframe.apps.data_loop import RETENTION_EVERY_S, DataLoop
from leverframe.apps.platform.platform import Platform
from leverframe.apps.platform.views import MaterializeRequest
from leverframe.apps.settings import Settings
from leverframe.apps.wiring import open_parts
from leverframe.core.clock import DAY_US, HOUR_US, ManualClock
from leverframe.core.errors import Conflict
from leverframe.data.retention.retention import Retention
from leverframe.governance.ledger.memory import AllowEverything
from leverframe.governance.ledger.store import Ledger
from leverframe.governance.signing import SigningKey, TrustStore

NOW_US = 1_764_000_000_000_000
YEAR_US = 365 * DAY_US
JUMPS_US = (HOUR_US, -HOUR_US, 10 * YEAR_US, -10 * YEAR_US, 0, 0, 1)


def set_clock(platform: Platform, clock: ManualClock) -> None:
    """Every part of an installation by one clock that tests move."""
    object.__setattr__(platform.parts, "clock", clock)
    platform.parts.ledger._clock = clock
    platform.parts.ledger._machine_clock = clock


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'ledger.db'}" if request.param == "sqlite" else request.getfixturevalue("postgresql_url")


def test_every_write_counts_once_and_the_chain_holds_whatever_the_clock_says(url: str) -> None:
    clock, chance = ManualClock(NOW_US), random.Random(34)
    ledger = Ledger(url, clock, AllowEverything(), HANDLERS, machine_clock=clock)
    for number in range(60):
        clock.advance(chance.choice(JUMPS_US))
        receipt = ledger.write(ALICE, AddToLever(name="a"), key=str(number))
        assert (receipt.seq, receipt.result) == (number + 1, number + 1)
        if chance.random() < 0.3:
            clock.advance(chance.choice(JUMPS_US))
            assert ledger.write(ALICE, AddToLever(name="a"), key=str(number)).seq == number + 1, "repeated under its key it counted twice"
    current = ledger.get(KIND_LEVER, "a", Lever)
    assert current is not None
    assert current.position == 60, "the newest record is not the last one written"
    key = SigningKey.generate()
    report = ledger.verify(TrustStore([key.public_pem]), [ledger.checkpoint(key)])
    assert report.ok, report
    assert [revision.record.position for revision in ledger.history(KIND_LEVER, "a", Lever) if revision.record] == list(range(1, 61))
    for at_us in (0, NOW_US, NOW_US + 20 * YEAR_US):
        held = ledger.get(KIND_LEVER, "a", Lever, at_us=at_us)
        assert held is None or 1 <= held.position <= 60
    ledger.close()


@pytest.fixture
def trips(tmp_path: Path) -> Iterator[tuple[Platform, ManualClock]]:
    platform, clock = opened(tmp_path / "home"), ManualClock(NOW_US)
    set_clock(platform, clock)
    yield platform, clock
    platform.close()


def test_rows_that_come_while_the_clock_jumps_stand_in_the_order_they_came(trips: tuple[Platform, ManualClock]) -> None:
    platform, clock = trips
    for number, jump_us in enumerate(JUMPS_US * 2):
        clock.advance(jump_us)
        became = platform.data.ingest(ANA, "trips", trip(number), format="jsonl", key=f"k{number}", append=number > 0)
        assert became.accepted
        latest = platform.data.datasets()[0].latest
        assert latest is not None
        assert latest.rows == number + 1, "an older snapshot is taken for the newest"
    assert all(platform.keeping.verify("trips", each.snapshot.digest).intact for each in platform.keeping.snapshots("trips"))


def looks(loop: DataLoop, clock: ManualClock, seconds: list[float], upto_s: float) -> None:
    """Look once a minute while machine and clock run evenly."""
    while seconds[0] < upto_s:
        seconds[0] += 60.0
        clock.advance(60_000_000)
        loop.look()


def kept(platform: Platform) -> int:
    return len(platform.keeping.snapshots("trips"))


def prepared(platform: Platform, clock: ManualClock) -> None:
    for number in range(4):
        platform.data.ingest(ANA, "trips", trip(number), format="jsonl", key=f"k{number}", append=number > 0)
        clock.advance(2 * HOUR_US)
    platform.keeping.set_retention(ANA, Retention(dataset="trips", keep_last=1, keep_days=30), key="keep")
    assert kept(platform) == 4


@pytest.mark.parametrize("jump_us", [10 * YEAR_US, -10 * YEAR_US])
def test_a_clock_that_is_set_and_set_right_again_lets_nothing_go(trips: tuple[Platform, ManualClock], jump_us: int) -> None:
    platform, clock = trips
    prepared(platform, clock)
    seconds = [1_000.0]
    loop = DataLoop(platform.parts, lambda: seconds[0])
    looks(loop, clock, seconds, 1_500.0)
    clock.advance(jump_us)
    looks(loop, clock, seconds, 1_500.0 + RETENTION_EVERY_S - 120.0)
    assert kept(platform) == 4, "what was young was taken for old"
    clock.advance(-jump_us)
    looks(loop, clock, seconds, 1_500.0 + 4 * RETENTION_EVERY_S)
    assert kept(platform) == 4
    # Time that really passes lets go what it should.
    for _ in range(31 * 24 * 2):
        seconds[0] += 1_800.0
        clock.advance(HOUR_US // 2)
        loop.look()
    assert kept(platform) == 1


def test_negative_control_a_loop_that_trusts_the_clock_lets_young_snapshots_go(
    trips: tuple[Platform, ManualClock], monkeypatch: Any
) -> None:
    platform, clock = trips
    prepared(platform, clock)
    monkeypatch.setattr(DataLoop, "_jumped", lambda self, now_s: False)
    seconds = [1_000.0]
    loop = DataLoop(platform.parts, lambda: seconds[0])
    clock.advance(10 * YEAR_US)
    looks(loop, clock, seconds, 1_000.0 + RETENTION_EVERY_S)
    assert kept(platform) == 1


@pytest.mark.parametrize("jump_us", [HOUR_US, -HOUR_US, 10 * YEAR_US, -10 * YEAR_US])
def test_a_lease_is_ended_by_its_job_and_never_by_the_clock(tmp_path: Path, jump_us: int) -> None:
    parts = open_parts(Settings(home=tmp_path / "home"))
    parts.queue.close()
    queue = HeldBack()
    platform = Platform(dataclasses.replace(parts, queue=queue))  # type: ignore[arg-type]
    ana = platform.access.authenticate(issue_tokens(platform)["ana"])
    platform.data.apply_contract(ana, CONTRACT, key="contract")
    assert platform.data.ingest(ana, "readings", parquet(readings(3)), format="parquet", key="rows").accepted
    platform.features.apply_view(ana, LATEST, key="view")
    clock = ManualClock(platform.now_us())
    set_clock(platform, clock)
    (job,) = platform.materializing.start(ana, MaterializeRequest(names=("latest",)), key="1")
    clock.advance(jump_us)
    with pytest.raises(Conflict, match="under way"):
        platform.materializing.start(ana, MaterializeRequest(names=("latest",)), key="2")
    assert queue.work(platform.parts) == "done"
    assert platform.materializing.job(job.id).status == "done"
    platform.close()
