"""The tape starts at a mark when it may, at the log's beginning when it must, and never leaves out an answer that is still judged."""

import pytest

from leverframe.apps.log_tape import LogTape
from leverframe.core.clock import ManualClock
from leverframe.core.prediction import LabelRecord
from leverframe.serving.log_segments import SegmentLog


@pytest.fixture
def log(tmp_path):
    opened = SegmentLog(tmp_path / "log", "gw-0", ManualClock(1_000_000))
    yield opened
    opened.close()


def append(log: SegmentLog, *ids: str) -> None:
    for id in ids:
        log.label(LabelRecord(id=id, endpoint="m", label=1.0, known_at_us=1))
    log.maintain()


def tape(tmp_path, needed: int | None) -> LogTape:
    return LogTape(tmp_path / "log", tmp_path / "log.marks", lambda: needed)


def ids(tape: LogTape, since: int = 0) -> list[str]:
    return [record.id for _, record in tape.since(since)]


def test_a_new_tape_reads_on_from_the_newest_mark_below_what_is_needed(tmp_path, log):
    first = tape(tmp_path, None)
    append(log, "a")
    assert ids(first) == ["a"]
    first.mark(1)
    append(log, "b")
    assert ids(first, 1) == ["b"]
    first.mark(2)
    append(log, "c")
    assert ids(tape(tmp_path, None)) == ["c"], "nothing is judged, and old answers are read again"
    assert ids(tape(tmp_path, 3)) == ["c"]
    assert ids(tape(tmp_path, 2)) == ["b", "c"], "an answer of generation 2 is still judged, and was left out"
    assert ids(tape(tmp_path, 1)) == ["a", "b", "c"]


def test_starting_over_gives_everything_that_is_still_judged_again(tmp_path, log):
    running = tape(tmp_path, 1)
    append(log, "a", "b")
    assert ids(running) == ["a", "b"]
    running.mark(1)
    append(log, "c")
    assert ids(running, 2) == ["c"]
    assert ids(running) == ["a", "b", "c"]


def test_lost_or_damaged_marks_cost_time_only(tmp_path, log):
    append(log, "a")
    running = tape(tmp_path, None)
    assert ids(running) == ["a"]
    running.mark(7)
    (tmp_path / "log.marks").write_bytes(b'[{"generation": 7, "posi')
    assert ids(tape(tmp_path, None)) == ["a"]
