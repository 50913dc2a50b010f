import math

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from leverframe.evaluation.baseline import baseline_metrics


def test_the_column_is_turned_to_its_better_side_and_holes_take_the_median(scored):
    labels, scores = scored
    column = -scores.copy()
    column[:100] = math.nan
    own, gains = baseline_metrics(labels, scores, column)
    filled = np.where(np.isnan(column), np.nanmedian(column), column)
    found = {m.name: m for m in own}
    assert found["roc_auc"].value == pytest.approx(1 - roc_auc_score(labels, filled)), "the baseline must get the benefit of the sign"
    assert gains[0].name == "roc_auc_gain"
    assert gains[0].value == pytest.approx(roc_auc_score(labels, scores) - found["roc_auc"].value)


def test_the_constant_is_the_entropy_of_the_label_rate(scored):
    labels, scores = scored
    rate = labels.mean()
    own, gains = baseline_metrics(labels, scores, None)
    assert [m.name for m in own] == ["log_loss"]
    assert own[0].value == pytest.approx(-(rate * math.log(rate) + (1 - rate) * math.log(1 - rate)))
    assert gains[0].name == "log_loss_gain"
    assert gains[0].low > 0, "true probabilities must beat a constant on 2,000 rows"


def test_a_column_without_any_value_ranks_nothing(scored):
    labels, scores = scored
    own, _ = baseline_metrics(labels, scores, np.full(len(labels), math.nan))
    assert own[0].value == 0.5
