"""P15 and P30 for foreign models: whatever one does in its child process, others go on and nothing outside is touched."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.serving.pyfuncs import ATTEMPTS, HOSTILE, REACHING_OUT, isolated, write_model

from leverframe.core.errors import LeverframeError, Unavailable
from leverframe.serving.runtimes.isolated.host import IsolatedModel
from leverframe.serving.runtimes.isolated.limits import DEATHS_MAX, Bounds

BOUNDS = Bounds(score_s=2.0, memory_bytes=2 * 1024**3)
EXIT, SPIN, ALLOCATE, NOT_A_NUMBER, LONG, WIDE, RAISE, BURN, GARBAGE, PRINT, FILL = range(1, 12)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[IsolatedModel, IsolatedModel]]:
    """A model that obeys its orders, and its neighbour."""
    models = tuple(isolated(tmp_path_factory.mktemp(name), HOSTILE, BOUNDS) for name in ("sick", "well"))
    for model in models:
        model.start()
    yield models[0], models[1]
    for model in models:
        model.stop()


def order(number: int) -> np.ndarray:
    return np.array([[666.0, float(number)]])


def good(model: IsolatedModel) -> bool:
    return bool(model.score_now(np.array([[1.0, 2.0]]))[0] == 3.0)


def until(what: Callable[[], bool], seconds: float) -> float:
    started = time.monotonic()
    while time.monotonic() - started < seconds:
        if what():
            return time.monotonic() - started
        time.sleep(0.01)
    raise AssertionError(f"not within {seconds} s")


def answers(model: IsolatedModel) -> bool:
    try:
        return good(model)
    except Unavailable:
        return False


@pytest.mark.parametrize(
    ("number", "dies"), [(EXIT, True), (SPIN, True), (ALLOCATE, False), (LONG, False), (WIDE, True), (RAISE, False), (GARBAGE, True)]
)
def test_each_fault_is_one_refusal(pair: tuple[IsolatedModel, IsolatedModel], number: int, dies: bool) -> None:
    sick, well = pair
    sick.release()
    sick._deaths.clear()
    until(lambda: answers(sick), 20)
    deaths = sick.counts.deaths
    with pytest.raises(Unavailable):
        sick.score_now(order(number))
    assert good(well)
    seconds = until(lambda: answers(sick), 20)
    assert (sick.counts.deaths > deaths) == dies
    print(f"answers again after {seconds:.2f} s")
    assert well.counts.deaths == 0


def test_not_a_number_stays_with_its_row(pair: tuple[IsolatedModel, IsolatedModel]) -> None:
    # Whether NaN is an answer is not the runtime's to say: the gateway refuses it row by row.
    assert np.isnan(pair[1].score_now(order(NOT_A_NUMBER))).all()


def test_a_flood_of_words_is_cut(pair: tuple[IsolatedModel, IsolatedModel]) -> None:
    sick = pair[0]
    until(lambda: answers(sick), 20)
    for _ in range(70):
        sick.score_now(order(PRINT))
    log = sick._folder / "model.log"
    assert 1_000_000 < log.stat().st_size <= BOUNDS.file_bytes
    assert good(sick)


@pytest.mark.parametrize("number", [BURN, FILL])
def test_what_goes_on_in_secret_ends_the_child(tmp_path: Path, number: int) -> None:
    model = isolated(tmp_path, HOSTILE, BOUNDS)
    model.start()
    try:
        pid = model.pid
        model.score_now(order(number))
        until(lambda: not Path(f"/proc/{pid}").exists(), 20)
        assert ("processor time" if number == BURN else "wrote more") in model.reason
        until(lambda: answers(model), 20)
    finally:
        model.stop()


def test_a_crash_loop_ends_in_quarantine(tmp_path: Path) -> None:
    model = isolated(tmp_path, HOSTILE, BOUNDS)
    model.start()
    try:
        for _ in range(DEATHS_MAX):
            until(lambda: answers(model), 20)
            with pytest.raises(Unavailable):
                model.score_now(order(EXIT))
        until(lambda: model.phase == "quarantined", 10)
        assert "5 deaths within 60 s; the last: ended with exit code 7" in str(model.snapshot()["reason"])
        with pytest.raises(Unavailable, match="quarantined"):
            model.score_now(order(0))
        assert model.counts.starts == DEATHS_MAX
        model.release()
        until(lambda: answers(model), 20)
    finally:
        model.stop()


def targets(folder: Path) -> tuple[dict[str, object], list[socket.socket]]:
    """Things that a model has no business with: a service on a port, one on a path, a key, a place to write."""
    tcp, local = socket.create_server(("127.0.0.1", 0)), socket.socket(socket.AF_UNIX)
    path = f"{folder}/service.sock"
    local.bind(path)
    local.listen()
    key = folder / ".leverframe" / "keys" / "signing.key"
    key.parent.mkdir(parents=True)
    key.write_text("secret")
    key.chmod(0o600)
    return {"port": tcp.getsockname()[1], "unix": path, "key": str(key), "outside": str(folder / "canary")}, [tcp, local]


def test_nothing_outside_can_be_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEVER_SECRET", "token")
    facts, services = targets(tmp_path)
    (tmp_path / "m").mkdir()
    model = isolated(tmp_path / "m", REACHING_OUT, BOUNDS)
    (tmp_path / "m" / "model" / "targets.json").write_text(json.dumps(facts))
    model.start()
    try:
        (row,) = model.score_now(np.array([[1.0, 2.0]])).tolist()
    finally:
        model.stop()
        for service in services:
            service.close()
    # Its own scratch folder is the one thing that it may write: the attempts themselves work.
    assert [name for name, worked in zip(ATTEMPTS, row, strict=True) if worked] == ["write_own"]
    key = Path(str(facts["key"]))
    assert key.read_text() == "secret"
    assert key.stat().st_mode & 0o777 == 0o600
    assert not (tmp_path / "canary").exists()


def test_control_without_locks_everything_is_reached(tmp_path: Path) -> None:
    """The same model in a plain process: every attempt but those that would end the test works."""
    facts, services = targets(tmp_path)
    folder = write_model(tmp_path / "model", REACHING_OUT)
    (folder / "targets.json").write_text(json.dumps(facts))
    program = (
        f"import sys; sys.path.insert(0, {str(folder)!r}); import team_model as m; m.ATTEMPTS.remove(m.kill_gateway);"
        "m.ATTEMPTS.remove(m.rename_key); m.ATTEMPTS.remove(m.raise_limit); print([a.__name__ for a in m.ATTEMPTS if m.works(a)])"
    )
    environment = {**os.environ, "LEVER_SECRET": "token", "TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True, timeout=60)
    for service in services:
        service.close()
    worked = eval(done.stdout)
    assert set(ATTEMPTS) - set(worked) == {"kill_gateway", "rename_key", "raise_limit"}
    assert (tmp_path / "canary").exists()


def test_a_lock_that_cannot_be_had_refuses_the_start(tmp_path: Path) -> None:
    model = isolated(tmp_path, HOSTILE, Bounds(open_files=10**9))
    with pytest.raises(Unavailable, match="cannot be locked down"):
        model.start()
    assert model.phase == "failed"


def test_the_child_dies_with_its_gateway(tmp_path: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path; sys.path.insert(0, '.');"
        "from tests.serving.pyfuncs import HOSTILE, isolated; m = isolated(Path(sys.argv[1]), HOSTILE); m.start();"
        "print(m.pid, flush=True);m.score_now(__import__('numpy').array([[666.0, 2.0]]))"
    )
    root = Path(__file__).parents[2]
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=root) as gateway:
        assert gateway.stdout is not None
        pid = int(gateway.stdout.readline())
        gateway.kill()
    until(lambda: not Path(f"/proc/{pid}").exists(), 10)


async def test_a_caller_who_goes_away_shifts_no_answers(pair: tuple[IsolatedModel, IsolatedModel]) -> None:
    well = pair[1]

    async def ask(value: float) -> float:
        return float((await well.score(np.array([[value, 1.0]])))[0])

    tasks = [asyncio.create_task(ask(float(n))) for n in range(40)]
    await asyncio.sleep(0.005)
    for task in tasks[::2]:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    kept = [(n, value) for n, value in enumerate(results) if not isinstance(value, BaseException)]
    assert len(kept) >= 20
    assert all(value == n + 1.0 for n, value in kept)


def test_refusals_are_ours(pair: tuple[IsolatedModel, IsolatedModel]) -> None:
    with pytest.raises(LeverframeError, match=r"expected \[rows, 2\], got \[1, 3\]"):
        pair[1].score_now(np.zeros((1, 3)))
