"""The model every serving and scoring benchmark uses: a LightGBM classifier of 200 trees over 20 plain numbers."""

from collections.abc import Mapping

import lightgbm
import msgspec
import numpy as np

from leverframe.core.model import GOLDEN, MODEL_LIGHTGBM, MODEL_ONNX, SIGNATURE, Golden
from leverframe.core.schema import InputColumn, OutputField, RequestField, Signature
from leverframe.training.export import export_onnx

COLUMNS, TREES, TRAINED_ON_ROWS = 20, 200, 20_000
NAMES = tuple(f"f{i}" for i in range(COLUMNS))
SIGNATURE_OF_20 = Signature(
    request=tuple(RequestField(name=name, datatype="FP64") for name in NAMES),
    columns=tuple(InputColumn(name=name, source="request", field=name) for name in NAMES),
    outputs=(OutputField(name="probability"),),
)


def train(threads: int) -> lightgbm.Booster:
    """The booster, the same bits whatever ``threads`` it is trained with."""
    rng = np.random.default_rng(7)
    rows = rng.normal(size=(TRAINED_ON_ROWS, COLUMNS))
    target = (rows[:, 0] + rows[:, 1] * rows[:, 2] + rng.normal(size=len(rows)) > 0).astype(float)
    params = {"objective": "binary", "num_leaves": 31, "verbose": -1, "num_threads": threads, "seed": 7, "deterministic": True}
    return lightgbm.train(params, lightgbm.Dataset(rows, target), TREES)


def bundle_files(booster: lightgbm.Booster) -> Mapping[str, bytes]:
    """What a bundle of the model holds."""
    text, rows = booster.model_to_string(), np.random.default_rng(7).normal(size=(32, COLUMNS))
    golden = Golden(
        columns=NAMES,
        rows=tuple(tuple(map(float, row)) for row in rows),
        expected=tuple((float(score),) for score in booster.predict(rows)),
        tolerance=1e-9,
    )
    return {
        MODEL_LIGHTGBM: text.encode(),
        MODEL_ONNX: export_onnx(text),
        SIGNATURE: msgspec.json.encode(SIGNATURE_OF_20),
        GOLDEN: msgspec.json.encode(golden),
    }
