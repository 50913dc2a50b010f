"""The rules of a contract as Polars expressions: how many rows break one, and which."""

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import and_

import polars as pl

from leverframe.data.checks.rules import REPEATS, Rule
from leverframe.data.contract.column_types import polars_type, typed
from leverframe.data.contract.contracts import Column, Contract, Scalar

OFFERED = "offered:"
"""Prefix of the columns as they came in; no contract can name a column with a colon."""

EXAMPLE_CHARACTERS_MAX = 80
EQUALITIES_MAX = 8
"""Up to so many allowed values are compared one by one, which costs a quarter of a look-up in a set."""


class PolarsRules:
    """A contract's rules over one table.

    The expressions read the typed columns by name and the offered ones under ``offered:<name>``, as :attr:`columns` gives them.

    Parameters
    ----------
    schema: name and type of each offered column.
    known: the distinct values a reference may have, by ``dataset.column``; what is not there could not be verified.
    row: the number of a row, from 0.
    finite: floating-point columns that are known to hold only finite numbers or nothing; they are taken as they are.
    """

    def __init__(
        self,
        contract: Contract,
        schema: Mapping[str, pl.DataType],
        known: Mapping[str, pl.Series],
        row: pl.Expr,
        finite: frozenset[str] = frozenset(),
    ) -> None:
        self._by_name = {column.name: column for column in contract.columns}
        self._contract = contract
        self._schema = schema
        self._known = known
        self._row = row
        self._as_is = frozenset(
            c.name
            for c in contract.columns
            if c.name in schema and schema[c.name] == polars_type(c) and (c.name in finite or not polars_type(c).is_float())
        )
        self.columns = [self._typed(column).alias(column.name) for column in contract.columns]

    def _typed(self, column: Column) -> pl.Expr:
        if column.name not in self._schema:
            return pl.lit(None, dtype=polars_type(column))
        raw = pl.col(f"{OFFERED}{column.name}")
        return raw if column.name in self._as_is else typed(column, raw, self._schema[column.name])

    def verifiable(self, rule: Rule) -> bool:
        """Whether there is anything to check ``rule`` against."""
        return rule.kind != "reference" or rule.text in self._known

    def looks_at_rows(self, rule: Rule) -> bool:
        """Whether counting the failing rows tells which they are; otherwise a cheaper fact of the column is counted."""
        return rule.kind not in REPEATS and rule.kind not in ("required", "type") and not (rule.kind == "missing" and not rule.values)

    def failing(self, rule: Rule) -> pl.Expr:
        """How many rows break ``rule``, as cheaply as it can be counted where which of them need not be known."""
        if rule.kind in REPEATS:
            key = self._key(rule)
            return key.drop_nulls().len() - key.drop_nulls().n_unique()
        if rule.kind == "required" or (rule.kind == "missing" and not rule.values):
            return pl.col(f"{OFFERED}{rule.columns[0]}").null_count()
        if rule.kind == "type":
            name = rule.columns[0]
            return pl.lit(0) if name in self._as_is else pl.col(name).null_count() - pl.col(f"{OFFERED}{name}").null_count()
        return self.broken(rule).sum()

    def checked(self, rule: Rule) -> pl.Expr:
        """How many rows ``rule`` applies to."""
        if not self.verifiable(rule):
            return pl.lit(0)
        return pl.len() if rule.of_all_rows else pl.col(f"{OFFERED}{rule.columns[0]}").count()

    def broken(self, rule: Rule) -> pl.Expr:
        """True in each row that breaks ``rule``, never null: unknown is not broken, a missing value is the business of ``required``."""
        if rule.kind == "sql":  # what is true of a row gives a scalar its height
            return pl.sql_expr(rule.text).fill_null(False) & (self._row >= 0)
        if not self.verifiable(rule):
            return self._row < 0
        if rule.kind in REPEATS:
            key = self._key(rule)
            return key.is_not_null() & ~key.is_first_distinct()
        column = self._by_name[rule.columns[0]]
        return self._value_broken(rule, column, pl.col(f"{OFFERED}{column.name}"), pl.col(column.name)).fill_null(False)

    def _value_broken(self, rule: Rule, column: Column, raw: pl.Expr, value: pl.Expr) -> pl.Expr:
        match rule.kind:
            case "type":
                return raw.is_not_null() & value.is_null()
            case "required":
                return raw.is_null()
            case "missing":
                return raw.is_null() | _among(value, column, rule.values).fill_null(False) if rule.values else raw.is_null()
            case "pattern":
                return ~value.str.contains(rule.text)
            case "enumeration":
                return ~_among(value, column, rule.values)
            case "invalid":
                kept = [_among(value, column, rule.values)] if rule.values else []
                return ~reduce(and_, [*kept, *([value.str.contains(rule.text)] if rule.text else [])])
            case "reference":
                return ~value.is_in(self._known[rule.text].implode())
        assert rule.limit is not None, rule.kind
        length, limit = value.str.len_chars(), _limit(column, rule.limit)
        return {
            "minimum": value < limit,
            "maximum": value > limit,
            "exclusive_minimum": value <= limit,
            "exclusive_maximum": value >= limit,
            "length_min": length < limit,
            "length_max": length > limit,
        }[rule.kind]

    def _key(self, rule: Rule) -> pl.Expr:
        """The values a row must have alone; null where one of them is missing."""
        if len(rule.columns) == 1:
            return pl.col(rule.columns[0])
        complete = pl.all_horizontal([pl.col(name).is_not_null() for name in rule.columns])
        return pl.when(complete).then(pl.struct(rule.columns))

    def shown_columns(self, rule: Rule) -> list[pl.Expr]:
        """What ``example`` and ``label`` read."""
        named = [name for name in dict.fromkeys((*rule.columns, *self._contract.primary_key)) if name in self._schema]
        return [self._row, *map(pl.col, named), *(pl.col(f"{OFFERED}{name}") for name in named)]

    def example(self, rule: Rule) -> pl.Expr:
        """What to show of a row that breaks ``rule``: the offered value as bounded text, or the row's number."""
        if rule.shows_rows:
            return self._row_number()
        if len(rule.columns) > 1:
            return pl.concat_str(rule.columns, separator=", ").str.slice(0, EXAMPLE_CHARACTERS_MAX)
        name = rule.columns[0]
        offered, raw = self._schema[name], pl.col(f"{OFFERED}{name}")
        if offered.is_nested() or offered in (pl.Binary, pl.Object, pl.Null):
            return pl.format("{}" + f" ({offered})"[:EXAMPLE_CHARACTERS_MAX].replace("{", "").replace("}", ""), self._row_number())
        return raw.cast(pl.String).str.slice(0, EXAMPLE_CHARACTERS_MAX)

    def label(self) -> pl.Expr:
        """Which row it is: by primary key where that is no personal matter and complete, else by number."""
        key = [self._by_name[name] for name in self._contract.primary_key]
        if not key or any(column.personal or column.name not in self._schema for column in key):
            return self._row_number()
        named = pl.concat_str([pl.format(f"{c.name}={{}}", pl.col(c.name).cast(pl.String)) for c in key], separator=", ")
        return pl.coalesce(named.str.slice(0, EXAMPLE_CHARACTERS_MAX), self._row_number())

    def _row_number(self) -> pl.Expr:
        return pl.format("row {}", self._row + 1)


def _among(value: pl.Expr, column: Column, values: Sequence[Scalar]) -> pl.Expr:
    known = pl.Series(list(values), dtype=polars_type(column), strict=False).drop_nulls()
    if 0 < known.len() <= EQUALITIES_MAX:
        return reduce(lambda some, one: some | one, [value == pl.lit(one, dtype=known.dtype) for one in known])
    return value.is_in(known.implode())


def _limit(column: Column, limit: int | float) -> pl.Expr:
    """A limit as a literal; on a moment it is microseconds since the epoch."""
    if column.physical_type == "timestamp[us]":
        return pl.lit(limit, dtype=pl.Int64).cast(pl.Datetime("us"))
    return pl.lit(limit)
