"""MLflow folders become signed, registered versions. Quick: folders made by hand; slow: what a real MLflow saved."""

import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
import uv
import yaml
from tests.serving.installation import model_text

from leverframe.apps.importing import Imported, data_scores, import_mlflow, write_imported
from leverframe.apps.platform.views import ImportRequest
from leverframe.apps.settings import Settings
from leverframe.apps.wiring import open_platform
from leverframe.core.actor import Actor
from leverframe.core.errors import InvalidInput, LeverframeError, Refused
from leverframe.core.model import GOLDEN, ISOLATED, MODEL_LIGHTGBM, MODEL_ONNX, Golden
from leverframe.core.route import Arm
from leverframe.serving.engine.models import load_version
from leverframe.serving.runtimes.isolated.opening import IsolatedOpener
from leverframe.training.export import export_onnx
from leverframe.training.importers.mlflow import read_mlflow
from leverframe.training.trainers.lightgbm import LightGBMModel

ENGINEER = Actor(subject="person:ana", roles=("engineer",), teams=("flights",))
COLUMNS = [{"type": "double", "name": f"Column_{n}", "required": True} for n in range(4)]
ABOUT = {
    "flavors": {
        "lightgbm": {"data": "model.lgb", "model_class": "lightgbm.basic.Booster"},
        "python_function": {"loader_module": "mlflow.lightgbm", "python_version": "3.11.7", "data": "model.lgb"},
    },
    "mlflow_version": "3.17.2",
    "saved_input_example_info": {"artifact_path": "input_example.json", "type": "dataframe", "pandas_orient": "split"},
    "signature": {"inputs": json.dumps(COLUMNS)},
}
EXAMPLE = {"columns": [c["name"] for c in COLUMNS], "data": [[0.1, 0.2, 0.3, 0.4], [1.0, None, -1.0, 2.0]]}


def folder(place: Path, about: object = ABOUT, requirements: str = "mlflow==3.17.2\nlightgbm==4.6.0\n") -> Path:
    place.mkdir()
    (place / "MLmodel").write_text(about if isinstance(about, str) else yaml.safe_dump(about))
    (place / "input_example.json").write_text(json.dumps(EXAMPLE))
    (place / "requirements.txt").write_text(requirements)
    (place / "model.lgb").write_text(model_text(4, 1))
    return place


def imported(place: Path, home: Path) -> Imported:
    return import_mlflow(place, home=home, name="delays", team="flights", owner="ana", now_us=1)


def registered(home: Path, made: Imported) -> object:
    bundle, envelope = write_imported(home, made)
    training = open_platform(Settings(home=home)).training
    training.apply_model(ENGINEER, made.spec, key="apply")
    version = training.register_import(ENGINEER, "delays", ImportRequest(bundle=bundle, envelope=envelope), key="register")
    training.apply_model(ENGINEER, msgspec.structs.replace(made.spec, name="other"), key="apply-other")
    with pytest.raises(Refused):
        training.register_import(ENGINEER, "other", ImportRequest(bundle=bundle, envelope=envelope), key="other")
    shown = training.version("delays@v1")
    assert shown.lineage.run_id == "imported"
    assert shown.lineage.params["folder"] == shown.lineage.code_digest
    return version


def arm() -> Arm:
    return Arm(version="delays@v1", bundle="sha256:" + "0" * 64, envelope="sha256:" + "1" * 64, role="live", weight=100.0)


def test_a_lightgbm_text_becomes_a_registered_version_that_holds_data_only(tmp_path: Path) -> None:
    made = imported(folder(tmp_path / "m"), tmp_path / "home")
    assert made.runtime == "lightgbm"
    assert made.files[MODEL_LIGHTGBM] == model_text(4, 1).encode()
    assert not any(name.startswith("pyfunc/") for name in made.files)
    loaded = load_version("delays", arm(), made.files)
    assert np.isfinite(loaded.score(np.array([[0.1, 0.2, 0.3, 0.4]]))).all()
    assert registered(tmp_path / "home", made) == {"version": "delays@v1", "number": 1}


def xgboost_folder(place: Path, kind: str, ending: str, names: list[str], **more: object) -> Path:
    """The folder MLflow writes for a booster over columns ``names``."""
    import xgboost

    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 4))
    held = {"evals": [(xgboost.DMatrix(x, (x[:, 0] > 0), feature_names=names), "held")], "verbose_eval": False, **more}
    params = {"objective": "binary:logistic", "nthread": 1}
    booster = xgboost.train(params, xgboost.DMatrix(x, (x[:, 0] > 0), feature_names=names), 3, **held)
    about = {**ABOUT, "flavors": {**ABOUT["flavors"], "xgboost": {"data": f"model.{ending}", "model_class": kind}}}
    about["flavors"].pop("lightgbm")
    made = folder(place, about)
    booster.save_model(made / f"model.{ending}")
    expected = booster.predict(xgboost.DMatrix(np.array(EXAMPLE["data"], dtype=float), feature_names=names))
    (place.parent / "expected.json").write_text(json.dumps(expected.tolist()))
    return made


@pytest.mark.parametrize(("kind", "ending"), [("xgboost.core.Booster", "ubj"), ("xgboost.sklearn.XGBClassifier", "json")])
def test_an_xgboost_booster_becomes_data_and_answers_as_xgboost_does(tmp_path: Path, kind: str, ending: str) -> None:
    pytest.importorskip("xgboost")
    made = imported(xgboost_folder(tmp_path / "m", kind, ending, EXAMPLE["columns"]), tmp_path / "home")
    assert (made.runtime, f"model.xgboost.{ending}" in made.files) == ("xgboost", True)
    expected = json.loads((tmp_path / "expected.json").read_text())
    golden = msgspec.json.decode(made.files[GOLDEN], type=Golden)
    assert np.array(golden.expected)[:, 0].tolist() == expected
    assert load_version("delays", arm(), made.files).runtimes == ("xgboost",)


@pytest.mark.parametrize(
    ("kind", "names", "more"),
    [
        ("xgboost.core.Booster", ["Column_1", "Column_0", "Column_2", "Column_3"], {}),
        ("xgboost.sklearn.XGBClassifier", EXAMPLE["columns"], {"early_stopping_rounds": 1}),
        ("xgboost.sklearn.XGBRanker", EXAMPLE["columns"], {}),
    ],
)
def test_a_booster_that_would_answer_otherwise_as_data_stays_foreign(tmp_path: Path, kind: str, names: list[str], more: object) -> None:
    pytest.importorskip("xgboost")
    model = read_mlflow(xgboost_folder(tmp_path / "m", kind, "ubj", names, **more))
    assert data_scores(model)[0] == ""


@pytest.mark.parametrize(("outputs", "runtime"), [("one", "onnx"), ("unknown", ""), ("torn", "")])
def test_an_onnx_graph_of_one_matrix_becomes_data(tmp_path: Path, outputs: str, runtime: str) -> None:
    about = {**ABOUT, "flavors": {**ABOUT["flavors"], "onnx": {"data": "model.onnx"}}}
    about["flavors"].pop("lightgbm")
    place = folder(tmp_path / "m", about)
    graph = onnx.load_from_string(export_onnx(model_text(4, 1)))
    if outputs == "unknown":
        graph.graph.output[0].type.tensor_type.shape.dim.add()
    (place / "model.onnx").write_bytes(graph.SerializeToString()[: 100 if outputs == "torn" else None])
    model = read_mlflow(place)
    assert data_scores(model)[0] == runtime
    if runtime:
        made = imported(place, tmp_path / "home")
        assert made.files[MODEL_ONNX] == (place / "model.onnx").read_bytes()
        text = LightGBMModel(model_text(4, 1)).predict(model.example)
        assert np.abs(np.array(msgspec.json.decode(made.files[GOLDEN], type=Golden).expected)[:, 0] - text).max() < 1e-12


def test_a_model_that_takes_text_is_never_data(tmp_path: Path) -> None:
    columns = [{**COLUMNS[0], "type": "string"}, *COLUMNS[1:]]
    place = folder(tmp_path / "m", {**ABOUT, "signature": {"inputs": json.dumps(columns)}})
    assert read_mlflow(place).data is None


@pytest.mark.parametrize(
    ("about", "requirements", "says"),
    [
        ("!!python/object/apply:os.system ['touch canary']", "a==1\n", "plain YAML"),
        ({**ABOUT, "signature": None}, "a==1\n", "no signature of named columns"),
        ({**ABOUT, "saved_input_example_info": {"artifact_path": "../../etc/passwd"}}, "a==1\n", "no input example"),
        (ABOUT, "a==1\n--index-url http://x\n", "not pinned"),
        (ABOUT, "a @ http://x/a.whl\n", "not pinned"),
        (ABOUT, "", "not pinned"),
    ],
)
def test_what_cannot_be_trusted_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, about: object, requirements: str, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidInput, match=says):
        read_mlflow(folder(tmp_path / "m", about, requirements))
    assert not (tmp_path / "canary").exists()


def test_a_link_in_the_folder_is_refused(tmp_path: Path) -> None:
    place = folder(tmp_path / "m")
    (place / "key").symlink_to("/etc/passwd")
    with pytest.raises(InvalidInput, match="a link"):
        read_mlflow(place)


SAVE = """
import sys, numpy as np, pandas as pd, mlflow
from importlib.metadata import version
from mlflow.models import infer_signature
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.compose import make_column_transformer
pinned = [f"{n}=={version(n)}" for n in ("mlflow-skinny", "scikit-learn", "pandas", "numpy", "cloudpickle")]
rng = np.random.default_rng(1)
x = pd.DataFrame({"carrier": rng.choice(["AA", "B6", "UA"], 200), "distance": rng.normal(0, 1, 200)})
model = make_pipeline(make_column_transformer((OneHotEncoder(), ["carrier"]), remainder="passthrough"), LogisticRegression())
model.fit(x, (x.distance > 0).astype(int))
mlflow.sklearn.save_model(model, sys.argv[1], signature=infer_signature(x, model.predict_proba(x)), input_example=x[:8],
    pyfunc_predict_fn="predict_proba", serialization_format="cloudpickle", pip_requirements=pinned)
print(model.predict_proba(x[:8]).tolist())
"""


@pytest.mark.slow
def test_a_real_mlflow_model_is_served_as_it_answers_in_mlflow(tmp_path: Path) -> None:
    python = tmp_path / "mlflow" / "bin" / "python"
    run = [uv.find_uv_bin(), "--quiet"]
    subprocess.run([*run, "venv", "--python", sys.executable, str(tmp_path / "mlflow")], check=True, timeout=60)
    wanted = ["mlflow-skinny", "scikit-learn", f"pandas=={importlib.metadata.version('pandas')}", "cloudpickle", "skops"]
    subprocess.run([*run, "pip", "install", "--python", str(python), *wanted], check=True, timeout=300)
    saved = subprocess.run(
        [str(python), "-c", SAVE, str(tmp_path / "model")], check=True, timeout=120, capture_output=True, text=True, cwd=tmp_path
    )
    theirs = json.loads(saved.stdout.splitlines()[-1])
    home = tmp_path / "home"
    made = imported(tmp_path / "model", home)
    assert made.runtime == "isolated"
    assert ISOLATED in made.files
    golden = msgspec.json.decode(made.files[GOLDEN], type=Golden)
    assert np.abs(np.array(golden.expected) - np.array(theirs)).max() < 1e-12
    with pytest.raises(LeverframeError, match="--allow-isolated"):
        load_version("delays", arm(), made.files)
    loaded = load_version("delays", arm(), made.files, IsolatedOpener(home, patience_s=120).open)
    try:
        rows = np.array([[np.nan if value is None else value for value in row] for row in golden.rows])
        assert loaded.runtimes == ("isolated",)
        assert np.abs(loaded.score(rows) - np.array(theirs)).max() < 1e-12
    finally:
        loaded.close()
    assert registered(home, made) == {"version": "delays@v1", "number": 1}
