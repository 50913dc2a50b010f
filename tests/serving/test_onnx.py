"""ONNX Runtime: the provider that was asked for or none, and scikit-learn's pipelines as their exporters write them."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from skl2onnx import to_onnx
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tests.serving.installation import PLAIN, bundle_files

from leverframe.core.errors import Integrity, InvalidInput, Unavailable
from leverframe.core.model import MODEL_ONNX
from leverframe.core.route import Arm
from leverframe.serving.engine.models import load_version
from leverframe.serving.runtimes.onnx import OnnxRuntime, choose_providers

BOTH = ("TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider")
MODEL = bundle_files(PLAIN, 1)[MODEL_ONNX]
COLUMNS = len(PLAIN.columns)


@pytest.mark.parametrize(
    ("asked", "chosen"), [("cpu", ("cpu",)), ("cuda", ("cuda",)), ("cuda,cpu", ("cuda", "cpu")), (" cpu , cuda ", ("cpu", "cuda"))]
)
def test_providers_are_taken_in_the_order_asked_for(asked: str, chosen: tuple[str, ...]) -> None:
    assert choose_providers(asked, BOTH) == chosen


@pytest.mark.parametrize("asked", ["", "gpu", "cuda;cpu", "cuda,cuda", "CUDAExecutionProvider", "cpu,"])
def test_a_list_that_is_none_is_refused(asked: str) -> None:
    with pytest.raises(InvalidInput, match="cuda,cpu"):
        choose_providers(asked, BOTH)


def test_a_provider_that_the_build_has_not_got_is_refused_by_name() -> None:
    with pytest.raises(Unavailable, match=r"no provider cuda here.*providers available: CPUExecutionProvider"):
        choose_providers("cuda,cpu", ("CPUExecutionProvider",))


needs_cpu_build = pytest.mark.skipif(
    "CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="this build of ONNX Runtime has CUDA"
)


@needs_cpu_build
def test_a_session_that_quietly_took_the_cpu_instead_is_refused() -> None:
    """ONNX Runtime itself only warns; without the check this model would be served, slowly, as if on CUDA."""
    with pytest.raises(Unavailable, match=r"cannot use cuda here.*in use: CPUExecutionProvider"):
        OnnxRuntime(MODEL, COLUMNS, providers=("cuda", "cpu"))
    arm = Arm(version="m@v1", bundle="b", envelope="e", role="live", weight=100.0)
    with pytest.raises(Unavailable, match="cannot use cuda"):
        load_version("m", arm, bundle_files(PLAIN, 1), onnx_providers=("cuda",))
    assert OnnxRuntime(MODEL, COLUMNS, providers=("cpu",)).name == "onnx"
    assert "onnx" in load_version("m", arm, bundle_files(PLAIN, 1), onnx_providers=("cpu",)).runtimes


@needs_cpu_build
def test_a_gateway_that_cannot_have_its_provider_does_not_start(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "leverframe.apps.gateway", "--home", str(tmp_path), "--port", "0", "--onnx-providers", "cuda,cpu"]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert said.returncode == 5
    refusal = json.loads(said.stderr.splitlines()[-1])
    assert refusal["event"] == "refused to start"
    assert "providers available: " in said.stderr


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-6), (np.float64, 1e-12)])
@pytest.mark.parametrize("classes", [2, 3])
def test_a_scikit_learn_pipeline_answers_its_probabilities(classes: int, dtype: type, tolerance: float) -> None:
    rows = np.random.default_rng(0).normal(size=(200, 4))
    names = np.array(["early", "late", "lost"])[:classes]
    labels = names[np.digitize(rows[:, 0], np.linspace(-0.5, 0.5, classes - 1) if classes > 2 else [0.0])]
    pipeline = make_pipeline(StandardScaler(), LogisticRegression()).fit(rows, labels)
    model = to_onnx(pipeline, rows[:1].astype(dtype), options={"zipmap": False}).SerializeToString()
    expected = pipeline.predict_proba(rows)
    scores = OnnxRuntime(model, 4, 1 if classes == 2 else classes).score(rows)
    assert np.abs(scores - (expected[:, 1] if classes == 2 else expected)).max() < tolerance


def test_a_pipeline_with_its_scores_in_a_zipmap_is_refused_with_the_remedy() -> None:
    rows = np.random.default_rng(0).normal(size=(50, 4))
    pipeline = make_pipeline(StandardScaler(), LogisticRegression()).fit(rows, rows[:, 0] > 0)
    model = to_onnx(pipeline, rows[:1].astype(np.float32), options={"zipmap": True}).SerializeToString()
    with pytest.raises(Integrity, match="without ZipMap"):
        OnnxRuntime(model, 4)
