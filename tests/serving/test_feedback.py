"""Labels over HTTP, by prediction id or by entity and time, as a reader of the log gets them."""

import time

import pytest
from tests.serving.installation import FLIGHT, Installation, gateway, table

from leverframe.core.prediction import LabelRecord
from leverframe.core.route import Endpoint
from leverframe.monitoring.log_reader import LogReader

NOW_US = int(time.time() * 1e6)


def flight(origin: str, id: str) -> dict:
    return {
        "id": id,
        "inputs": [
            {"name": "origin", "shape": [1], "datatype": "BYTES", "data": [origin]},
            {"name": "sched_dep_s", "shape": [1], "datatype": "INT64", "data": [1364814000]},
        ],
    }


@pytest.fixture
def running(tmp_path):
    installation = Installation(tmp_path)
    arms = {"m": installation.arm("m@v1", 3, signature=FLIGHT), "plain": installation.arm("plain@v1", 1)}
    installation.publish(table(*[Endpoint(name=name, arms=(arm,)) for name, arm in arms.items()]))
    with gateway(tmp_path) as started:
        yield started, tmp_path / "log"


def test_a_label_finds_its_prediction_by_entity_and_time(running):
    gateway, log = running
    for id, origin in (("first", "JFK"), ("other", "LGA"), ("second", "JFK")):
        assert gateway.call("/v2/models/m/infer", flight(origin, id))[0] == 200
    labels = [
        {"entities": {"origin": "JFK"}, "label": 1},
        {"entities": {"origin": "LGA"}, "label": 0, "asked_at_us": int(time.time() * 1e6)},
        {"id": "first", "label": 0},
        {"entities": {"origin": "EWR"}, "label": 1},
        {"entities": {"origin": "JFK"}, "label": 1, "asked_at_us": NOW_US - 3_600_000_000},
    ]
    assert gateway.call("/v2/models/m/feedback", {"labels": labels}) == (200, {"accepted": 5})
    reader = LogReader(log)
    read = [record for _ in range(8) for record in reader.poll()]
    got = sorted((record.id, record.label) for record in read if isinstance(record, LabelRecord))
    assert got == [("first", 0.0), ("other", 0.0), ("second", 1.0)]
    assert reader.matcher.unmatched == 2, "nobody asked about EWR, nor about JFK an hour ago"


@pytest.mark.parametrize(
    ("model", "label", "says"),
    [
        ("m", {"label": 1}, "either id or entities"),
        ("m", {"label": 1, "id": "a", "entities": {"origin": "JFK"}}, "either id or entities"),
        ("m", {"label": 1, "entities": {"tailnum": "N1"}}, "origin"),
        ("m", {"label": 1, "entities": {"origin": "JFK", "tailnum": "N1"}}, "origin"),
        ("m", {"label": 1, "row": 1, "entities": {"origin": "JFK"}}, "origin"),
        ("plain", {"label": 1, "entities": {"origin": "JFK"}}, "the model has no entity"),
        ("m", {"label": 1, "entities": {str(i): "x" for i in range(17)}}, "label with id"),
        ("m", {"label": 1, "entities": {"origin": 7}}, "label with id"),
    ],
)
def test_a_label_of_nothing_is_refused_with_what_would_name_something(running, model, label, says):
    gateway, _ = running
    status, refusal = gateway.call(f"/v2/models/{model}/feedback", label)
    assert status == 400
    assert says in refusal["expected"]
    assert refusal["example"]
    assert gateway.page()["log"]["labels_logged"] == 0
