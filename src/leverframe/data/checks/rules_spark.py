"""The rules of a contract as Spark columns, counted where the rows are; what one means is defined by ``data.rules_polars``.

SQL predicates are carried over by sqlglot. Two things differ between the engines and are bridged here: regular expressions (Polars has
Rust's, Spark has Java's) and text that looks like a number, of which Spark's casts accept more.
"""

import re
from collections.abc import Mapping
from functools import reduce
from operator import and_

import sqlglot
from pyspark.sql import Column as SparkColumn
from pyspark.sql import functions as F
from sqlglot import exp

from leverframe.data.checks.rules import REPEATS, Rule
from leverframe.data.checks.rules_polars import OFFERED
from leverframe.data.contract.contracts import Column, Contract

KNOWN = "known:"
_INTEGER_BITS = {"int8": 8, "int16": 16, "int32": 32, "int64": 64}
_SPARK_INTEGERS = frozenset({"tinyint", "smallint", "int", "bigint"})
_SPARK_FLOATS = frozenset({"float", "double"})
_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
_WHOLE = r"^[+-]?[0-9]+$"
_DAY = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_MOMENT = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})?$"
_IN_CLASS_OR_ESCAPED = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\$|\(\?P<", re.DOTALL)


class SparkRules:
    """A contract's rules over one Spark table, whose columns are the typed ones by name and the offered ones under ``offered:<name>``.

    Parameters
    ----------
    schema: name and simple type (``bigint``, ``decimal(9,2)``) of each offered column.
    known: references with rows to check against; their table has ``known:<column>`` true where the value is there.
    """

    def __init__(self, contract: Contract, schema: Mapping[str, str], known: frozenset[str]) -> None:
        self._by_name = {column.name: column for column in contract.columns}
        self._schema = schema
        self._known = known

    def typed(self, column: Column) -> SparkColumn:
        """The offered values in the promised type; null where a value does not fit."""
        kind = spark_type(column)
        if column.name not in self._schema:
            return F.lit(None).cast(kind)
        return _typed(column, named(f"{OFFERED}{column.name}"), self._schema[column.name]).cast(kind)

    def verifiable(self, rule: Rule) -> bool:
        """Whether there is anything to check ``rule`` against."""
        return rule.kind != "reference" or rule.text in self._known

    def checked(self, rule: Rule) -> SparkColumn:
        """How many rows ``rule`` applies to."""
        if not self.verifiable(rule):
            return F.lit(0)
        return F.count(F.lit(1)) if rule.of_all_rows else F.count(named(f"{OFFERED}{rule.columns[0]}"))

    def broken(self, rule: Rule) -> SparkColumn:
        """True in each row that breaks ``rule``, never null. Not for rules that look at other rows."""
        assert rule.kind not in REPEATS
        if rule.kind == "sql":
            return F.coalesce(F.expr(spark_sql(rule.text)), F.lit(False))
        if not self.verifiable(rule):
            return F.lit(False)
        column = self._by_name[rule.columns[0]]
        return F.coalesce(_value_broken(rule, column, named(f"{OFFERED}{column.name}"), named(column.name)), F.lit(False))


def _value_broken(rule: Rule, column: Column, raw: SparkColumn, value: SparkColumn) -> SparkColumn:
    match rule.kind:
        case "type":
            return raw.isNotNull() & value.isNull()
        case "required":
            return raw.isNull()
        case "missing":
            return raw.isNull() | F.coalesce(value.isin(list(rule.values)), F.lit(False)) if rule.values else raw.isNull()
        case "pattern":
            return ~value.rlike(java_pattern(rule.text))
        case "enumeration":
            return ~value.isin(list(rule.values))
        case "invalid":
            kept = [value.isin(list(rule.values))] if rule.values else []
            return ~reduce(and_, [*kept, *([value.rlike(java_pattern(rule.text))] if rule.text else [])])
        case "reference":
            return value.isNotNull() & named(f"{KNOWN}{column.name}").isNull()
    compared = F.unix_micros(value) if column.physical_type == "timestamp[us]" else value
    length, limit = F.length(value), F.lit(rule.limit)
    return {
        "minimum": lambda: compared < limit,
        "maximum": lambda: compared > limit,
        "exclusive_minimum": lambda: compared <= limit,
        "exclusive_maximum": lambda: compared >= limit,
        "length_min": lambda: length < limit,
        "length_max": lambda: length > limit,
    }[rule.kind]()


def named(name: str) -> SparkColumn:
    """The column called exactly ``name``."""
    return F.col(f"`{name}`")


def spark_type(column: Column) -> str:
    """The Spark type that holds ``column``."""
    names = {"int8": "tinyint", "int16": "smallint", "int32": "int", "int64": "bigint", "float32": "float", "float64": "double"}
    return names.get(column.physical_type, "timestamp" if column.physical_type == "timestamp[us]" else column.physical_type)


def _typed(column: Column, raw: SparkColumn, offered: str) -> SparkColumn:
    promised = column.physical_type
    nothing = F.lit(None)
    if offered == "string":
        return _parsed(column, raw)
    if promised in _INTEGER_BITS:
        if column.logical_type == "timestamp" and offered in ("timestamp", "timestamp_ntz"):
            return F.unix_micros(raw.cast("timestamp"))
        whole = offered in _SPARK_INTEGERS or offered in _SPARK_FLOATS or offered.startswith("decimal")
        return _within(raw, promised) if whole else nothing
    if promised in ("float32", "float64"):
        numeric = offered in _SPARK_INTEGERS or offered in _SPARK_FLOATS or offered.startswith("decimal")
        return _finite(raw.cast(spark_type(column))) if numeric else nothing
    if promised == "timestamp[us]":
        return raw.cast("timestamp") if offered in ("timestamp", "timestamp_ntz", "date") else nothing
    return raw if offered == promised else nothing


def _within(raw: SparkColumn, promised: str) -> SparkColumn:
    """Whole numbers that fit; compared as decimals, because a double next to 2^63 would round into range."""
    bits = _INTEGER_BITS[promised]
    exact = raw.try_cast("decimal(38,9)")
    whole = exact.isNotNull() & (exact == F.floor(exact)) & exact.between(F.lit(-(2 ** (bits - 1))), F.lit(2 ** (bits - 1) - 1))
    return F.when(whole, exact.try_cast("bigint"))


def _finite(number: SparkColumn) -> SparkColumn:
    limit = F.lit(float("inf"))
    return F.when(~F.isnan(number) & (number != limit) & (number != -limit), number)


def _parsed(column: Column, text: SparkColumn) -> SparkColumn:
    promised = column.physical_type
    if promised == "string":
        return text
    if promised == "boolean":
        low = F.lower(text)
        return F.when(low == "true", F.lit(True)).when(low == "false", F.lit(False))
    if promised == "date":
        return F.when(text.rlike(_DAY), text.try_cast("date"))
    if promised == "timestamp[us]":
        return _moment(text)
    if promised in ("float32", "float64"):
        return _finite(F.when(text.rlike(_NUMBER), text.try_cast(spark_type(column))))
    number = F.when(text.rlike(_WHOLE), _within(text.try_cast("decimal(38,0)"), promised))
    return F.coalesce(number, F.unix_micros(_moment(text))) if column.logical_type == "timestamp" else number


def _moment(text: SparkColumn) -> SparkColumn:
    """ISO 8601 with or without a zone; none means UTC, which is the session's zone."""
    return F.when(text.rlike(_MOMENT), text.try_cast("timestamp"))


def java_pattern(pattern: str) -> str:
    r"""A regular expression of Rust's as Java's: Unicode classes, lines end at \n alone, and $ is the very end of the text.

    >>> java_pattern(r"^\w+[$]\$$")
    '(?dU)^\\w+[$]\\$\\z'
    """

    def turned(found: re.Match[str]) -> str:
        text = found.group()
        return r"\z" if text == "$" else "(?<" if text == "(?P<" else text

    return "(?dU)" + _IN_CLASS_OR_ESCAPED.sub(turned, pattern)


def spark_sql(predicate: str) -> str:
    """A predicate in Polars' SQL as Spark's. A division by zero is unknown instead of an error, so the row does not break the rule.

    >>> spark_sql("a / b > 1 AND c <> 'x'")
    "a / NULLIF(b, 0) > 1 AND c <> 'x'"
    """
    tree = sqlglot.parse_one(predicate, read="postgres")

    def guarded(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.Div) and not isinstance(node.expression, exp.Nullif):
            return exp.Div(this=node.this, expression=exp.Nullif(this=node.expression, expression=exp.Literal.number(0)))
        return node

    return tree.transform(guarded).sql(dialect="spark")
