"""From an Open Data Contract Standard file to a compiled :class:`Contract`, or to the list of everything wrong with it.

What cannot be enforced is refused rather than ignored: a promise in the file is either checked on every row or the file is turned away.

=====================================  ====================================================================================
in the file                            becomes
=====================================  ====================================================================================
``required``, ``unique``,              rules of the column
``primaryKey``, ``enum``
``logicalTypeOptions``                 ``minimum``, ``maximum``, exclusive ones, ``minLength``, ``maxLength``, ``pattern``
``relationships: [{to: d.c}]``         each value exists in column ``c`` of dataset ``d``
``classification``, ``tags``           personal columns: values never appear in a message
``quality`` library ``nullValues``     bound on the share of missing values (percent) that warns
other ``quality`` library metrics      ``nullValues``, ``missingValues`` (values that count as missing), ``invalidValues`` (``validValues``,
                                       ``pattern``), ``duplicateValues`` (several columns: ``properties``) with a bound in percent or rows
``quality`` library ``rowCount``       bounds on the number of rows
``quality`` sql                        ``SELECT COUNT(*) FROM ${object} WHERE <bad rows>`` with ``mustBe: 0`` or a percentage;
                                       in a column's own ``quality``, ``${property}`` is the column
``slaProperties`` freshness            age of the newest value of ``element``
``customProperties`` severity          what a broken rule of the column does: refuse, quarantine or warn
``customProperties`` treatment         what is stored of a personal value: keep, hash, mask or drop
``team``                               ``name`` and the member whose role is ``owner``
=====================================  ====================================================================================
"""

import re
from typing import Any

from open_data_contract_standard.model import OpenDataContractStandard, SchemaObject, Team

from leverframe.core.errors import Fault, InvalidInput
from leverframe.data.contract.contract_columns import read_column
from leverframe.data.contract.contract_metrics import read_column_quality, read_metric
from leverframe.data.contract.contract_rules import read_freshness, read_sql_rule, read_volume
from leverframe.data.contract.contracts import Column, Contract, MetricRule, SqlRule, Volume
from leverframe.data.contract.odcs import read_document

COLUMNS_MAX = 2_000
NAME = re.compile(r"[a-z][a-z0-9_.-]{0,99}")
VERSION = re.compile(r"(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)")


def read_contract(data: bytes) -> Contract:
    """The contract in an ODCS file.

    Parameters
    ----------
    data: the file's bytes (YAML, UTF-8).

    Raises
    ------
    InvalidInput: the file is no valid contract; ``faults`` has every single reason.
    LimitExceeded: the file is larger or deeper than any contract.
    """
    document, faults = read_document(data)
    contract = _compile(document, faults) if document is not None else None
    if faults or contract is None:
        what = f"contract has {len(faults)} fault{'s' if len(faults) > 1 else ''}: " + "; ".join(
            f"{fault.where}: {fault.what}" for fault in faults[:5]
        )
        raise InvalidInput(what, where="contract", faults=faults, next_step="correct the file and apply it again")
    return contract


def _compile(document: OpenDataContractStandard, faults: list[Fault]) -> Contract | None:
    name = _text(document.name or document.id, "name", NAME, "lower-case letters, digits, _ . -", faults)
    version = _text(document.version, "version", VERSION, "major.minor.patch", faults)
    _text(document.apiVersion, "apiVersion", re.compile(r"v3\.[0-9]+\.[0-9]+"), "v3.x.y", faults)
    _text(document.kind, "kind", re.compile("DataContract"), "DataContract", faults)
    team, owner = _team(document, faults)
    tables = document.schema_ or []
    if len(tables) != 1:
        faults.append(Fault(where="schema", what="a contract describes exactly one dataset", expected="1 object", got=str(len(tables))))
        return None
    table = tables[0]
    dataset = _text(table.name, "schema.0.name", NAME, "lower-case letters, digits, _ . -", faults)
    columns = _columns(table, faults)
    rules, metrics, volume = _quality(table, columns, faults)
    freshness = read_freshness(document.slaProperties or [], dataset, columns, faults)
    description = document.description.purpose if document.description and document.description.purpose else ""
    return Contract(
        name=name,
        version=version,
        dataset=dataset,
        owner=owner,
        team=team,
        columns=columns,
        description=description,
        sql_rules=rules,
        metrics=metrics,
        volume=volume,
        freshness=freshness,
    )


def _text(value: Any, where: str, pattern: re.Pattern[str], expected: str, faults: list[Fault]) -> str:
    text = value if isinstance(value, str) else ""
    if not pattern.fullmatch(text):
        faults.append(Fault(where=where, what="missing or malformed", expected=expected, got=text[:80]))
    return text


def _team(document: OpenDataContractStandard, faults: list[Fault]) -> tuple[str, str]:
    """Who may change the contract, and who answers for it."""
    declared = document.team
    members = (declared.members or []) if isinstance(declared, Team) else (declared or [])
    owner = next((m.username for m in members if (m.role or "").lower() == "owner" and m.username), "")
    team = (declared.name if isinstance(declared, Team) else document.domain) or ""
    if not team:
        faults.append(Fault(where="team.name", what="no team is named", expected="the team that may change this contract"))
    if not owner:
        faults.append(Fault(where="team.members", what="no owner is named", expected="a member with role: owner"))
    return team, owner or ""


def _columns(table: SchemaObject, faults: list[Fault]) -> tuple[Column, ...]:
    declared = table.properties or []
    if not 1 <= len(declared) <= COLUMNS_MAX:
        faults.append(Fault(where="schema.0.properties", what="number of columns", expected=f"1 to {COLUMNS_MAX}", got=str(len(declared))))
        return ()
    columns: list[Column] = []
    names: set[str] = set()
    for index, item in enumerate(declared):
        column = read_column(item, f"schema.0.properties.{index}", faults)
        if column.name in names:
            faults.append(Fault(where=f"schema.0.properties.{index}", what="column is declared twice", got=column.name))
        names.add(column.name)
        columns.append(column)
    return tuple(columns)


def _quality(
    table: SchemaObject, columns: tuple[Column, ...], faults: list[Fault]
) -> tuple[tuple[SqlRule, ...], tuple[MetricRule, ...], Volume | None]:
    """The quality rules of the dataset and of its columns."""
    rules: list[SqlRule] = []
    metrics: list[MetricRule] = []
    volume: Volume | None = None
    for index, item in enumerate(table.quality or []):
        where = f"schema.0.quality.{index}"
        if item.type == "text":
            continue
        if item.type == "sql":
            rule = read_sql_rule(item, where, columns, faults)
            rules += [rule] if rule else []
        elif (item.metric or item.rule) == "rowCount":
            volume = read_volume(item, where, faults)
        elif (item.metric or item.rule) == "duplicateValues":
            metric = read_metric(item, where, columns, (), faults)
            metrics += [metric] if metric else []
        else:
            got = f"type {item.type}, metric {item.metric or item.rule}"
            expected = "type sql, or metric rowCount or duplicateValues (others belong to a column)"
            faults.append(Fault(where=where, what="this kind of rule cannot be enforced", expected=expected, got=got))
    for index, declared in enumerate(table.properties or []):
        more, of_sql = read_column_quality(declared, f"schema.0.properties.{index}", columns, faults)
        metrics += more
        rules += of_sql
    names = [*(rule.name for rule in rules), *(metric.name for metric in metrics)]
    for name in sorted({name for name in names if names.count(name) > 1}):
        faults.append(Fault(where="quality", what="two rules have one name", expected="a name each", got=name[:80]))
    return tuple(rules), tuple(metrics), volume
