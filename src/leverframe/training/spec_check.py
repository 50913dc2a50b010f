"""What makes a model spec one that can be trained, judged and served; every fault at once."""

import re

from leverframe.core.errors import Fault, InvalidInput
from leverframe.core.expressions.compiled import compiled
from leverframe.core.model import ModelSpec
from leverframe.core.request_time import REQUEST_TIME_FUNCTIONS
from leverframe.core.schema import InputColumn, RequestField
from leverframe.training.trainers.lightgbm import checked_params

COLUMNS_MAX = 2_000
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_COLUMN = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,126}")


def check_spec(spec: ModelSpec) -> ModelSpec:
    """Return ``spec`` if it can be used.

    Raises
    ------
    InvalidInput: with every fault.
    """
    faults = [*_identity_faults(spec), *_reference_faults(spec), *_parameter_faults(spec)]
    for column in spec.columns:
        faults += _column_faults(column, {field.name: field for field in spec.request})
    if faults:
        raise InvalidInput(
            f"{len(faults)} fault(s) in the model spec: " + "; ".join(f"{f.where}: {f.what}" for f in faults),
            where=f"model {spec.name}",
            expected=faults[0].expected,
            got=faults[0].got,
            next_step="correct the spec and run: lever apply",
            faults=faults,
        )
    return spec


def _identity_faults(spec: ModelSpec) -> list[Fault]:
    faults = []
    if not _NAME.fullmatch(spec.name):
        faults.append(Fault(where="name", what="not a name", expected="lower-case letters, digits, hyphens; up to 63", got=spec.name))
    wanted = ("description", "owner", "team", "runbook", "dataset", "label")
    faults += [Fault(where=field, what="must be stated", expected="text") for field in wanted if not getattr(spec, field)]
    if not 0 < len(spec.columns) <= COLUMNS_MAX:
        faults.append(Fault(where="columns", what="number out of range", expected=f"1 to {COLUMNS_MAX}", got=str(len(spec.columns))))
    for where, names in (("request", [f.name for f in spec.request]), ("columns", [c.name for c in spec.columns])):
        faults += [Fault(where=where, what="named twice", got=name) for name in dict.fromkeys(names) if names.count(name) > 1]
    return faults


def _column_faults(column: InputColumn, fields: dict[str, RequestField]) -> list[Fault]:
    where = f"column {column.name}"
    faults = []
    if not _COLUMN.fullmatch(column.name):
        faults.append(Fault(where=where, what="not a column name", expected="letters, digits, underscores, dots", got=column.name))
    if column.source == "view":
        if not column.view or not column.feature:
            faults.append(Fault(where=where, what="a feature needs its view and its name", expected="view, feature"))
    elif column.source == "expression":
        faults += _expression_faults(column, fields)
    elif column.field not in fields:
        faults.append(Fault(where=where, what="no such request field", expected=", ".join(sorted(fields)), got=column.field))
    else:
        faults += _field_faults(column, fields[column.field])
    if column.sql and column.source != "expression":
        faults.append(Fault(where=where, what="`sql` goes with source = expression", got=column.source))
    if column.source == "request_time" and column.function not in REQUEST_TIME_FUNCTIONS:
        faults.append(Fault(where=where, what="no such function", expected=", ".join(sorted(REQUEST_TIME_FUNCTIONS)), got=column.function))
    policies = (column.on_missing, column.on_stale, column.on_unreachable)
    if ("default" in policies) != (column.default is not None):
        faults.append(
            Fault(where=where, what="`default` goes with on_missing = default (or on_stale, on_unreachable)", got=column.on_missing)
        )
    if column.source != "view" and (column.on_stale or column.on_unreachable):
        faults.append(Fault(where=where, what="only a looked-up feature can be stale or unreachable", expected="source = view"))
    if column.grace_us < 0 or ("degrade" in policies) != (column.grace_us > 0):
        faults.append(
            Fault(where=where, what="`grace_us` goes with on_stale or on_unreachable = degrade", expected="> 0", got=str(column.grace_us))
        )
    return faults


def _expression_faults(column: InputColumn, fields: dict[str, RequestField]) -> list[Fault]:
    try:
        compiled(column, tuple(fields.values()))
    except InvalidInput as error:
        return [Fault(where=f"column {f.where}", what=f.what, expected=f.expected, got=f.got) for f in error.faults]
    return []


def _field_faults(column: InputColumn, field: RequestField) -> list[Fault]:
    """What is wrong between a column and the request field it reads."""
    where, faults = f"column {column.name}", []
    integer = field.datatype.startswith(("INT", "UINT")) and field.width == 1 and field.required
    if column.source == "request_time" and not integer:
        got = f"{field.datatype}, width {field.width}, {'required' if field.required else 'optional'}"
        faults.append(Fault(where=where, what="a moment is a required integer field", expected="INT64, width 1, required", got=got))
    if field.width < 1 or (field.width > 1 and field.datatype in ("BYTES", "BOOL")):
        faults.append(Fault(where=f"request {field.name}", what="width out of range", expected="1; more for numbers", got=str(field.width)))
    if not 0 <= column.element < field.width:
        faults.append(Fault(where=where, what="no such element", expected=f"0 to {field.width - 1}", got=str(column.element)))
    return faults


def _reference_faults(spec: ModelSpec) -> list[Fault]:
    columns = {column.name for column in spec.columns}
    faults = []
    if spec.baseline and spec.baseline not in columns:
        faults.append(Fault(where="baseline", what="no such input column", expected=", ".join(sorted(columns)), got=spec.baseline))
    faults += [Fault(where="prepare", what="no such input column", got=name) for name in sorted(set(spec.prepare) - columns)]
    for gate in spec.gates:
        column = gate.slice.partition("=")[0]
        if gate.slice and ("=" not in gate.slice or column not in spec.slices):
            faults.append(
                Fault(where=f"gate {gate.metric}", what="its slice is not declared", expected=", ".join(spec.slices), got=gate.slice)
            )
        if gate.rows_min < 1:
            faults.append(Fault(where=f"gate {gate.metric}", what="rows_min out of range", expected=">= 1", got=str(gate.rows_min)))
    return faults


def _parameter_faults(spec: ModelSpec) -> list[Fault]:
    try:
        checked_params(spec.params)
    except InvalidInput as error:
        return list(error.faults)
    return []
