"""The console over a finished demo, in headless Chromium: every page is drawn from real records, and the README's pictures are made here.

``LEVER_DRAW_IMAGES=1`` writes them to ``docs/images``.
"""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.apps.browser import dom, free_port, needs_chromium, screenshot, served

from leverframe.apps.platform.platform import Platform
from leverframe.apps.settings import Settings
from leverframe.apps.supervisor import Supervisor
from leverframe.apps.wiring import open_platform
from leverframe.core.actor import Actor

pytestmark = [pytest.mark.slow, pytest.mark.timeout(420), needs_chromium]

ADMIN = Actor(subject="admin", roles=("admin",), teams=("*",))
IMAGES = Path(__file__).parents[2] / "docs" / "images"
PICTURES = ("overview", "release", "rolled-back", "monitor")
PAGES = {
    "overview": ("/", "Everything is all right"),
    "release": ("/releases/prod.flight-delay.0002", "Evidence, look by look"),
    "rolled-back": ("/releases/prod.flight-delay.0003", "prediction_shift"),
    "model": ("/models/flight-delay", "flight-delay@v3"),
    "version": ("/versions/flight-delay@v2", "roc_auc"),
    "monitor": ("/monitor/flight-delay", "Feed weather"),
    "endpoint": ("/endpoints/prod/flight-delay", "flight-delay@v2"),
    "tables": ("/tables", "lever table write NAME"),
    "audit": ("/audit", "Release.Rollback"),
    "data": ("/data", "departures"),
    "contract": ("/data/flights", "no two rows with the same flight_id"),
    "features": ("/features", "origin_weather"),
    "lineage": ("/lineage/version~flight-delay@v1", "wind_gust"),
    "impact": ("/lineage/weather.temp?change=remove", "breaks 1 feature"),
}


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The console of an installation that has lived through the whole story, its processes running again."""
    home = tmp_path_factory.mktemp("story") / "home"
    command = [sys.executable, "-m", "leverframe.apps.cli.main", "demo", "--json", "--home", str(home)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, cwd=home.parent)
    assert done.returncode == 0, done.stderr[-3000:]
    settings = Settings(home=home, clock=f"replay:{home / 'replay.clock'}", port=free_port(), gateway_port=free_port(), gateway_grpc_port=0)
    supervisor = Supervisor(settings)
    platform: Platform = open_platform(settings)
    try:
        supervisor.start()
        token = platform.access.issue(ADMIN, "reader", ("admin",), ("*",), days=1, key=str(time.time()))
        with served(platform, token.secret) as address:
            yield address
    finally:
        supervisor.stop()
        platform.close()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_drawn_from_real_records(console: str, name: str, tmp_path: Path) -> None:
    """A page that a real record cannot fill would show nothing, or the browser would say what it refused."""
    path, expected = PAGES[name]
    html, complaints = dom(console + path, profile=tmp_path / "profile")
    assert expected in html, f"{path} does not say '{expected}'"
    assert "Content Security Policy" not in complaints
    shown = re.sub(r"<script.*?</script>", "", html, flags=re.DOTALL).lower()
    # The pages of a model say "nan" where a missing input is fed as one.
    assert name in ("model", "version") or not re.search(r"\bnan\b", shown), "a figure nobody knows is shown as a number that is none"
    if os.environ.get("LEVER_DRAW_IMAGES") and name in PICTURES:
        IMAGES.mkdir(parents=True, exist_ok=True)
        screenshot(console + path, IMAGES / f"console-{name}.png", height=1000, profile=tmp_path / "profile")
