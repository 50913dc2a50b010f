"""The console in a real browser: no script or style is blocked, charts are drawn, and the pictures in the documentation are its own."""

import re

import pytest
from tests.apps.browser import dom, needs_chromium, screenshot, served
from tests.apps.fake_platform import FakePlatform

PICTURES = {
    "overview": "/",
    "release": "/releases/rel-0003",
    "model": "/versions/flight-delay@v2",
    "monitor": "/monitor/flight-delay",
    "feature": "/features/origin_weather",
    "audit": "/audit?verify=1",
    "table": "/tables/nightly",
}


@needs_chromium
@pytest.mark.slow
@pytest.mark.parametrize("path", PICTURES.values())
def test_a_page_runs_under_its_own_content_security_policy(path, tmp_path):
    with served(FakePlatform(), "admin-token") as address:
        page, complaints = dom(address + path, profile=tmp_path / "profile")
    assert not re.search(r"Refused to|Content Security Policy|Uncaught", complaints), complaints
    assert '<button class="quiet" type="button" id="theme">' in page, "the script that unhides the theme switch did not run"


@needs_chromium
@pytest.mark.slow
def test_pictures_are_drawn(tmp_path):
    with served(FakePlatform(), "admin-token") as address:
        for name, path in PICTURES.items():
            screenshot(address + path, tmp_path / f"console-{name}.png", height=1100, profile=tmp_path / "profile")
        screenshot(address, tmp_path / "console-dark.png", height=1100, dark=True, profile=tmp_path / "profile")
    sizes = {file.name: file.stat().st_size for file in tmp_path.glob("console-*.png")}
    assert len(sizes) == len(PICTURES) + 1
    assert min(sizes.values()) > 30_000, f"a picture is almost empty: {sizes}"
