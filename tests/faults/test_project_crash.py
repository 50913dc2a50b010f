"""P9: of commands that belong together, as a project's declarations do, a crash leaves all or none."""

import os
import random
import signal
import time
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from tests.faults.dying import start
from tests.governance.levers import ALICE, HANDLERS, KIND_LEVER, Lever, SetLever

from leverframe.core.clock import ManualClock
from leverframe.governance.ledger.memory import AllowEverything
from leverframe.governance.ledger.store import Ledger

TOGETHER = 20


def apply_until_killed(pipe: Connection, url: str, whole: bool) -> None:
    """One project of twenty declarations after the other, each in a transaction (or, as a negative control, command by command)."""
    ledger = Ledger(url, ManualClock(0), AllowEverything(), HANDLERS)
    for turn in range(1, 10_000):
        commands = [(SetLever(name=f"lever-{n:02}", position=turn), f"{turn}/{n}") for n in range(TOGETHER)]
        if whole:
            ledger.write_all(ALICE, commands)
        else:
            for command, key in commands:
                ledger.write(ALICE, command, key=key)
        pipe.send(turn)


def left_by_a_kill(url: str, seed: int, *, whole: bool) -> tuple[int, set[int], int]:
    """The last turn that was acknowledged, the turns that the levers stand at, and the entries of the chain."""
    process, pipe = start(apply_until_killed, url, whole)
    assert pipe.poll(30)
    acknowledged = pipe.recv()
    time.sleep(random.Random(seed).uniform(0.0, 0.12))
    os.kill(process.pid, signal.SIGKILL)
    process.join(10)
    while pipe.poll(0):
        try:
            acknowledged = pipe.recv()
        except EOFError:
            break
    ledger = Ledger(url, ManualClock(0), AllowEverything(), HANDLERS)
    try:
        return acknowledged, {lever.position for lever in ledger.find(KIND_LEVER, Lever)}, ledger.entries_total()
    finally:
        ledger.close()


@pytest.mark.parametrize("seed", range(8))
def test_a_killed_apply_leaves_old_or_new(tmp_path: Path, seed: int) -> None:
    """A view without the model it came with, or a service that lost what its model takes, would be a state that nobody planned."""
    acknowledged, turns, entries = left_by_a_kill(f"sqlite:///{tmp_path}/ledger.db", seed, whole=True)
    assert len(turns) == 1, f"levers of several turns: {turns}"
    assert turns <= {acknowledged, acknowledged + 1}, "what was acknowledged is there"
    assert entries == turns.pop() * TOGETHER, "and its audit entries, no more and no fewer"


def test_a_killed_apply_leaves_old_or_new_on_postgresql(postgresql_url: str) -> None:
    acknowledged, turns, entries = left_by_a_kill(postgresql_url, 3, whole=True)
    assert len(turns) == 1
    assert turns <= {acknowledged, acknowledged + 1}
    assert entries == turns.pop() * TOGETHER


def test_negative_control_command_by_command_a_kill_leaves_a_mixture(tmp_path: Path) -> None:
    mixed = [left_by_a_kill(f"sqlite:///{tmp_path}/ledger-{seed}.db", seed, whole=False) for seed in range(6)]
    assert any(len(turns) > 1 for _, turns, _ in mixed), "the kills never fell into the middle: they prove nothing"
