"""A contract as the text of an Open Data Contract Standard file that a person would keep; ``contract_file`` reads it back."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import yaml

from leverframe.core.clock import HOUR_US, SECOND_US, iso_from_us, us_from_iso
from leverframe.data.contract.column_types import DEFAULT_PHYSICAL
from leverframe.data.contract.contracts import Column, Contract, FreshnessRule, MetricRule, SqlRule, Volume

Notes = Mapping[str, tuple[str, ...]]
"""Comments for a person, by column name; under the empty name those about the whole file."""

NEXT_LINE = "\x85"
"""The one character that YAML's writer leaves bare and its reader folds into a space."""

_LIMITS = {"minimum": "minimum", "maximum": "maximum", "exclusive_minimum": "exclusiveMinimum", "exclusive_maximum": "exclusiveMaximum"}
_OPTIONS = {**_LIMITS, "length_min": "minLength", "length_max": "maxLength", "pattern": "pattern"}


def write_contract(contract: Contract, notes: Notes | None = None) -> str:
    """The file's text; reading it gives ``contract`` again.

    Parameters
    ----------
    notes: comments, such as what was guessed; they stand above the column, or at the top of the file.
    """
    notes = notes or {}
    of_columns = {name: [m for m in contract.metrics if m.columns == (name,)] for name in (c.name for c in contract.columns)}
    of_table = [m for m in contract.metrics if len(m.columns) != 1]
    head = {
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": contract.name,
        "name": contract.name,
        "version": contract.version,
        "status": "draft" if contract.version.startswith("0.") else "active",
    }
    lines = [*_comments(notes.get("", ()), ""), *(f"{key}: {_flow(value)}" for key, value in head.items())]
    if contract.description:
        lines.append(f"description: {_flow({'purpose': contract.description})}")
    lines += ["team:", f"  name: {_flow(contract.team)}", f"  members: [{_flow({'username': contract.owner, 'role': 'owner'})}]"]
    lines += ["schema:", f"  - name: {_flow(contract.dataset)}", "    logicalType: object", "    properties:"]
    for column in contract.columns:
        lines += [*_comments(notes.get(column.name, ()), "      "), *_column(column, of_columns[column.name])]
    quality = [*_volume(contract.volume), *map(_metric, of_table), *map(_sql, contract.sql_rules)]
    if quality:
        lines += ["    quality:", *(f"      - {_flow(item)}" for item in quality)]
    if contract.freshness is not None:
        lines += ["slaProperties:", f"  - {_flow(_freshness(contract.freshness, contract.dataset))}"]
    return "\n".join(lines) + "\n"


def _flow(value: Any) -> str:
    """A value on one line."""
    dumped = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, sort_keys=False, width=1_000_000)
    if NEXT_LINE in dumped:
        dumped = yaml.safe_dump(value, default_flow_style=True, allow_unicode=False, sort_keys=False, width=1_000_000)
    text: str = dumped
    return text.removesuffix("\n").removesuffix("\n...")


def _comments(said: Iterable[str], indent: str) -> Iterator[str]:
    for note in said:
        yield f"{indent}# {' '.join(note.split())}"


def _column(column: Column, metrics: list[MetricRule]) -> Iterator[str]:
    facts: dict[str, Any] = {"name": column.name, "logicalType": column.logical_type}
    if column.physical_type != DEFAULT_PHYSICAL[column.logical_type]:
        facts["physicalType"] = column.physical_type
    if column.description:
        facts["description"] = column.description
    if column.classification != "internal":
        facts["classification"] = column.classification
    if column.tags:
        facts["tags"] = list(column.tags)
    if column.primary_key:
        facts["primaryKey"] = True
    if column.required:
        facts["required"] = True
    if column.unique:
        facts["unique"] = True
    options = {key: getattr(column, name) for name, key in _OPTIONS.items() if getattr(column, name) not in (None, "")}
    if column.logical_type == "timestamp":
        options = {key: _moment(value) for key, value in options.items()}
    if options:
        facts["logicalTypeOptions"] = options
    if column.enumeration:
        facts["enum"] = [{"value": value} for value in column.enumeration]
    if column.references:
        facts["relationships"] = [{"type": "foreignKey", "to": column.references}]
    custom: dict[str, str] = {"severity": column.severity} if column.severity != "refuse" else {}
    if column.declared_treatment is not None:
        custom["treatment"] = column.declared_treatment
    if custom:
        facts["customProperties"] = [{"property": name, "value": value} for name, value in custom.items()]
    yield from (f"{'      - ' if key == 'name' else '        '}{key}: {_flow(value)}" for key, value in facts.items())
    quality = [_metric(metric) for metric in metrics]
    if column.missing_share_max is not None:
        quality.insert(0, {"metric": "nullValues", **_share(column.missing_share_max), "severity": "warn"})
    if quality:
        yield "        quality:"
        yield from (f"          - {_flow({'type': 'library', **item})}" for item in quality)


def _moment(value: Any) -> Any:
    """A limit on a timestamp as ISO 8601 where that says it exactly, else in microseconds."""
    text = iso_from_us(value) if isinstance(value, int) else ""
    return text if text and us_from_iso(text) == value else value


def _share(share: float) -> dict[str, Any]:
    return {"mustBeLessOrEqualTo": round(share * 100, 10), "unit": "percent"} if share else {"mustBe": 0}


def _metric(rule: MetricRule) -> dict[str, Any]:
    arguments: dict[str, Any] = {"properties": list(rule.columns)} if len(rule.columns) > 1 else {}
    if rule.missing_values:
        arguments["missingValues"] = list(rule.missing_values)
    if rule.valid_values:
        arguments["validValues"] = list(rule.valid_values)
    if rule.pattern:
        arguments["pattern"] = rule.pattern
    bound = {"mustBeLessOrEqualTo": rule.rows_max, "unit": "rows"} if rule.rows_max else _share(rule.share_max)
    said = {"description": rule.description} if rule.description else {}
    given = {"arguments": arguments} if arguments else {}
    return {"type": "library", "metric": rule.metric, "name": rule.name, **said, **given, **bound, "severity": rule.severity}


def _sql(rule: SqlRule) -> dict[str, Any]:
    said = {"description": rule.description} if rule.description else {}
    query = f"SELECT COUNT(*) FROM ${{object}} WHERE {rule.bad_when}"  # noqa: S608 - text for a file, run by no database
    return {"type": "sql", "name": rule.name, **said, "query": query, **_share(rule.share_max), "severity": rule.severity}


def _volume(volume: Volume | None) -> list[dict[str, Any]]:
    if volume is None:
        return []
    bounds: dict[str, Any] = (
        {"mustBeGreaterOrEqualTo": volume.rows_min} if volume.rows_max is None else {"mustBeBetween": [volume.rows_min, volume.rows_max]}
    )
    return [{"type": "library", "metric": "rowCount", **bounds, "severity": volume.severity}]


def _freshness(rule: FreshnessRule, dataset: str) -> dict[str, Any]:
    hours = rule.age_max_us % HOUR_US == 0
    value = rule.age_max_us // HOUR_US if hours else rule.age_max_us / SECOND_US
    return {"property": "freshness", "value": value, "unit": "h" if hours else "s", "element": f"{dataset}.{rule.column}"}
