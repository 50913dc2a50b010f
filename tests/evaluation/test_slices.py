import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from leverframe.core.errors import SchemaMismatch
from leverframe.core.evaluation import Metric
from leverframe.evaluation.slices import SLICES_MAX, slice_metrics, slice_positions, worst_slice


def test_each_slice_is_measured_on_its_own_rows_only(scored):
    labels, scores = scored
    carrier = np.array(["UA", "AA", "UA", "B6"] * 500, dtype=object)
    carrier[:40] = None
    found = {(m.name, m.slice): m for m in slice_metrics(labels, scores, {"carrier": carrier}, np.random.default_rng(0))}
    rows = carrier == "UA"
    assert found["roc_auc", "carrier=UA"].value == pytest.approx(roc_auc_score(labels[rows], scores[rows]))
    assert found["accuracy", "carrier=UA"].n == rows.sum()
    assert found["accuracy", "carrier=(missing)"].n == 40
    assert found["accuracy", "carrier=(missing)"].small
    assert not found["accuracy", "carrier=UA"].small


def test_rows_of_a_column_are_split_without_loss_and_slices_are_bounded():
    values = [f"c{i % 80}" for i in range(1_000)]
    slices = list(slice_positions("c", values))
    assert len(slices) == SLICES_MAX + 1
    assert slices[-1][0] == "c=(other)"
    assert sorted(np.concatenate([rows for _, rows in slices]).tolist()) == list(range(1_000)), "a row was lost or doubled"


def test_a_column_of_another_length_is_refused(scored):
    with pytest.raises(SchemaMismatch, match="slice columns"):
        slice_metrics(*scored, {"carrier": ["UA"]}, np.random.default_rng(0))


def test_the_worst_slice_depends_on_what_is_better():
    def of(name, value, n, slice):
        return Metric(name=name, value=value, low=value - 0.1, high=value + 0.1, n=n, slice=slice)

    metrics = [
        of("roc_auc", 0.7, 200, "c=a"),
        of("roc_auc", 0.6, 200, "c=b"),
        of("roc_auc", 0.1, 5, "c=tiny"),
        of("roc_auc", 0.5, 200, "d=x"),
    ]
    assert worst_slice(metrics, "roc_auc", "c").slice == "c=b", "tiny slices must not be judged"
    assert worst_slice(metrics, "roc_auc").slice == "d=x"
    losses = [of("log_loss", 0.3, 200, "c=a"), of("log_loss", 0.4, 200, "c=b")]
    assert worst_slice(losses, "log_loss").slice == "c=b"
    biases = [of("calibration_bias", -0.2, 200, "c=a"), of("calibration_bias", 0.1, 200, "c=b")]
    assert worst_slice(biases, "calibration_bias").slice == "c=a"
    assert worst_slice(metrics, "brier") is None
