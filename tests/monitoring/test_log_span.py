"""A stretch of the log is read whole or not at all: the same records whenever it is read, and damage is refused, not skipped."""

import msgspec
import pytest

from leverframe.core.clock import ManualClock
from leverframe.core.errors import Integrity, LimitExceeded
from leverframe.core.prediction import FRAME, PredictionRecord
from leverframe.core.segment import DATA_OFFSET
from leverframe.monitoring import log_span
from leverframe.monitoring.log_archive import LogArchive
from leverframe.monitoring.log_span import ends, newest, read_span
from leverframe.serving.log_segments import SegmentLog

CLOCK = ManualClock(1_000_000)


def answer(number: int) -> PredictionRecord:
    return PredictionRecord(
        id=f"q{number}",
        endpoint="m",
        tenant="t",
        version="m@v1",
        role="live",
        generation=1,
        asked_at_us=number,
        latency_us=1,
        status="ok",
        outputs=(0.5,),
        features=b"x" * 2_000,
    )


@pytest.fixture
def log(tmp_path):
    """Two workers' logs; the first has several segments."""
    writers = [SegmentLog(tmp_path, name, CLOCK, segment_bytes=16_384) for name in ("a", "b")]
    for number in range(30):
        writers[number % 3 == 0].answer(answer(number))
    yield tmp_path, writers
    for writer in writers:
        writer.close()


def ids(records) -> list[str]:
    return [record.id for record in records]


def test_a_span_is_the_same_while_the_log_grows_and_after_it_was_sealed(log):
    folder, writers = log
    upto = ends(folder)
    before = ids(read_span(folder, LogArchive(folder / "archive"), upto))
    assert sorted(before) == sorted(f"q{n}" for n in range(30))
    for number in range(30, 60):
        writers[0].answer(answer(number))
    assert ids(read_span(folder, LogArchive(folder / "archive"), upto)) == before
    while writers:
        writers.pop().close()
    assert ids(read_span(folder, LogArchive(folder / "archive"), upto)) == before
    assert len(ids(read_span(folder, LogArchive(folder / "archive"), ends(folder)))) == 60


@pytest.mark.parametrize("damage", ["bytes", "gone", "cut"])
def test_damage_is_refused(log, damage):
    folder, _ = log
    upto = ends(folder)
    assert len({path.name for path in folder.glob("a-*")}) >= 3
    middle = sorted(folder.glob("a-*.sealed"))[1]
    if damage == "gone":
        middle.unlink()
    else:
        data = bytearray(middle.read_bytes())
        if damage == "bytes":
            data[DATA_OFFSET + FRAME.size + 40] ^= 1
        middle.write_bytes(data if damage == "bytes" else data[:-100])
    with pytest.raises(Integrity):
        list(read_span(folder, LogArchive(folder / "archive"), upto))


def test_old_segments_that_are_gone_are_no_matter_and_those_before_the_start_are_not_opened(log):
    folder, _ = log
    upto = ends(folder)
    first = min(folder.glob("a-*.sealed"))
    whole = len(ids(read_span(folder, LogArchive(folder / "archive"), upto)))
    first.unlink()
    assert 0 < len(ids(read_span(folder, LogArchive(folder / "archive"), upto))) < whole
    assert len(ids(read_span(folder, LogArchive(folder / "archive"), upto, from_us=CLOCK.now_us() + 1))) < whole


def test_there_is_a_bound(log, monkeypatch):
    folder, _ = log
    monkeypatch.setattr(log_span, "SPAN_BYTES_MAX", 10_000)
    with pytest.raises(LimitExceeded):
        list(read_span(folder, LogArchive(folder / "archive"), ends(folder)))


def test_the_newest_segments_are_enough_for_an_estimate(log):
    folder, _ = log
    some, all = list(newest(folder, 20_000)), list(newest(folder, 1 << 30))
    assert 0 < len(some) < len(all) == 30
    assert {record.id for record in some if record.asked_at_us % 3} >= {"q29"}
    assert list(newest(folder / "nothing", 1)) == []
    assert msgspec.structs.asdict(some[0])["endpoint"] == "m"
