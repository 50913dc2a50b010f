"""Windowed aggregates at exact event time over all flights of 2013, beside pandas on the same rows, values compared first.

Every flight asks, at its own moment, for six aggregates of departure delays over 2 and 24 hours, by airport and by airline: 24 features.
In pandas questions and departures share one frame in order of time and one rolling window an entity: a rolling window over departures
alone, joined as of the question (``merge_asof``), would be cheaper and wrong, for rows go on leaving the window after the last departure.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl

from leverframe.apps.demo.project.prepare import datasets
from leverframe.core.clock import HOUR_US
from leverframe.core.feature import Aggregate, Aggregation, FeatureView
from leverframe.features.training_sets.point_in_time import training_set

FUNCTIONS: tuple[Aggregation, ...] = ("count", "sum", "mean", "min", "max", "std")
HOURS = (2, 24)
ENTITIES = ("origin", "carrier")
TURNS = 3
RELATIVE, ABSOLUTE = 1e-6, 1e-5
"""pandas adds and takes back floats; what that leaves behind is not called a difference. Its deviation of equal values is up to 1.9e-6
here (5 cells of 8,082,624), where ours is 0."""


def view_of(entity: str) -> FeatureView:
    """The twelve aggregates by one entity."""
    aggregates = tuple(
        Aggregate(name=f"{f}_{hours}h", function=f, column="dep_delay", window_us=hours * HOUR_US) for hours in HOURS for f in FUNCTIONS
    )
    return FeatureView(
        name=entity, source="departures", entity=(entity,), event_time="departed_at", arrival_time="departed_at", aggregates=aggregates
    )


def in_pandas(questions: pd.DataFrame, departures: pd.DataFrame) -> dict[str, np.ndarray]:
    """The same features, in the questions' order."""
    answers = {}
    for entity in ENTITIES:
        events = departures[[entity, "departed_at", "dep_delay"]].rename(columns={"departed_at": "at"}).assign(question=-1)
        asked = questions[[entity, "asked_at"]].rename(columns={"asked_at": "at"})
        asked = asked.assign(dep_delay=np.nan, question=np.arange(len(asked)))
        # Stable, and departures first: what departs at the very moment counts.
        both = pd.concat([events, asked]).sort_values("at", kind="stable").set_index("at")
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


def cells_that_differ(ours: pl.DataFrame, theirs: dict[str, np.ndarray]) -> int:
    """Cells that are missing on one side only, or further apart than that; sums over nothing are 0 here and missing in pandas."""
    count = 0
    for name, column in theirs.items():
        mine = ours[name].fill_null(np.nan).to_numpy()
        other = np.nan_to_num(column, nan=0.0) if ".sum" in name or ".count" in name else column
        mine = np.nan_to_num(mine, nan=0.0) if ".sum" in name or ".count" in name else mine
        count += int((~np.isclose(mine, other, rtol=RELATIVE, atol=ABSOLUTE, equal_nan=True)).sum())
    return count


def windows_figures(folder: Path) -> dict[str, float]:
    """Seconds of both sides (ours: the median of three), their ratio, and the cells that differ."""
    data = datasets()
    departures, questions = data["departures"], data["flights"].select("origin", "carrier", "asked_at")
    views = [(view_of(entity), departures.lazy()) for entity in ENTITIES]
    seconds = []
    for _ in range(TURNS):
        begin = time.perf_counter()
        ours = training_set(questions, "asked_at", views).frame
        seconds.append(time.perf_counter() - begin)
    pandas_questions, pandas_departures = (
        pd.DataFrame({c: frame[c].to_numpy() for c in frame.columns}).assign(**{at: pd.to_datetime(frame[at].to_numpy(), unit="us")})
        for frame, at in ((questions, "asked_at"), (departures, "departed_at"))
    )
    begin = time.perf_counter()
    theirs = in_pandas(pandas_questions, pandas_departures)
    pandas_s = time.perf_counter() - begin
    ours_s = statistics.median(seconds)
    return {
        "cells_differ": cells_that_differ(ours, theirs),
        "cells": float(len(theirs) * questions.height),
        "ours_s": ours_s,
        "pandas_s": pandas_s,
        "pandas_over_ours_ratio": pandas_s / ours_s,
    }


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        for figure, value in windows_figures(Path(sys.argv[1] if len(sys.argv) > 1 else name)).items():
            print(f"{figure}: {value:.3f}")
