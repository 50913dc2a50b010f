"""``lever predict``, ``top`` and ``serve``: what is typed arrives typed, and traffic is counted between two looks."""

import json
import math

import msgspec
import pytest
from tests.apps.fake_gateway import FakeGateway, client_with_gateway
from tests.apps.fake_platform import FakePlatform
from typer.testing import CliRunner

from leverframe.apps import client as client_module
from leverframe.apps.cli import connection
from leverframe.apps.cli.main import app
from leverframe.apps.gateway_view.client import Look
from leverframe.apps.gateway_view.traffic import between, quantile_ms
from leverframe.core.errors import InvalidInput, LimitExceeded, NotFound


@pytest.fixture
def gateway():
    return FakeGateway(FakePlatform())


@pytest.fixture
def lever(gateway, monkeypatch, tmp_path):
    monkeypatch.setenv("LEVER_HOME", str(tmp_path))
    monkeypatch.delenv("LEVER_TOKEN", raising=False)
    monkeypatch.setattr(client_module, "Client", lambda url, token, **options: client_with_gateway(gateway, token))
    connection.save(tmp_path, "http://localhost", "admin-token")
    return lambda *arguments: CliRunner().invoke(app, list(arguments), catch_exceptions=False)


TYPED = {"origin": ("BYTES", "JFK"), "carrier": ("BYTES", "9"), "distance": ("FP64", 187.0), "sched_dep_at": ("INT64", 5)}


def test_what_is_typed_goes_as_the_types_the_model_declares(lever, gateway):
    """A carrier called 9 is text and a distance of 187 a number: guessing from the text would send both wrongly."""
    said = lever("predict", "flight-delay", "origin=JFK", "carrier=9", "distance=187", "sched_dep_at=5").output
    assert gateway.asked == [TYPED]
    for part in ("0.25", "flight-delay@v2", "live", "origin_weather_visib", "p-1"):
        assert part in said


def test_without_inputs_the_models_own_example_is_asked_and_an_entity_replaces_a_key(lever, gateway):
    assert json.loads(lever("predict", "flight-delay", "--entity", "origin=LGA", "--json").output)["outputs"] == {"probability": [0.25]}
    assert gateway.asked[0]["origin"] == ("BYTES", "LGA")
    assert gateway.asked[0]["distance"] == ("FP64", 1400.0)


def test_a_json_body_and_a_file_with_one_are_the_same(lever, gateway, tmp_path):
    body = '{"origin": "JFK", "carrier": "9", "distance": 187.0, "sched_dep_at": 5}'
    (tmp_path / "row.json").write_text(body)
    lever("predict", "flight-delay", "--body", body)
    lever("predict", "flight-delay", "--body", f"@{tmp_path / 'row.json'}")
    assert gateway.asked == [TYPED, TYPED]


def test_each_row_of_a_csv_is_a_request_of_its_own(lever, gateway, tmp_path):
    (tmp_path / "rows.csv").write_text("origin,distance\nJFK,187\nLGA,\n")
    answers = json.loads(lever("predict", "flight-delay", "--csv", str(tmp_path / "rows.csv"), "--json").output)
    assert [answer["id"] for answer in answers] == ["p-1", "p-2"]
    assert gateway.asked[1] == {"origin": ("BYTES", "LGA"), "distance": ("FP64", None)}


def test_a_csv_that_is_a_batch_is_sent_to_lever_score(lever, monkeypatch, tmp_path):
    monkeypatch.setattr("leverframe.apps.cli.commands_serving.CSV_ROWS_MAX", 1)
    (tmp_path / "rows.csv").write_text("origin\nJFK\nLGA\n")
    with pytest.raises(LimitExceeded) as refused:
        lever("predict", "flight-delay", "--csv", str(tmp_path / "rows.csv"))
    assert refused.value.next_step == "lever score"


def test_every_wrong_input_is_named_before_anything_is_asked(lever, gateway):
    with pytest.raises(InvalidInput) as refused:
        lever("predict", "flight-delay", "distance=far", "colour=red")
    assert [fault.where for fault in refused.value.faults] == ["distance", "colour"]
    for arguments in (("origin",), ("--body", "[1]"), ("--body", "{"), ("origin=JFK", "--body", "{}")):
        with pytest.raises(InvalidInput):
            lever("predict", "flight-delay", *arguments)
    with pytest.raises(NotFound):
        lever("predict", "flight-delay", "--csv", "nowhere.csv")
    assert gateway.asked == []


def test_top_counts_what_happened_between_two_looks(lever):
    seen = json.loads(lever("top", "--json", "--interval", "0.1").output)
    assert (seen["seconds"], seen["generation"], seen["served"], seen["adds_up"], seen["refused"]) == (10.0, 41, 220, True, 3)
    live, canary = seen["arms"]
    assert (live["version"], live["per_second"], live["errors"], live["total"]) == ("flight-delay@v2", 10.0, 1, 200)
    assert (live["p50_ms"], live["p99_ms"]) == (1.5, 1.99)
    assert (canary["role"], canary["per_second"]) == ("canary", 1.0)
    said = lever("top", "--once", "--interval", "0.1").output
    assert "logged" in said
    assert "holds" in said


def test_a_gateway_restarted_between_the_looks_counts_from_its_start(gateway):
    with client_with_gateway(gateway) as client:
        client.gateway.look()
        late, young = client.gateway.look(), client.gateway.look()
    reborn = Look(page=young.page | {"uptime_s": 2.0}, arms=late.arms)
    assert between(young, reborn).seconds == 2.0
    assert [arm.per_second for arm in between(young, reborn).arms] == [100.0, 10.0]


def test_latency_beyond_the_last_bound_is_that_bound():
    assert quantile_ms([(0.001, 0), (math.inf, 4)], 0.99) == 1.0
    assert quantile_ms([], 0.5) is None
    assert quantile_ms([(0.001, 0), (math.inf, 0)], 0.5) is None


def test_the_gateways_address_is_where_lever_up_runs_it(monkeypatch, tmp_path):
    """With ports of its own, ``lever predict`` would otherwise ask a stranger's gateway."""
    monkeypatch.delenv("LEVER_GATEWAY_URL", raising=False)
    assert connection.gateway_address(tmp_path) == connection.DEFAULT_GATEWAY_URL
    (tmp_path / "run.json").write_bytes(msgspec.json.encode({"gateway": "http://127.0.0.1:9"}))
    assert connection.gateway_address(tmp_path) == "http://127.0.0.1:9"
    monkeypatch.setenv("LEVER_GATEWAY_URL", "http://127.0.0.1:10")
    assert connection.gateway_address(tmp_path) == "http://127.0.0.1:10"
