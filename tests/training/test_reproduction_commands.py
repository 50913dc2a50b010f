"""A version has one attempt to be made again at a time, and a lost one does not stand in the way for good."""

import pytest
from tests.release.harness import ALICE, NAME, REGISTER, Register, version

from leverframe.core.clock import DAY_US, ManualClock
from leverframe.core.errors import Conflict
from leverframe.core.model import version_id_of
from leverframe.governance.ledger.memory import AllowEverything, MemoryJournal
from leverframe.training.reproduction_commands import (
    HANDLERS,
    KIND_REPRODUCTION,
    FinishReproduction,
    ReproductionRecord,
    StartReproduction,
)

VERSION = f"{NAME}@v1"


def test_an_attempt_whose_job_was_lost_makes_room_after_a_day() -> None:
    """Would be wrong if a version could never be made again because the jobs' database was restored without this one."""
    clock = ManualClock(0)
    journal = MemoryJournal(clock, AllowEverything(), (REGISTER, *HANDLERS))
    journal.write(ALICE, Register(record=version(1)), key="version")

    def start(id: str) -> None:
        journal.write(ALICE, StartReproduction(reproduction_id=id, version=VERSION, owning_team="delays"), key=id)

    def finish(id: str) -> None:
        done = FinishReproduction(reproduction_id=id, version=VERSION, owning_team="delays", outcome="identical")
        journal.write(ALICE, done, key=f"{id} is done")

    start("lost")
    clock.advance(DAY_US - 1)
    with pytest.raises(Conflict, match="already"):
        start("early")
    clock.advance(1)
    start("again")
    with pytest.raises(Conflict, match="over"):
        finish("lost")
    finish("again")
    held = journal.get(KIND_REPRODUCTION, version_id_of(VERSION), ReproductionRecord)
    assert held is not None
    assert (held.id, held.status) == ("again", "identical")
