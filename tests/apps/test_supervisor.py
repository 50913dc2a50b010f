"""The supervisor of ``lever up``: what dies is started again; what dies again and again rests, is named, and is tried once more."""

import json
import time
from pathlib import Path

import pytest

from leverframe.apps.platform.doctor import _supervisor
from leverframe.apps.settings import Settings
from leverframe.apps.supervisor import REST_S, RESTARTS_MAX, Child, Supervisor


def dying(folder: Path) -> Child:
    """A child that ends with an error as soon as it is started."""
    child = Child("worker", ["-c", "raise SystemExit(3)"], {}, folder / "worker.log", lambda: False)
    child.start()
    return child


def die(child: Child) -> bool:
    """Wait for its death; whether the supervisor then did something about it."""
    assert child.process is not None
    child.process.wait(20)
    return child.revive()


def crash_loop(folder: Path) -> Child:
    """A child that just died once more than the supervisor accepts in a row."""
    child = dying(folder)
    for _ in range(RESTARTS_MAX + 1):
        assert die(child), "a death was not noticed"
    return child


def test_a_crash_loop_is_left_down_and_said_to_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    looping = crash_loop(tmp_path)
    before = looping.process
    assert not looping.revive(), "a child in a crash loop was started again at once"
    assert looping.process is before
    assert 0 < looping.rests_until - time.monotonic() <= REST_S
    assert f"worker died {RESTARTS_MAX + 1} times" in capsys.readouterr().err


def test_after_its_rest_it_is_tried_again_with_a_clean_slate(tmp_path: Path) -> None:
    looping = crash_loop(tmp_path)
    before = looping.process
    looping.rests_until = time.monotonic() - 0.001
    assert looping.revive()
    assert looping.process is not before
    assert die(looping), "the first death after a rest counted as a crash loop"
    assert not looping.rests_until
    assert looping.process is not None
    looping.process.wait(20)


def test_doctor_names_what_rests(tmp_path: Path) -> None:
    looping = crash_loop(tmp_path)
    supervisor = Supervisor(Settings(home=tmp_path))
    supervisor.children = [looping]
    supervisor._write_state()
    assert json.loads((tmp_path / "run.json").read_text())["resting"] == ["worker"]
    (check,) = _supervisor(tmp_path)
    assert not check.ok
    assert "again and again" in check.detail
    assert check.fix.endswith("logs/worker.log")
