"""Run events of materialisation jobs and of fetched sources: a start when it starts, one end however it ends, and what was read."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from tests.apps.fetches import fetch
from tests.apps.openlineage_schema import RUN_EVENT
from tests.apps.test_materializing import CONTRACT, LATEST, HeldBack, Place, readings
from tests.apps.test_platform_sources import ANA, csv, opened
from tests.whole_program import issue_tokens

from leverframe.apps import materialize_workflow
from leverframe.apps.openlineage.events import EventMaker
from leverframe.apps.platform.platform import Platform
from leverframe.apps.platform.views import MaterializeRequest
from leverframe.apps.settings import Settings
from leverframe.apps.wiring import open_parts
from leverframe.core.errors import LeverframeError
from leverframe.data.sources.registered import Source
from leverframe.features.declared.definitions import view_version

VALIDATOR = jsonschema.Draft202012Validator(RUN_EVENT, format_checker=jsonschema.FormatChecker())


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    parts = open_parts(Settings(home=tmp_path / "home"))
    parts.queue.close()
    queue = HeldBack()
    platform = Platform(dataclasses.replace(parts, queue=queue))  # type: ignore[arg-type]
    ana = platform.access.authenticate(issue_tokens(platform)["ana"])
    platform.data.apply_contract(ana, CONTRACT, key="contract")
    made = Place(platform, queue, ana)
    made.ingest(readings(3))
    platform.features.apply_view(ana, LATEST, key="latest")
    yield made
    platform.close()


def told(platform: Platform, job: str) -> list[dict[str, Any]]:
    """The events of one job, as a collector reads them."""
    maker = EventMaker(platform.parts.ledger, platform.parts.artifacts, platform.lineage, "prod", "here")
    entries = platform.parts.ledger.audit(after=0, limit=1000)
    events = [msgspec.json.decode(msgspec.json.encode(event)) for entry in entries for event in maker.events(entry)]
    for event in events:
        VALIDATOR.validate(event)
    return [event for event in events if event["job"]["name"] == job]


def test_a_materialisation_starts_when_it_starts_and_completes_with_its_columns(place: Place) -> None:
    (job,) = place.platform.materializing.start(place.ana, MaterializeRequest(names=("latest",)), key="one")
    assert [event["eventType"] for event in told(place.platform, "materialize.latest")] == ["START"], "before any work"
    place.queue.work(place.platform.parts)
    start, done = told(place.platform, "materialize.latest")
    assert (start["eventType"], done["eventType"]) == ("START", "COMPLETE")
    assert start["run"]["runId"] == done["run"]["runId"]
    read, written = done["inputs"][0], done["outputs"][0]
    assert read["facets"]["version"]["datasetVersion"] == job.snapshot
    assert (written["name"], written["outputFacets"]["outputStatistics"]["rowCount"]) == ("online.latest", 4)
    assert written["facets"]["version"]["datasetVersion"] == view_version(LATEST)
    assert {field["field"] for field in written["facets"]["columnLineage"]["fields"]["v"]["inputFields"]} >= {"value", "sensor", "at"}


def test_one_that_is_taken_over_is_aborted_and_one_that_fails_says_why(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.platform.materializing.start(place.ana, MaterializeRequest(names=("latest",)), key="one")
    (other,) = place.platform.materializing.start(place.ana, MaterializeRequest(names=("latest",), take_over=True), key="two")

    def broken(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(materialize_workflow, "compute", broken)
    place.queue.work(place.platform.parts, at=1)
    events = told(place.platform, "materialize.latest")
    assert [event["eventType"] for event in events] == ["START", "ABORT", "START", "FAIL"]
    first, aborted, second, failed = (event["run"]["runId"] for event in events)
    assert (first, second) == (aborted, failed)
    assert first != second
    assert other.id in events[1]["run"]["facets"]["errorMessage"]["message"]
    assert "no space left" in events[3]["run"]["facets"]["errorMessage"]["message"]


def test_a_fetched_source_is_named_as_other_producers_name_it(tmp_path: Path) -> None:
    landing = tmp_path / "landing"
    landing.mkdir()
    (landing / "a.csv").write_bytes(csv("a1"))
    platform = opened(tmp_path / "home", f"file://{landing}")
    platform.sources.declare(ANA, Source(name="landing", kind="objects", team="rides", location=f"file://{landing}"), key="declare")
    fetch(platform, ANA, "trips", "landing", key="fetch")
    done = told(platform, "ingest.trips")[-1]
    (landing / "b.csv").write_bytes(csv("b1"))
    (landing / "broken.parquet").write_bytes(b"PAR1 nothing more")
    with pytest.raises(LeverframeError):
        fetch(platform, ANA, "trips", "landing", key="fails")
    failed = told(platform, "ingest.trips")[-1]
    assert failed["eventType"] == "FAIL"
    assert failed["inputs"][0]["name"] == str(landing)
    assert "broken.parquet" in failed["run"]["facets"]["errorMessage"]["message"]
    platform.close()
    assert [(read["namespace"], read["name"]) for read in done["inputs"]] == [
        ("leverframe://prod", "trips.offered"),
        ("file", str(landing)),
    ]
