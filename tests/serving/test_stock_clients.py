"""Clients written for other servers work unchanged: Triton's (here), KServe's and MLflow's (in environments of their own, slow)."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
import tritonclient.http as triton
from tests.serving.installation import PLAIN, TOKEN, Gateway, bundle_files, expected_scores, start_gateway
from tests.serving.surface import MIXED, SPECIES, probabilities, publish
from tritonclient.utils import InferenceServerException

from leverframe.core.model import MODEL_ONNX


def authorized() -> dict[str, str]:
    """A new one for each call: the client writes into it."""
    return {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def running(tmp_path_factory) -> Gateway:
    home = tmp_path_factory.mktemp("clients")
    publish(home)
    started = start_gateway(home)
    yield started
    started.process.kill()
    started.process.wait()


@pytest.fixture
def client(running):
    with triton.InferenceServerClient(f"127.0.0.1:{running.port}") as made:
        yield made


def flower(rows: np.ndarray, *, binary: bool) -> triton.InferInput:
    tensor = triton.InferInput("flower", list(rows.shape), "FP64")
    tensor.set_data_from_numpy(rows, binary_data=binary)
    return tensor


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False])
@pytest.mark.parametrize("compression", [None, "gzip", "deflate"])
def test_triton_asks_for_several_outputs_in_every_form(client, binary_in, binary_out, compression):
    rows = np.random.default_rng(3).normal(size=(300, 4))
    wanted = [triton.InferRequestedOutput(name, binary_data=binary_out) for name in ("label", "probabilities")]
    answer = client.infer(
        "classes", [flower(rows, binary=binary_in)], outputs=wanted, request_id="r-1", headers=authorized(),
        request_compression_algorithm=compression, response_compression_algorithm=compression,
    )  # fmt: skip
    truth = probabilities(rows)
    assert np.allclose(answer.as_numpy("probabilities"), truth, atol=1e-12)
    labels = [label.decode() if isinstance(label, bytes) else label for label in answer.as_numpy("label")]
    assert labels == [SPECIES[i] for i in truth.argmax(axis=1)]
    document = answer.get_response()
    assert (document["id"], [o["name"] for o in document["outputs"]]) == ("r-1", ["label", "probabilities"])


def test_triton_mixes_forms_and_leaves_outputs_out(client):
    rows = np.zeros((1, 4))
    wanted = [triton.InferRequestedOutput("probabilities", binary_data=True), triton.InferRequestedOutput("label", binary_data=False)]
    answer = client.infer("classes", [flower(rows, binary=True)], outputs=wanted, headers=authorized())
    assert [("data" in o) for o in answer.get_response()["outputs"]] == [False, True]
    assert np.allclose(answer.as_numpy("probabilities"), 1 / 3)
    only = client.infer("classes", [flower(rows, binary=False)], outputs=wanted[1:], headers=authorized())
    assert [o["name"] for o in only.get_response()["outputs"]] == ["label"]


@pytest.mark.parametrize("binary", [True, False])
def test_triton_sends_text_integers_and_booleans(client, binary):
    sent = {
        "carrier": np.array(["UA", "é"], dtype=np.object_),
        "distance": np.array([100.0, 900.0]),
        "seats": np.array([10, 300], dtype=np.int32),
        "night": np.array([True, False]),
    }
    names = {"carrier": "BYTES", "distance": "FP64", "seats": "INT32", "night": "BOOL"}
    inputs = []
    for name, values in sent.items():
        inputs.append(triton.InferInput(name, [2], names[name]))
        inputs[-1].set_data_from_numpy(values, binary_data=binary)
    answer = client.infer("mixed", inputs, headers=authorized())
    expected = expected_scores(MIXED, 3, {name: values.tolist() for name, values in sent.items()}, {}, 2)
    assert np.allclose(answer.as_numpy("probability"), expected, atol=1e-12)


def test_triton_is_told_what_is_wrong(client):
    with pytest.raises(InferenceServerException, match="classification is not served"):
        client.infer(
            "classes",
            [flower(np.zeros((1, 4)), binary=True)],
            outputs=[triton.InferRequestedOutput("label", class_count=2)],
            headers=authorized(),
        )
    with pytest.raises(InferenceServerException, match="cannot be given as asked"):
        client.infer(
            "classes", [flower(np.zeros((1, 4)), binary=True)], outputs=[triton.InferRequestedOutput("nope")], headers=authorized()
        )
    with pytest.raises(InferenceServerException, match="wrong shape"):
        client.infer("classes", [flower(np.zeros((1, 5)), binary=True)], headers=authorized())


def test_triton_reads_metadata_versions_statistics_and_readiness(client):
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("plain", "v2", headers=authorized())
    assert not client.is_model_ready("plain", "v9", headers=authorized())
    assert "model_repository" in client.get_server_metadata(headers=authorized())["extensions"]
    metadata = client.get_model_metadata("classes", headers=authorized())
    assert metadata["inputs"] == [{"name": "flower", "datatype": "FP64", "shape": [-1, 4]}]
    assert metadata["outputs"] == [
        {"name": "probabilities", "datatype": "FP64", "shape": [-1, 3]},
        {"name": "label", "datatype": "BYTES", "shape": [-1]},
    ]
    answer = client.infer("plain", plain_inputs(), model_version="2", headers=authorized())
    assert answer.get_response()["model_version"] == "plain@v2"
    stats = client.get_inference_statistics("plain", "v2", headers=authorized())["model_stats"]
    assert [(s["version"], s["inference_stats"]["success"]["count"] >= 1) for s in stats] == [("plain@v2", True)]
    assert {s["name"] for s in client.get_inference_statistics(headers=authorized())["model_stats"]} == {"plain", "mixed", "classes"}


def plain_inputs() -> list[triton.InferInput]:
    inputs = [triton.InferInput(f"x{i}", [1], "FP32") for i in range(4)]
    for tensor in inputs:
        tensor.set_data_from_numpy(np.zeros(1, dtype=np.float32))
    return inputs


def test_triton_cannot_change_what_is_loaded(client):
    index = client.get_model_repository_index(headers=authorized())
    assert {(m["name"], m["version"], m["state"]) for m in index} >= {("plain", "plain@v1", "READY"), ("plain", "plain@v2", "READY")}
    client.load_model("plain", headers=authorized())  # it answers already: nothing to do, no error
    refusals = [
        (lambda: client.load_model("plain", headers=authorized(), config="{}"), "signed bundles"),
        (lambda: client.load_model("unknown", headers=authorized()), "callers do not load"),
        (lambda: client.unload_model("plain", headers=authorized()), "not unloaded by callers"),
        (lambda: client.load_model("plain"), "no valid token"),
    ]
    for act, words in refusals:
        with pytest.raises(InferenceServerException, match=words):
            act()
    assert client.is_model_ready("plain", headers=authorized())


# ---- clients that need an environment of their own --------------------------------------------------------------------------------------


def run_in_peer(name: str, requirements: tuple[str, ...], script: str, *arguments: str) -> object:
    """What ``script`` prints as JSON, run in a throw-away environment."""
    from benchmarks.peers import PeerUnavailable, peer_python  # found where tests are started as the Makefile does

    try:
        python = peer_python(name, requirements)
    except PeerUnavailable as error:
        pytest.skip(str(error))
    done = subprocess.run([str(python), "-c", script, *arguments], capture_output=True, text=True, timeout=150, cwd=Path(__file__).parent)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.strip().splitlines()[-1])


KSERVE = """
import asyncio, json, sys
import numpy as np
from kserve import InferenceRESTClient, RESTConfig, InferRequest, InferInput

async def main(url, token):
    client = InferenceRESTClient(RESTConfig(protocol="v2"))
    headers = {"Authorization": f"Bearer {token}"}
    said = {"ready": await client.is_server_ready(url), "live": await client.is_server_live(url),
            "model": await client.is_model_ready(url, "classes", headers=headers)}
    for binary in (False, True):
        tensor = InferInput("flower", [2, 4], "FP64")
        tensor.set_data_from_numpy(np.array([[0.0] * 4, [1.0, 2.0, 3.0, 4.0]]), binary_data=binary)
        request = InferRequest(model_name="classes", infer_inputs=[tensor], request_id="k-1")
        answer = await client.infer(url, request, headers=headers, model_name="classes")
        outputs = {o.name: o for o in answer.outputs}
        said[f"binary {binary}"] = [np.asarray(outputs["probabilities"].as_numpy()).tolist(), list(outputs["label"].data), answer.id]
    print(json.dumps(said, default=str))

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.slow
@pytest.mark.timeout(700)
def test_kserve_client_unchanged(running):
    said = run_in_peer("client-kserve", ("kserve==0.21.0",), KSERVE, running.url, TOKEN)
    truth = probabilities(np.array([[0.0] * 4, [1.0, 2.0, 3.0, 4.0]]))
    assert (said["ready"], said["live"], said["model"]) == (True, True, True)
    for form in ("binary False", "binary True"):
        values, labels, answer_id = said[form]
        assert np.allclose(np.reshape(values, (2, 3)), truth, atol=1e-12)
        assert labels == [SPECIES[i] for i in truth.argmax(axis=1)]
        assert answer_id == "k-1"


MLFLOW = """
import json, sys
import numpy as np, onnxruntime, pandas as pd
import mlflow.pyfunc
from fastapi.testclient import TestClient
from mlflow.models import ModelSignature
from mlflow.pyfunc.scoring_server import init
from mlflow.types import ColSpec, Schema

folder, model, bodies = sys.argv[1:]

class Served(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        self.session = onnxruntime.InferenceSession(context.artifacts["model"])

    def predict(self, context, model_input, params=None):
        return self.session.run(None, {"input": model_input.to_numpy(dtype=np.float64)})[0]

signature = ModelSignature(inputs=Schema([ColSpec("double", f"x{i}") for i in range(4)]))
mlflow.pyfunc.save_model(folder, python_model=Served(), artifacts={"model": model}, signature=signature, pip_requirements=["onnxruntime"])
client = TestClient(init(mlflow.pyfunc.load_model(folder)))
answers = []
for kind, body in json.loads(bodies):
    answer = client.post("/invocations", content=body, headers={"Content-Type": kind})
    answers.append([answer.status_code, answer.json()["predictions"] if answer.status_code == 200 else None])
print(json.dumps(answers))
"""


@pytest.mark.slow
@pytest.mark.timeout(700)
def test_mlflows_own_server_gives_the_same_answers_to_the_same_bodies(running, tmp_path):
    """Its scoring server and the gateway, over one ONNX model: the same predictions, and the same bodies refused."""
    (tmp_path / "model.onnx").write_bytes(bundle_files(PLAIN, 1)[MODEL_ONNX])
    names, rows = [f"x{i}" for i in range(4)], [[0.1, 0.2, 0.3, 0.4], [1.0, -1.0, 0.5, 2.0]]
    records = [dict(zip(names, row, strict=True)) for row in rows]
    shuffled = {"columns": names[::-1], "data": [row[::-1] for row in rows]}
    good = [
        {"dataframe_split": {"columns": names, "data": rows}},
        {"dataframe_split": {"index": [7, 9], **shuffled}},
        {"dataframe_records": records},
        {"dataframe_records": [{**record, "unused": "text"} for record in records]},
        {"instances": records},
        {"inputs": {name: [row[i] for row in rows] for i, name in enumerate(names)}},
    ]
    bad = [
        {"dataframe_records": [{"x0": 1.0, "x1": 1.0, "x2": 1.0}]},
        {"dataframe_records": [{**records[0], "x0": "text"}]},
        {"unknown": records},
        {"inputs": records, "instances": records},
        [1],
    ]
    bodies = [("application/json", json.dumps(each)) for each in (*good, *bad)]
    bodies.append(("text/csv", "x3,x2,x1,x0\n" + "".join(",".join(map(str, row[::-1])) + "\n" for row in rows)))
    bodies.append(("application/x-parquet", "x"))
    arguments = (str(tmp_path / "mlflow"), str(tmp_path / "model.onnx"), json.dumps(bodies))
    theirs = run_in_peer("client-mlflow", ("mlflow==3.17.2", "onnxruntime==1.32.0", "httpx==0.28.1"), MLFLOW, *arguments)
    assert [status for status, _ in theirs[: len(good)]] == [200] * len(good)
    for (kind, body), (status, predictions) in zip(bodies, theirs, strict=True):
        ours, answer = running.call("/v2/models/plain/versions/v1/invocations", body.encode(), headers={"Content-Type": kind})
        if status == 200:
            assert np.allclose(answer["predictions"], np.ravel(predictions), atol=1e-9), body
        else:
            assert 400 <= ours < 500, (body, status, answer)
