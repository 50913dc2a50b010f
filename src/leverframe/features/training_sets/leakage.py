"""Does a feature know what nobody knew when the question was asked? What the join prevents is counted, what it cannot see is flagged."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from msgspec.structs import replace
from numpy.typing import NDArray

from leverframe.core.feature import FeatureView
from leverframe.core.statistics.intervals import delong
from leverframe.core.training_set_report import Leak, TrainingSetReport
from leverframe.features.training_sets.leakage_sources import Labelled, source_leaks
from leverframe.features.training_sets.point_in_time import TrainingSet, training_set

AUC_MIN = 0.99
"""A single feature that ranks the labels this well (or this badly) on its own is rather the label in disguise than a good feature."""
CLASS_ROWS_MIN = 50
"""Fewer labels of a class, or values among them, say nothing about an area."""
_ORDER = {"error": 0, "warning": 1, "note": 2}


def training_set_report(
    model: str, joined: TrainingSet, columns: Labelled, views: Sequence[tuple[FeatureView, pl.LazyFrame]]
) -> TrainingSetReport:
    """What there is to say about a training set of ``model``: gaps of its views, and what may leak.

    Parameters
    ----------
    joined: the labelled questions with the features of ``views``, from ``training_set``.
    views: each view with its source's rows.
    """
    leaks = [leak for view, source in views for leak in source_leaks(view, source, columns)]
    leaks += _prevented(joined.frame, columns, views)
    leaks += _telling(joined.frame, columns, [view for view, _ in views])
    ordered = sorted(leaks, key=lambda leak: (_ORDER[leak.severity], leak.view, leak.feature, leak.check))
    return TrainingSetReport(model=model, questions=joined.frame.height, matches=joined.matches, leaks=tuple(ordered))


def _prevented(joined: pl.DataFrame, columns: Labelled, views: Sequence[tuple[FeatureView, pl.LazyFrame]]) -> list[Leak]:
    """For each view the questions to which a join by event time alone would have given other values: those that were not known yet."""
    late = [(replace(view, arrival_time=view.event_time), source) for view, source in views if view.arrival_time != view.event_time]
    if not late:
        return []
    keys = dict.fromkeys((columns.asked_at, *(key for view, _ in late for key in view.entity)))
    naive = training_set(joined.select(list(keys)), columns.asked_at, late).frame
    leaks = []
    for view, _ in late:
        differs = np.zeros(joined.height, dtype=np.bool_)
        for name in (f"{view.name}.{feature}" for feature in view.features):
            differs |= naive[name].ne_missing(joined[name]).to_numpy()
        rows = int(differs.sum())
        sentence = f"a join by event time alone would have shown {rows:,} of {joined.height:,} questions what {view.name} did not know yet"
        if rows:
            leaks.append(
                Leak(
                    check="event_time_join", severity="note", view=view.name, rows=rows, out_of=joined.height, of="questions",
                    sentence=sentence,
                )
            )  # fmt: skip
    return leaks


def _telling(joined: pl.DataFrame, columns: Labelled, views: Sequence[FeatureView]) -> list[Leak]:
    """Features that rank the labels nearly perfectly on their own, by their value or by being there at all."""
    labels = joined[columns.label].cast(pl.Float64).fill_null(np.nan).to_numpy()
    leaks = []
    for view in views:
        for feature in view.features:
            values = joined[f"{view.name}.{feature}"].fill_null(np.nan).to_numpy()
            there = (~np.isnan(values)).astype(np.float64)
            for what, scores in (("its value", values), ("whether it has a value", there)):
                area, rows = _area(labels, scores)
                if area is None or max(area, 1.0 - area) < AUC_MIN:
                    continue
                sentence = f"{view.name}.{feature}: {what} alone ranks the labels with an AUC of {area:.3f} over {rows:,} questions"
                leaks.append(
                    Leak(
                        check="tells_label", severity="warning", view=view.name, feature=feature, rows=rows, out_of=joined.height,
                        of="questions", sentence=sentence, next_step="ask what the source knows that nobody knows at the question's moment",
                    )
                )  # fmt: skip
                break
    return leaks


def _area(labels: NDArray[np.float64], scores: NDArray[np.float64]) -> tuple[float | None, int]:
    """ROC AUC over the rows that have both, and their number; None when there are too few of a class."""
    both = ~(np.isnan(labels) | np.isnan(scores))
    labels, scores = labels[both], scores[both]
    positives = int((labels > 0.5).sum())
    if min(positives, len(labels) - positives) < CLASS_ROWS_MIN:
        return None, len(labels)
    areas, _ = delong(labels, scores)
    return float(areas[0]), len(labels)
