"""One property of an Open Data Contract Standard file as a :class:`Column`."""

import re
from typing import Any, get_args

from open_data_contract_standard.model import DataQuality, SchemaProperty

from leverframe.core.clock import us_from_iso
from leverframe.core.errors import Fault
from leverframe.data.contract.column_types import (
    DEFAULT_PHYSICAL,
    PHYSICAL_OF_LOGICAL,
    canonical_physical_type,
    is_pattern,
    is_plain_number,
)
from leverframe.data.contract.contract_metrics import is_missing_share
from leverframe.data.contract.contract_rules import percent_tolerated, read_severity
from leverframe.data.contract.contracts import HASHED_TYPES, Column, Severity, Treatment

COLUMN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
REFERENCE = re.compile(r"[a-z][a-z0-9_.-]{0,99}\.[A-Za-z_][A-Za-z0-9_]{0,127}")
_LIMITS = {"minimum": "minimum", "maximum": "maximum", "exclusiveMinimum": "exclusive_minimum", "exclusiveMaximum": "exclusive_maximum"}
_LENGTHS = {"minLength": "length_min", "maxLength": "length_max"}
_FITTING: dict[str, tuple[type, ...]] = {"string": (str,), "integer": (int,), "number": (int, float), "boolean": (bool,)}
_ORDERED = frozenset({"integer", "number", "timestamp"})


def read_column(item: SchemaProperty, where: str, faults: list[Fault]) -> Column:
    """The column that ``item`` declares; what is wrong with it is added to ``faults``."""
    name = item.name or ""
    if not COLUMN_NAME.fullmatch(name):
        faults.append(Fault(where=f"{where}.name", what="not a column name", expected="letters, digits and _", got=name[:80]))
    logical, physical = _types(item, where, faults)
    facts: dict[str, Any] = {
        **_options(item, logical, where, faults),
        "references": _reference(item, where, faults),
        "missing_share_max": _missing_share(item.quality or [], where, faults),
        "severity": _severity(item, where, faults),
        "declared_treatment": _treatment(item, physical, where, faults),
        "enumeration": _enumeration(item, logical, where, faults),
    }
    return Column(
        name=name,
        logical_type=logical,  # type: ignore[arg-type]
        physical_type=physical,
        description=item.description or "",
        required=bool(item.required or item.primaryKey),
        unique=bool(item.unique),
        primary_key=bool(item.primaryKey),
        classification=item.classification or "internal",
        tags=tuple(item.tags or ()),
        **facts,
    )


def _types(item: SchemaProperty, where: str, faults: list[Fault]) -> tuple[str, str]:
    logical = item.logicalType or ""
    if logical not in PHYSICAL_OF_LOGICAL:
        faults.append(Fault(where=f"{where}.logicalType", what="unknown type", expected=", ".join(PHYSICAL_OF_LOGICAL), got=logical[:80]))
        return "string", "string"
    if not item.physicalType:
        return logical, DEFAULT_PHYSICAL[logical]
    physical = canonical_physical_type(item.physicalType)
    if physical not in PHYSICAL_OF_LOGICAL[logical]:
        expected = f"one of {', '.join(sorted(PHYSICAL_OF_LOGICAL[logical]))} for {logical}"
        faults.append(Fault(where=f"{where}.physicalType", what="does not hold the type", expected=expected, got=item.physicalType[:80]))
        return logical, DEFAULT_PHYSICAL[logical]
    return logical, physical or DEFAULT_PHYSICAL[logical]


def _options(item: SchemaProperty, logical: str, where: str, faults: list[Fault]) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    for key, value in (item.logicalTypeOptions or {}).items():
        place = f"{where}.logicalTypeOptions.{key}"
        limit = _moment(value) if logical == "timestamp" else value
        if key in _LIMITS and logical in _ORDERED and is_plain_number(limit):
            facts[_LIMITS[key]] = limit
        elif key in _LENGTHS and logical == "string" and isinstance(value, int) and value >= 0:
            facts[_LENGTHS[key]] = value
        elif key == "pattern" and logical == "string" and is_pattern(value):
            facts["pattern"] = value
        else:
            faults.append(Fault(where=place, what=f"cannot be enforced on a {logical}", got=str(value)[:80]))
    for low, high in (("minimum", "maximum"), ("length_min", "length_max")):
        if low in facts and high in facts and facts[low] > facts[high]:
            place = f"{where}.logicalTypeOptions"
            faults.append(
                Fault(where=place, what="no value can satisfy it", expected=f"{low} <= {high}", got=f"{facts[low]} > {facts[high]}")
            )
    return facts


def _moment(value: Any) -> Any:
    """A limit on a timestamp in microseconds, from ISO 8601 text (numbers are taken as they are)."""
    try:
        return us_from_iso(value) if isinstance(value, str) else value
    except ValueError:
        return None


def _enumeration(item: SchemaProperty, logical: str, where: str, faults: list[Fault]) -> tuple[Any, ...]:
    if item.enum is None:
        return ()
    fitting = _FITTING.get(logical, ())
    values = tuple(entry.value for entry in item.enum)
    if not values or not all(isinstance(v, fitting) and isinstance(v, bool) == (logical == "boolean") for v in values):
        faults.append(Fault(where=f"{where}.enum", what=f"not a list of {logical} values", got=str(values)[:80]))
        return ()
    return values


def _reference(item: SchemaProperty, where: str, faults: list[Fault]) -> str:
    relationships = item.relationships or []
    if not relationships:
        return ""
    target = relationships[0].to
    if len(relationships) > 1 or not isinstance(target, str) or not REFERENCE.fullmatch(target):
        faults.append(
            Fault(where=f"{where}.relationships", what="not a reference", expected="one 'to: dataset.column'", got=str(target)[:80])
        )
        return ""
    return target


def _missing_share(quality: list[DataQuality], where: str, faults: list[Fault]) -> float | None:
    share: float | None = None
    for index, item in enumerate(quality):
        if item.type != "text" and is_missing_share(item):
            share = percent_tolerated(item, f"{where}.quality.{index}", faults)
    return share


def _severity(item: SchemaProperty, where: str, faults: list[Fault]) -> Severity:
    severity: Severity = "refuse"
    for index, extra in enumerate(item.customProperties or []):
        if extra.property == "severity":
            severity = read_severity(extra.value, f"{where}.customProperties.{index}", faults)
    return severity


def _treatment(item: SchemaProperty, physical: str, where: str, faults: list[Fault]) -> Treatment | None:
    """What is stored of a personal value; only what the column's type and its keys can bear."""
    for index, extra in enumerate(item.customProperties or []):
        if extra.property != "treatment":
            continue
        place, value = f"{where}.customProperties.{index}", extra.value
        if value not in get_args(Treatment):
            faults.append(Fault(where=place, what="unknown treatment", expected=", ".join(get_args(Treatment)), got=str(value)[:80]))
        elif value == "hash" and physical not in HASHED_TYPES:
            faults.append(Fault(where=place, what="cannot hold a hash", expected=f"a {' or '.join(sorted(HASHED_TYPES))}", got=physical))
        elif value in ("mask", "drop") and (item.primaryKey or item.unique):
            faults.append(Fault(where=place, what="would lose what identifies a row", expected="hash or keep", got=str(value)))
        else:
            return value
    return None
