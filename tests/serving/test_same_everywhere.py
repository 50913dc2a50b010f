"""P19: ten thousand rows through every door of a running gateway, and through a batch: one set of bits."""

import http.client
import json

import numpy as np
import polars as pl
import pytest
from tests.serving.batch_jobs import batch, scores
from tests.serving.grpc_caller import grpc_gateway, rows_request
from tests.serving.installation import PLAIN, TOKEN, Installation, table

from leverframe.apps.gateway_view.client import Gateway
from leverframe.apps.transport import Transport
from leverframe.core.route import Endpoint

ROWS, AT_ONCE, SINGLY = 10_000, 500, 1_000
SCALE = np.array([1.0, 300.0, 700.0, 20.0])
FIELDS = tuple(field.name for field in PLAIN.request)


def rows() -> np.ndarray:
    """Different rows, one value in twenty missing."""
    rng = np.random.default_rng(19)
    matrix = rng.normal(size=(ROWS, len(FIELDS))) * SCALE
    matrix[rng.random(matrix.shape) < 0.05] = np.nan
    return matrix


class Rest:
    """One keep-alive connection."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)

    def post(self, body: bytes, **headers: str) -> bytes:
        self._connection.request("POST", "/v2/models/m/infer", body, {"Authorization": f"Bearer {TOKEN}", **headers})
        answer = self._connection.getresponse()
        data = answer.read()
        assert answer.status == 200, data[:300]
        return data

    def json(self, matrix: np.ndarray) -> np.ndarray:
        """Scores over plain JSON; a missing value is null."""
        data = [None if np.isnan(value) else value for value in matrix.ravel().tolist()]
        tensor = {"name": "rows", "shape": list(matrix.shape), "datatype": "FP64", "data": data}
        return np.array(json.loads(self.post(json.dumps({"inputs": [tensor]}).encode()))["outputs"][0]["data"])

    def binary(self, matrix: np.ndarray) -> np.ndarray:
        """Scores over binary tensors both ways, a tensor a field."""
        columns = [np.ascontiguousarray(matrix[:, i]).tobytes() for i in range(matrix.shape[1])]
        inputs = [
            {"name": name, "shape": [len(matrix)], "datatype": "FP64", "parameters": {"binary_data_size": len(column)}}
            for name, column in zip(FIELDS, columns, strict=True)
        ]
        head = json.dumps({"inputs": inputs, "parameters": {"binary_data_output": True}}).encode()
        answer = self.post(head + b"".join(columns), **{"Inference-Header-Content-Length": str(len(head))})
        return np.frombuffer(answer[-8 * len(matrix) :], dtype="<f8")


@pytest.mark.timeout(120)
def test_p19_every_door_gives_the_same_bits(tmp_path):
    installation = Installation(tmp_path)
    installation.publish(table(Endpoint(name="m", arms=(installation.arm("m@v1", 3),))))
    matrix = rows()
    parts = [matrix[at : at + AT_ONCE] for at in range(0, ROWS, AT_ONCE)]
    pl.DataFrame({name: pl.Series(matrix[:, i]).fill_nan(None) for i, name in enumerate(FIELDS)}).write_parquet(tmp_path / "in.parquet")
    batch(tmp_path / "in.parquet", tmp_path / "out", PLAIN, rows_per_part=777, workers=2)
    wanted = scores(tmp_path / "out")["probability"].to_numpy()
    assert len(np.unique(wanted)) > 1000, "the rows must be different for this to prove anything"
    with grpc_gateway(tmp_path) as (running, grpc):
        rest = Rest(running.port)
        sdk = Gateway(Transport(running.url, token=TOKEN))

        def by_grpc(part: np.ndarray, *, typed: bool = False) -> np.ndarray:
            answer = grpc.infer(rows_request(part, typed=typed))
            return np.frombuffer(answer.raw_output_contents[0], "<f8") if not typed else np.array(answer.outputs[0].contents.fp64_contents)

        def by_sdk(part: np.ndarray) -> np.ndarray:
            columns = {name: [None if np.isnan(v) else v for v in part[:, i].tolist()] for i, name in enumerate(FIELDS)}
            return np.array(sdk.predict("m", columns, datatypes=dict.fromkeys(FIELDS, "FP64")).outputs["probability"])

        got = {
            "REST, JSON": np.concatenate([rest.json(part) for part in parts]),
            "REST, binary": np.concatenate([rest.binary(part) for part in parts]),
            "gRPC, raw": np.concatenate([by_grpc(part) for part in parts]),
            "gRPC, typed": np.concatenate([by_grpc(part, typed=True) for part in parts]),
            "Python client": np.concatenate([by_sdk(part) for part in parts]),
            "REST, a row a request": np.concatenate([rest.json(row[None, :]) for row in matrix[:SINGLY]]),
            "gRPC, a row a call": np.concatenate([by_grpc(row[None, :]) for row in matrix[:SINGLY]]),
        }
        served = running.page()["log"]
    for door, answers in got.items():
        differing = int((answers.view(np.int64) != wanted[: len(answers)].view(np.int64)).sum())
        assert differing == 0, f"{door}: {differing} of {len(answers)} rows differ from the batch"
    assert served["adds_up"]
    assert served["served"] == 5 * len(parts) + 2 * SINGLY
