"""What facts of whole columns show at once: rules that no row can break, which need no look at each row.

The least and the greatest value of a column cost a fraction of a comparison with each, and most rules of most tables hold.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from leverframe.data.checks.rules import Rule
from leverframe.data.checks.rules_polars import PolarsRules

DENSE_SPAN_MAX = 8
"""Identities are looked for in a list of at most so many places a row (a byte each, nine where one comes twice)."""

_BELOW = frozenset({"minimum", "exclusive_minimum"})
_ABOVE = frozenset({"maximum", "exclusive_maximum"})


def finite_columns(frame: pl.DataFrame, names: Sequence[str]) -> frozenset[str]:
    """Those of the floating-point columns ``names`` that hold no infinity and nothing that is not a number."""
    schema = frame.schema
    floats = [name for name in names if schema[name].is_float()]
    if not floats or frame.height == 0:
        return frozenset()
    facts = frame.select(
        [
            expression.alias(f"{fact}:{name}")
            for name in floats
            for fact, expression in (
                ("low", pl.col(name).min()),
                ("high", pl.col(name).max()),
                ("nan", pl.col(name).is_nan().any()),
            )
        ]
    )
    found = facts.row(0, named=True)

    def finite(name: str) -> bool:
        ends = (found[f"low:{name}"], found[f"high:{name}"])
        return not found[f"nan:{name}"] and all(end is not None and math.isfinite(end) for end in ends)

    return frozenset(name for name in floats if finite(name))


def settled(frame: pl.DataFrame, rules: Sequence[Rule], compiled: PolarsRules) -> frozenset[int]:
    """Which of ``rules`` no row of ``frame`` breaks, as far as whole columns show it.

    Parameters
    ----------
    frame: offered and typed columns.
    """
    schema = frame.schema  # made anew by every access, which would cost more than the facts do
    asked: dict[str, pl.Expr] = {}
    for rule in rules:
        for fact, expression in _facts(rule, schema):
            asked[f"{fact}:{rule.columns[0]}"] = expression
    if not asked or frame.height == 0:
        return frozenset()
    found = frame.select([expression.alias(name) for name, expression in asked.items()]).row(0, named=True)
    return frozenset(index for index, rule in enumerate(rules) if compiled.verifiable(rule) and _kept(rule, schema, found))


def _facts(rule: Rule, schema: Mapping[str, pl.DataType]) -> list[tuple[str, pl.Expr]]:
    """The facts that may settle ``rule``, by name."""
    if len(rule.columns) != 1 or rule.columns[0] not in schema:
        return []
    value, dtype = pl.col(rule.columns[0]), schema[rule.columns[0]]
    if rule.kind == "length_max":
        return [("bytes", value.str.len_bytes().max())]
    if not dtype.is_numeric():
        return []
    low, high = ("low", value.min()), ("high", value.max())
    if rule.kind == "enumeration":
        return [low, high] if _unbroken(rule) else []
    return [low] if rule.kind in _BELOW else [high] if rule.kind in _ABOVE else []


def _kept(rule: Rule, schema: Mapping[str, pl.DataType], found: Mapping[str, float | int | None]) -> bool:
    facts = _facts(rule, schema)
    if not facts:
        return False
    values = {fact: found[f"{fact}:{rule.columns[0]}"] for fact, _ in facts}
    if any(value is None for value in values.values()):
        return True  # there is no value at all
    low, high = values.get("low"), values.get("high")
    if rule.kind == "enumeration":
        return low >= min(rule.values) and high <= max(rule.values)  # type: ignore[operator]
    limit = rule.limit
    assert limit is not None
    most = values.get("bytes", high)
    return bool(
        (rule.kind in ("length_max", "maximum") and most is not None and most <= limit)
        or (rule.kind == "exclusive_maximum" and high is not None and high < limit)
        or (rule.kind == "minimum" and low is not None and low >= limit)
        or (rule.kind == "exclusive_minimum" and low is not None and low > limit)
    )


def repeats(values: pl.Series) -> pl.Series | None:
    """True where a whole number stood in an earlier row; None where the numbers lie too far apart to be marked off a list.

    Identities mostly lie close together, and marking them costs a third of hashing them.
    """
    low, high = values.min(), values.max()
    if not values.dtype.is_integer() or not isinstance(low, int) or not isinstance(high, int):
        return None
    if high - low >= DENSE_SPAN_MAX * values.len():
        return None
    present = values.drop_nulls().cast(pl.Int64).to_numpy() - low
    marked = np.zeros(high - low + 1, dtype=np.bool_)
    marked[present] = True
    again = np.zeros(values.len(), dtype=np.bool_)
    if np.count_nonzero(marked) < present.size:
        rows = np.arange(present.size)
        first = np.zeros(marked.size, dtype=np.int64)
        first[present[::-1]] = rows[::-1]  # of several, the last written stays: the earliest row
        again[values.is_not_null().arg_true().to_numpy()[first[present] != rows]] = True
    return pl.Series(again)


def _unbroken(rule: Rule) -> bool:
    """Whether the allowed values are every whole number between two."""
    whole = all(isinstance(value, int) and not isinstance(value, bool) for value in rule.values)
    return whole and len(set(rule.values)) == max(rule.values) - min(rule.values) + 1  # type: ignore[operator]
