"""Tests beside definitions, carried out: the same rows and questions through each engine, the values compared with what the team wrote."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from leverframe.core.clock import us_from_iso
from leverframe.core.errors import Fault, InvalidInput, LeverframeError
from leverframe.core.feature import FeatureView
from leverframe.core.feature_example import Difference, FeatureTest, FeatureTestResult
from leverframe.features.declared.bindings import binding
from leverframe.features.online.online import entity_keys
from leverframe.features.online.online_memory import MemoryOnlineStore
from leverframe.features.timelines.stream import ViewStream
from leverframe.features.training_sets.point_in_time import training_set

AT = "at"
ROWS_MAX = 10_000
"""A test is an example that a person can follow; more rows belong into a benchmark."""

Values = Mapping[str, Sequence[float | None]]
Engine = Callable[[FeatureView, pl.DataFrame, pl.DataFrame], Values]
"""A view over source rows, asked (entity columns and ``at``, int64 microseconds UTC): each feature's values, one a question."""


def polars_values(view: FeatureView, rows: pl.DataFrame, asked: pl.DataFrame) -> Values:
    """The batch engine: what a training set would hold."""
    frame = training_set(asked, AT, [(view, rows.lazy())]).frame
    return {feature: frame[f"{view.name}.{feature}"].to_list() for feature in view.features}


def stream_values(view: FeatureView, rows: pl.DataFrame, asked: pl.DataFrame) -> Values:
    """The incremental engine: what the online store would answer at each moment, read as a gateway reads it."""
    store = MemoryOnlineStore()
    stream = ViewStream(view, store)
    stream.push(rows)
    keys = entity_keys([asked[key].to_list() for key in view.entity])
    moments: list[int] = asked[AT].to_list()
    found: list[list[float | None]] = [[] for _ in keys]
    for place in sorted(range(len(keys)), key=moments.__getitem__):
        stream.advance(moments[place])
        read = store.read(binding(view), [keys[place]], moments[place])
        found[place] = [None if math.isnan(value) else value for value in read.values[0].tolist()]
    return {feature: [row[at] for row in found] for at, feature in enumerate(view.features)}


ENGINES: Mapping[str, Engine] = {"polars": polars_values, "stream": stream_values}
"""What runs wherever the platform is installed; further engines are handed over by who opened them."""


def run_feature_test(test: FeatureTest, view: FeatureView, engines: Mapping[str, Engine] = ENGINES) -> tuple[FeatureTestResult, ...]:
    """One result an engine; an engine that refuses the view or the rows says so in its result.

    Raises
    ------
    InvalidInput: the test itself has faults (all of them are named).
    """
    _check(test, view)
    rows, asked = _frame(test.rows, (view.event_time, view.arrival_time)), _frame(test.asked, (AT,))
    return tuple(_on(engine, name, test, view, rows, asked) for name, engine in engines.items())


def _on(engine: Engine, name: str, test: FeatureTest, view: FeatureView, rows: pl.DataFrame, asked: pl.DataFrame) -> FeatureTestResult:
    try:
        got = engine(view, rows, asked)
    except LeverframeError as error:
        return FeatureTestResult(test=test.name, view=view.name, engine=name, error=error.sentence())
    return FeatureTestResult(test=test.name, view=view.name, engine=name, differences=tuple(_differences(test, got)))


def _differences(test: FeatureTest, got: Values) -> Iterator[Difference]:
    for feature, expected in test.expected.items():
        for asked, wanted, value in zip(test.asked, expected, got[feature], strict=True):
            same = value is None if wanted is None else value is not None and abs(value - wanted) <= test.tolerance
            if not same:
                yield Difference(asked=asked, feature=feature, expected=wanted, got=value)


def _frame(rows: Sequence[Mapping[str, Any]], moments: Sequence[str]) -> pl.DataFrame:
    """Rows as a frame; moments written as text become microseconds."""
    plain = [{name: _moment(value) if name in moments else value for name, value in row.items()} for row in rows]
    return pl.DataFrame(plain, infer_schema_length=None)


def _moment(value: object) -> object:
    return us_from_iso(value) if isinstance(value, str) else value


def _check(test: FeatureTest, view: FeatureView) -> None:
    faults = []
    for what, count in (("rows", len(test.rows)), ("asked", len(test.asked))):
        if not 0 < count <= ROWS_MAX:
            faults.append(Fault(where=what, what="number out of range", expected=f"1 to {ROWS_MAX}", got=str(count)))
    for feature, values in test.expected.items():
        if feature not in view.features:
            faults.append(Fault(where="expected", what="the view has no such feature", expected=", ".join(view.features), got=feature))
        elif len(values) != len(test.asked):
            faults.append(
                Fault(where=f"expected {feature}", what="one value a question", expected=str(len(test.asked)), got=str(len(values)))
            )
    if not test.expected:
        faults.append(Fault(where="expected", what="nothing is expected: such a test holds whatever the view does"))
    for place, question in enumerate(test.asked):
        missing = [name for name in (*view.entity, AT) if name not in question]
        if missing:
            faults.append(Fault(where=f"asked, question {place + 1}", what="incomplete", expected=", ".join((*view.entity, AT))))
    for name, told in ((AT, test.asked), (view.event_time, test.rows), (view.arrival_time, test.rows)):
        faults += [Fault(where=name, what="not a moment", got=str(row[name])[:40]) for row in told if not _is_moment(row.get(name))]
    if faults:
        raise InvalidInput(
            f"{len(faults)} fault(s) in the test: " + "; ".join(f"{f.where}: {f.what}" for f in faults),
            where=f"test {test.name} of {view.name}",
            next_step="correct the test, then: lever features test PROJECT_DIR",
            faults=faults,
        )


def _is_moment(value: object) -> bool:
    """Whether a value can be read as a moment; a missing one may stand in a row (such a row never counts)."""
    try:
        return value is None or isinstance(_moment(value), int)
    except ValueError:
        return False
