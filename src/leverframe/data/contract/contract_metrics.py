"""The library metrics of an Open Data Contract Standard file as rules: missing, invalid and duplicate values of columns."""

from collections.abc import Mapping, Sequence
from typing import Any

from open_data_contract_standard.model import DataQuality, SchemaProperty

from leverframe.core.errors import Fault
from leverframe.data.contract.column_types import is_pattern, is_plain_number
from leverframe.data.contract.contract_rules import read_severity, read_sql_rule
from leverframe.data.contract.contracts import Column, MetricRule, Scalar, SqlRule

METRICS = ("nullValues", "missingValues", "invalidValues", "duplicateValues")
_ARGUMENTS: Mapping[str, frozenset[str]] = {
    "nullValues": frozenset(),
    "missingValues": frozenset({"missingValues"}),
    "invalidValues": frozenset({"validValues", "pattern"}),
    "duplicateValues": frozenset({"properties"}),
}


def is_missing_share(item: DataQuality) -> bool:
    """Whether ``item`` only warns of a share of nulls, which is a fact of the column (``missing_share_max``) and not a rule of its own."""
    plain = (item.metric or item.rule) in ("nullValues", "missingValues") and not item.arguments
    return plain and (item.severity or "warn") in ("warn", "warning", "info")


def read_column_quality(
    item: SchemaProperty, where: str, columns: Sequence[Column], faults: list[Fault]
) -> tuple[list[MetricRule], list[SqlRule]]:
    """The rules that a column's own ``quality`` declares, apart from the bound on its share of nulls."""
    metrics: list[MetricRule] = []
    rules: list[SqlRule] = []
    for index, quality in enumerate(item.quality or []):
        place, name = f"{where}.quality.{index}", item.name or ""
        if quality.type == "text" or is_missing_share(quality):
            continue
        if quality.type == "sql":
            query = (quality.query or "").replace("${property}", name).replace("{property}", name)
            rule = read_sql_rule(quality.model_copy(update={"query": query}), place, columns, faults)
            rules += [rule] if rule else []
        else:
            metric = read_metric(quality, place, columns, (name,), faults)
            metrics += [metric] if metric else []
    return metrics, rules


def read_metric(item: DataQuality, where: str, columns: Sequence[Column], names: tuple[str, ...], faults: list[Fault]) -> MetricRule | None:
    """A library metric over ``names``; None, with the reason in ``faults``, when it cannot be enforced."""
    metric, arguments = item.metric or item.rule or "", item.arguments or {}
    if metric not in METRICS:
        got = f"type {item.type}, metric {metric}"
        faults.append(Fault(where=where, what="this kind of rule cannot be enforced", expected=f"metric {', '.join(METRICS)}", got=got))
        return None
    before = len(faults)
    for key in arguments.keys() - _ARGUMENTS[metric]:
        faults.append(Fault(where=f"{where}.arguments.{key}", what=f"{metric} has no such argument", got=str(key)[:80]))
    if metric == "duplicateValues" and "properties" in arguments:
        given = arguments["properties"]
        names = tuple(map(str, given)) if isinstance(given, list) else (str(given),)
    known = {column.name: column for column in columns}
    for name in [name for name in names if name not in known]:
        faults.append(Fault(where=f"{where}.arguments.properties", what="not a column of the dataset", got=name[:80]))
    if not names:
        faults.append(Fault(where=f"{where}.arguments.properties", what="which columns?", expected="properties: [column, ...]"))
    if len(faults) > before:
        return None
    share, rows = _tolerated(item, where, faults)
    rule = MetricRule(
        name=item.name or f"{metric}_{'_'.join(names)}"[:120],
        metric="missingValues" if metric == "nullValues" else metric,  # type: ignore[arg-type]
        columns=names,
        share_max=share,
        rows_max=rows,
        missing_values=tuple(v for v in _values(arguments, "missingValues", known[names[0]], where, faults) if v is not None),
        valid_values=tuple(v for v in _values(arguments, "validValues", known[names[0]], where, faults) if v is not None),
        pattern=_pattern(arguments, known[names[0]], where, faults),
        description=item.description or "",
        severity=read_severity(item.severity or "refuse", f"{where}.severity", faults),
    )
    if metric == "invalidValues" and not (rule.valid_values or rule.pattern):
        faults.append(Fault(where=f"{where}.arguments", what="what is valid?", expected="validValues or pattern"))
    return rule if len(faults) == before else None


def _tolerated(item: DataQuality, where: str, faults: list[Fault]) -> tuple[float, int]:
    """The share and the number of rows that may fail: one of them is 0."""
    most: Any = 0 if item.mustBe == 0 and is_plain_number(item.mustBe) else item.mustBeLessOrEqualTo
    percent = item.unit in ("percent", "%")
    if most is None and isinstance(item.mustBeLessThan, int) and not percent:
        most = item.mustBeLessThan - 1
    if is_plain_number(most) and percent and 0 <= most <= 100:
        return float(most) / 100.0, 0
    if isinstance(most, int) and not isinstance(most, bool) and item.unit in (None, "rows") and most >= 0:
        return 0.0, most
    expected = "mustBe: 0, or mustBeLessOrEqualTo with unit: percent or rows"
    faults.append(Fault(where=where, what="not a bound that can be enforced", expected=expected))
    return 0.0, 0


def _values(arguments: Mapping[str, Any], key: str, column: Column, where: str, faults: list[Fault]) -> tuple[Scalar | None, ...]:
    given = arguments.get(key)
    if given is None:
        return ()
    kinds: Mapping[str, tuple[type, ...]] = {"string": (str,), "integer": (int,), "number": (int, float), "boolean": (bool,)}
    fitting = kinds.get(column.logical_type, ())
    fits = isinstance(given, list) and all(
        v is None or (isinstance(v, fitting) and isinstance(v, bool) == (column.logical_type == "boolean")) for v in given
    )
    if not fits:
        faults.append(Fault(where=f"{where}.arguments.{key}", what=f"not a list of {column.logical_type} values", got=str(given)[:80]))
        return ()
    return tuple(given)


def _pattern(arguments: Mapping[str, Any], column: Column, where: str, faults: list[Fault]) -> str:
    pattern = arguments.get("pattern")
    if pattern is None:
        return ""
    if column.logical_type != "string" or not is_pattern(pattern):
        faults.append(
            Fault(where=f"{where}.arguments.pattern", what=f"cannot be enforced on a {column.logical_type}", got=str(pattern)[:80])
        )
        return ""
    return str(pattern)
