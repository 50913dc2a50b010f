"""Run by the Python that has pandera: ``python export_pandera.py FILE.py[:NAME] OUT.json`` writes the schema that the file defines.

Imports nothing of ours. It says more than pandera's own serialisation, which leaves a team's functions out: their names are written too.
"""

import enum
import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import Any


def main(script: str, out: str) -> None:
    """Write the one schema of ``script``, or the one called NAME, to ``out`` in the form of pandera's own JSON."""
    path, _, name = (script, "", "") if script.endswith(".py") else script.rpartition(":")
    sys.path.insert(0, os.path.dirname(os.path.abspath(path)))
    spec = importlib.util.spec_from_file_location("schemas", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["schemas"] = module
    spec.loader.exec_module(module)
    import pandera

    found = {key: schema for key, value in vars(module).items() if (schema := _schema(value, module.__name__)) is not None}
    chosen = {name: found[name]} if name in found else found if not name else {}
    if len(chosen) != 1:
        known = ", ".join(sorted(found)) or "none"
        sys.exit(f"which schema? the file has {known}: name one, as in {path}:NAME")
    key, schema = next(iter(chosen.items()))
    Path(out).write_text(json.dumps({"version": pandera.__version__, **_table(schema, key)}))


def _schema(value: Any, module: str) -> Any:
    """A schema object, or the schema of a model that this file defines."""
    if type(value).__name__ == "DataFrameSchema":
        return value
    is_model = isinstance(value, type) and hasattr(value, "to_schema") and value.__module__ == module
    return value.to_schema() if is_model else None


def _table(schema: Any, key: str) -> dict[str, Any]:
    named = ("strict", "ordered", "coerce", "unique", "add_missing_columns", "drop_invalid_rows", "title", "description")
    return {
        "schema_type": "dataframe",
        "name": schema.name or key,
        "columns": [{"name": str(name), **_column(column)} for name, column in schema.columns.items()],
        "checks": [_check(check) for check in schema.checks or ()],
        "index": bool(getattr(schema, "index", None)),
        "parsers": len(getattr(schema, "parsers", None) or ()),
        **{name: _plain(getattr(schema, name, None)) for name in named},
    }


def _column(column: Any) -> dict[str, Any]:
    named = ("nullable", "unique", "required", "regex", "title", "description", "default")
    return {
        "dtype": "" if column.dtype is None else str(column.dtype),
        "checks": [_check(check) for check in column.checks or ()],
        "parsers": len(getattr(column, "parsers", None) or ()),
        **{name: _plain(getattr(column, name, None)) for name in named},
    }


def _check(check: Any) -> dict[str, Any]:
    """A check by the name of pandera's own function, whatever a team calls it; another function by the team's name for it."""
    function = getattr(check, "_check_fn", None)
    # Newer versions keep the name apart; older ones dispatch to functions of one of its modules.
    of_pandera = "builtin_checks" in str(getattr(function, "__module__", ""))
    built_in = getattr(function, "_name", "") or (getattr(function, "__name__", "") if of_pandera else "")
    name = built_in or check.name or getattr(function, "__name__", "")
    stats = {str(key): _plain(value) for key, value in (check.statistics or {}).items()} if built_in else {}
    return {**stats, "options": {"check_name": str(name), "raise_warning": bool(check.raise_warning)}}


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, type) and issubclass(value, enum.Enum):
        return [_plain(member.value) for member in value]
    if isinstance(value, set | frozenset):
        return sorted((_plain(item) for item in value), key=str)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return str(getattr(value, "pattern", value))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
