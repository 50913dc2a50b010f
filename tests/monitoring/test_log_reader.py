import multiprocessing
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.monitoring.world import START_US, answer, day_of_answers, label, write_segment

from leverframe.core.clock import ManualClock
from leverframe.core.prediction import FRAME, LabelRecord, encode_frame
from leverframe.core.segment import DATA_OFFSET, Counts, parse_segment_name
from leverframe.monitoring.log_reader import LogReader

ROW = np.zeros(3)


def _answers(first: int, count: int) -> list:
    return [answer(f"a{i}", START_US + i, ROW, [0.5]) for i in range(first, first + count)]


def _drain(reader: LogReader, polls: int = 2000) -> list:
    read = []
    for _ in range(polls):
        before = reader.position
        read += reader.poll()
        if reader.position == before:
            break
    return read


def test_each_record_is_given_once_over_sealing(tmp_path: Path) -> None:
    first, second = _answers(0, 5), _answers(5, 5)
    path, _ = write_segment(tmp_path, "gw-0", 1, first, sealed=False, room=4096)
    reader = LogReader(tmp_path)
    assert [r.id for r in reader.poll()] == [f"a{i}" for i in range(5)]
    assert reader.poll() == []
    path.unlink()
    _, counts = write_segment(tmp_path, "gw-0", 1, first + second, sealed=True)
    write_segment(tmp_path, "gw-0", 2, _answers(10, 2), before=counts, sealed=False)
    assert [r.id for r in _drain(reader)] == [f"a{i}" for i in range(5, 12)], "a sealed segment is read on from where it was open"
    totals = reader.totals
    assert (totals.counts.served, totals.served_read, totals.behind, totals.findings) == (12, 12, 0, 0)
    assert totals.adds_up


def test_uncommitted_bytes_are_not_read(tmp_path: Path) -> None:
    path, _ = write_segment(tmp_path, "gw-0", 1, _answers(0, 2), sealed=False)
    with path.open("ab") as file:
        file.write(encode_frame(_answers(2, 1)[0]))
    assert len(_drain(LogReader(tmp_path))) == 2, "a frame beyond `used` was never acknowledged"


@settings(max_examples=40, deadline=None)
@given(limit=st.integers(1, 2000), counts=st.lists(st.integers(0, 12), min_size=1, max_size=4))
def test_any_bound_gives_the_same_records(tmp_path_factory: pytest.TempPathFactory, limit: int, counts: list[int]) -> None:
    folder = tmp_path_factory.mktemp("log")
    before, expected = Counts(), []
    for number, count in enumerate(counts, start=1):
        records = _answers(1000 * number, count)
        expected += [r.id for r in records]
        _, before = write_segment(folder, "gw-0", number, records, before=before)
    reader = LogReader(folder, bytes_per_poll_max=limit)
    assert [r.id for r in _drain(reader)] == expected
    assert reader.totals.findings == 0
    assert reader.totals.behind == 0


def test_a_restarted_reader_goes_on(tmp_path: Path) -> None:
    write_segment(tmp_path, "gw-0", 1, _answers(0, 40))
    write_segment(tmp_path, "gw-1", 1, _answers(100, 40))
    first = LogReader(tmp_path, bytes_per_poll_max=900)
    early = first.poll()
    second = LogReader(tmp_path, first.position)
    late = _drain(second)
    assert sorted(r.id for r in early + late) == sorted([f"a{i}" for i in range(40)] + [f"a{i}" for i in range(100, 140)])
    assert second.totals.served_read == 80


def test_a_damaged_frame_is_reported_and_the_rest_is_given(tmp_path: Path) -> None:
    records = _answers(0, 6)
    path, _ = write_segment(tmp_path, "gw-0", 1, records)
    offset = DATA_OFFSET + sum(len(encode_frame(r)) for r in records[:2])
    data = bytearray(path.read_bytes())
    data[offset + FRAME.size + 10] ^= 0xFF
    path.write_bytes(data)
    reader = LogReader(tmp_path)
    assert [r.id for r in _drain(reader)] == ["a0", "a1", "a3", "a4", "a5"]
    totals = reader.totals
    assert (totals.damaged_frames, totals.served_lost, totals.behind) == (1, 1, 0)
    assert [f.kind for f in reader.findings] == ["damaged"]
    assert str(offset) in reader.findings[0].what


def test_a_damaged_length_gives_up_the_segment_and_says_how_much(tmp_path: Path) -> None:
    records = _answers(0, 6)
    path, counts = write_segment(tmp_path, "gw-0", 1, records)
    write_segment(tmp_path, "gw-0", 2, _answers(6, 3), before=counts)
    offset = DATA_OFFSET + sum(len(encode_frame(r)) for r in records[:2])
    data = bytearray(path.read_bytes())
    data[offset] ^= 0x40
    path.write_bytes(data)
    reader = LogReader(tmp_path)
    assert [r.id for r in _drain(reader)] == ["a0", "a1", "a6", "a7", "a8"], "the next segment is read although this one broke off"
    assert reader.totals.served_lost == 4, "what could not be read is counted, from the header's own counts"
    assert [f.kind for f in reader.findings] == ["damaged", "balance"]


@settings(max_examples=60, deadline=None)
@given(flips=st.lists(st.integers(0, 10_000), min_size=1, max_size=3), limit=st.integers(50, 3000))
def test_flipped_bits_never_pass_silently(tmp_path_factory: pytest.TempPathFactory, flips: list[int], limit: int) -> None:
    folder = tmp_path_factory.mktemp("log")
    records = _answers(0, 12)
    path, _ = write_segment(folder, "gw-0", 1, records)
    data = bytearray(path.read_bytes())
    original = bytes(data)
    for flip in flips:
        data[DATA_OFFSET + flip % (len(data) - DATA_OFFSET)] ^= 1 << (flip % 8)
    path.write_bytes(data)
    reader = LogReader(folder, bytes_per_poll_max=limit)
    read = _drain(reader)
    assert all(r in records for r in read), "a changed record was given as if it were true"
    totals = reader.totals
    assert totals.served_read + totals.served_lost == 12, "read + lost = logged"
    assert (totals.findings > 0) == (bytes(data) != original)


def test_segments_that_vanish_are_reported(tmp_path: Path) -> None:
    one, counts = write_segment(tmp_path, "gw-0", 1, _answers(0, 4))
    reader = LogReader(tmp_path, bytes_per_poll_max=1)
    assert len(reader.poll()) == 1
    one.unlink()
    write_segment(tmp_path, "gw-0", 2, _answers(4, 2), before=counts)
    assert [r.id for r in _drain(reader)] == ["a4", "a5"]
    assert reader.findings[0].kind == "gone"
    assert reader.findings[0].records == 3
    assert LogReader(tmp_path).poll()
    fresh = LogReader(tmp_path)
    _drain(fresh)
    assert fresh.totals.findings == 0, "a reader that begins after compaction has lost nothing"
    assert fresh.totals.behind == 0


def test_a_truncated_segment_is_reported(tmp_path: Path) -> None:
    path, _ = write_segment(tmp_path, "gw-0", 1, _answers(0, 4))
    path.write_bytes(path.read_bytes()[:-7])
    reader = LogReader(tmp_path)
    assert len(_drain(reader)) == 3
    assert {f.kind for f in reader.findings} >= {"truncated"}
    assert reader.totals.served_lost == 1


def test_a_header_that_is_no_header_is_reported_once(tmp_path: Path) -> None:
    (tmp_path / "gw-0-00000001.open").write_bytes(b"x" * 2000)
    reader = LogReader(tmp_path)
    assert reader.poll() == reader.poll() == []
    assert [f.kind for f in reader.findings] == ["unreadable"]


def _write_some(folder: str) -> None:
    from leverframe.serving.log_segments import SegmentLog

    log = SegmentLog(Path(folder), "gw-0", ManualClock(START_US), segment_bytes=64 * 1024)
    log_from = number = log.served
    while number < log_from + 50_000:
        log.answer(answer(f"a{number}", START_US + number, ROW, [0.5]))
        if number % 3 == 0:
            log.label(label(f"a{number}", START_US + number, 1.0))
        number += 1
        if number % 50 == 0:
            log.prepare()


@pytest.mark.parametrize("seed", range(3))
def test_a_reader_beside_a_writer_that_is_killed(tmp_path: Path, seed: int) -> None:
    """P18, read side: kill -9 the gateway's writer again and again; every logged answer is read once, in order, and the counts agree."""
    rng = np.random.default_rng(seed)
    reader = LogReader(tmp_path, bytes_per_poll_max=40_000)
    read: list[str] = []
    context = multiprocessing.get_context("spawn")
    for _ in range(2):
        writer = context.Process(target=_write_some, args=(str(tmp_path),), daemon=True)
        writer.start()
        try:
            enough = len(read) + int(rng.integers(200, 3000))
            deadline = time.monotonic() + 20
            while len(read) < enough and time.monotonic() < deadline:
                read += [r.id for r in reader.poll() if not isinstance(r, LabelRecord)]
                assert reader.totals.adds_up
        finally:
            os.kill(writer.pid, signal.SIGKILL)
            writer.join()
    read += [r.id for r in _drain(reader) if not isinstance(r, LabelRecord)]
    wrong = next((i for i, id in enumerate(read) if id != f"a{i}"), None)
    assert wrong is None, f"record {wrong} is {read[wrong] if wrong is not None else ''}: lost, doubled or out of order"
    totals = reader.totals
    assert (reader.findings, totals.behind, totals.adds_up) == ((), 0, True)
    assert totals.counts.logged == totals.served_read == len(read)


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "gw-0.spare").write_bytes(b"\0" * 4096)
    (tmp_path / "notes.txt").write_text("hello")
    assert parse_segment_name("gw-0.spare") is None
    reader = LogReader(tmp_path)
    assert reader.poll() == []
    assert reader.totals.findings == 0


def test_reading_is_cheap(tmp_path: Path) -> None:
    """A bound on processor time, not a benchmark: reading must stay far below the 15 µs a record that the whole monitor may take."""
    records = day_of_answers(np.random.default_rng(0), START_US, per_hour=200)
    write_segment(tmp_path, "gw-0", 1, records)
    reader = LogReader(tmp_path)
    began = time.thread_time()
    read = _drain(reader)
    assert len(read) == len(records)
    assert (time.thread_time() - began) / len(read) < 30e-6
