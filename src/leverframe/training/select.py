"""Which questions may be learnt from: asked in the window, with a label the world knew by its end."""

import polars as pl

from leverframe.core.errors import Fault, Refused, SchemaMismatch
from leverframe.core.model import ModelSpec

ROWS_MAX = 50_000_000


def select_questions(questions: pl.DataFrame, spec: ModelSpec, *, from_us: int, to_us: int) -> pl.DataFrame:
    """The rows asked in ``[from_us, to_us)`` whose label was known by ``to_us``, oldest first.

    Parameters
    ----------
    questions: the spec's dataset; moments are int64 microseconds UTC, the label 0, 1 or null.

    Returns
    -------
    all columns of the chosen rows, in an order that does not depend on the order given.

    Raises
    ------
    SchemaMismatch: columns the spec names are missing or have another type; names all of them.    Refused: no row is left.
    """
    _check_columns(questions, spec)
    asked, known = pl.col(spec.asked_at), pl.col(spec.label_known_at)
    chosen = questions.filter((asked >= from_us) & (asked < to_us) & (known <= to_us) & pl.col(spec.label).is_not_null()).sort(
        spec.asked_at, *sorted(set(questions.columns) - {spec.asked_at}), nulls_last=True
    )
    if not 0 < len(chosen) <= ROWS_MAX:
        raise Refused(
            "no labelled question in the window" if chosen.is_empty() else "more questions than one machine should fit",
            where=spec.dataset,
            expected=f"1 to {ROWS_MAX} rows",
            got=f"{len(chosen)} of {len(questions)} rows",
            next_step="choose another window, or check that labels arrive: lever data datasets",
        )
    return chosen


def _check_columns(questions: pl.DataFrame, spec: ModelSpec) -> None:
    faults = []
    for name in (spec.asked_at, spec.label_known_at):
        dtype = questions.schema.get(name)
        if dtype is None or not dtype.is_integer():
            faults.append(Fault(where=name, what="a moment", expected="int64 microseconds UTC", got=str(dtype or "no such column")))
    label = questions.schema.get(spec.label)
    if label is None or not (label.is_numeric() or label == pl.Boolean):
        faults.append(Fault(where=spec.label, what="the label", expected="0, 1 or null", got=str(label or "no such column")))
    elif not set(questions[spec.label].drop_nulls().cast(pl.Float64).unique()) <= {0.0, 1.0}:
        faults.append(Fault(where=spec.label, what="the label", expected="0, 1 or null", got="other values"))
    # A slice may also be an input column, which exists only once features are joined.
    computed = {c.name for c in spec.columns}
    missing = {f.name for f in spec.request} | (set(spec.slices) - computed)
    missing -= set(questions.columns)
    faults += [Fault(where=name, what="a column the spec names", expected=name, got="no such column") for name in sorted(missing)]
    if faults:
        raise SchemaMismatch(
            "; ".join(f"{f.where}: {f.what}, {f.got}" for f in faults),
            where=f"dataset {spec.dataset}",
            expected=faults[0].expected,
            got=faults[0].got,
            next_step="correct the model spec or the dataset's preparation",
            faults=faults,
        )
