"""The quality rules and service levels of an Open Data Contract Standard file."""

import re
from collections.abc import Sequence
from typing import Any

import polars as pl
from open_data_contract_standard.model import DataQuality, ServiceLevelAgreementProperty

from leverframe.core.clock import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from leverframe.core.errors import Fault
from leverframe.data.contract.column_types import is_plain_number, polars_type
from leverframe.data.contract.contracts import Column, FreshnessRule, Severity, SqlRule, Volume

_SEVERITIES: dict[str, Severity] = {
    "refuse": "refuse",
    "error": "refuse",
    "quarantine": "quarantine",
    "warn": "warn",
    "warning": "warn",
    "info": "warn",
}
_UNITS_US = {"s": SECOND_US, "m": MINUTE_US, "min": MINUTE_US, "h": HOUR_US, "hours": HOUR_US, "d": DAY_US, "days": DAY_US}
_QUERY = re.compile(r"\s*select\s+count\s*\(\s*\*\s*\)\s+from\s+(?:\$\{\w+\}|\{\w+\}|\w+)\s+where\s+(?P<bad>.+)", re.IGNORECASE | re.DOTALL)
_NESTED = re.compile(r"\b(select|values|table|with)\b", re.IGNORECASE)


def read_severity(value: Any, where: str, faults: list[Fault]) -> Severity:
    """What a broken rule does; ``error`` means refuse, ``warning`` and ``info`` warn."""
    severity = _SEVERITIES.get(str(value).lower())
    if severity is None:
        faults.append(Fault(where=where, what="unknown severity", expected="refuse, quarantine or warn", got=str(value)[:80]))
    return severity or "refuse"


def percent_tolerated(item: DataQuality, where: str, faults: list[Fault]) -> float:
    """The share (0 to 1) of rows that may break a rule: ``mustBe: 0``, or ``mustBeLessOrEqualTo`` with ``unit: percent``."""
    bound = item.mustBeLessOrEqualTo
    if bound is not None and item.unit in ("percent", "%") and is_plain_number(bound) and 0 <= bound <= 100:
        return float(bound) / 100.0
    if bound is None and item.mustBe == 0 and is_plain_number(item.mustBe):
        return 0.0
    faults.append(
        Fault(where=where, what="not a bound that can be enforced", expected="mustBe: 0, or mustBeLessOrEqualTo with unit: percent")
    )
    return 0.0


def read_sql_rule(item: DataQuality, where: str, columns: Sequence[Column], faults: list[Fault]) -> SqlRule | None:
    """A rule that counts bad rows. Only a predicate over the row's own columns is run; nothing else could be kept from reading files."""
    match = _QUERY.fullmatch((item.query or "").strip().rstrip(";"))
    if match is None:
        expected = "SELECT COUNT(*) FROM ${object} WHERE <what a bad row is>"
        faults.append(Fault(where=f"{where}.query", what="not a count of bad rows", expected=expected, got=(item.query or "")[:80]))
        return None
    bad_when = match["bad"].strip()
    problem = predicate_problem(bad_when, columns)
    if problem:
        faults.append(Fault(where=f"{where}.query", what=problem, expected="a predicate over the dataset's columns", got=bad_when[:120]))
        return None
    return SqlRule(
        name=item.name or f"sql_{where.rsplit('.', 1)[-1]}",
        bad_when=bad_when,
        description=item.description or "",
        share_max=percent_tolerated(item, where, faults),
        severity=read_severity(item.severity or "refuse", f"{where}.severity", faults),
    )


def predicate_problem(sql: str, columns: Sequence[Column]) -> str:
    """Why ``sql`` cannot be a row predicate over ``columns``; empty when it can."""
    if _NESTED.search(sql):
        return "a predicate may not contain a query"
    try:
        dtype = pl.LazyFrame(schema={c.name: polars_type(c) for c in columns}).select(bad=pl.sql_expr(sql)).collect_schema()["bad"]
    except pl.exceptions.PolarsError as error:
        return f"cannot be evaluated ({type(error).__name__})"
    return "" if dtype == pl.Boolean else f"gives {dtype}, not true or false"


def read_volume(item: DataQuality, where: str, faults: list[Fault]) -> Volume:
    """Bounds on the number of rows."""
    low: Any = 0
    high: Any = None
    if item.mustBeBetween is not None:
        low, high = item.mustBeBetween
    elif item.mustBe is not None:
        low = high = item.mustBe
    else:
        low = item.mustBeGreaterOrEqualTo if item.mustBeGreaterOrEqualTo is not None else _shifted(item.mustBeGreaterThan, 1, 0)
        high = item.mustBeLessOrEqualTo if item.mustBeLessOrEqualTo is not None else _shifted(item.mustBeLessThan, -1, None)
    severity = read_severity(item.severity or "refuse", f"{where}.severity", faults)
    if (
        severity == "quarantine"
        or not isinstance(low, int)
        or not (high is None or isinstance(high, int))
        or (high is not None and low > high)
    ):
        faults.append(
            Fault(where=where, what="not bounds on a number of rows", expected="whole numbers, refuse or warn", got=f"{low} to {high}")
        )
        return Volume()
    return Volume(rows_min=low, rows_max=high, severity=severity)


def _shifted(bound: Any, by: int, default: int | None) -> Any:
    return default if bound is None else bound + by


def read_freshness(
    items: Sequence[ServiceLevelAgreementProperty], dataset: str, columns: Sequence[Column], faults: list[Fault]
) -> FreshnessRule | None:
    """The freshness promise; other service levels (retention, availability …) are for people and are not checked on rows."""
    rule: FreshnessRule | None = None
    for index, item in enumerate(items):
        if item.property not in ("freshness", "latency"):
            continue
        where = f"slaProperties.{index}"
        name = (item.element or "").removeprefix(f"{dataset}.")
        column = next((c for c in columns if c.name == name), None)
        unit = _UNITS_US.get(str(item.unit))
        if column is None or column.logical_type != "timestamp":
            faults.append(Fault(where=f"{where}.element", what="not a timestamp column of the dataset", got=str(item.element)[:80]))
        elif unit is None or not is_plain_number(item.value) or float(item.value or 0) <= 0:
            faults.append(
                Fault(where=where, what="not an age", expected="a number with unit s, m, h or d", got=f"{item.value} {item.unit}")
            )
        else:
            rule = FreshnessRule(column=name, age_max_us=int(float(item.value or 0) * unit))
    return rule
