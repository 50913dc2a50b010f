"""A contract that takes a column away is checked, refused, acknowledged and recorded, over a real installation."""

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import msgspec
import pytest
from tests.whole_program import copy_home, open_in_process

from leverframe.apps.platform.platform import Platform
from leverframe.apps.settings import Settings
from leverframe.core.actor import Actor
from leverframe.core.errors import Refused

WEATHER = (files("leverframe.apps.demo.project") / "contracts" / "weather.odcs.yaml").read_text()


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    home = copy_home(tmp_path / "home")
    opened = open_in_process(Settings(home=home, clock=f"replay:{home / 'replay.clock'}"))
    yield opened
    opened.close()


@pytest.fixture
def ana(platform: Platform, tmp_path: Path) -> Actor:
    secrets = msgspec.json.decode((tmp_path / "home" / "secrets.json").read_bytes(), type=dict[str, str])
    return platform.access.authenticate(secrets["ana"])


def without(text: str, column: str, version: str) -> str:
    """The contract's text without a column of it."""
    lines = text.splitlines(keepends=True)
    start = next(at for at, line in enumerate(lines) if line.strip().rstrip(",").startswith((f"- name: {column}", f"- {{ name: {column},")))
    end = next(at for at in range(start + 1, len(lines)) if not lines[at].startswith("        "))
    current = next(line for line in lines if line.startswith("version:"))
    return "".join([*lines[:start], *lines[end:]]).replace(current, f"version: {version}\n")


def test_who_a_change_breaks_is_known_before_it_ships_and_kept_in_the_record(platform: Platform, ana: Actor) -> None:
    held = platform.contracts.check(ana, WEATHER, last_snapshot=True)
    assert (held.change, held.consumers) == ("same", ())
    assert held.report is not None
    assert held.report.accepted, "the rows that are there keep the contract that let them in"
    less = without(WEATHER, "wind_speed", "2.0.0")
    seen = platform.contracts.check(ana, less)
    names = [consumer.name for consumer in seen.consumers]
    assert (seen.change, seen.refusals) == ("breaking", ())
    assert names[:2] == ["feature origin_weather.wind_gust", "feature origin_weather.wind_speed"], "the gust falls back on the speed"
    assert {"model flight-delay", "endpoint prod/flight-delay"} <= set(names)
    assert not any(name.endswith(".temp") for name in names), "who reads another column is not alarmed"
    with pytest.raises(Refused) as refused:
        platform.data.apply_contract(ana, less, key="unsaid")
    assert [fault.where for fault in refused.value.faults] == names
    with pytest.raises(Refused):
        platform.data.apply_contract(ana, less, key="one of several", break_consumers=tuple(names[:1]))
    applied = platform.data.apply_contract(ana, less, key="said", break_consumers=tuple(names))
    assert applied["consumers"] == names
    (entry,) = platform.parts.ledger.audit(limit=1, newest_first=True)
    assert (entry.action, entry.actor) == ("Data.ApplyContract", "ana")
    said = msgspec.json.decode(entry.body)["break_consumers"]
    assert said == names, "the record keeps whom it was said to break"
