"""PyTorch modules become bundles through ONNX. Quick: exported folders made by hand; slow: what a real PyTorch exports."""

import json
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tests.serving.installation import Installation, gateway, table
from tests.training.test_import_mlflow import arm, registered

from leverframe.apps.importing import Imported
from leverframe.apps.importing_torch import export_script, import_torch, is_torch
from leverframe.core.errors import Integrity, InvalidInput, LeverframeError, NotFound, Unavailable
from leverframe.core.model import GOLDEN, Golden
from leverframe.core.route import Endpoint
from leverframe.serving.engine.models import load_version

WEIGHTS = np.array([[0.5, 1.0, -1.0], [2.0, -0.25, 0.125]], dtype=np.float32)
EXAMPLE = np.array([[0.25, 1.0], [-3.0, 0.5], [8.0, 2.0]])
ABOUT: dict[str, Any] = {
    "columns": ["distance", "hour"],
    "outputs": [{"name": "click", "width": 1}, {"name": "minutes", "width": 2}],
    "dtype": "float32",
    "python": "3.11",
    "packages": ["torch==2.13.0+cpu"],
}


def graph(weights: np.ndarray, external: bool = False, rows_matter: bool = False) -> bytes:
    """``input @ weights``; with ``rows_matter`` less what its rows have in common."""
    product = "product" if rows_matter else "scores"
    nodes = [helper.make_node("MatMul", ["input", "weights"], [product])]
    if rows_matter:
        nodes += [
            helper.make_node("ReduceMax", ["product"], ["most"], keepdims=1),
            helper.make_node("Sub", ["product", "most"], ["scores"]),
        ]
    given, made = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", width]) for name, width in (("input", 2), ("scores", 3)))
    body = helper.make_graph(nodes, "g", [given], [made], [numpy_helper.from_array(weights, "weights")])
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    if external:
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="/etc/passwd")
    return bytes(model.SerializeToString())


def folder(place: Path, model: bytes = graph(WEIGHTS), **about: object) -> Path:
    place.mkdir()
    (place / "model.onnx").write_bytes(model)
    (place / "about.json").write_text(json.dumps({**ABOUT, **about}))
    np.save(place / "example.npy", EXAMPLE)
    np.save(place / "answers.npy", EXAMPLE @ WEIGHTS.astype(np.float64))
    return place


def imported(place: Path) -> Imported:
    return import_torch(place, name="delays", team="flights", owner="ana", now_us=1)


def test_an_exported_module_becomes_a_registered_version_that_answers_as_pytorch_did(tmp_path: Path) -> None:
    place = folder(tmp_path / "m")
    assert is_torch(place)
    made = imported(place)
    golden = msgspec.json.decode(made.files[GOLDEN], type=Golden)
    assert np.array_equal(np.array(golden.expected), EXAMPLE @ WEIGHTS.astype(np.float64))
    assert golden.tolerance == pytest.approx(1e-5 * np.abs(EXAMPLE @ WEIGHTS).max())
    loaded = load_version("delays", arm(), made.files)
    assert [(output.name, output.width) for output in loaded.signature.outputs] == [("click", 1), ("minutes", 2)]
    assert (loaded.runtimes, loaded.score(EXAMPLE[:1]).shape) == (("onnx",), (1, 3))
    assert registered(tmp_path / "home", made) == {"version": "delays@v1", "number": 1}


def test_a_running_gateway_answers_with_it_output_by_output(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    installation = Installation(home)
    route = installation.bundle(imported(folder(tmp_path / "m")).files, "delays@v1")
    installation.publish(table(Endpoint(name="delays", arms=(route,))))
    asked = [{"name": name, "shape": [1], "datatype": "FP32", "data": [EXAMPLE[2, place]]} for place, name in enumerate(ABOUT["columns"])]
    with gateway(home) as running:
        assert running.page()["endpoints"][0]["arms"][0]["runtimes"] == ["onnx"]
        status, answer = running.call("/v2/models/delays/infer", {"inputs": asked})[:2]
    assert status == 200
    said = {output["name"]: output["data"] for output in answer["outputs"]}
    truth = (EXAMPLE @ WEIGHTS)[2]
    assert said == {"click": pytest.approx([truth[0]], rel=1e-6), "minutes": pytest.approx(truth[1:].tolist(), rel=1e-6)}


@pytest.mark.parametrize("model", [graph(WEIGHTS + np.float32(0.001)), graph(WEIGHTS, rows_matter=True)])
def test_a_graph_that_answers_otherwise_than_pytorch_is_refused(tmp_path: Path, model: bytes) -> None:
    with pytest.raises(Integrity, match="answers otherwise than PyTorch"):
        imported(folder(tmp_path / "m", model))


def test_a_graph_that_names_another_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Integrity, match="names data in other files"):
        imported(folder(tmp_path / "m", graph(WEIGHTS, external=True)))


@pytest.mark.parametrize(
    ("about", "error"),
    [
        ({"columns": ["distance"]}, InvalidInput),
        ({"outputs": [{"name": "click", "width": 1}]}, InvalidInput),
        ({"outputs": [{"name": "click", "width": 4}, {"name": "minutes", "width": -1}]}, InvalidInput),
        ({"dtype": "float16"}, InvalidInput),
    ],
)
def test_files_that_do_not_fit_each_other_are_refused(tmp_path: Path, about: dict[str, object], error: type[LeverframeError]) -> None:
    with pytest.raises(error):
        imported(folder(tmp_path / "m", **about))


def test_an_example_is_never_unpickled(tmp_path: Path) -> None:
    place, ran = folder(tmp_path / "m"), tmp_path / "ran"

    class Runs:
        def __reduce__(self) -> object:
            return Path.touch, (ran,)

    np.save(place / "example.npy", np.array([Runs()], dtype=object), allow_pickle=True)
    with pytest.raises(InvalidInput):
        imported(place)
    assert not ran.exists()
    np.load(place / "example.npy", allow_pickle=True)  # negative control: the file does run when it is unpickled
    assert ran.exists()


def test_a_script_that_cannot_be_exported_says_why(tmp_path: Path) -> None:
    script = tmp_path / "net.py"
    script.write_text("raise SystemExit('no data today')")
    for asked, python, error, says in (
        (f"{script}:module", sys.executable, InvalidInput, "no data today"),
        (f"{script}", sys.executable, InvalidInput, "SCRIPT.py:NAME"),
        (f"{tmp_path}/none.py:module", sys.executable, NotFound, "no such script"),
        (f"{script}:module", str(tmp_path / "python"), Unavailable, "--python"),
    ):
        with pytest.raises(error, match=says):
            export_script(asked, tmp_path / "out", python=python)


SCRIPT = '''
import torch
torch.manual_seed(1)

class Net(torch.nn.Module):
    """A carrier's embedding beside two numbers; a probability and three minutes."""
    def __init__(self):
        super().__init__()
        self.embedding = torch.nn.Embedding(7, 3)
        self.body = torch.nn.Sequential(torch.nn.Linear(5, 16), torch.nn.ReLU(), torch.nn.Dropout(0.5), torch.nn.BatchNorm1d(16))
        self.click, self.minutes = torch.nn.Linear(16, 1), torch.nn.Linear(16, 3)

    def forward(self, x):
        hidden = self.body(torch.cat([self.embedding(x[:, 0].long()), x[:, 1:]], dim=1))
        return torch.sigmoid(self.click(hidden))[:, 0], self.minutes(hidden)

class Random(torch.nn.Module):
    def forward(self, x):
        return x + torch.rand_like(x)

net = Net()
mlp = torch.nn.Sequential(torch.nn.Linear(3, 64), torch.nn.GELU(), torch.nn.Linear(64, 1), torch.nn.Sigmoid())
double = torch.nn.Sequential(torch.nn.Linear(3, 64), torch.nn.Tanh(), torch.nn.Linear(64, 1)).double()
half = torch.nn.Linear(3, 1).half()
noise = Random()
example = torch.cat([torch.randint(0, 7, (9, 1)).float(), torch.randn(9, 2)], dim=1)
columns = ["carrier", "distance", "hour"]
'''
ASK = """
import json, sys, runpy, torch
made = runpy.run_path(sys.argv[1])
module, rows = made[sys.argv[2]].eval(), torch.tensor(json.loads(sys.argv[3]), dtype=torch.float64)
rows = rows.to(next(module.parameters()).dtype)
out = module(rows)
out = out if isinstance(out, tuple) else (out,)
print(json.dumps(torch.cat([each.reshape(len(rows), -1) for each in out], dim=1).tolist()))
"""


CUDA = ("nvidia", "cuda", "triton")


def torch_python(home: Path) -> Path:
    """The Python of a new environment with a CPU build of PyTorch; what pip would install is looked at before anything is fetched."""
    venv.create(home, with_pip=True)
    python = home / "bin" / "python"
    install = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", "torch==2.13.0", "onnx", "onnxscript", "numpy"]
    planned = subprocess.run([*install, "--dry-run", "--report", "-"], capture_output=True, text=True, timeout=300)
    if planned.returncode:
        pytest.skip("PyTorch 2.13.0 is not offered here")
    names = [each["metadata"]["name"].lower() for each in json.loads(planned.stdout)["install"]]
    if any(name.startswith(CUDA) for name in names):
        pytest.skip("only a CUDA build of PyTorch is offered here")
    subprocess.run(install, check=True, timeout=600)
    return python


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_real_modules_answer_here_as_in_pytorch(tmp_path: Path) -> None:
    python = str(torch_python(tmp_path / "torch"))
    script = tmp_path / "net.py"
    script.write_text(SCRIPT)
    rng = np.random.default_rng(3)
    rows = np.column_stack([rng.integers(0, 7, 200), rng.normal(size=(200, 2)).round(3)])
    for name, widths, tolerance in (("net", (1, 3), 1e-5), ("mlp", (1,), 1e-5), ("double", (1,), 1e-10)):
        export_script(f"{script}:{name}", tmp_path / name, python=python)
        made = imported(tmp_path / name)
        loaded = load_version("delays", arm(), made.files)
        assert tuple(output.width for output in loaded.signature.outputs) == widths
        said = subprocess.run(
            [python, "-I", "-c", ASK, str(script), name, json.dumps(rows.tolist())], check=True, capture_output=True, text=True, timeout=120
        )
        theirs = np.array(json.loads(said.stdout.splitlines()[-1]))
        assert np.abs(loaded.score(rows).reshape(theirs.shape) - theirs).max() < tolerance  # other rows than the example, other count
        assert str(tmp_path).encode() not in made.files["model.onnx"]
        onnx.checker.check_model(made.files["model.onnx"], full_check=True)
    with pytest.raises(InvalidInput, match="float32 or in float64"):
        export_script(f"{script}:half", tmp_path / "half", python=python)
    export_script(f"{script}:noise", tmp_path / "noise", python=python)
    with pytest.raises(Integrity):
        imported(tmp_path / "noise")
    assert registered(tmp_path / "home", imported(tmp_path / "mlp")) == {"version": "delays@v1", "number": 1}
