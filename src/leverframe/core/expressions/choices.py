"""Choosing between values, and logic of three values: true, false and missing."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from leverframe.core.expressions.tree import Bools, Column, Function, Kind, Operation


def _present(column: Column) -> Bools:
    return np.ones(len(column.values), dtype=np.bool_) if column.absent is None else ~column.absent


def _and(a: bool | None, b: bool | None) -> bool | None:
    if a is False or b is False:
        return False
    return None if a is None or b is None else True


def _or(a: bool | None, b: bool | None) -> bool | None:
    if a is True or b is True:
        return True
    return None if a is None or b is None else False


def _ands(a: Column, b: Column) -> Column:
    true, false = _both(a, b, all_of=True)
    return Column(true, ~(true | false))


def _ors(a: Column, b: Column) -> Column:
    true, false = _both(a, b, all_of=False)
    return Column(true, ~(true | false))


def _both(a: Column, b: Column, *, all_of: bool) -> tuple[Bools, Bools]:
    """Where the two together are certainly true, and where certainly false."""
    trues = [_present(c) & c.values for c in (a, b)]
    falses = [_present(c) & ~c.values for c in (a, b)]
    return (trues[0] & trues[1], falses[0] | falses[1]) if all_of else (trues[0] | trues[1], falses[0] & falses[1])


def case(*values: Any) -> Any:
    """Of conditions and values in turn, then the value of ELSE: the value of the first condition that is true.

    >>> case(None, 1.0, True, 2.0, 3.0)
    2.0
    """
    for place in range(0, len(values) - 1, 2):
        if values[place]:
            return values[place + 1]
    return values[-1]


def _cases(*columns: Column) -> Column:
    *pairs, otherwise = columns
    values, absent = otherwise.values.copy(), ~_present(otherwise)
    left = np.ones(len(values), dtype=np.bool_)
    for condition, value in zip(pairs[::2], pairs[1::2], strict=True):
        taken = left & _present(condition) & condition.values
        values[taken], absent[taken] = value.values[taken], ~_present(value)[taken]
        left &= ~taken
    return Column(values, absent)


def _coalesce(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def _coalesces(*columns: Column) -> Column:
    values, absent = columns[0].values.copy(), ~_present(columns[0])
    for column in columns[1:]:
        values[absent] = column.values[absent]
        absent &= ~_present(column)
    return Column(values, absent)


def _nullif(a: Any, b: Any) -> Any:
    return None if a is not None and b is not None and (a == b or (a != a and b != b)) else a


def _farthest(up: bool) -> Any:
    """The greatest or the least of what is there; NaN counts only when nothing else does. Of equals the later one, as in Polars."""

    def one(*values: float | None) -> float | None:
        best: float | None = None
        for value in values:
            if value is None or (best is not None and value != value):
                continue
            if best is None or best != best or (value >= best if up else value <= best):
                best = value
        return best

    return one


def _farthests(up: bool) -> Any:
    def many(*columns: Column) -> Column:
        best, absent = columns[0].values.copy(), ~_present(columns[0])
        for column in columns[1:]:
            value, there = column.values, _present(column)
            farther = (value >= best) if up else (value <= best)
            taken = there & (absent | (~np.isnan(value) & (np.isnan(best) | farther)))
            best[taken] = value[taken]
            absent &= ~there
        return Column(best, absent)

    return many


def truncated(x: float) -> float | None:
    """``x`` without its fraction, as a cast to 64-bit integers has it; None when it does not fit.

    >>> truncated(-2.7), truncated(1e300)
    (-2.0, None)
    """
    return float(math.trunc(x)) if -(2.0**63) <= x < 2.0**63 else None


def is_missing(kind: Kind) -> Operation:
    """``IS NULL`` of a value of ``kind``."""
    return Operation(takes=(kind,), gives="truth", one=lambda value: value is None, many=lambda c: Column(~_present(c)), strict=False)


def is_in(kind: Kind, values: Sequence[Any]) -> Operation:
    """Whether a value is one of ``values``, which are written down."""
    known = frozenset(values)
    many = None if kind == "text" else lambda column: np.isin(column, list(known))
    return Operation(takes=(kind,), gives="truth", one=lambda value: value in known, many=many)


def choice(kind: Kind, conditions: int) -> Operation:
    """``CASE`` of so many conditions with values of ``kind``."""
    takes = ("truth", kind) * conditions + (kind,)
    return Operation(takes=takes, gives=kind, one=case, many=_cases, strict=False)


def _of_each_kind(one: Any, many: Any, takes: int, repeats: bool = False) -> tuple[Operation, ...]:
    kinds: tuple[Kind, ...] = ("number", "text", "truth")
    return tuple(Operation(takes=(k,) * takes, gives=k, one=one, many=many, strict=False, repeats=repeats) for k in kinds)


LOGIC: dict[str, Operation] = {
    "and": Operation(takes=("truth", "truth"), gives="truth", one=_and, many=_ands, strict=False),
    "or": Operation(takes=("truth", "truth"), gives="truth", one=_or, many=_ors, strict=False),
    "not": Operation(takes=("truth",), gives="truth", one=lambda a: not a, many=np.logical_not),
}
COMPARISONS: dict[str, Operation] = {
    "=": Operation(takes=("truth", "truth"), gives="truth", one=lambda a, b: a is b, many=np.equal),
    "<>": Operation(takes=("truth", "truth"), gives="truth", one=lambda a, b: a is not b, many=np.not_equal),
}
"""Of truths, which have no order."""
AS_NUMBER = Operation(takes=("truth",), gives="number", one=float, many=lambda truth: truth.astype(np.float64))
AS_WHOLE = Operation(takes=("number",), gives="number", one=truncated)

FUNCTIONS: dict[str, Function] = {
    "coalesce": Function("coalesce(a, b, …)", "the first that is there", _of_each_kind(_coalesce, _coalesces, 1, repeats=True)),
    "ifnull": Function("ifnull(a, b)", "a, or b where it is missing", _of_each_kind(_coalesce, _coalesces, 2)),
    "nullif": Function("nullif(a, b)", "a, missing where it equals b", _of_each_kind(_nullif, None, 2)),
    "greatest": Function(
        "greatest(a, b, …)",
        "the greatest of those that are there",
        (Operation(takes=("number",), gives="number", one=_farthest(True), many=_farthests(True), strict=False, repeats=True),),
    ),
    "least": Function(
        "least(a, b, …)",
        "the least of those that are there",
        (Operation(takes=("number",), gives="number", one=_farthest(False), many=_farthests(False), strict=False, repeats=True),),
    ),
}
