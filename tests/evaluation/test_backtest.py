import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from leverframe.core.clock import DAY_US
from leverframe.core.errors import LimitExceeded, SchemaMismatch
from leverframe.evaluation.backtest import WEEK_US, backtest


def test_each_week_is_measured_on_its_rows_and_empty_weeks_are_left_out(scored):
    labels, scores = scored
    moments = np.where(np.arange(2_000) % 2 == 0, 3 * DAY_US, 3 * DAY_US + 2 * WEEK_US)
    found = {m.slice: m for m in backtest(labels, scores, moments, np.random.default_rng(0)) if m.name == "roc_auc"}
    assert list(found) == ["from=1970-01-04T00:00:00Z", "from=1970-01-18T00:00:00Z"], "windows start at the day of the oldest row"
    assert found["from=1970-01-18T00:00:00Z"].value == pytest.approx(roc_auc_score(labels[1::2], scores[1::2]))
    assert found["from=1970-01-18T00:00:00Z"].n == 1_000


def test_bounds_and_lengths_are_checked(scored):
    with pytest.raises(LimitExceeded):
        backtest([0, 1], [0.1, 0.2], [0, 2_000 * DAY_US], np.random.default_rng(0), window_us=DAY_US)
    with pytest.raises(SchemaMismatch):
        backtest(*scored, [0], np.random.default_rng(0))
