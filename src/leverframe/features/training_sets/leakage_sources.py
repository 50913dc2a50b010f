"""What a source's own columns say about leaks: arrival times that are none, and features computed from the label."""

from typing import NamedTuple

import polars as pl

from leverframe.core.feature import FeatureView
from leverframe.core.training_set_report import Leak
from leverframe.features.declared.lineage import view_columns
from leverframe.features.rows.source_rows import moment


class Labelled(NamedTuple):
    """Which columns of the questions' ``dataset`` hold the moment asked, the label (0 or 1) and the moment the label was known."""

    dataset: str
    asked_at: str
    label: str
    known_at: str


def source_leaks(view: FeatureView, source: pl.LazyFrame, columns: Labelled) -> list[Leak]:
    """Every leak that the view's source shows without any question."""
    return [*_arrival_leaks(view, source), *_label_leaks(view, source, columns)]


def _arrival_leaks(view: FeatureView, source: pl.LazyFrame) -> list[Leak]:
    schema = source.collect_schema()
    event, arrival = (moment(c, schema[c]) for c in (view.event_time, view.arrival_time))
    counts = source.select(
        rows=pl.len(), missing=arrival.is_null().sum(), same=(arrival == event).sum(), before=(arrival < event).sum()
    ).collect()
    rows, missing, same, before = (int(counts[name][0]) for name in ("rows", "missing", "same", "before"))
    leaks = []
    if same and same + missing == rows:
        leaks.append(_arrival_is_event(view, same, rows))
    if missing:
        sentence = f"{missing:,} of {rows:,} rows of {view.source} have no {view.arrival_time}: they are left out"
        next_step = f"record {view.arrival_time} when a row is received"
        leaks.append(
            Leak(
                check="arrival_missing", severity="warning", view=view.name, rows=missing, out_of=rows, of="source rows",
                sentence=sentence, next_step=next_step,
            )
        )  # fmt: skip
    if before:
        sentence = f"{before:,} of {rows:,} rows of {view.source} arrived before they happened; they are used from {view.event_time} on"
        next_step = f"is {view.arrival_time} the time of receipt? is {view.event_time} the time of a plan?"
        leaks.append(
            Leak(
                check="known_before_it_happened", severity="warning", view=view.name, rows=before, out_of=rows, of="source rows",
                sentence=sentence, next_step=next_step,
            )
        )  # fmt: skip
    return leaks


def _arrival_is_event(view: FeatureView, same: int, rows: int) -> Leak:
    one = "they are one column" if view.arrival_time == view.event_time else "they are equal in every row"
    return Leak(
        check="arrival_is_event",
        severity="warning",
        view=view.name,
        rows=same,
        out_of=rows,
        of="source rows",
        sentence=f"{view.name} takes {view.event_time} for the moment a row was known ({one}): rows that come late would be used early",
        next_step=f"if rows can come late, record when they came and name that column as arrival_time of {view.name}",
    )


def _label_leaks(view: FeatureView, source: pl.LazyFrame, columns: Labelled) -> list[Leak]:
    """Features that are computed from the label, and whether their rows are used before the label was known."""
    schema = source.collect_schema()
    if view.source != columns.dataset or columns.label not in schema:
        return []
    readers = [name for name, read in _columns_read(view).items() if columns.label in read]
    if not readers:
        return []
    usable = pl.max_horizontal(*(moment(c, schema[c]) for c in (view.event_time, view.arrival_time)))
    early = usable < moment(columns.known_at, schema[columns.known_at]) if columns.known_at in schema else pl.lit(True)
    labelled = pl.col(columns.label).is_not_null()
    counts = source.select(rows=labelled.sum(), early=(labelled & early.fill_null(True)).sum()).collect()
    rows, before = int(counts["rows"][0]), int(counts["early"][0])
    return [_label_leak(view, feature, columns, rows, before) for feature in readers]


def _label_leak(view: FeatureView, feature: str, columns: Labelled, rows: int, early: int) -> Leak:
    if early:
        sentence = (
            f"{view.name}.{feature} reads the label {columns.label}, and {early:,} of {rows:,} labels are used before they were known"
        )
        return Leak(
            check="label_known_early", severity="error", view=view.name, feature=feature, rows=early, out_of=rows, of="source rows",
            sentence=sentence, next_step=f"name {columns.known_at} as arrival_time of {view.name}, or drop the feature",
        )  # fmt: skip
    sentence = f"{view.name}.{feature} reads the label {columns.label}, of other questions and once it was known"
    return Leak(
        check="reads_label", severity="note", view=view.name, feature=feature, rows=rows, out_of=rows, of="source rows", sentence=sentence
    )


def _columns_read(view: FeatureView) -> dict[str, set[str]]:
    """The source columns behind each feature; the filter's columns are behind all of them."""
    read: dict[str, set[str]] = {}
    for use in view_columns(view):
        if use.role in ("expression", "aggregate", "filter"):
            read.setdefault(use.feature, set()).add(use.column)
    return read
