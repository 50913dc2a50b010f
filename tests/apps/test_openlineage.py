"""Run events of a real, trained installation at a small collector: valid, whole, the same however often they are made."""

import dataclasses
import json

import jsonschema
import pytest
from tests.apps.openlineage_schema import RUN_EVENT
from tests.apps.receiver import receiving
from tests.whole_program import copy_home, open_in_process

from leverframe.apps.egress_loop import EgressLoop
from leverframe.apps.settings import Settings

VALIDATOR = jsonschema.Draft202012Validator(RUN_EVENT, format_checker=jsonschema.FormatChecker())


@pytest.fixture(scope="module")
def platform(tmp_path_factory):
    home = copy_home(tmp_path_factory.mktemp("openlineage") / "home")
    opened = open_in_process(Settings(home=home, clock=f"replay:{home / 'replay.clock'}"))
    yield opened
    opened.close()


@pytest.fixture
def collector():
    with receiving() as server:
        yield server


def _loop(platform, server, path="/api/v1/lineage"):
    address = f"http://127.0.0.1:{server.port}"
    parts = platform.parts
    told = {"egress_hosts": address, "egress_networks": "127.0.0.0/8", "openlineage_url": address + path}
    return EgressLoop(dataclasses.replace(parts, settings=parts.settings.model_copy(update=told)))


@pytest.fixture
def events(platform, collector):
    platform.parts.settings.outbox_file.unlink(missing_ok=True)
    loop = _loop(platform, collector)
    loop.look()
    loop.close()
    return [json.loads(body) for _, _, body in collector.taken]


def _of(events, job, type="COMPLETE"):
    return [event for event in events if event["job"]["name"] == job and event["eventType"] == type]


def test_every_event_keeps_the_schema(events):
    assert len(events) > 20
    for event in events:
        faults = [f"{'/'.join(map(str, fault.path))}: {fault.message}" for fault in VALIDATOR.iter_errors(event)]
        assert faults == []
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate({**events[0], "eventTime": "yesterday"})


def test_every_run_starts_and_ends_once(events):
    states = {}
    for event in events:
        states.setdefault(event["run"]["runId"], []).append(event["eventType"])
    for seen in states.values():
        assert seen[0] == "START"
        assert seen[1:] in (["COMPLETE"], []), "the first release is still being watched"
    assert sum(seen == ["START"] for seen in states.values()) == 1


def test_an_ingest_tells_rows_schema_and_what_the_contract_said(events):
    (ingest,) = _of(events, "ingest.weather")
    (output,) = ingest["outputs"]
    assert output["outputFacets"]["outputStatistics"]["rowCount"] > 500
    assert {"name": "temp", "type": "float64"} in output["facets"]["schema"]["fields"]
    assert output["facets"]["version"]["datasetVersion"].startswith("sha256:")
    assertions = ingest["inputs"][0]["inputFacets"]["dataQualityAssertions"]["assertions"]
    assert len(assertions) > 5
    assert all(assertion["success"] for assertion in assertions if assertion["assertion"] == "type")


def test_a_materialisation_tells_every_column_of_every_feature(events):
    (event,) = _of(events, "materialize.origin_weather")
    fields = event["outputs"][0]["facets"]["columnLineage"]["fields"]
    gust = {(f["name"], f["field"]): f["transformations"][0] for f in fields["wind_gust"]["inputFields"]}
    assert gust["weather", "wind_speed"]["subtype"] == "TRANSFORMATION"
    assert gust["weather", "wind_speed"]["description"] == "COALESCE(wind_gust, wind_speed)"
    assert gust["weather", "origin"] == {"type": "INDIRECT", "subtype": "JOIN", "description": "entity key"}
    assert fields["temp"]["inputFields"][0]["transformations"][0]["subtype"] == "IDENTITY"
    (delays,) = _of(events, "materialize.origin_delays")
    mean = delays["outputs"][0]["facets"]["columnLineage"]["fields"]["mean_2h"]["inputFields"][0]
    assert (mean["field"], mean["transformations"][0]["subtype"]) == ("dep_delay", "AGGREGATION")


def test_training_tells_the_columns_behind_every_input_of_the_version(events):
    first = _of(events, "train.flight-delay")[0]
    assert {dataset["name"] for dataset in first["inputs"]} == {"departures", "flights", "planes", "weather"}
    (model,) = first["outputs"]
    assert model["name"] == "model.flight-delay@v1"
    fields = model["facets"]["columnLineage"]["fields"]
    assert len(fields) == 25
    assert {(f["name"], f["field"]) for f in fields["plane_facts_age_years"]["inputFields"]} == {
        ("planes", "year"),
        ("planes", "tailnum"),
        ("planes", "valid_from"),
    }
    assert {(f["name"], f["field"]) for f in fields["distance"]["inputFields"]} == {("flights", "distance")}


def test_a_release_joins_the_version_to_its_endpoint(events):
    (start,) = _of(events, "release.prod.flight-delay", "START")
    assert [d["name"] for d in start["inputs"]] == ["model.flight-delay@v1"]
    assert [d["name"] for d in start["outputs"]] == ["endpoint.prod.flight-delay"]


def test_the_same_entries_make_the_same_events(platform, events, collector):
    """A repeat after a crash must be seen as one: run ids are computed, not drawn."""
    before = [body for _, _, body in collector.taken]
    platform.parts.settings.outbox_file.unlink()
    loop = _loop(platform, collector)
    loop.look()
    loop.close()
    assert [body for _, _, body in collector.taken[len(before) :]] == before


def test_a_collector_that_is_away_misses_nothing_and_another_one_is_told_everything(platform, events, collector):
    told = len(collector.taken)
    admin = platform.access.authenticate(json.loads((platform.parts.settings.home / "secrets.json").read_text())["ana"])
    collector.status = 503
    loop = _loop(platform, collector)
    done = platform.data.ingest(admin, "weather", b"not parquet, but csv\n1\n", format="csv", key=f"bad-{told}")
    assert not done.accepted
    loop.look()
    failed = [json.loads(body) for _, _, body in collector.taken[told:]]
    assert [event["eventType"] for event in failed] == ["START"], "the channel waits at its first message"
    loop.close()
    collector.status = 204
    later = _loop(platform, collector, "/other")
    later.look()
    later.close()
    other = [(path, json.loads(body)) for path, _, body in collector.taken[told + 1 :]]
    assert {path for path, _ in other} == {"/other"}
    assert len(other) == told + 2
    ends = _of([event for _, event in other], "ingest.weather", "FAIL")
    assert "refused by contract weather" in ends[-1]["run"]["facets"]["errorMessage"]["message"]


def test_without_a_collector_nothing_is_queued(platform):
    loop = EgressLoop(platform.parts)
    loop.look()
    loop.close()
    from leverframe.apps.egress.outbox import Outbox

    outbox = Outbox(platform.parts.settings.outbox_file)
    assert [channel for channel in outbox.channels() if channel.startswith("openlineage/")] == []
    outbox.close()
