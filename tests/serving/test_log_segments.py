"""The log writer: what is committed survives, and the counts add up."""

import os
from itertools import pairwise

import msgspec
import pytest
from tests.serving.installation import read_log

from leverframe.core.clock import ManualClock
from leverframe.core.errors import InvalidInput, Refused
from leverframe.core.prediction import LabelRecord, PredictionRecord
from leverframe.core.segment import Counts, parse_segment_name, segment_name, unpack_header
from leverframe.serving.log_segments import SegmentLog


def answer(number: int, role="live", size=0) -> PredictionRecord:
    return PredictionRecord(
        id=f"p{number}", endpoint="m", tenant="t", version="m@v1", role=role, generation=1, asked_at_us=number, latency_us=1, status="ok",
        outputs=(0.5,), features=b"x" * size,
    )  # fmt: skip


def open_log(folder, **more) -> SegmentLog:
    return SegmentLog(folder, "gw-0", ManualClock(7), **{"segment_bytes": 4096, **more})


def die(log: SegmentLog) -> None:
    """As kill -9 would: the lock goes with the process, nothing else is done."""
    if log._totals_memory is not None:
        log._totals_memory.close()
    os.close(log._lock)


def test_every_kind_is_logged_and_counted(tmp_path):
    log = open_log(tmp_path)
    assert log.answer(answer(1))
    assert log.shadow(answer(1, "shadow"))
    assert log.label(LabelRecord(id="p1", endpoint="m", label=1.0, known_at_us=9))
    log.drop_shadow()
    records, counts = read_log(tmp_path)
    assert [type(r).__name__ for r in records] == ["PredictionRecord", "PredictionRecord", "LabelRecord"]
    assert counts == Counts(served=1, logged=1, shadows_logged=1, shadows_dropped=1, labels_logged=1)


def test_a_record_is_on_disk_before_answer_returns_and_survives_without_close(tmp_path):
    log = open_log(tmp_path)
    log.answer(answer(1))
    assert [r.id for r in read_log(tmp_path)[0]] == ["p1"], "another process would not see it: kill -9 would lose it"


def test_full_segments_are_sealed_cut_and_followed(tmp_path):
    log = open_log(tmp_path)
    for number in range(100):
        log.answer(answer(number, size=200))
    log.close()
    names = sorted(filter(None, (parse_segment_name(n) for n in os.listdir(tmp_path))), key=lambda n: n.number)
    assert len(names) > 3
    assert all(n.sealed for n in names)
    assert [n.number for n in names] == list(range(1, len(names) + 1))
    records, counts = read_log(tmp_path)
    assert [r.id for r in records] == [f"p{n}" for n in range(100)]
    assert counts.served == counts.logged == 100
    for name in names:
        path = tmp_path / segment_name("gw-0", name.number, sealed=True)
        assert path.stat().st_size == unpack_header(path.read_bytes()).used
    headers = [unpack_header((tmp_path / segment_name("gw-0", n.number, sealed=True)).read_bytes()) for n in names]
    assert all(a.counts == b.before for a, b in pairwise(headers)), "totals jump between segments"


def test_counts_go_on_after_a_restart_and_after_archiving(tmp_path):
    log = open_log(tmp_path)
    log.answer(answer(1))
    log.close()
    for path in tmp_path.glob("*.sealed"):
        path.unlink()
    log = open_log(tmp_path)
    log.answer(answer(2))
    assert log.counts.served == 2
    log.close()


def test_a_segment_left_open_is_recounted_and_sealed(tmp_path):
    log = open_log(tmp_path)
    log.answer(answer(1))
    log.label(LabelRecord(id="p1", endpoint="m", label=1.0, known_at_us=9))
    # The header lies about its counts.
    path = tmp_path / segment_name("gw-0", 1, sealed=False)
    data = bytearray(path.read_bytes())
    data[192 + 16 : 192 + 24] = (99).to_bytes(8, "little")
    path.write_bytes(data)
    die(log)
    again = open_log(tmp_path)
    assert again.counts == Counts(served=1, logged=1, labels_logged=1)
    assert (tmp_path / segment_name("gw-0", 1, sealed=True)).exists()
    assert [getattr(r, "id", "") for r in read_log(tmp_path)[0]] == ["p1", "p1"]


def test_a_record_that_was_not_committed_is_not_counted(tmp_path):
    log = open_log(tmp_path)
    log.answer(answer(1))
    from leverframe.core.prediction import encode_frame

    assert log._append(encode_frame(answer(2)))
    die(log)
    again = open_log(tmp_path)
    assert again.counts.logged == 1, "an answer that was never sent is in the log"


def test_a_full_disk_drops_and_counts_then_recovers(tmp_path, monkeypatch):
    log = open_log(tmp_path)
    real = os.posix_fallocate

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    logged = sum(log.answer(answer(number, size=500)) for number in range(20))
    assert 0 < logged < 20
    assert log.counts == Counts(served=20, logged=logged, dropped=20 - logged)
    assert "no room" in log.problem
    assert read_log(tmp_path)[1] == log.counts, "drops are only in memory: kill -9 would lose them"
    monkeypatch.setattr(os, "posix_fallocate", real)
    log._retry_at = 0.0
    log.maintain()
    assert log.problem == ""
    assert log.answer(answer(21))
    log.close()
    records, counts = read_log(tmp_path)
    assert counts == Counts(served=21, logged=logged + 1, dropped=20 - logged)
    assert len(records) == logged + 1


def test_a_disk_that_is_full_at_the_start_still_counts(tmp_path, monkeypatch):
    open_log(tmp_path).close()
    real = os.posix_fallocate
    monkeypatch.setattr(
        os, "posix_fallocate", lambda fd, at, size: real(fd, at, size) if size <= 512 else (_ for _ in ()).throw(OSError(28, ""))
    )
    log = open_log(tmp_path)
    assert not log.answer(answer(1))
    die(log)
    monkeypatch.undo()
    assert open_log(tmp_path).counts == Counts(served=1, dropped=1)


def test_a_record_larger_than_a_segment_is_dropped(tmp_path):
    log = open_log(tmp_path)
    assert not log.answer(answer(1, size=10_000))
    assert log.answer(answer(2))
    assert log.counts.adds_up


def test_an_old_segment_is_sealed_by_age_and_an_empty_one_is_not(tmp_path):
    log = open_log(tmp_path, seal_s=0.0)
    log.maintain()
    assert not list(tmp_path.glob("*.sealed"))
    log.answer(answer(1))
    log.maintain()
    assert len(list(tmp_path.glob("*.sealed"))) == 1


def test_the_next_segment_is_reserved_ahead(tmp_path):
    log = open_log(tmp_path)
    log.answer(answer(1, size=2500))
    log.prepare()
    assert (tmp_path / "gw-0.spare").exists()
    log.answer(answer(2, size=2500))
    assert not (tmp_path / "gw-0.spare").exists()
    assert [r.id for r in read_log(tmp_path)[0]] == ["p1", "p2"]


def test_two_processes_never_share_a_worker(tmp_path):
    log = open_log(tmp_path)
    with pytest.raises(Refused, match="--worker"):
        open_log(tmp_path)
    log.close()
    with pytest.raises(InvalidInput):
        SegmentLog(tmp_path, "../evil", ManualClock())


def test_counts_are_a_record_that_only_grows():
    assert Counts(served=2).highest(Counts(served=1, labels_logged=3)) == Counts(served=2, labels_logged=3)
    assert msgspec.structs.astuple(Counts(served=1).plus(Counts(served=1)))[0] == 2
