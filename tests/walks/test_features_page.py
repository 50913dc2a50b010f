"""docs/features.md is run from top to bottom: its files are a project, its commands work on an installation, its programs hold."""

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.apps.in_process import client_of
from tests.whole_program import clear_environment, issue_tokens, open_in_process

from leverframe.apps import client as client_module
from leverframe.apps.cli import connection, main
from leverframe.apps.clocks import ReplayClock
from leverframe.apps.platform.platform import Platform
from leverframe.apps.settings import Settings

PAGE = Path(__file__).parents[2] / "docs" / "features.md"
BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NOW_US = 1_357_034_400_000_000 + 100 * 3_600_000_000
"""Just after the page's last departure."""


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    clear_environment()
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    clock = ReplayClock(home / "replay.clock")
    clock.set(NOW_US)
    clock.close()
    opened = open_in_process(Settings(home=home, clock=f"replay:{home / 'replay.clock'}"))
    yield opened
    opened.close()


@pytest.mark.timeout(180)
def test_the_page_runs(platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """An author who copies the page gets what it says, or the page is wrong."""
    token = issue_tokens(platform)["ana"]
    project = tmp_path / "project"
    (project / "contracts").mkdir(parents=True)
    monkeypatch.chdir(project)
    monkeypatch.setenv("LEVER_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(client_module, "Client", lambda url, token, **options: client_of(platform, token))
    monkeypatch.syspath_prepend(str(project))
    connection.save(tmp_path / "home", "http://localhost", token)
    said: dict[str, str] = {}
    names: dict[str, Any] = {}
    blocks = BLOCK.findall(PAGE.read_text())
    assert len(blocks) > 12
    try:
        for language, file, text in blocks:
            if file:
                Path(file).write_text(text)
            elif language == "console":
                for line in text.splitlines():
                    said[line] = run(line, monkeypatch, capsys)
            else:
                exec(compile(text, "docs/features.md", "exec"), names)
    finally:
        for name in ("features", "feature_tests", "models"):
            sys.modules.pop(name, None)
    assert "1 of 1 hold on polars, stream" in said["lever features test . --engine polars --engine stream"]
    assert {view.view.name for view in platform.features.views()} == {"origin_delays", "last_departure"}
    assert platform.services.services()[0].models == ("late-flight",)
    written = pl.concat(pl.read_parquet(part) for part in sorted((project / "set").iterdir()))
    assert written.equals(names["made"].frame), "the verb and the notebook make the same set"
    online = pl.read_parquet(project / "online.parquet")
    lga = online.filter(pl.col("entity") == "LGA").row(0, named=True)
    assert (lga["count_2h"], lga["mean_2h"]) == (5.0, 34.8), "18, 20, 22, 24 and the pushed 90 minutes"
    assert "origin_delays" in said["lever features list"]
    assert "last_departure" in said["lever lineage impact departures.seats --remove"]
    assert "late-flight.worse_than_usual" in said["lever lineage departures.dep_delay"], "an expression is an input like any other"


def run(line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """What ``line`` prints; it must succeed."""
    words = shlex.split(line)
    assert words[0] == "lever"
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as ended:
        main.main()
    told = capsys.readouterr()
    assert not ended.value.code, f"{line}: {told.out}{told.err}"
    return told.out
