"""The Python client: same records, same errors, one key over all attempts."""

import httpx
import msgspec
import pytest
from tests.apps import fake_records as records
from tests.apps.fake_platform import FakePlatform
from tests.apps.in_process import client_of

import leverframe as lf
from leverframe.apps.client import Client
from leverframe.apps.gateway_view.client import datatype_of
from leverframe.apps.platform.views import (
    FallbackRequest,
    LimitsRequest,
    MaterializeRequest,
    ObjectivesRequest,
    PlanRequest,
    QuotaRequest,
    TrainRequest,
)
from leverframe.apps.transport import ATTEMPTS_MAX, WireError, error_from
from leverframe.core import errors


@pytest.fixture
def platform():
    return FakePlatform()


@pytest.fixture
def client(platform):
    return client_of(platform)


def test_reads_come_back_as_the_records_the_platform_gave(client, platform):
    pairs = [
        (client.status(), platform.status()),
        (client.doctor(), platform.doctor()),
        (client.data.datasets(), platform.data.datasets()),
        (client.data.dataset("weather"), platform.contract_details.dataset("weather")),
        (client.data.reports("weather"), platform.data.reports("weather")),
        (client.features.views(), platform.features.views()),
        (client.training.models(), platform.training.models()),
        (client.training.versions("flight-delay"), platform.training.versions("flight-delay")),
        (client.training.version("flight-delay@v2"), platform.training.version("flight-delay@v2")),
        (client.training.reproduction("flight-delay@v2"), platform.reproducing.newest("flight-delay@v2")),
        (client.training.runs(), platform.training.runs()),
        (client.training.run("run-0002"), platform.training.run("run-0002")),
        (client.release.plans(), platform.release.plans()),
        (client.release.plan_of(records.digest("plan3")), platform.release.plan_of(records.digest("plan3"))),
        (client.release.list(), platform.release.releases()),
        (client.release.get("rel-0003"), platform.release.release("rel-0003")),
        (client.release.endpoints(), platform.release.endpoints()),
        (client.release.history("prod", "flight-delay"), platform.history.of("prod", "flight-delay")),
        (client.monitoring.alerts(), platform.monitoring.alerts()),
        (client.monitoring.diagnose("flight-delay"), platform.monitoring.diagnose("flight-delay")),
        (client.monitoring.monitor("flight-delay"), platform.monitoring.monitor("flight-delay")),
        (client.audit.entries(limit=5), platform.audit.entries(limit=5)),
        (client.audit.verify(), platform.audit.verify()),
        (client.audit.export(), platform.audit.export()),
        (client.access.tokens(), platform.access.tokens()),
    ]
    for got, expected in pairs:
        assert got == expected


def test_writes_reach_the_platform_with_the_arguments_given(client, platform):
    client.data.apply_contract("kind: DataContract")
    client.data.ingest("weather", b"PAR1", format="parquet")
    client.features.apply(records.WEATHER)
    assert client.features.materialize(["origin_weather"], 5) == {"origin_weather": records.job()}
    client.training.apply_model(records.SPEC)
    client.training.start(TrainRequest(model="flight-delay", from_us=1, to_us=2))
    client.release.plan(PlanRequest(endpoint="flight-delay", version="flight-delay@v3"))
    client.release.approve(records.digest("plan3"), "fine")
    client.release.apply(records.digest("plan3"))
    client.release.rollback("prod", "flight-delay", "bad")
    client.release.operate("prod", "flight-delay", "disable-feature", "origin_weather.*", "frozen", for_us=5)
    client.operating.fallback("prod", "flight-delay", value=0.2, last_good=True, reason="feed")
    client.operating.limits("prod", "flight-delay", deadline_ms=50, reason="page")
    client.operating.set_quota("acme", 5.0, reason="noisy")
    client.monitoring.set_objectives("flight-delay", availability=0.9995, reason="promised")
    client.access.issue("bo", ["approver"], ["flights"], days=30)
    client.access.revoke("tok-1")
    assert [(action, arguments) for action, _, _, arguments in platform.calls.made] == [
        ("Data.ApplyContract", ("kind: DataContract",)),
        ("Data.Ingest", ("weather", b"PAR1", "parquet")),
        ("Features.Apply", (records.WEATHER,)),
        ("Features.Materialize", (MaterializeRequest(names=("origin_weather",), to_us=5),)),
        ("Training.ApplyModel", (records.SPEC,)),
        ("Training.Start", (TrainRequest(model="flight-delay", from_us=1, to_us=2),)),
        ("Release.Plan", (PlanRequest(endpoint="flight-delay", version="flight-delay@v3"),)),
        ("Release.Approve", (records.digest("plan3"), "fine")),
        ("Release.Apply", (records.digest("plan3"),)),
        ("Release.Rollback", ("prod", "flight-delay", "bad")),
        ("Release.Operate", ("prod", "flight-delay", "disable-feature", "origin_weather.*", "frozen", 5)),
        ("Release.Operate", ("prod", "flight-delay", FallbackRequest(value=0.2, last_good=True, reason="feed"))),
        ("Release.Operate", ("prod", "flight-delay", LimitsRequest(deadline_ms=50, reason="page"))),
        ("Tenants.SetQuota", ("acme", QuotaRequest(per_second=5.0, reason="noisy"))),
        ("Monitoring.SetObjectives", ("flight-delay", ObjectivesRequest(availability=0.9995, reason="promised"))),
        ("Tokens.Issue", ("bo", ("approver",), ("flights",), 30)),
        ("Tokens.Revoke", ("tok-1",)),
    ]


def test_an_error_is_raised_again_as_itself(client):
    with pytest.raises(errors.NotFound) as caught:
        client.training.version("flight-delay@v9")
    assert (caught.value.what, caught.value.where) == ("no such version", "flight-delay@v9")
    assert caught.value.next_step == "lever models list"
    assert caught.value.__notes__[0].startswith("request ")


def _all_classes(root=errors.LeverframeError):
    return [root, *(found for child in root.__subclasses__() for found in _all_classes(child))]


@pytest.mark.parametrize("cls", [c for c in _all_classes() if c.__module__ == "leverframe.core.errors"])
def test_every_error_survives_the_wire(cls):
    raised = cls("too many", where="queue", expected="10", got="11", next_step="wait", faults=[errors.Fault(where="a", what="b")])
    again = error_from(msgspec.json.decode(msgspec.json.encode(raised.to_dict()), type=WireError))
    assert type(again) is cls
    assert again.to_dict() == raised.to_dict()


def _flaky(failures, status=503):
    seen = []

    def answer(request):
        seen.append((request.headers.get("idempotency-key"), request.read()))
        if len(seen) <= failures:
            if status is None:
                raise httpx.ReadError("cut")
            return httpx.Response(status, json=errors.Unavailable("away").to_dict())
        return httpx.Response(200, json={"rows": 1})

    return seen, httpx.MockTransport(answer)


@pytest.mark.parametrize("status", [503, 429, None])
def test_all_attempts_of_a_write_carry_the_same_key_and_body(status):
    seen, http = _flaky(ATTEMPTS_MAX - 1, status)
    waits = []
    client = Client("http://localhost", "t", http=http, sleep=waits.append)
    assert client.data.apply_contract("a") == {"rows": 1}
    assert len(seen) == ATTEMPTS_MAX
    assert len(set(seen)) == 1, "another key would make it another change"
    assert waits == sorted(waits)


def test_a_refusal_is_not_tried_again():
    seen, http = _flaky(9, 409)
    with pytest.raises(errors.Unavailable):
        Client("http://localhost", "t", http=http, sleep=lambda s: None).data.apply_contract("a")
    assert len(seen) == 1


def test_attempts_end():
    seen, http = _flaky(99)
    with pytest.raises(errors.Unavailable, match="away"):
        Client("http://localhost", "t", http=http, sleep=lambda s: None).status()
    assert len(seen) == ATTEMPTS_MAX


def test_nobody_there_says_what_to_type():
    def refuse(request):
        raise httpx.ConnectError("refused")

    with pytest.raises(errors.Unavailable) as caught:
        Client("http://localhost:1", "t", http=httpx.MockTransport(refuse), sleep=lambda s: None).status()
    assert "lever up" in caught.value.next_step


def test_an_answer_that_is_not_ours_is_said_to_be_so():
    http = httpx.MockTransport(lambda request: httpx.Response(404, text="<html>nginx"))
    with pytest.raises(errors.Unavailable, match="not Leverframe's"):
        Client("http://localhost", "t", http=http).status()


def test_predict_speaks_the_open_inference_protocol_once():
    asked = []

    def gateway(request):
        asked.append((request.url.path, request.headers["authorization"], msgspec.json.decode(request.read())))
        return httpx.Response(
            200,
            json={
                "model_name": "flight-delay",
                "model_version": "v2",
                "id": "q1",
                "outputs": [{"name": "probability", "datatype": "FP64", "shape": [2], "data": [0.25, 0.5]}],
                "parameters": {"arm": "live"},
            },
        )

    client = Client("http://localhost", "t", gateway_url="http://localhost:8401", gateway_token="g", http=httpx.MockTransport(gateway))
    answer = client.predict("flight-delay", {"origin": ["JFK", "EWR"], "distance": [187.0, 200]}, id="q1")
    assert (answer.outputs, answer.version, answer.parameters) == ({"probability": (0.25, 0.5)}, "v2", {"arm": "live"})
    path, token, body = asked[0]
    assert (path, token) == ("/v2/models/flight-delay/infer", "Bearer g")
    assert body["inputs"] == [
        {"name": "origin", "shape": [2], "datatype": "BYTES", "data": ["JFK", "EWR"]},
        {"name": "distance", "shape": [2], "datatype": "FP64", "data": [187.0, 200]},
    ]


def test_a_prediction_is_never_asked_twice():
    seen, http = _flaky(9)
    with pytest.raises(errors.Unavailable):
        Client("http://localhost", "t", gateway_url="http://localhost:8401", http=http).predict("m", {"a": [1]})
    assert len(seen) == 1, "a second attempt would be logged as a second answer"


@pytest.mark.parametrize("values", [[], [1, "a"], [True, 1], [None]])
def test_inputs_of_mixed_kinds_are_refused(values):
    with pytest.raises(errors.InvalidInput):
        datatype_of(values)


def test_names_of_the_package_are_complete_and_lazy():
    for name in lf.__all__:
        assert getattr(lf, name) is not None
    with pytest.raises(AttributeError, match="it offers"):
        _ = lf.Modle
