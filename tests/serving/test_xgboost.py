"""XGBoost's models, saved as data, answer through its C library with the very numbers its own Python package gives."""

import json
import subprocess
import sys

import msgspec
import numpy as np
import pytest
import xgboost
from tests.serving.installation import Installation, gateway, infer_body, table

from leverframe.core.errors import Integrity
from leverframe.core.model import GOLDEN, MODEL_XGBOOST_JSON, MODEL_XGBOOST_UBJ, SIGNATURE, Golden
from leverframe.core.route import Endpoint
from leverframe.core.schema import InputColumn, OutputField, RequestField, Signature
from leverframe.serving.runtimes.xgboost import XgboostRuntime

RNG = np.random.default_rng(11)
ROWS = RNG.normal(size=(400, 4))
ROWS[RNG.random(ROWS.shape) < 0.15] = np.nan
TARGET = np.nan_to_num(ROWS[:, 0]) + RNG.normal(size=400) * 0.3
OBJECTIVES = {
    "binary:logistic": ({"base_score": 0.3}, (TARGET > 0).astype(float)),
    "reg:squarederror": ({"base_score": 2.5}, TARGET),
    "multi:softprob": ({"num_class": 3}, np.digitize(TARGET, [-0.5, 0.5]).astype(float)),
    "multi:softmax": ({"num_class": 3}, np.digitize(TARGET, [-0.5, 0.5]).astype(float)),
    "count:poisson": ({}, np.abs(np.rint(TARGET))),
    "reg:absoluteerror": ({}, TARGET),
}


def booster(objective: str) -> xgboost.Booster:
    more, target = OBJECTIVES[objective]
    params = {"objective": objective, "nthread": 1, "seed": 1, "max_depth": 4, **more}
    return xgboost.train(params, xgboost.DMatrix(ROWS, target), 12)


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("form", ["json", "ubj"])
def test_scores_are_those_of_its_own_package_for_one_row_and_many(objective, form):
    model = booster(objective)
    expected = model.predict(xgboost.DMatrix(ROWS))
    width = 1 if expected.ndim == 1 else expected.shape[1]
    runtime = XgboostRuntime(bytes(model.save_raw(form)), 4, width)
    scores = runtime.score(ROWS)
    assert scores.shape == expected.shape
    assert np.array_equal(scores, expected.astype(np.float64)), "not the numbers XGBoost itself gives"
    first = scores if width == 1 else scores[:, 0]
    assert [runtime.score_row(row.tobytes()) for row in ROWS[:50]] == first[:50].tolist()


def test_a_model_that_does_not_fit_its_signature_is_refused():
    raw = bytes(booster("multi:softprob").save_raw("ubj"))
    for columns, width in ((5, 3), (4, 1), (4, 2)):
        with pytest.raises(Integrity):
            XgboostRuntime(raw, columns, width)


def test_dart_is_served_and_a_linear_booster_is_not():
    for kind, serves in (("dart", True), ("gblinear", False)):
        params = {"objective": "reg:squarederror", "nthread": 1, "booster": kind}
        model = xgboost.train(params, xgboost.DMatrix(ROWS, TARGET), 5)
        raw = bytes(model.save_raw("ubj"))
        if serves:
            assert np.allclose(XgboostRuntime(raw, 4).score(ROWS), model.predict(xgboost.DMatrix(ROWS)), atol=1e-6)
        else:
            with pytest.raises(Integrity, match="not a model of trees"):
                XgboostRuntime(raw, 4)


def changed(document: dict, name: str, value: object) -> bytes:
    tree = document["learner"]["gradient_booster"]["model"]["trees"][0]
    tree[name] = [*tree[name][:-1], value] if name == "split_conditions" else [value, *tree[name][1:]]
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    ("name", "value"),
    [("left_children", 10**6), ("right_children", -7), ("left_children", 0), ("right_children", 1), ("split_indices", 99)],
)
def test_a_tree_that_leads_outside_itself_is_refused_before_xgboost_sees_it(name, value):
    with pytest.raises(Integrity, match="leads outside itself"):
        XgboostRuntime(changed(json.loads(bytes(booster("binary:logistic").save_raw("json"))), name, value), 4)


DAMAGED = {
    "empty": b"",
    "pickle": b"\x80\x04\x95",
    "deep json": b'{"a":' + b"[" * 3_000_000,
    "deep ubjson": b"{L\0\0\0\0\0\0\0\1a" + b"[" * 3_000_000,
    "cut length": b"{L\0",
    "huge length": b"{L\x7f\xff\xff\xff\xff\xff\xff\xff",
    "negative length": b"{L\xff\xff\xff\xff\xff\xff\xff\xffa",
    "huge array": b"{L\0\0\0\0\0\0\0\1a[$d#L\x0f\xff\xff\xff\xff\xff\xff\xff",
    "no model": b"{}",
    "another document": b'{"learner": {"learner_model_param": 1}}',
    "numbers out of range": b'{"learner": {"learner_model_param": {"num_feature": 1e999}}}',
}


@pytest.mark.parametrize("name", DAMAGED)
def test_what_would_hang_or_end_the_process_is_refused_first(name):
    with pytest.raises(Integrity):
        XgboostRuntime(DAMAGED[name], 4)


def test_without_the_check_the_library_would_take_the_process_with_it():
    """Negative control: XGBoost's own reader, given the same bytes, does not come back."""
    code = (
        "import ctypes; from leverframe.serving.runtimes.xgboost import _library; b=b'{L\\0\\0\\0\\0\\0\\0\\0\\1a'+b'['*3_000_000\n"
        "h=ctypes.c_void_p(); _library().XGBoosterCreate(None,0,ctypes.byref(h))\n"
        "_library().XGBoosterLoadModelFromBuffer(h,b,ctypes.c_uint64(len(b))); print('came back')"
    )
    try:
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=5)
    except subprocess.TimeoutExpired:
        return
    assert done.returncode < 0, "the library reads this by itself now: the check may be simplified"
    assert "came back" not in done.stdout


@pytest.mark.parametrize("cut", [0.1, 0.5, 0.9, 0.999])
def test_a_model_cut_short_is_refused(cut):
    for form in ("json", "ubj"):
        raw = bytes(booster("binary:logistic").save_raw(form))
        with pytest.raises(Integrity):
            XgboostRuntime(raw[: int(len(raw) * cut)], 4)


def files(objective: str, form: str, outputs: tuple[OutputField, ...]) -> dict[str, bytes]:
    names = tuple(f"x{i}" for i in range(4))
    signature = Signature(
        request=tuple(RequestField(name=name, datatype="FP64", required=False) for name in names),
        columns=tuple(InputColumn(name=name, source="request", field=name) for name in names),
        outputs=outputs,
    )
    model = booster(objective)
    expected = model.predict(xgboost.DMatrix(ROWS[:8])).reshape(8, -1)
    rows = tuple(tuple(None if np.isnan(v) else float(v) for v in row) for row in ROWS[:8])
    golden = Golden(columns=names, rows=rows, expected=tuple(tuple(map(float, row)) for row in expected), tolerance=1e-9)
    name = MODEL_XGBOOST_JSON if form == "json" else MODEL_XGBOOST_UBJ
    return {name: bytes(model.save_raw(form)), SIGNATURE: msgspec.json.encode(signature), GOLDEN: msgspec.json.encode(golden)}


def test_a_gateway_answers_with_it(tmp_path):
    installation = Installation(tmp_path)
    several = (
        OutputField(name="probabilities", width=3),
        OutputField(name="label", datatype="BYTES", categories=("a", "b", "c"), argmax_of="probabilities"),
    )
    one = installation.bundle(files("binary:logistic", "ubj", (OutputField(name="probability"),)), "one@v1")
    three = installation.bundle(files("multi:softprob", "json", several), "three@v1")
    installation.publish(table(Endpoint(name="one", arms=(one,)), Endpoint(name="three", arms=(three,))))
    row = [0.3, -1.0, 0.5, 2.0]
    matrix = xgboost.DMatrix(np.array([row]))
    with gateway(tmp_path) as running:
        assert running.page()["endpoints"][0]["arms"][0]["runtimes"] == ["xgboost"]
        single = running.call("/v2/models/one/infer", infer_body(row))[1]["outputs"][0]["data"]
        assert single == [float(booster("binary:logistic").predict(matrix)[0])]
        outputs = running.call("/v2/models/three/infer", infer_body(row))[1]["outputs"]
        truth = booster("multi:softprob").predict(matrix)[0]
        assert outputs[0]["data"] == [float(value) for value in truth]
        assert outputs[1]["data"] == ["abc"[int(truth.argmax())]]
