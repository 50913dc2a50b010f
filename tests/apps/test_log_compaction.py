"""The worker's compaction on a real installation in a folder: what may go is what is old and what every reader is past."""

from pathlib import Path

import numpy as np
import pytest
from tests.monitoring.world import day_of_answers, write_segment

from leverframe.apps.data_loop import RETENTION_EVERY_S, DataLoop
from leverframe.apps.log_compaction import KEPT_US, LogCompaction
from leverframe.apps.platform.parts import Parts
from leverframe.apps.settings import Settings
from leverframe.apps.wiring import open_parts
from leverframe.apps.worker import LookLoop
from leverframe.core.clock import DAY_US, HOUR_US, ManualClock
from leverframe.core.segment import Counts
from leverframe.monitoring.log_archive import LogArchive
from leverframe.monitoring.log_reader import LogReader, Position, WorkerPosition

START_US = 20_000 * DAY_US
PAST_ALL = Position(workers={"gw-0": WorkerPosition(number=99)})


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    made = open_parts(Settings(home=tmp_path / "home"))
    clock = ManualClock(START_US)
    object.__setattr__(made, "clock", clock)
    made.ledger._clock = clock
    made.settings.log_folder.mkdir(exist_ok=True)
    before = Counts()
    for number in (1, 2, 3):
        answers = day_of_answers(np.random.default_rng(number), START_US + number * DAY_US, hours=1, per_hour=10)
        sealed_us = START_US + number * DAY_US + HOUR_US
        _, before = write_segment(made.settings.log_folder, "gw-0", number, answers, before=before, sealed_at_us=sealed_us)
    return made


def segments(parts: Parts) -> list[int]:
    return sorted(int(path.stem[-8:]) for path in parts.settings.log_folder.iterdir())


def test_what_a_worker_would_count_again_stays_and_older_segments_become_files(parts: Parts) -> None:
    compaction = LogCompaction(parts, lambda: PAST_ALL)
    assert LogCompaction(parts, lambda: None).run() is None
    compaction.run()
    assert segments(parts) == [1, 2, 3]
    parts.clock.advance(KEPT_US + 2 * DAY_US + 2 * HOUR_US)  # type: ignore[attr-defined]
    done = compaction.run()
    assert done is not None
    assert (done.segments, segments(parts)) == (2, [3])
    assert sorted(LogArchive(parts.settings.log_archive).names()) == ["gw-0-00000001", "gw-0-00000002"]
    reader = LogReader(parts.settings.log_folder)
    assert len(reader.poll()) == 20
    assert (reader.totals.findings, reader.totals.adds_up, reader.totals.behind) == (0, True, 0), "a reader that starts over finds no gap"


def test_an_experiment_under_way_keeps_the_segments_since_it_began(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    parts.clock.advance(2 * KEPT_US)  # type: ignore[attr-defined]
    began_us = START_US + 2 * DAY_US
    monkeypatch.setattr(LogCompaction, "_experiments_us", lambda self: [began_us])
    LogCompaction(parts, lambda: PAST_ALL).run()
    assert segments(parts) == [2, 3]


def test_nothing_goes_that_the_worker_s_readers_have_not_read(parts: Parts, tmp_path: Path) -> None:
    looks, seconds = LookLoop(parts), [0.0]
    data = DataLoop(parts, lambda: seconds[0], left_behind=looks.left_behind)
    parts.clock.advance(2 * KEPT_US)  # type: ignore[attr-defined]
    data.look()
    seconds[0] += 2 * KEPT_US / 1e6 + RETENTION_EVERY_S
    data.look()
    assert (looks.left_behind(), segments(parts)) == (None, [1, 2, 3]), "nobody has read anything yet"
    looks.look()
    left = looks.left_behind()
    assert left is not None
    assert left.workers["gw-0"].number == 4
    seconds[0] += 2 * RETENTION_EVERY_S
    parts.clock.advance(int(2e6 * RETENTION_EVERY_S))  # type: ignore[attr-defined]
    data.look()
    assert segments(parts) == []
    assert LookLoop(parts).left_behind() == Position(), "a worker that starts over has read nothing yet, and so nothing goes"
