import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from leverframe.core.errors import InvalidInput
from leverframe.training.trainers.lightgbm import BOUNDS, DEFAULTS, LightGBMModel, checked_params, fit


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(3_000, 4))
    labels = (matrix[:, 0] * matrix[:, 1] + 0.5 * rng.normal(size=3_000) > 0).astype(float)
    matrix[rng.random(matrix.shape) < 0.1] = np.nan
    return matrix, labels


NAMES = ("a", "b", "c", "d")
PARAMS = {"num_iterations": 30, "min_data_in_leaf": 20, "bagging_fraction": 0.7, "bagging_freq": 1, "feature_fraction": 0.7}


def test_the_same_inputs_give_the_same_bytes_and_another_seed_others(data):
    first = fit(*data, column_names=NAMES, params=PARAMS, seed=1)
    assert first.text == fit(*data, column_names=NAMES, params=PARAMS, seed=1).text
    assert first.text != fit(*data, column_names=NAMES, params=PARAMS, seed=2).text
    assert "feature_names=a b c d" in first.text


def test_it_learns_and_its_text_is_the_whole_model(data):
    matrix, labels = data
    model = fit(matrix[:2_000], labels[:2_000], column_names=NAMES, params=PARAMS, seed=1)
    scores = model.predict(matrix[2_000:])
    assert roc_auc_score(labels[2_000:], scores) > 0.75, "one row in five lacks a value it needs; the others are all but separable"
    np.testing.assert_array_equal(LightGBMModel(model.text).predict(matrix[2_000:]), scores)
    assert model.predict(np.empty((0, 4))).shape == (0,)


def test_every_parameter_in_bounds_is_one_lightgbm_knows(data):
    for name, bound in BOUNDS.items():
        value = min(bound.high, max(bound.low, 3 if bound.type is int else 0.5))
        text = fit(*data, column_names=NAMES, params={"num_iterations": 2, name: bound.type(value)}, seed=1).text
        assert name == "num_iterations" or f"[{name}: " in text, f"LightGBM does not know {name}"


def test_parameters_are_bounded_and_all_faults_told():
    bad = {"num_leaves": 1, "learning_rate": "fast", "output_model": "/etc/passwd", "max_bin": True}
    with pytest.raises(InvalidInput) as caught:
        checked_params(bad)
    assert sorted(f.where for f in caught.value.faults) == ["learning_rate", "max_bin", "num_leaves", "output_model"]
    assert checked_params({}) == DEFAULTS


def test_inputs_that_cannot_be_fitted_are_refused(data):
    matrix, labels = data
    with pytest.raises(InvalidInput) as caught:
        fit(matrix, np.zeros(10), column_names=("a b", "a b"), params={}, seed=-1)
    assert [f.where for f in caught.value.faults] == ["matrix", "labels", "column names", "seed"]
    model = fit(matrix, labels, column_names=NAMES, params={"num_iterations": 1}, seed=1)
    with pytest.raises(InvalidInput, match="wrong matrix"):
        model.predict(matrix[:, :2])
    with pytest.raises(InvalidInput, match="not a LightGBM model"):
        LightGBMModel("tree\nnonsense").predict(matrix)
