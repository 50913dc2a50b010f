"""Windowed aggregates at exact event time over all flights of 2013, beside pandas on the same rows, values compared first.

Every flight asks, at its own moment, for six aggregates of departure delays over 2 and 24 hours, by airport and by airline: 24 features.
In pandas questions and departures share one frame in order of time and one rolling window an entity: a rolling window over departures
alone, joined as of the question (``merge_asof``), would be cheaper and wrong, for rows go on leaving the window after the last departure.
Two ways in pandas are measured, since they differ by more than twice: the one its manual shows, and the fastest that we found.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from leverframe.apps.demo.project.prepare import datasets
from leverframe.core.clock import HOUR_US
from leverframe.core.feature import Aggregate, Aggregation, FeatureView
from leverframe.features.training_sets.point_in_time import training_set

FUNCTIONS: tuple[Aggregation, ...] = ("count", "sum", "mean", "min", "max", "std")
HOURS = (2, 24)
ENTITIES = ("origin", "carrier")
TURNS = 5
Columns = Mapping[str, Any]
"""A frame, or arrays by name."""
RELATIVE, ABSOLUTE = 1e-6, 1e-5
"""pandas adds and takes back floats; what that leaves behind is not called a difference. Its deviation of equal values is up to 1.9e-6
here (5 cells of 8,082,624 each way), where ours is 0."""


def view_of(entity: str) -> FeatureView:
    """The twelve aggregates by one entity."""
    aggregates = tuple(
        Aggregate(name=f"{f}_{hours}h", function=f, column="dep_delay", window_us=hours * HOUR_US) for hours in HOURS for f in FUNCTIONS
    )
    return FeatureView(
        name=entity, source="departures", entity=(entity,), event_time="departed_at", arrival_time="departed_at", aggregates=aggregates
    )


def by_group(questions: pd.DataFrame, departures: pd.DataFrame) -> Columns:
    """The same features, in the questions' order, as pandas' manual has them: ``groupby(entity).rolling(window)``."""
    answers = {}
    for entity in ENTITIES:
        both = _together(questions, departures, entity)
        question = both.groupby(entity, sort=False)["question"].apply(lambda part: part).to_numpy()
        grouped = both.groupby(entity, sort=False)["dep_delay"]
        for hours in HOURS:
            rolling = grouped.rolling(f"{hours}h", min_periods=1)
            for function in FUNCTIONS:
                values = getattr(rolling, function)().to_numpy()
                column = np.empty(len(questions))
                column[question[question >= 0]] = values[question >= 0]
                answers[f"{entity}.{function}_{hours}h"] = column
    return answers


def by_loop(questions: pd.DataFrame, departures: pd.DataFrame) -> Columns:
    """The same, one entity after the other, which spares pandas to group again for every window and function: 2.4 times as fast here.

    There are 19 entities; with as many as there are aircraft it would be the slower way.
    """
    answers = {f"{e}.{f}_{h}h": np.empty(len(questions)) for e in ENTITIES for h in HOURS for f in FUNCTIONS}
    for entity in ENTITIES:
        for _, part in _together(questions, departures, entity).groupby(entity, sort=False):
            asked = (part["question"] >= 0).to_numpy()
            question = part["question"].to_numpy()[asked]
            for hours in HOURS:
                rolling = part["dep_delay"].rolling(f"{hours}h", min_periods=1)
                for function in FUNCTIONS:
                    answers[f"{entity}.{function}_{hours}h"][question] = getattr(rolling, function)().to_numpy()[asked]
    return answers


def _together(questions: pd.DataFrame, departures: pd.DataFrame, entity: str) -> pd.DataFrame:
    events = departures[[entity, "departed_at", "dep_delay"]].rename(columns={"departed_at": "at"}).assign(question=-1)
    asked = questions[[entity, "asked_at"]].rename(columns={"asked_at": "at"})
    asked = asked.assign(dep_delay=np.nan, question=np.arange(len(asked)))
    # Stable, and departures first: what departs at the very moment counts.
    return pd.concat([events, asked]).sort_values("at", kind="stable").set_index("at")


def cells_that_differ(ours: Columns, theirs: Columns) -> int:
    """Cells that are missing on one side only, or further apart than that; sums over nothing are 0 here and missing in pandas."""
    count = 0
    for name, column in theirs.items():
        mine = ours[name].fill_null(np.nan).to_numpy()
        other = np.nan_to_num(column, nan=0.0) if ".sum" in name or ".count" in name else column
        mine = np.nan_to_num(mine, nan=0.0) if ".sum" in name or ".count" in name else mine
        count += int((~np.isclose(mine, other, rtol=RELATIVE, atol=ABSOLUTE, equal_nan=True)).sum())
    return count


def windows_figures(folder: Path) -> dict[str, float]:
    """Seconds of ours and of both ways in pandas (medians, taken in turns), their ratios, and the cells that differ.

    ``cpu``: seconds of processors, of which ours uses as many as there are; they tell more on a machine that others use, too.
    """
    data = datasets()
    departures, questions = data["departures"], data["flights"].select("origin", "carrier", "asked_at")
    views = [(view_of(entity), departures.lazy()) for entity in ENTITIES]
    in_pandas = [
        pd.DataFrame({c: frame[c].to_numpy() for c in frame.columns}).assign(**{at: pd.to_datetime(frame[at].to_numpy(), unit="us")})
        for frame, at in ((questions, "asked_at"), (departures, "departed_at"))
    ]
    sides: dict[str, Callable[[], Columns]] = {
        "ours_s": lambda: training_set(questions, "asked_at", views).frame,
        "pandas_by_group_s": lambda: by_group(*in_pandas),
        "pandas_by_loop_s": lambda: by_loop(*in_pandas),
    }
    found: dict[str, Columns] = {}
    seconds: dict[str, list[float]] = {}
    for _ in range(TURNS):
        for side, run in sides.items():
            begin, cpu_begin = time.perf_counter(), time.process_time()
            found[side] = run()
            seconds.setdefault(side, []).append(time.perf_counter() - begin)
            seconds.setdefault(side.replace("_s", "_cpu_s"), []).append(time.process_time() - cpu_begin)
    median = {side: statistics.median(of_side) for side, of_side in seconds.items()}
    return {
        "cells_differ": sum(cells_that_differ(found["ours_s"], found[side]) for side in ("pandas_by_group_s", "pandas_by_loop_s")),
        "cells": float(2 * len(found["pandas_by_loop_s"]) * questions.height),
        **median,
        "pandas_by_group_over_ours_ratio": median["pandas_by_group_s"] / median["ours_s"],
        "pandas_by_loop_over_ours_ratio": median["pandas_by_loop_s"] / median["ours_s"],
    }


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        for figure, value in windows_figures(Path(sys.argv[1] if len(sys.argv) > 1 else name)).items():
            print(f"{figure}: {value:.3f}")
