"""A stream's snapshots on a real installation in a folder: thinned, reported, and as of a moment."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import polars as pl
import pytest
from tests.apps.data_streams import ANA, UNKEYED, ids, opened, trip

from leverframe.apps.platform.keeping import Keeping
from leverframe.apps.platform.platform import Platform
from leverframe.apps.platform.thinning import Thinning
from leverframe.apps.platform.views.streams import OpenStreamRequest, StreamBatch
from leverframe.core.actor import PLATFORM
from leverframe.core.clock import DAY_US, HOUR_US, MINUTE_US, ManualClock
from leverframe.core.dataset import ContractReport, Snapshot
from leverframe.core.errors import Conflict, NotFound, Refused
from leverframe.data.commands import KIND_QUARANTINE, KIND_SNAPSHOT, Quarantine
from leverframe.data.snapshots.snapshot_names import KIND_COLLECTED, KIND_DOOMED, Collected, Doomed
from leverframe.data.streams.commands_thin import GatherAside, ThinBatches
from leverframe.data.streams.messages import StreamMessage
from leverframe.data.streams.thin import Thinned


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    made = opened(tmp_path, UNKEYED)
    clock = ManualClock(1000 * DAY_US)
    object.__setattr__(made.parts, "clock", clock)
    made.parts.ledger._clock = clock
    made.streams.open(ANA, "trips", "rows", OpenStreamRequest(source="nats://127.0.0.1:4222/rows"), key="open")
    yield made
    made.close()


def take(platform: Platform, first: int, count: int, every_us: int) -> list[str]:
    """Batches of one row, and one bad row in the first of them; the snapshots they left."""
    left = []
    for number in range(first, first + count):
        platform.parts.clock.advance(every_us)  # type: ignore[attr-defined]
        bad = [StreamMessage(f"0:{number}b", f"{number}b", "{")] if number == first else []
        messages = (StreamMessage(f"0:{number}", str(number), trip(number).decode()), *bad)
        after = {"0": str(number - 1)} if number else {}
        taken = platform.streams.take(
            ANA, "trips", "rows", StreamBatch(after=after, upto={"0": str(number)}, messages=messages), key=f"b{number}"
        )
        left.append(taken.snapshot)
    return left


def held(platform: Platform) -> list[Snapshot]:
    found = platform.parts.ledger.find(KIND_SNAPSHOT, Snapshot, prefix="trips/")
    return sorted(found, key=lambda each: each.created_at_us)


def test_an_hour_of_batches_becomes_one_snapshot_with_one_report_and_no_row_is_lost(platform: Platform) -> None:
    left = take(platform, 0, 50, MINUTE_US)
    assert {each.stream for each in held(platform)} == {"rows"}
    assert Thinning(platform.parts).apply_all() == 0, "nothing younger than an hour goes"
    platform.parts.clock.advance(HOUR_US)  # type: ignore[attr-defined]
    assert Thinning(platform.parts).apply_all() == 49
    (kept,) = held(platform)
    assert kept.digest == left[-1]
    assert ids(platform) == sorted(f"t{n}" for n in range(50))
    (report,) = platform.data.reports("trips")
    assert (report.report.rows, report.report.quarantined_rows) == (51, 1), "what was said of 50 batches is said in one report"
    assert {r.rule: r.failing_rows for r in report.report.results if not r.passed} == {"readable": 1}
    assert platform.keeping.verify("trips", kept.digest).intact
    assert Thinning(platform.parts).apply_all() == 0, "and again there is nothing to do"
    assert Keeping(platform.parts).collect() > 49
    assert platform.parts.ledger.find(KIND_DOOMED, Doomed) == []
    assert ids(platform) == sorted(f"t{n}" for n in range(50)), "no byte went that the rows need"


def test_a_day_of_batches_thinned_as_they_come_leaves_an_hour_of_them_and_one_for_each_before(platform: Platform) -> None:
    for hour in range(6):
        take(platform, hour * 12, 12, 5 * MINUTE_US)
        Thinning(platform.parts).apply_all()
        Keeping(platform.parts).collect()
        assert len(held(platform)) <= 13 + hour
    assert ids(platform) == sorted(f"t{n}" for n in range(72))
    first = held(platform)[0]
    assert first.rows == 11, "11 batches ended before the first full hour"
    reports = {each.snapshot.digest: each.report for each in platform.data.reports("trips") if each.snapshot is not None}
    assert reports[first.digest].rows == 12, "thinned twice, its report still speaks of every message, the unreadable one too"


def test_what_was_set_aside_becomes_one_blob_with_every_row_and_a_report_of_all(platform: Platform) -> None:
    for first in range(0, 20, 5):
        take(platform, first, 5, MINUTE_US)
    before = platform.parts.ledger.find(KIND_QUARANTINE, Quarantine)
    assert [each.stream for each in before] == ["rows"] * 4
    platform.parts.clock.advance(HOUR_US)  # type: ignore[attr-defined]
    assert Thinning(platform.parts).apply_all() == 19 + 3
    (after,) = platform.parts.ledger.find(KIND_QUARANTINE, Quarantine)
    assert (after.rows, after.reasons) == (4, before[0].reasons)
    Keeping(platform.parts).collect()
    rows = pl.read_parquet(platform.parts.artifacts.get(after.digest))
    assert sorted(rows["stream:place"]) == ["0:0b", "0:10b", "0:15b", "0:5b"]
    report = msgspec.json.decode(platform.parts.artifacts.get(after.report_digest), type=ContractReport)
    assert (report.rows, report.quarantined_rows) == (8, 4)
    with pytest.raises(NotFound):
        platform.parts.artifacts.get(before[0].digest)
    again = GatherAside(
        dataset="trips", old=(before[0].digest,), digest=after.digest, report_digest=after.report_digest, owner_team="rides"
    )
    with pytest.raises(Conflict, match="has changed"):
        platform.parts.ledger.write(PLATFORM, again, key="again")


def test_a_moment_between_is_answered_with_the_next_that_is_kept(platform: Platform) -> None:
    left = take(platform, 0, 3, MINUTE_US)
    between = platform.now_us() - MINUTE_US
    platform.parts.clock.advance(2 * HOUR_US)  # type: ignore[attr-defined]
    Thinning(platform.parts).apply_all()
    with pytest.raises(NotFound, match=f"taken at .* --snapshot {left[-1]}"):
        platform.keeping.at("trips", as_of_us=between)


def test_notes_of_what_went_end_after_a_day(platform: Platform) -> None:
    for day in range(3):
        take(platform, day * 5, 5, MINUTE_US)
        platform.parts.clock.advance(DAY_US + HOUR_US)  # type: ignore[attr-defined]
        Thinning(platform.parts).apply_all()
        Keeping(platform.parts).collect()
    notes = platform.parts.ledger.find(KIND_COLLECTED, Collected)
    assert notes
    assert {each.at_us for each in notes} == {platform.now_us()}


def test_what_may_not_go_is_refused_whoever_asks(platform: Platform) -> None:
    left = take(platform, 0, 3, MINUTE_US)

    def thinned(kept: str, *going: str) -> ThinBatches:
        report = held(platform)[0].report_digest
        return ThinBatches(dataset="trips", windows=(Thinned(kept=kept, going=going, report_digest=report),), owner_team="rides")

    write = platform.parts.ledger.write
    with pytest.raises(Refused, match="younger than an hour"):
        write(PLATFORM, thinned(left[1], left[0]), key="young")
    platform.parts.clock.advance(2 * HOUR_US)  # type: ignore[attr-defined]
    with pytest.raises(Refused, match="always kept"):
        write(PLATFORM, thinned(left[0], left[2]), key="newest")
    with pytest.raises(Refused, match="always kept"):
        write(PLATFORM, thinned(left[0], left[0]), key="itself")
    with pytest.raises(Conflict, match="went meanwhile"):
        write(PLATFORM, thinned(left[1], "sha256:" + "0" * 64), key="unknown")
    assert len(held(platform)) == 3
