import numpy as np
import polars as pl
import pytest

from leverframe.core.errors import InvalidInput, SchemaMismatch
from leverframe.training.matrix import input_matrix, prepared


@pytest.fixture
def frame():
    return pl.DataFrame({"origin": ["JFK", "LGA"], "carrier": ["UA", None], "departs_s": [120, 60], "delays.mean_2h": [30.0, None]})


def test_features_and_request_become_one_matrix(frame, signature):
    np.testing.assert_array_equal(input_matrix(frame, signature), [[30.0, 1.0, 2.0], [np.nan, np.nan, 1.0]])


def test_training_and_serving_share_the_same_values(frame, signature):
    from leverframe.core.assemble import assemble

    request = {"origin": ["JFK"], "carrier": ["UA"], "departs_s": [120]}
    np.testing.assert_array_equal(input_matrix(frame, signature)[:1], assemble(signature, request, {"delays": np.array([[30.0]])}, 1))


def test_everything_missing_is_named(frame, signature):
    with pytest.raises(SchemaMismatch) as caught:
        input_matrix(frame.drop("carrier", "delays.mean_2h").with_columns(departs_s=pl.lit(None, dtype=pl.Int64)), signature)
    assert [f.where for f in caught.value.faults] == ["carrier", "minute", "delays.mean_2h"]


def test_prepare_computes_over_the_columns_as_they_were(signature):
    matrix = np.array([[120.0, 1.0, 2.0], [np.nan, 0.0, 1.0]])
    changed = prepared(matrix, signature, {"delay": "delay / 60", "minute": "delay + minute"})
    np.testing.assert_array_equal(changed, [[2.0, 1.0, 122.0], [np.nan, 0.0, np.nan]])
    np.testing.assert_array_equal(matrix[0], [120.0, 1.0, 2.0], err_msg="the given matrix was changed")
    assert prepared(matrix, signature, {}) is matrix


@pytest.mark.parametrize("sql", ["no_such_column + 1", "((", "SUM(delay)", "'text'"])
def test_prepare_that_cannot_be_computed_is_refused(signature, sql):
    with pytest.raises(InvalidInput, match="delay"):
        prepared(np.ones((3, 3)), signature, {"delay": sql})


def test_prepare_of_no_input_column_is_refused(signature):
    with pytest.raises(InvalidInput, match="names no input column"):
        prepared(np.ones((3, 3)), signature, {"label": "1"})
