"""What goes wrong with rows that are not what they seem: quick labels, callers that ask often, and covariates."""

import math

import numpy as np
import pytest

from leverframe.core.statistics.clusters import ClusteredDifference
from leverframe.core.statistics.covariate import AdjustedDifference
from leverframe.core.statistics.delays import DelayCurve
from leverframe.core.statistics.means import DifferenceMargin


def test_whoever_answers_first_is_biased_and_a_cohort_of_one_age_is_not() -> None:
    rng, n = np.random.default_rng(1), 40_000
    late = rng.random(n) < 0.2
    delay = np.where(late, rng.uniform(4.0, 12.0, n), rng.uniform(1.0, 3.0, n))
    age = rng.uniform(0.0, 24.0, n)
    young, labelled = age < 8.0, delay <= age
    truth = float(late[young].mean())
    naive = float(late[young & labelled].mean())
    assert naive < 0.6 * truth, "quick labels must be the wrong sample, or this test proves nothing"
    old = age >= 12.0
    mature = float(late[old].mean())
    assert mature == pytest.approx(truth, abs=0.01), "requests older than the longest delay are a fair sample"


def test_kaplan_meier_sees_through_labels_that_are_still_to_come() -> None:
    rng, n = np.random.default_rng(2), 5_000
    delay, age = rng.exponential(3.0, n), rng.uniform(0.0, 10.0, n)
    labelled = delay <= age
    curve = DelayCurve(np.minimum(delay, age), labelled)
    for time in (1.0, 3.0, 6.0):
        truth = 1.0 - math.exp(-time / 3.0)
        low, high = curve.band(time, 0.999)
        assert low <= truth <= high
        naive = float((delay[labelled] <= time).mean())
        assert naive > truth + 0.05 or time == 6.0, "the delays seen so far are the short ones"
    assert curve.horizon(0.5) == pytest.approx(3.0 * math.log(2.0), rel=0.08)


def test_rows_of_few_callers_false_alarm_and_callers_do_not() -> None:
    rng, alpha = np.random.default_rng(3), 0.05
    alarms = np.zeros(2)
    for _ in range(120):
        callers = 120
        mood = 0.5 * rng.normal(size=callers)
        rows, people = DifferenceMargin(margin=0.02), ClusteredDifference(margin=0.02)
        wrong = np.zeros(2, dtype=bool)
        for _ in range(12):
            who = rng.integers(0, callers, 400)
            arm, values = who % 2 == 0, mood[who] + 0.1 * rng.normal(size=400)
            rows.update(candidate=values[arm], champion=values[~arm])
            people.update([f"c{k}" for k in who], candidate=arm, values=values)
            wrong |= np.array([rows.log_harm, people.log_harm]) >= -math.log(alpha)
        alarms += wrong
    assert alarms[0] / 120 > 0.15, "row by row, equal versions must be condemned, or this test proves nothing"
    assert alarms[1] / 120 <= alpha


def test_a_covariate_saves_rows_and_moves_nothing() -> None:
    rng, n = np.random.default_rng(4), 8_000
    arm, score = rng.random(n) < 0.3, rng.normal(size=n)
    values = 5.0 + 2.0 * score + 0.5 * rng.normal(size=n) + 0.2 * arm
    plain, adjusted = DifferenceMargin(margin=0.1), AdjustedDifference(margin=0.1)
    plain.update(candidate=values[arm], champion=values[~arm])
    adjusted.update_rows(candidate=arm, values=values, covariate=score)
    assert adjusted.coefficient == pytest.approx(2.0, abs=0.05)
    assert adjusted.estimate == pytest.approx(0.2, abs=0.05)
    wide, narrow = plain.interval(0.05), adjusted.interval(0.05)
    assert narrow[1] - narrow[0] < 0.4 * (wide[1] - wide[0])
    assert narrow[0] <= 0.2 <= narrow[1]
