"""P2 and P3: what was acknowledged survives the loss of everything that was not synced, and a sync that fails acknowledges nothing."""

import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.faults.dying import commands
from tests.governance.levers import ALICE, HANDLERS, KIND_LEVER, Lever

from leverframe.core.clock import ManualClock
from leverframe.governance.ledger.memory import AllowEverything, MemoryJournal
from leverframe.governance.ledger.store import Ledger

CUT_EXIT = 86
SEEDS_QUICK, SEEDS_SLOW = 6, 60
WRITES = 400

_WRITE = """
import sys
from tests.faults.dying import commands
from tests.governance.levers import ALICE, HANDLERS
from leverframe.core.clock import ManualClock
from leverframe.core.errors import LeverframeError
from leverframe.governance.ledger.memory import AllowEverything
from leverframe.governance.ledger.store import Ledger
url, seed, total, prelude = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
exec(prelude)
try:
    ledger = Ledger(url, ManualClock(0), AllowEverything(), HANDLERS)
except LeverframeError as error:
    print("refused", "open", error.code, flush=True)
    sys.exit(0)
for key, command in commands(seed, total):
    try:
        ledger.write(ALICE, command, key=key)
    except LeverframeError as error:
        print("refused", key, error.code, flush=True)
    else:
        print("written", key, flush=True)
print("done", flush=True)
"""
NORMAL = """
from sqlalchemy import event
from sqlalchemy.engine import Engine
@event.listens_for(Engine, "connect")
def _careless(connection, _):
    connection.execute("PRAGMA synchronous=NORMAL").fetchall()
import leverframe.governance.ledger.engines as engines
real = engines._sqlite
def careless(file):
    engine = real(file)
    event.listen(engine, "connect", _careless)
    return engine
engines._sqlite = careless
"""


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("the forgetting disk needs Linux and a C compiler")
    built = tmp_path_factory.mktemp("shim") / "powercut.so"
    source = Path(__file__).with_name("powercut.c")
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", str(built), str(source), "-ldl", "-lpthread"], check=True
    )
    return built


def writing(shim: Path, home: Path, seed: int, *, prelude: str = "", fail_at: int = 0, fail_on: bool = False) -> subprocess.Popen[str]:
    told = {name: value for name, value in os.environ.items() if not name.startswith("LEVER_")}
    told |= {"LD_PRELOAD": str(shim), "POWERCUT_FOLDER": str(home), "PYTHONDONTWRITEBYTECODE": "1"}
    told |= {"POWERCUT_FAIL_AT": str(fail_at), "POWERCUT_FAIL_ON": str(int(fail_on))}
    command = [sys.executable, "-c", _WRITE, f"sqlite:///{home / 'ledger.db'}", str(seed), str(WRITES), prelude]
    return subprocess.Popen(command, env=told, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def expected(seed: int, keys: list[str]) -> list[Lever]:
    """The levers after exactly these commands."""
    journal = MemoryJournal(ManualClock(0), AllowEverything(), HANDLERS)
    by_key = dict(commands(seed, WRITES))
    for key in keys:
        journal.write(ALICE, by_key[key], key=key)
    return journal.find(KIND_LEVER, Lever)


def found(home: Path) -> tuple[int, list[Lever]]:
    """What the next process finds; its -shm file went with the power."""
    (home / "ledger.db-shm").unlink(missing_ok=True)
    ledger = Ledger(f"sqlite:///{home / 'ledger.db'}", ManualClock(0), AllowEverything(), HANDLERS)
    try:
        return ledger.entries_total(), ledger.find(KIND_LEVER, Lever)
    finally:
        ledger.close()


def cut(shim: Path, home: Path, seed: int, prelude: str = "") -> tuple[list[str], int, list[Lever]]:
    """Write, lose power at a random moment, look: acknowledged keys, entries and levers found."""
    home.mkdir()
    chance = random.Random(seed)
    process = writing(shim, home, seed, prelude=prelude)
    assert process.stdout is not None
    wait_for = chance.randrange(5, WRITES // 2)
    written = []
    for line in process.stdout:
        written.append(line.split()[1])
        if len(written) == wait_for:
            process.send_signal(signal.SIGUSR1)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == CUT_EXIT, errors[-2000:]
    assert wait_for <= len(written) < WRITES
    return written, *found(home)


def survives(shim: Path, home: Path, seed: int) -> None:
    written, entries, levers = cut(shim, home, seed)
    keys = list(dict(commands(seed, WRITES)))
    # The one under way may be there or not; what was acknowledged must be, in its order, once.
    assert entries in (len(written), len(written) + 1)
    assert written == keys[: len(written)]
    assert levers == expected(seed, keys[:entries])


@pytest.mark.parametrize("seed", range(SEEDS_QUICK))
def test_p2_what_was_acknowledged_survives_the_loss_of_everything_unsynced(shim: Path, tmp_path: Path, seed: int) -> None:
    survives(shim, tmp_path / "home", seed)


@pytest.mark.slow
def test_p2_at_many_moments(shim: Path, tmp_path: Path) -> None:
    for seed in range(SEEDS_QUICK, SEEDS_SLOW):
        survives(shim, tmp_path / f"home{seed}", seed)


def test_p2_negative_control_with_synchronous_normal_acknowledged_writes_are_lost(shim: Path, tmp_path: Path) -> None:
    lost = 0
    for seed in range(SEEDS_QUICK):
        written, entries, _ = cut(shim, tmp_path / f"home{seed}", seed, NORMAL)
        lost += max(0, len(written) - entries)
        if lost:
            break
    assert lost, "nothing was lost: the disk forgets nothing, and the tests above prove nothing"


@pytest.mark.parametrize("at", [1, 4, 20, *(pytest.param(n, marks=pytest.mark.slow) for n in (2, 3, 5, 6, 8, 12, 33, 50))])
def test_p3_a_sync_that_fails_once_acknowledges_nothing_and_the_next_write_goes_on(shim: Path, tmp_path: Path, at: int) -> None:
    """The write whose sync failed is refused as unknown; repeated under its key it is there once, and everything acknowledged is."""
    home = tmp_path / "home"
    home.mkdir()
    process = writing(shim, home, 3, fail_at=at)
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors[-2000:]
    lines = [line.split() for line in out.splitlines()]
    refused = [line for line in lines if line[0] == "refused"]
    written = [line[1] for line in lines if line[0] == "written"]
    assert refused, "no sync failed: the test would prove nothing"
    assert all(line[2] == "unavailable" for line in refused)
    ledger = Ledger(f"sqlite:///{home / 'ledger.db'}", ManualClock(0), AllowEverything(), HANDLERS)
    by_key = dict(commands(3, WRITES))
    order = [entry.key for entry in ledger.audit(limit=10_000)]
    assert set(written) <= set(order), "an acknowledged write is not there"
    for _, key, _ in refused:
        if key != "open":
            ledger.write(ALICE, by_key[key], key=key)
    assert sorted(entry.key for entry in ledger.audit(limit=10_000)) == sorted(
        {*written, *(line[1] for line in refused if line[1] != "open")}
    )
    ledger.close()


def test_p3_while_every_sync_fails_nothing_is_acknowledged_and_nothing_acknowledged_is_lost(shim: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    process = writing(shim, home, 5, fail_at=40, fail_on=True)
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line.split())
        if sum(each[0] == "refused" for each in lines) == 5:
            process.send_signal(signal.SIGUSR1)
            break
    rest, errors = process.communicate(timeout=120)
    lines += [line.split() for line in rest.splitlines()]
    assert process.returncode in (CUT_EXIT, 0), errors[-1000:]
    first = next(index for index, line in enumerate(lines) if line[0] == "refused")
    assert all(line[0] == "refused" for line in lines[first:] if line[0] != "done"), "acknowledged without a sync"
    written = [line[1] for line in lines if line[0] == "written"]
    assert len(written) > 5
    entries, levers = found(home)
    keys = list(dict(commands(5, WRITES)))
    assert entries >= len(written)
    assert levers == expected(5, keys[:entries])
