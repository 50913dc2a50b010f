import math

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, brier_score_loss, log_loss, roc_auc_score

from leverframe.core.errors import InvalidInput
from leverframe.evaluation.metrics import gains, measure


def by_name(metrics):
    return {m.name: m for m in metrics}


def test_every_figure_equals_scikit_learn(scored):
    labels, scores = scored
    found = by_name(measure(labels, scores, np.random.default_rng(0)))
    assert found["roc_auc"].value == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    assert found["log_loss"].value == pytest.approx(log_loss(labels, scores), abs=1e-12)
    assert found["brier"].value == pytest.approx(brier_score_loss(labels, scores), abs=1e-12)
    assert found["accuracy"].value == pytest.approx(accuracy_score(labels, scores >= 0.5), abs=1e-12)
    assert found["calibration_bias"].value == pytest.approx(scores.mean() - labels.mean(), abs=1e-12)
    assert all(m.low <= m.value <= m.high and m.n == 2_000 for m in found.values())


def test_the_same_seed_gives_the_same_intervals(scored):
    assert measure(*scored, np.random.default_rng(4)) == measure(*scored, np.random.default_rng(4))


def test_intervals_cover_the_truth_as_often_as_they_say():
    rng, covered = np.random.default_rng(2), {"log_loss": 0, "brier": 0, "calibration_bias": 0}
    scores = rng.beta(2, 3, 300)
    truth = {
        "log_loss": float(np.mean(-scores * np.log(scores) - (1 - scores) * np.log(1 - scores))),
        "brier": float(np.mean(scores * (1 - scores))),
        "calibration_bias": 0.0,
    }
    for _ in range(300):
        found = by_name(measure((rng.random(300) < scores).astype(float), scores, rng))
        for name in covered:
            covered[name] += found[name].low <= truth[name] <= found[name].high
    assert all(n / 300 >= 0.92 for n in covered.values()), covered


def test_one_certain_mistake_does_not_make_the_log_loss_infinite():
    found = by_name(measure([1, 0, 1], [0.0, 0.0, 1.0], np.random.default_rng(0)))
    assert math.isfinite(found["log_loss"].value)
    assert found["log_loss"].value == pytest.approx(-math.log(1e-15) / 3, rel=1e-6)


def test_metrics_that_cannot_be_computed_are_absent_not_invented():
    assert "roc_auc" not in by_name(measure([0, 0, 0], [0.1, 0.2, 0.3], np.random.default_rng(0)))
    assert [m.name for m in measure([1], [0.7], np.random.default_rng(0))] == ["accuracy"]


def test_all_faults_are_told_at_once():
    with pytest.raises(InvalidInput) as caught:
        measure([0, 2, 1], [0.5, 1.5], np.random.default_rng(0))
    assert [f.where for f in caught.value.faults] == ["rows", "labels", "scores"]
    with pytest.raises(InvalidInput, match="no probability"):
        measure([0, 1], [0.5, math.nan], np.random.default_rng(0))


def test_gains_are_paired_and_positive_when_better(scored):
    labels, scores = scored
    worse = np.clip(scores + np.random.default_rng(1).normal(0, 0.15, len(scores)), 0.01, 0.99)
    found = by_name(gains(labels, scores, worse, suffix="_over_champion"))
    auc, loss = found["roc_auc_gain_over_champion"], found["log_loss_gain_over_champion"]
    assert auc.value == pytest.approx(roc_auc_score(labels, scores) - roc_auc_score(labels, worse))
    assert loss.value == pytest.approx(log_loss(labels, worse) - log_loss(labels, scores))
    assert auc.low > 0, "the better scores must be shown to be better on 2,000 rows"
    assert loss.low > 0
    same = by_name(gains(labels, scores, scores, suffix=""))
    assert (same["roc_auc_gain"].value, same["roc_auc_gain"].low, same["roc_auc_gain"].high) == (0.0, 0.0, 0.0)
