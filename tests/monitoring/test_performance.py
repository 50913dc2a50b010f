import numpy as np
import pytest
from tests.monitoring.world import shape

from leverframe.core.statistics.intervals import auc_interval
from leverframe.monitoring.performance import binned_auc, estimated, measured, performance_signals
from leverframe.monitoring.windows import SCORE_CELLS, Window, count_labels

SHAPE = shape(days=20)


def _window(scores: np.ndarray, labels: np.ndarray) -> Window:
    window = count_labels(SHAPE, np.zeros(len(scores), dtype=np.int64), scores, labels)[0]
    window.scores[:] = np.bincount((scores * SCORE_CELLS).astype(int), minlength=SCORE_CELLS)
    window.tally[1] = len(scores)
    return window


def _sample(rows: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    scores = rng.beta(2, 6, rows)
    return scores, (rng.random(rows) < scores).astype(float)


def test_auc_of_cells_is_auc_of_rows() -> None:
    scores, labels = _sample()
    exact = auc_interval(labels, scores)
    binned = measured(_window(scores, labels), 0, 1).roc_auc
    assert binned.value == pytest.approx(exact.value, abs=1e-3)
    assert (binned.low, binned.high) == pytest.approx((exact.low, exact.high), abs=2e-3)


def test_losses_are_those_of_the_rows() -> None:
    scores, labels = _sample()
    figures = measured(_window(scores, labels), 0, 1)
    assert figures.brier.value == pytest.approx(float(((scores - labels) ** 2).mean()), abs=1e-8)
    assert figures.log_loss.value == pytest.approx(float(-np.log(np.where(labels > 0, scores, 1 - scores)).mean()), abs=1e-7)
    assert figures.label_rate.low < 0.25 < figures.label_rate.high
    assert figures.mature


def test_calibrated_scores_predict_their_own_performance() -> None:
    rng = np.random.default_rng(2)
    scores = np.sort(rng.beta(2, 6, 40_000))
    labels = (rng.random(40_000) < scores).astype(float)
    window = _window(scores, labels)
    expected, seen = estimated(window, 0, 1), measured(window, 0, 1)
    below = np.cumsum(1 - scores) - 0.5 * (1 - scores)
    by_rows = float((scores * below).sum() / (scores.sum() * (1 - scores).sum()))
    assert expected.roc_auc == pytest.approx(by_rows, abs=2e-4), "cells must give what the rows give"
    assert seen.roc_auc.low < expected.roc_auc < seen.roc_auc.high
    assert seen.brier.low < expected.brier < seen.brier.high
    assert expected.roc_auc_constant == SHAPE.profile.roc_auc, "an estimate is never shown without the constant beside it"


def test_a_signal_needs_a_fall_beyond_doubt_and_most_labels() -> None:
    rng = np.random.default_rng(2)
    scores, labels = _sample()
    noise = rng.permutation(labels)
    bad = measured(_window(scores, noise), 0, 1, confidence=0.999)
    assert [s.subject for s in performance_signals([bad], 0.75, "m@v1")] == ["m@v1"]
    good = measured(_window(scores, labels), 0, 1, confidence=0.999)
    assert performance_signals([good], good.roc_auc.value, "m@v1") == []
    early = _window(scores[:900], noise[:900])
    early.tally[1] = 4000
    assert performance_signals([measured(early, 0, 1)], 0.75, "m@v1") == [], "a quarter of the labels is no fair sample"


def test_one_class_has_no_auc() -> None:
    assert binned_auc(np.array([[5.0, 3.0], [0.0, 1.0]])) is None
    assert measured(Window(SHAPE), 0, 1).labels == 0
    assert estimated(Window(SHAPE), 0, 1) is None
