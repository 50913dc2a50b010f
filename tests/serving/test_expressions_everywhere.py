"""P19 for request-time expressions: the input matrix that training computes is, bit for bit, what every door computes and logs."""

import asyncio
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from tests.serving.batch_jobs import batch, scores
from tests.serving.grpc_caller import Caller, grpc_gateway
from tests.serving.installation import FLIGHT, TOKEN, Installation, bundle_files, read_log, table
from tests.serving.test_same_everywhere import Rest

from leverframe.apps.gateway_view.client import Gateway
from leverframe.apps.scoring.features import OnlineFeatures
from leverframe.apps.transport import Transport
from leverframe.core.clock import ManualClock
from leverframe.core.prediction import PredictionRecord
from leverframe.core.route import Endpoint
from leverframe.core.schema import InputColumn, RequestField, Signature
from leverframe.features.online.online import EntityRows, ViewMeta, entity_keys
from leverframe.features.online.online_lmdb import LmdbOnlineStore
from leverframe.serving.doors.grpc import oip_pb2 as oip
from leverframe.serving.engine.models import load_version
from leverframe.serving.features.lookup import Lookup
from leverframe.serving.features.missing import missing_policy
from leverframe.serving.log_segments import SegmentLog
from leverframe.serving.routes.routing import compile_routes
from leverframe.serving.stream.message import Incoming
from leverframe.serving.stream.scorer import StreamScorer
from leverframe.serving.stream.window import StreamWindow
from leverframe.serving.telemetry.counts import Telemetry
from leverframe.serving.walk.inference import Inference
from leverframe.serving.walk.shadow import ShadowQueue
from leverframe.training.matrix import input_matrix

NOW_US = 1_364_814_000_000_000
ROWS = 300
ORIGINS = ("JFK", "LGA", "EWR", "nowhere")
DELAYS = {"JFK": (12.5, 31.0), "LGA": (0.0, 7.0), "EWR": (float("nan"), 0.0)}
NOTES = ("", "vip", "Straße", "İstanbul", "👩‍👩‍👧", "e\u0301", "\u202eodd", "it's|that", None)
TYPES = {"origin": "BYTES", "carrier": "BYTES", "note": "BYTES", "distance": "FP64", "lat": "FP64", "lon": "FP64",
         "at_s": "INT64", "flight": "INT64", "loyal": "BOOL"}  # fmt: skip
SQL = {
    "ratio": "distance / origin_delays.mean_2h",
    "left_over": "coalesce(distance - origin_delays.count_2h * 0.1, -1)",
    "log_distance": "log1p(distance)",
    "clipped": "clip(distance - 500, -100, 1000)",
    "km": "haversine_km(lat, lon, 40.6413, -73.7781)",
    "hour": "hour_of_day(at_s, 'America/New_York')",
    "month": "month_of_year(at_s, 'Europe/Berlin')",
    "weekend": "is_weekend(at_s, 'Asia/Kolkata')",
    "big_two": "carrier IN ('AA', 'UA')",
    "note_length": "length(note)",
    "note_bucket": "hash_bucket(lower(note), 1000)",
    "flight_bucket": "hash_bucket(flight, 64)",
    "far_and_loyal": "loyal AND distance > 300",
    "power": "power(abs(lat), 0.37) * sin(radians(lon))",
}
SIGNATURE = Signature(
    request=tuple(
        RequestField(name=name, datatype=kind, entity=name == "origin", required=kind not in ("FP64", "BYTES") or name == "origin")  # type: ignore[arg-type]
        for name, kind in TYPES.items()
    ),
    columns=(
        *(InputColumn(name=name, source="expression", sql=sql) for name, sql in SQL.items()),
        InputColumn(name="pair", source="expression", sql="feature_cross(carrier, origin)", categories=("AA|JFK", "B6|LGA", "UA|EWR")),
        InputColumn(name="distance", source="request", field="distance"),
    ),
    views=FLIGHT.views[:1],
)


def questions() -> pl.DataFrame:
    """Different rows, with what JSON cannot hold left out: missing numbers and texts, zeros of both signs, huge and tiny numbers."""
    rng = np.random.default_rng(23)
    odd = np.array([0.0, -0.0, 1e300, -1e-300, 5e-324, -1.0])
    distance = np.where(rng.random(ROWS) < 0.2, rng.choice(odd, ROWS), rng.normal(900, 400, ROWS))
    columns = {
        "origin": rng.choice(ORIGINS, ROWS).tolist(),
        "carrier": [[None, "AA", "B6", "UA", "ZZ"][i] for i in rng.integers(0, 5, ROWS)],
        "note": [NOTES[i] for i in rng.integers(0, len(NOTES), ROWS)],
        "distance": [None if gone else d for d, gone in zip(distance.tolist(), rng.random(ROWS) < 0.1, strict=True)],
        "lat": rng.uniform(-90, 90, ROWS).tolist(),
        "lon": [None if gone else d for d, gone in zip(rng.uniform(-180, 180, ROWS).tolist(), rng.random(ROWS) < 0.1, strict=True)],
        "at_s": rng.integers(-(2**33), 2**33, ROWS).tolist(),
        "flight": rng.integers(-(2**63), 2**63 - 1, ROWS).tolist(),
        "loyal": (rng.random(ROWS) < 0.5).tolist(),
    }
    return pl.DataFrame(columns, schema_overrides={"note": pl.String, "carrier": pl.String})


def fill(home: Path) -> LmdbOnlineStore:
    store = LmdbOnlineStore(home / "online")
    times = np.full(len(DELAYS), NOW_US, dtype=np.int64)
    rows = EntityRows(keys=entity_keys([list(DELAYS)]), event_us=times, arrival_us=times, values=np.array(list(DELAYS.values())))
    store.write(rows, ViewMeta(view="origin_delays", view_version="1", features=("mean_2h", "count_2h"), watermark_us=NOW_US))
    return store


def as_trained(frame: pl.DataFrame) -> np.ndarray:
    """The matrix of training, from questions with their features joined."""
    joined = frame.with_columns(
        pl.col("origin")
        .replace_strict({o: v[i] for o, v in DELAYS.items()}, default=None, return_dtype=pl.Float64)
        .alias(f"origin_delays.{f}")
        for i, f in enumerate(("mean_2h", "count_2h"))
    )
    return input_matrix(joined, SIGNATURE)


def tensors(frame: pl.DataFrame) -> list[dict[str, Any]]:
    return [{"name": n, "shape": [frame.height], "datatype": kind, "data": frame[n].to_list()} for n, kind in TYPES.items()]


def binary_body(frame: pl.DataFrame) -> tuple[bytes, dict[str, str]]:
    """As Triton's clients send it. A binary text cannot be missing, so that texts go as JSON beside it."""
    inputs, parts = [], b""
    for tensor in tensors(frame):
        if tensor["datatype"] != "BYTES":
            kind = {"FP64": "<f8", "INT64": "<i8", "BOOL": "|b1"}[tensor["datatype"]]
            data = np.array([np.nan if value is None else value for value in tensor.pop("data")], dtype=kind).tobytes()
            tensor["parameters"], parts = {"binary_data_size": len(data)}, parts + data
        inputs.append(tensor)
    head = json.dumps({"inputs": inputs}).encode()
    return head + parts, {"Inference-Header-Content-Length": str(len(head))}


def by_grpc(caller: Caller, frame: pl.DataFrame) -> list[float]:
    request = oip.ModelInferRequest(model_name="m")
    for tensor in tensors(frame):
        if tensor["data"][0] is None and tensor["datatype"] == "BYTES":
            continue  # an optional text that is missing is not sent
        sent = request.inputs.add(name=tensor["name"], datatype=tensor["datatype"], shape=tensor["shape"])
        values = [np.nan if value is None else value.encode() if isinstance(value, str) else value for value in tensor["data"]]
        contents = {"FP64": "fp64", "INT64": "int64", "BOOL": "bool", "BYTES": "bytes"}[tensor["datatype"]]
        getattr(sent.contents, f"{contents}_contents").extend(values)
    answer = caller.infer(request)
    assert isinstance(answer, oip.ModelInferResponse), answer
    return list(answer.outputs[0].contents.fp64_contents) or np.frombuffer(answer.raw_output_contents[0], "<f8").tolist()


def said(body: bytes) -> list[float]:
    return list(json.loads(body)["outputs"][0]["data"])


@pytest.mark.timeout(120)
def test_p19_every_door_computes_what_training_computed(tmp_path: Path) -> None:
    """A difference of one bit between the ways of computing a request-time feature is skew between training and serving."""
    installation = Installation(tmp_path)
    installation.publish(table(Endpoint(name="m", arms=(installation.arm("m@v1", 3, signature=SIGNATURE),))))
    frame, store = questions(), fill(tmp_path)
    matrix = as_trained(frame)
    assert all(len(np.unique(matrix[:, i])) > 1 for i in range(matrix.shape[1])), "a column that is constant proves nothing"
    frame.write_parquet(tmp_path / "in.parquet")
    batch(
        tmp_path / "in.parquet", tmp_path / "out", SIGNATURE, rows_per_part=77, workers=2,
        features=OnlineFeatures(SIGNATURE, store, NOW_US), bundle=bundle_files(SIGNATURE, 3),
    )  # fmt: skip
    wanted = scores(tmp_path / "out")["probability"].to_list()
    parts = [frame[at : at + 50] for at in range(0, ROWS, 50)]
    with grpc_gateway(tmp_path) as (running, caller):
        rest, sdk = Rest(running.port), Gateway(Transport(running.url, token=TOKEN))
        answers = {
            "REST, a row a request": [
                said(rest.post(json.dumps({"id": f"row-{i}", "inputs": tensors(frame[i : i + 1])}).encode()))[0] for i in range(ROWS)
            ],
            "REST, JSON": [s for part in parts for s in said(rest.post(json.dumps({"inputs": tensors(part)}).encode()))],
            "REST, binary": [s for part in parts for body, head in [binary_body(part)] for s in said(rest.post(body, **head))],
            "REST, binary, a row": [
                s for i in range(ROWS) for body, head in [binary_body(frame[i : i + 1])] for s in said(rest.post(body, **head))
            ],
            "gRPC, a row a call": [s for i in range(ROWS) for s in by_grpc(caller, frame[i : i + 1])],
            "Python client": [
                s for part in parts for s in sdk.predict("m", part.to_dict(as_series=False), datatypes=TYPES).outputs["probability"]
            ],
        }
        running.stop()
    for door, found in answers.items():
        differing = [i for i in range(ROWS) if struct.pack("<d", found[i]) != struct.pack("<d", wanted[i])]
        assert not differing, f"{door}: {len(differing)} of {ROWS} rows differ from the batch"
    records, counts = read_log(tmp_path / "log")
    logged = {record.id: record.features for record in records if isinstance(record, PredictionRecord) and record.id.startswith("row-")}
    for i in range(ROWS):
        assert logged[f"row-{i}"] == matrix[i].astype("<f8").tobytes(), f"row {i}: {np.frombuffer(logged[f'row-{i}'])} is not {matrix[i]}"
    assert counts.served == counts.logged + counts.dropped


async def test_p19_a_stream_computes_what_training_computed(tmp_path: Path) -> None:
    """Messages go by another reader of requests; the log keeps the same matrix."""
    frame, store = questions(), fill(tmp_path)
    matrix = as_trained(frame)
    log = SegmentLog(tmp_path / "log", "w", ManualClock(NOW_US))
    arm = Installation(tmp_path).arm("m@v1", 3, signature=SIGNATURE)
    routes = compile_routes(
        table(Endpoint(name="m", arms=(arm,))), lambda name, arm: load_version(name, arm, bundle_files(SIGNATURE, 3)), Telemetry()
    )
    shadows = ShadowQueue(asyncio.get_running_loop())
    inference = Inference(clock=ManualClock(NOW_US), log=log, lookup=Lookup(store, entity_keys), shadows=shadows, id_prefix="t")
    window = StreamWindow(tmp_path / "window", "w")
    scorer = StreamScorer("m", lambda: routes.endpoints["m"], inference, window)
    messages = [Incoming(json.dumps({"id": f"row-{i}", **row}).encode(), f"rows.{i}") for i, row in enumerate(frame.iter_rows(named=True))]
    for at in range(0, ROWS, 50):
        scorer.settle(await scorer.score(messages[at : at + 50]))
    assert (scorer.counts.answered, scorer.counts.dead) == (ROWS, 0)
    window.close()
    log.close()
    store.close()
    logged = {record.id: record.features for record in read_log(tmp_path / "log")[0] if isinstance(record, PredictionRecord)}
    for i in range(ROWS):
        assert logged[f"row-{i}"] == matrix[i].astype("<f8").tobytes(), f"row {i}"


def test_a_disabled_feature_takes_the_expressions_that_read_it_along() -> None:
    policy = missing_policy(SIGNATURE, ["origin_delays.mean_2h"])
    assert policy.disabled == ("ratio",)
    assert not policy.off_views, "another expression still reads the view"
    policy = missing_policy(SIGNATURE, ["origin_delays.*"])
    assert policy.disabled == ("ratio", "left_over")
    assert policy.off_views == {"origin_delays"}
