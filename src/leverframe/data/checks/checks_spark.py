"""A Spark table against its contract: counted on the cluster, the same report as ``data.checks`` gives of the same rows."""

from collections.abc import Mapping
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
from pyspark.errors import AnalysisException, ParseException, PySparkException
from pyspark.sql import DataFrame, Row, SparkSession, Window
from pyspark.sql import functions as F

from leverframe.core.dataset import ContractReport
from leverframe.core.errors import NotFound, Unavailable
from leverframe.data.checks.checks import ROW
from leverframe.data.checks.report import EXAMPLE_ROWS_MAX, Counted, Table, contract_report, passes
from leverframe.data.checks.rules import REPEATS, Rule, row_rules
from leverframe.data.checks.rules_polars import OFFERED, PolarsRules
from leverframe.data.checks.rules_spark import KNOWN, SparkRules, named, spark_type
from leverframe.data.contract.column_types import polars_type
from leverframe.data.contract.contracts import Contract

AGAIN = "again:"
PARTITION_BITS = 33
"""Spark numbers rows within a partition in the low 33 bits, and the partition above them."""

_POLARS: Mapping[str, pl.DataType] = {
    "string": pl.String(),
    "boolean": pl.Boolean(),
    "tinyint": pl.Int8(),
    "smallint": pl.Int16(),
    "int": pl.Int32(),
    "bigint": pl.Int64(),
    "float": pl.Float32(),
    "double": pl.Float64(),
    "date": pl.Date(),
    "timestamp": pl.Datetime("us", "UTC"),
    "timestamp_ntz": pl.Datetime("us"),
}


def check_spark(frame: DataFrame, contract: Contract, now_us: int, parents: Mapping[str, DataFrame] | None = None) -> ContractReport:
    """Check the rows of a Spark table. Its session's time zone must be UTC (``apps.spark_session`` sees to it).

    Parameters
    ----------
    frame: the rows. It is read once for all rules, once more for each uniqueness rule and for each rule that fails.
    now_us: the moment of the check, for freshness.
    parents: tables that references point to, by dataset.

    Returns
    -------
    ContractReport: rows are numbered in the order of the table's partitions, as its files have them. A personal value never leaves the
    cluster.
    """
    schema = dict(frame.dtypes)
    rules = row_rules(contract, frozenset(schema))
    checked = _SparkCheck(frame, contract, schema, parents or {})
    facts = checked.facts(rules)
    counted = [
        Counted(failing=int(facts[f"failing_{i}"] or 0), checked=int(facts[f"checked_{i}"] or 0), verifiable=checked.rules.verifiable(rule))
        for i, rule in enumerate(rules)
    ]
    for index, rule in enumerate(rules):
        if counted[index].failing and not passes(rule, counted[index]):
            counted[index] = msgspec.structs.replace(counted[index], seen=checked.seen(rule))
    aside = [rule for index, rule in enumerate(rules) if rule.severity == "quarantine" and counted[index].failing]
    table = Table(rows=int(facts["rows"]), columns=tuple(schema), newest_us=facts["newest"])
    return contract_report(contract, table, rules, counted, now_us=now_us, quarantined_rows=checked.set_aside(aside))


def check_places(session: SparkSession, contract: Contract, place: str, parents: Mapping[str, str], now_us: int) -> ContractReport:
    """:func:`check_spark` of Parquet (a file or a folder of parts) or a table of the catalog; ``parents`` are such places, by dataset.

    Raises
    ------
    NotFound: Spark knows no such Parquet or table.  Unavailable: Spark gave up.
    """
    held = {name: _at(session, parent) for name, parent in parents.items() if name in contract.referenced}
    rows = _at(session, place)
    try:
        return check_spark(rows, contract, now_us, held)
    except PySparkException as error:
        raise Unavailable("Spark gave up", where=contract.dataset, got=type(error).__name__) from error


def _at(session: SparkSession, place: str) -> DataFrame:
    try:
        return session.read.parquet(place) if Path(place).exists() else session.table(place)
    except (AnalysisException, ParseException) as error:
        raise NotFound("Spark knows no such Parquet or table", where=place[:200], got=error.getCondition() or "") from error


class _SparkCheck:
    """One table with its offered and typed columns, its row numbers and what its references are known to have."""

    def __init__(self, frame: DataFrame, contract: Contract, schema: Mapping[str, str], parents: Mapping[str, DataFrame]) -> None:
        self._contract, self._schema = contract, schema
        known = {
            column.name: parents[dataset].select(F.col(name).cast(spark_type(column)).alias(KNOWN)).distinct()
            for column in contract.columns
            for dataset, _, name in [column.references.rpartition(".")]
            if dataset in parents and name in parents[dataset].columns and column.name in schema
        }
        found = frozenset(column.references for column in contract.columns if column.name in known)
        self.rules = SparkRules(contract, schema, found)
        both = frame.select([named(name).alias(f"{OFFERED}{name}") for name in schema]).withColumn(ROW, F.monotonically_increasing_id())
        self._offered = both
        both = both.withColumns({column.name: self.rules.typed(column) for column in contract.columns})
        for name, values in known.items():
            there = values.withColumnRenamed(KNOWN, f"{KNOWN}{name}")
            both = both.join(there, named(name) == named(f"{KNOWN}{name}"), "left")
        self.both = both

    def facts(self, rules: list[Rule]) -> dict[str, Any]:
        """How many rows break each rule and to how many it applies, in one pass; repeated keys in a pass each."""
        asked = [F.count(F.lit(1)).alias("rows"), self._newest().alias("newest")]
        for index, rule in enumerate(rules):
            asked.append(self.rules.checked(rule).alias(f"checked_{index}"))
            if rule.kind not in REPEATS:
                asked.append(F.sum(self.rules.broken(rule).cast("bigint")).alias(f"failing_{index}"))
        facts: dict[str, Any] = _only(self.both.agg(*asked)).asDict()
        for index, rule in enumerate(rules):
            if rule.kind in REPEATS:
                keys = self.both.select([named(name) for name in rule.columns]).dropna()
                facts[f"failing_{index}"] = keys.count() - keys.distinct().count()
        return facts

    def _newest(self) -> Any:
        promise = self._contract.freshness
        if promise is None:
            return F.lit(None).cast("bigint")
        kind = next(column.physical_type for column in self._contract.columns if column.name == promise.column)
        return F.max(F.unix_micros(named(promise.column)) if kind == "timestamp[us]" else named(promise.column))

    def _marked(self, rule: Rule) -> tuple[DataFrame, Any]:
        """The table and the column that is true where ``rule`` is broken."""
        if rule.kind not in REPEATS:
            return self.both, self.rules.broken(rule)
        keys = [named(name) for name in rule.columns]
        complete = reduce(lambda some, one: some & one, [key.isNotNull() for key in keys])
        place = F.row_number().over(Window.partitionBy(*keys).orderBy(named(ROW)))
        mark = f"{AGAIN}{rule.name}:{rule.column}"
        return self.both.withColumn(mark, complete & (place > 1)), named(mark)

    def seen(self, rule: Rule) -> tuple[tuple[str, str], ...]:
        """Example and row of the first rows that break ``rule``, put into words as every engine's are."""
        table, broken = self._marked(rule)
        shown = () if rule.shows_rows else rule.columns
        columns = {column.name: column for column in self._contract.columns}
        keys = [name for name in self._contract.primary_key if name in self._schema and not columns[name].personal]
        typed = list(dict.fromkeys((*(shown if len(shown) > 1 else ()), *keys)))
        asked = [named(ROW)]
        asked += [_plain(named(f"{OFFERED}{name}"), self._schema[name]).alias(f"{OFFERED}{name}") for name in shown]
        asked += [_plain(named(name), spark_type(columns[name])).alias(name) for name in typed]
        rows = [row.asDict() for row in table.filter(broken).orderBy(named(ROW)).limit(EXAMPLE_ROWS_MAX).select(*asked).collect()]
        schema = {name: _POLARS.get(kind, pl.Binary()) for name, kind in self._schema.items()}
        held = {
            ROW: pl.Series([self._number(row[ROW]) for row in rows], dtype=pl.Int64),
            **{f"{OFFERED}{name}": _series([row[f"{OFFERED}{name}"] for row in rows], schema[name]) for name in shown},
            **{name: _series([row[name] for row in rows], polars_type(columns[name])) for name in typed},
        }
        words = PolarsRules(self._contract, schema, {}, row=pl.col(ROW))
        said = pl.DataFrame(held).select(words.example(rule).alias("example"), words.label().alias("row"))
        return tuple(said.iter_rows())

    def _number(self, id: int) -> int:
        """The number of a row, from 0, from Spark's partition and place in it."""
        if not hasattr(self, "_starts"):
            sizes = self._offered.groupBy(F.shiftrightunsigned(named(ROW), PARTITION_BITS).alias("part")).count().collect()
            self._starts: dict[int, int] = {}
            before = 0
            for row in sorted(sizes, key=lambda row: int(row["part"])):
                self._starts[int(row["part"])] = before
                before += int(row["count"])
        return self._starts[id >> PARTITION_BITS] + (id & ((1 << PARTITION_BITS) - 1))

    def set_aside(self, aside: list[Rule]) -> int:
        """How many rows break any of these rules."""
        if not aside:
            return 0
        table, masks = self.both, []
        for rule in aside:
            marked, broken = self._marked(rule)
            if rule.kind in REPEATS:
                table = table.join(marked.filter(broken).select(ROW, F.lit(True).alias(f"{AGAIN}{rule.name}:{rule.column}")), ROW, "left")
                broken = F.coalesce(named(f"{AGAIN}{rule.name}:{rule.column}"), F.lit(False))
            masks.append(broken)
        return table.filter(reduce(or_, masks)).count()


def _only(frame: DataFrame) -> Row:
    (row,) = frame.collect()
    return row


def _plain(value: Any, kind: str) -> Any:
    """A value as Python can take it without loss: moments as microseconds, what has no plain form as nothing."""
    if kind in ("timestamp", "timestamp_ntz"):
        return F.unix_micros(value.cast("timestamp"))
    return value if kind in _POLARS or kind.startswith("decimal") else F.lit(None).cast("string")


def _series(values: list[Any], dtype: pl.DataType) -> pl.Series:
    if isinstance(dtype, pl.Datetime):
        return pl.Series(values, dtype=pl.Int64).cast(pl.Datetime("us")).dt.replace_time_zone(dtype.time_zone)
    return pl.Series(values, dtype=dtype, strict=False)
