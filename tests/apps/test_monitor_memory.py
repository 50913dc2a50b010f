"""What the monitor counted outlives its worker: a restart at any record ends with the very counts of a run that was never stopped."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
from tests.monitoring.world import ENDPOINT, START_US, VERSION, answer, day_of_answers, journal, label, rows, shape, write_segment

from leverframe.apps.monitor_memory import Memory, keep, recall
from leverframe.core.clock import HOUR_US, ManualClock
from leverframe.core.errors import InvalidInput
from leverframe.core.prediction import LabelRecord, LogRecord
from leverframe.monitoring.label_match import LabelMatcher
from leverframe.monitoring.log_reader import LogReader
from leverframe.monitoring.monitor import Monitor
from leverframe.release.evidence.traffic import TrafficMeter

SHAPE = shape()


class Worker:
    """The part of a worker that counts: a reader, a monitor and a meter, new or from a memory."""

    def __init__(self, folder: Path, file: Path, known: object = SHAPE) -> None:
        self.file = file
        memory = recall(file)
        self.began_anew = memory is None
        self.monitor = Monitor(journal(ManualClock(START_US)), lambda endpoint, version: known if version == VERSION else None)  # type: ignore[arg-type,return-value]
        if memory is not None:
            self.monitor.take_up(memory.monitor)
        matcher = LabelMatcher(memory.matcher if memory else None)
        self.reader = LogReader(folder, memory.position if memory else None, matcher=matcher, bytes_per_poll_max=2_000)
        self.meter = TrafficMeter(memory.meters if memory else None)

    def polls(self, count: int) -> int:
        """Read up to ``count`` times; how often there was something."""
        for done in range(count):
            batch = self.reader.poll()
            if not batch and not self.reader.totals.behind:
                return done
            self.monitor.windows.fold(batch)
            self.meter.take(batch)
        return count

    def keep(self) -> None:
        """Write down what is known now."""
        keep(self.file, self.memory())

    def memory(self) -> Memory:
        """What is known now."""
        return Memory(
            position=self.reader.position,
            matcher=self.reader.matcher.kept(),
            monitor=self.monitor.kept(),
            meters=self.meter.meters,
        )

    def known(self) -> object:
        """Everything known as plain, comparable data; the salt of entities differs from worker to worker."""
        plain = msgspec.msgpack.decode(msgspec.msgpack.encode(self.memory().monitor), strict=False)
        return plain, self.meter.traffic(), self.reader.matcher.unmatched


def records() -> list[LogRecord]:
    """Half a day of answers and labels, some of them by entity, one label of nobody's."""
    rng = np.random.default_rng(11)
    found = day_of_answers(rng, START_US, per_hour=20, hours=12)
    matrix, scores = rows(rng, 40)
    for index in range(40):
        at_us = START_US + 11 * HOUR_US + index
        tail = {"tailnum": f"N{index % 9}"}
        found.append(answer(f"by-entity-{index}", at_us, matrix[index], [scores[index]], entities=tail))
        found.append(LabelRecord(id="", endpoint=ENDPOINT, label=1.0, known_at_us=at_us + 5, entities=tail, asked_at_us=at_us + 1))
    found.append(label("nobody", START_US, 1.0))
    return found


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Three segments of one gateway worker."""
    folder, every = tmp_path / "log", records()
    third = len(every) // 3
    before = None
    for number, part in enumerate((every[:third], every[third : 2 * third], every[2 * third :]), start=1):
        more = {} if before is None else {"before": before}
        _, before = write_segment(folder, "w0", number, part, **more)  # type: ignore[arg-type]
    return folder


def test_a_worker_that_dies_after_any_poll_counts_like_one_that_never_does(log: Path, tmp_path: Path) -> None:
    whole = Worker(log, tmp_path / "never.memory")
    polls = whole.polls(1_000)
    assert 20 < polls < 1_000, "the log is read in many polls, or the restarts below prove little"
    assert whole.monitor.labels(ENDPOINT) == 12 * 20 + 40
    died = tmp_path / "died.memory"
    for _ in range(polls + 1):
        worker = Worker(log, died)
        worker.polls(1)
        worker.keep()
        worker.polls(2)  # counted, and lost with the worker
    assert Worker(log, died).known() == whole.known()


def test_without_its_memory_a_worker_begins_anew(log: Path, tmp_path: Path) -> None:
    file = tmp_path / "monitor.memory"
    worker = Worker(log, file)
    worker.polls(1_000)
    worker.keep()
    good = file.read_bytes()
    for damaged in (b"", good[:-1], good[: len(good) // 2], b"not zlib at all", good[:60] + bytes([good[60] ^ 4]) + good[61:]):
        file.write_bytes(damaged)
        again = Worker(log, file)
        assert again.began_anew
        again.polls(1_000)
        assert again.known() == worker.known()


def test_another_format_is_not_read(log: Path, tmp_path: Path) -> None:
    file = tmp_path / "monitor.memory"
    keep(file, msgspec.structs.replace(Worker(log, file).memory(), format=0))
    assert recall(file) is None


def test_counts_of_a_version_that_looks_different_now_are_not_taken_up(log: Path, tmp_path: Path) -> None:
    file = tmp_path / "monitor.memory"
    worker = Worker(log, file)
    worker.polls(1_000)
    worker.keep()
    narrower = msgspec.structs.replace(SHAPE, columns=SHAPE.columns[:2])
    with pytest.raises(InvalidInput, match="numbers of another window"):
        Worker(log, file, narrower)
    with pytest.raises(InvalidInput, match="cannot be opened"):
        Worker(log, file, None)


def test_who_was_asked_about_is_not_in_the_file(log: Path, tmp_path: Path) -> None:
    file = tmp_path / "monitor.memory"
    worker = Worker(log, file)
    worker.polls(1_000)
    worker.reader.matcher.match([LabelRecord(id="", endpoint=ENDPOINT, label=1.0, known_at_us=1, entities={"tailnum": "N9-waits"})])
    plain = msgspec.msgpack.encode(worker.memory())
    assert b"by-entity-3" in plain, "ids are there, so that the search below could find a name"
    assert b"N9-waits" not in plain
    assert b"tailnum" not in plain
