from collections import Counter

import numpy as np
from tests.monitoring.world import COLUMNS, ENDPOINT, START_US, VERSION, answer, column, day_of_answers, shape

from leverframe.core.clock import DAY_US, HOUR_US
from leverframe.core.profile import ReferenceProfile
from leverframe.monitoring.budget import AlarmBudget, alarm_rate, extreme_quantile
from leverframe.monitoring.drift import drift_signals, judge_window, missing_signals, thresholds
from leverframe.monitoring.fold import Windows
from leverframe.monitoring.windows import Shape

BUDGET = AlarmBudget(alarms_per_month=1.0)


def _world(rng: np.random.Generator, days: int, per_day: int) -> np.ndarray:
    """Three columns ``[days, rows, 3]`` whose daily level wanders (AR(1), 0.8): consecutive days are alike, distant ones are not."""
    level = np.zeros((days, 3))
    for day in range(1, days):
        level[day] = 0.8 * level[day - 1] + rng.normal(0, 0.5, 3)
    return level[:, None, :] + rng.normal(0, 1, (days, per_day, 3))


def _shape(values: np.ndarray) -> Shape:
    day = np.repeat(np.arange(len(values)), values.shape[1])
    flat = values.reshape(-1, 3)
    score = column("score", 1 / (1 + np.exp(-flat[:, 0])), day)
    columns = tuple(column(name, flat[:, i], day) for i, name in enumerate(COLUMNS))
    profile = ReferenceProfile(rows=len(flat), window_us=DAY_US, columns=columns, score=score, label_rate=0.3, roc_auc=0.7, log_loss=0.5)
    return Shape(VERSION, COLUMNS, profile)


def _judged(known: Shape, values: np.ndarray, *, budget: AlarmBudget = BUDGET) -> list:
    windows = Windows(lambda endpoint, version: known)
    for day, each in enumerate(values):
        scores = 1 / (1 + np.exp(-np.nan_to_num(each[:, 0])))
        windows.fold([answer(f"{day}", START_US + day * DAY_US, each, scores)])
    limits = thresholds(known.profile, budget)
    spans = [(START_US + day * DAY_US, START_US + (day + 1) * DAY_US) for day in range(len(values))]
    return [judge_window(windows.between(ENDPOINT, VERSION, a, b), a, b, budget, limits) for a, b in spans]


def test_false_alarms_stay_within_the_budget_on_a_world_that_wanders() -> None:
    """12 worlds x 60 null days: at one a month the owner allows 24; a random-split threshold gives hundreds (the negative control)."""
    alarms = naive = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        values = _world(rng, 150, 300)
        known = _shape(values[:90])
        judged = _judged(known, values[90:])
        alarms += sum(each.alarm for day in judged for each in day)
        flat = values[:90].reshape(-1, 3)
        for index, profile in enumerate(known.profile.columns):
            pieces = rng.permutation(flat[:, index])[: 90 * 300].reshape(90, 300)
            null = column("x", pieces.ravel(), np.repeat(np.arange(90), 300)).null_distances
            limit = max(BUDGET.effect_floor, extreme_quantile(null, alarm_rate(BUDGET, 4, DAY_US)))
            naive += sum(each.distance > limit for day in judged for each in day if each.column == profile.name)
    assert alarms <= 24, f"{alarms} false alarms in 24 months of null days; the owner allowed one a month"
    assert naive > 500, "the control: calibrating on shuffled rows must fail here, or this world proves nothing"


def test_gross_faults_are_found_the_same_day() -> None:
    values = _world(np.random.default_rng(5), 104, 300)
    known = _shape(values[:90])
    broken = values[90:].copy()
    broken[:, :, 1] = broken[:, :, 1] * 25.4 + 300.0
    broken[:, :, 2] = broken[0, 0, 2]
    found = Counter(each.column for day in _judged(known, broken) for each in day if each.alarm)
    assert found["weather_temp"] == 14, "a unit that changed lies outside everything known"
    assert found["weather_wind"] == 14, "a sensor that is stuck gives one value"
    assert found["distance"] == 0


def test_few_rows_get_an_allowance_and_too_few_no_judgement() -> None:
    values = _world(np.random.default_rng(6), 120, 1200)
    known = _shape(values[:90])
    small = values[90:, :210]
    assert sum(each.alarm for day in _judged(known, small) for each in day) <= 1
    few = _judged(known, values[90:92, :50])
    assert all(not each.judged and "200 are needed" in each.reason for day in few for each in day)


def test_a_short_reference_makes_up_no_threshold() -> None:
    known = _shape(_world(np.random.default_rng(7), 8, 300))
    assert set(thresholds(known.profile, BUDGET).values()) == {None}
    assert not any(each.alarm for day in _judged(known, np.full((1, 300, 3), 1e6)) for each in day)


def test_missing_values_are_seen_within_hours_and_switched_off_columns_are_not_judged() -> None:
    known = shape()
    windows = Windows(lambda endpoint, version: known)
    windows.fold(day_of_answers(np.random.default_rng(1), START_US, hours=3, frozen=True))
    span = (START_US, START_US + 3 * HOUR_US)
    window = windows.between(ENDPOINT, VERSION, *span)
    found = missing_signals(window, *span, BUDGET, {"weather_temp": "feed weather"})
    assert [(s.kind, s.subject, s.observed) for s in found] == [("missing", "weather_temp", 1.0), ("missing", "weather_wind", 1.0)]
    assert "feed weather" in found[0].detail
    off = missing_signals(window, *span, BUDGET, {}, disabled=("weather_temp", "weather_wind"))
    assert off == []
    judged = judge_window(window, *span, AlarmBudget(rows_min=50), thresholds(known.profile, BUDGET), disabled=("weather_temp",))
    assert [s.subject for s in drift_signals(judged, {}) if s.subject.startswith("weather")] == ["weather_wind"]
