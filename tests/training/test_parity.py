import numpy as np
import pytest

from leverframe.core.errors import Integrity
from leverframe.training.export import export_onnx
from leverframe.training.parity import parity, score_onnx
from leverframe.training.trainers.lightgbm import fit


@pytest.fixture(scope="module")
def exported():
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(500, 2))
    model = fit(matrix, (matrix[:, 0] > 0).astype(float), column_names=("a", "b"), params={"num_iterations": 5}, seed=1)
    return export_onnx(model.text), matrix, model.predict(matrix)


def test_rows_and_worst_difference_are_reported(exported):
    report = parity(*exported)
    assert (report.rows, report.tolerance) == (500, 1e-12)
    assert report.worst < 1e-15


@pytest.mark.parametrize("off", [1e-6, np.nan])
def test_a_difference_is_refused_and_its_row_named(exported, off):
    model, matrix, expected = exported
    wrong = expected.copy()
    wrong[17] += off
    with pytest.raises(Integrity, match="row 17"):
        parity(model, matrix, wrong)


def test_what_the_runtime_cannot_load_or_feed_is_an_integrity_fault(exported):
    import onnx

    model, matrix, _ = exported
    broken = onnx.load_model_from_string(model)
    broken.graph.node[1].op_type = "NoSuchOperator"
    with pytest.raises(Integrity, match="refuses"):
        score_onnx(broken.SerializeToString(), matrix)
    with pytest.raises(Integrity, match="refuses"):
        score_onnx(model, matrix[:, :1])
