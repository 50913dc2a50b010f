"""A contract at the serving door: what its columns promise, as rules on the request fields of the same name.

What a door can know of a single row is carried over: limits, lengths, enumerations and missing values. Uniqueness, references, freshness
and volume need other rows and stay with the files; a pattern stays there too, for a gateway runs no regular expression that a file brought.
"""

from collections.abc import Sequence

from leverframe.core.schema import FieldRule, RequestField
from leverframe.data.contract.contracts import Column, Contract

_NUMBERS = frozenset({"integer", "number"})


def field_rules(contract: Contract, fields: Sequence[RequestField], *, warn_only: bool = False) -> tuple[FieldRule, ...]:
    """The rules of ``contract`` that requests of ``fields`` can be held to, in the order of the fields.

    Parameters
    ----------
    warn_only: nothing is turned away, whatever the contract says; answers tell what they broke.

    Returns
    -------
    tuple of FieldRule: for each field of width 1 that a column of the same name and kind describes. A rule that would set rows aside
    (``quarantine``) warns at the door: there is nowhere to set a request aside.
    """
    columns = {column.name: column for column in contract.columns}
    rules = (_rule(columns[field.name], field, warn_only) for field in fields if field.name in columns and field.width == 1)
    return tuple(rule for rule in rules if rule is not None)


def _rule(column: Column, field: RequestField, warn_only: bool) -> FieldRule | None:
    """The rule of one field; None when nothing of the column can be held against it."""
    text = field.datatype == "BYTES"
    if column.logical_type not in _NUMBERS and not (column.logical_type == "string" and text) and column.logical_type != "boolean":
        return None  # moments come in whatever unit the model takes
    if text != (column.logical_type == "string"):
        return None
    rule = FieldRule(
        field=field.name,
        minimum=column.minimum,
        maximum=column.maximum,
        exclusive_minimum=column.exclusive_minimum,
        exclusive_maximum=column.exclusive_maximum,
        length_min=column.length_min,
        length_max=column.length_max,
        enumeration=column.enumeration,
        required=column.required and field.required,
        severity="refuse" if column.severity == "refuse" and not warn_only else "warn",
        personal=column.personal,
    )
    return rule if any((rule.enumeration, rule.required, *(limit is not None for limit in _limits(rule)))) else None


def _limits(rule: FieldRule) -> tuple[float | None, ...]:
    return (rule.minimum, rule.maximum, rule.exclusive_minimum, rule.exclusive_maximum, rule.length_min, rule.length_max)
