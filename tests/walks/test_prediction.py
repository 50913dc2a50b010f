"""The walk of a prediction, with the stock client against a real gateway process: features, arms, levers, log."""

import json
import urllib.request

import numpy as np
import pytest
import tritonclient.http as triton
from tests.serving.installation import FLIGHT, PLAIN, TOKEN, Installation, expected_scores, gateway, infer_body, read_log, table
from tritonclient.utils import InferenceServerException

from leverframe.apps.clocks import ReplayClock
from leverframe.core.clock import HOUR_US
from leverframe.core.prediction import LabelRecord, PredictionRecord
from leverframe.core.route import Endpoint, Fallback
from leverframe.core.segment import Counts
from leverframe.features.online.online import EntityRows, ViewMeta, entity_keys
from leverframe.features.online.online_lmdb import LmdbOnlineStore

NOW_US = 1_364_810_400_000_000
NAN = float("nan")


def headers() -> dict[str, str]:
    """Fresh each time: the stock client writes into the dictionary it is given."""
    return {"Authorization": f"Bearer {TOKEN}"}


def write_features(home) -> None:
    """Delays for JFK and LGA; weather for JFK (fresh) and LGA (expired: its TTL is an hour)."""
    store = LmdbOnlineStore(home / "online")
    for view, features, events, rows in (
        ("origin_delays", ("mean_2h", "count_2h"), [NOW_US, NOW_US], [[12.5, 31.0], [3.0, 7.0]]),
        ("origin_weather", ("wind", "gust"), [NOW_US - HOUR_US // 2, NOW_US - 2 * HOUR_US], [[9.0, 20.0], [8.0, 18.0]]),
    ):
        times = np.array(events, dtype=np.int64)
        entity_rows = EntityRows(keys=entity_keys([["JFK", "LGA"]]), event_us=times, arrival_us=times, values=np.array(rows))
        store.write(entity_rows, ViewMeta(view=view, view_version="1", features=features, watermark_us=NOW_US))
    store.close()


@pytest.fixture
def installation(tmp_path) -> Installation:
    made = Installation(tmp_path)
    write_features(tmp_path)
    clock = ReplayClock(tmp_path / "clock")
    clock.set(NOW_US)
    clock.close()
    return made


def tensors(origins: list[str], carriers: list[str], binary: bool = True) -> list[triton.InferInput]:
    columns = [
        ("origin", "BYTES", np.array(origins, dtype=object)),
        ("carrier", "BYTES", np.array(carriers, dtype=object)),
        ("distance", "FP64", np.full(len(origins), 187.0)),
        ("sched_dep_s", "INT64", np.full(len(origins), 1_364_814_000)),
    ]
    inputs = []
    for name, datatype, values in columns:
        item = triton.InferInput(name, [len(values)], datatype)
        item.set_data_from_numpy(values, binary_data=binary)
        inputs.append(item)
    return inputs


def expected(origins: list[str], carriers: list[str], seed: int = 5, wind: bool = True):
    rows = len(origins)
    delays = {"JFK": [12.5, 31.0], "LGA": [3.0, 7.0]}
    views = {
        "origin_delays": np.array([delays.get(o, [NAN, NAN]) for o in origins]),
        "origin_weather": np.array([[9.0 if wind and o == "JFK" else NAN, NAN] for o in origins]),
    }
    request = {"origin": origins, "carrier": carriers, "distance": [187.0] * rows, "sched_dep_s": [1_364_814_000] * rows}
    return expected_scores(FLIGHT, seed, request, views, rows)


def test_the_stock_client_gets_what_the_fitted_model_says_with_features_looked_up(installation, tmp_path):
    arm = installation.arm("flight-delay@v1", 5, signature=FLIGHT)
    installation.publish(table(Endpoint(name="flight-delay", arms=(arm,))))
    with gateway(tmp_path, "--clock", f"replay:{tmp_path / 'clock'}") as running:
        client = triton.InferenceServerClient(f"127.0.0.1:{running.port}")
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("flight-delay", headers=headers())
        assert client.get_model_metadata("flight-delay", headers=headers())["inputs"][0]["name"] == "origin"
        assert client.get_model_repository_index(headers=headers())[0]["version"] == "flight-delay@v1"
        origins, carriers = ["JFK", "LGA", "XXX"], ["B6", "ZZ", "AA"]
        for binary in (True, False):
            for compression in (None, "gzip", "deflate"):
                answer = client.infer(
                    "flight-delay", tensors(origins, carriers, binary), headers=headers(), request_id="r1",
                    request_compression_algorithm=compression, response_compression_algorithm=compression,
                )  # fmt: skip
                assert answer.as_numpy("probability") == pytest.approx(expected(origins, carriers), abs=1e-12)
        said = answer.get_response()
        assert (said["id"], said["model_version"], said["parameters"]["arm"]) == ("r1", "flight-delay@v1", "live")
        assert said["parameters"]["missing_features"] == "delay,delays,wind"
        assert said["parameters"]["missing"] == 4, "LGA's weather has expired; XXX has nothing"
        for index, (origin, carrier) in enumerate(zip(origins, carriers, strict=True)):
            one = client.infer("flight-delay", tensors([origin], [carrier]), headers=headers(), request_id=f"one-{index}")
            assert one.as_numpy("probability")[0] == pytest.approx(expected(origins, carriers)[index], abs=1e-12)
        answers = [client.async_infer("flight-delay", tensors(origins, carriers), headers=headers()) for _ in range(8)]
        assert all(len(a.get_result().as_numpy("probability")) == 3 for a in answers)
        with pytest.raises(InferenceServerException, match="origin: missing input"):
            client.infer("flight-delay", tensors(origins, carriers)[1:], headers=headers())
        with pytest.raises(InferenceServerException, match="no valid token"):
            client.infer("flight-delay", tensors(origins, carriers))
        assert running.call("/v2/models/flight-delay/feedback", {"labels": [{"id": "one-0", "label": 1, "known_at_us": 7}]}) == (
            200,
            {"accepted": 1},
        )
        assert running.stop() == 0
    records, counts = read_log(tmp_path / "log")
    assert counts == Counts(served=17, logged=17, labels_logged=1)
    first = next(r for r in records if r.id == "one-0")
    assert isinstance(first, PredictionRecord)
    assert (first.entities, first.asked_at_us, first.missing) == ({"origin": "JFK"}, NOW_US, 0)
    assert np.frombuffer(first.features)[3:].tolist() == [12.5, 31.0, 9.0]
    assert LabelRecord(id="one-0", endpoint="flight-delay", label=1.0, known_at_us=7) in records


def test_a_disabled_feature_is_missing_on_purpose(installation, tmp_path):
    arm = installation.arm("flight-delay@v1", 5, signature=FLIGHT)
    installation.publish(table(Endpoint(name="flight-delay", arms=(arm,), disabled_features=("origin_weather.*",))))
    with gateway(tmp_path, "--clock", f"replay:{tmp_path / 'clock'}") as running:
        client = triton.InferenceServerClient(f"127.0.0.1:{running.port}")
        for origins in (["JFK"], ["JFK", "JFK"]):
            answer = client.infer("flight-delay", tensors(origins, ["B6"] * len(origins)), headers=headers())
            assert answer.as_numpy("probability") == pytest.approx(expected(origins, ["B6"] * len(origins), wind=False), abs=1e-12)
            said = answer.get_response()["parameters"]
            assert said["disabled_features"] == "wind"
            assert "missing" not in said, "what was switched off is reported as a fault of the feed"
        running.stop()
    records, _ = read_log(tmp_path / "log")
    assert [(r.missing, r.disabled) for r in records] == [(0, 1), (0, 2)]


def test_an_unreachable_store_is_flagged_and_the_declared_policy_holds(installation, tmp_path):
    (tmp_path / "online").rename(tmp_path / "away")
    arm = installation.arm("flight-delay@v1", 5, signature=FLIGHT)
    installation.publish(table(Endpoint(name="flight-delay", arms=(arm,))))
    with gateway(tmp_path, "--clock", f"replay:{tmp_path / 'clock'}") as running:
        client = triton.InferenceServerClient(f"127.0.0.1:{running.port}")
        answer = client.infer("flight-delay", tensors(["JFK"], ["B6"]), headers=headers())
        assert answer.get_response()["parameters"]["unreachable_views"] == "origin_delays,origin_weather"
        assert answer.as_numpy("probability") == pytest.approx(expected(["XXX"], ["B6"]), abs=1e-12)
        (tmp_path / "away").rename(tmp_path / "online")
        answer = client.infer("flight-delay", tensors(["JFK"], ["B6"]), headers=headers())
        assert answer.as_numpy("probability") == pytest.approx(expected(["JFK"], ["B6"]), abs=1e-12), "the store is back and not used"


def test_arms_share_traffic_stick_and_unseen_arms_see_everything(installation, tmp_path):
    arms = (
        installation.arm("m@v1", 1, weight=70.0),
        installation.arm("m@v2", 2, role="canary", weight=30.0, mirror=True),
        installation.arm("m@v3", 3, role="shadow", weight=0.0),
    )
    installation.publish(table(Endpoint(name="m", arms=arms, hash_field="x0", salt="s")))
    with gateway(tmp_path) as running:
        answered = {}
        for number in range(300):
            status, said = running.call("/v2/models/m/infer", infer_body([number % 100 / 7, 0.0, 1.0, 2.0], f"r{number}"))
            assert status == 200
            assert answered.setdefault(number % 100, said["model_version"]) == said["model_version"], "assignment does not stick"
        assert running.call("/v2/models/m/versions/v2/infer", infer_body([0.0] * 4))[1]["model_version"] == "m@v2"
        assert running.call("/v2/models/m/versions/v3/infer", infer_body([0.0] * 4))[0] == 404, "a shadow answered a caller"
        running.stop()
    shares = [list(answered.values()).count(version) for version in ("m@v1", "m@v2")]
    assert sum(shares) == 100
    assert 15 < shares[1] < 45
    records, counts = read_log(tmp_path / "log")
    seen = {(r.id, r.version): r.role for r in records}
    assert counts.adds_up
    assert len(seen) == len(records), "something was logged twice"
    for number in range(300):
        by_version = {version: seen.get((f"r{number}", version)) for version in ("m@v1", "m@v2", "m@v3")}
        answering = answered[number % 100]
        wanted = {"m@v1": "live" if answering == "m@v1" else None, "m@v2": "canary" if answering == "m@v2" else "shadow", "m@v3": "shadow"}
        assert by_version == wanted
    shadow = next(r for r in records if r.version == "m@v3" and r.id == "r0")
    assert shadow.outputs == pytest.approx(expected_scores(PLAIN, 3, {f"x{i}": [v] for i, v in enumerate([0.0, 0.0, 1.0, 2.0])}, {}, 1))


def test_kill_switch_fallback_and_refusal(installation, tmp_path):
    arm = installation.arm("m@v1", 1)
    installation.publish(
        table(
            Endpoint(name="killed", arms=(arm,), killed=True),
            Endpoint(name="constant", arms=(arm,), killed=True, fallback=Fallback(value=0.25)),
        )
    )
    with gateway(tmp_path) as running:
        status, said = running.call("/v2/models/killed/infer", infer_body([0.0] * 4))
        assert (status, said["code"]) == (503, "unavailable")
        status, said = running.call("/v2/models/constant/infer", infer_body([0.0] * 4))
        assert (status, said["outputs"][0]["data"], said["parameters"]["fallback"]) == (200, [0.25], "constant")
        assert said["parameters"]["fallback_reason"] == "killed"
        metrics = urllib.request.urlopen(running.url + "/metrics").read().decode()
        assert 'lever_answers_total{endpoint="constant",version="m@v1",role="live",status="fallback"} 1' in metrics
        running.stop()
    records, counts = read_log(tmp_path / "log")
    assert [(r.endpoint, r.status, r.code) for r in records] == [("killed", "refused", "killed"), ("constant", "fallback", "killed")]
    assert counts == Counts(served=2, logged=2)


def test_one_error_shape_at_every_refusal(installation, tmp_path):
    installation.publish(
        table(
            Endpoint(name="m", arms=(installation.arm("m@v1", 1),)), Endpoint(name="t", tenant="other", arms=(installation.arm("m@v1", 1),))
        )
    )
    good = infer_body([0.0] * 4)
    with gateway(tmp_path) as running:
        cases = [
            (running.call("/v2/models/m/infer", good, token="wrong"), 401, "unauthenticated"),
            (running.call("/v2/models/nope/infer", good), 404, "not_found"),
            (running.call("/v2/models/t/infer", good), 404, "not_found"),
            (running.call("/v2/models/m/versions/9/infer", good), 404, "not_found"),
            (running.call("/nothing"), 404, "not_found"),
            (running.call("/v2/models/m/infer"), 405, "invalid_input"),
            (running.call("/v2/models/m/infer", b"{"), 400, "invalid_input"),
            (
                running.call("/v2/models/m/infer", {"inputs": [{"name": "x0", "shape": [1], "datatype": "BYTES", "data": ["a"]}]}),
                400,
                "schema_mismatch",
            ),
            (running.call("/v2/models/m/feedback", {"labels": []}), 400, "invalid_input"),
            (running.call("/v2/models/m/feedback", b'{"id": "a", "label": 1e999}'), 400, "invalid_input"),
            (running.call("/v2/models/m/infer", b" " * 9_000_000), 413, "limit_exceeded"),
        ]
        for (status, said), wanted, code in cases:
            assert (status, said["code"]) == (wanted, code)
            assert {"error", "code", "where", "expected", "got", "next", "faults"} <= set(said)
        example = cases[7][0][1]["example"]
        assert running.call("/v2/models/m/infer", example)[0] == 200, "the example in the error does not work"
        assert running.call("/v2/models/m/feedback", cases[8][0][1]["example"])[0] == 200
        page = running.page()
        assert page["log"]["served"] == 1, "a refused request is in the prediction log"
        assert sum(page["refusals"].values()) == len(cases)
        json.dumps(page)
