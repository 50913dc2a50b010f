"""A pandera schema, from its YAML or JSON or from what ``export_pandera`` wrote of a Python file, as a suite."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from leverframe.core.errors import Fault, InvalidInput
from leverframe.data.contract.contracts import Severity
from leverframe.data.importers.claims import Claim, Kind, Suite, left_out

_LIMITS: Mapping[str, Kind] = {
    "greater_than": "exclusive_minimum",
    "greater_than_or_equal_to": "minimum",
    "less_than": "exclusive_maximum",
    "less_than_or_equal_to": "maximum",
}
_VALUES: Mapping[str, Kind] = {"equal_to": "enumeration", "isin": "enumeration", "not_equal_to": "excluded", "notin": "excluded"}
_PATTERNS = {"str_matches": "^(?:{})", "str_contains": "{}", "str_startswith": "^{}", "str_endswith": "{}$"}
_LITERAL = frozenset({"str_startswith", "str_endswith"})
_BUILT_IN = frozenset({*_LIMITS, *_VALUES, *_PATTERNS, "in_range", "str_length", "unique_values_eq"})
_OPTIONS = frozenset(
    {"check_name", "ignore_na", "raise_warning", "n_failure_cases", "groupby", "groups", "error", "name", "title", "description"}
)
_SPECIAL = re.compile(r"([\\.+*?()|\[\]{}^$#&\-~])")
_UNSAID: Mapping[str, str] = {
    "regex": "a pattern of column names: write the columns out",
    "default": "values are not filled in",
    "parsers": "rows are checked as they are, not parsed first",
}


def pandera_suite(document: Mapping[str, Any]) -> Suite:
    """The suite of one schema.

    Parameters
    ----------
    document: pandera's own serialisation; columns by name with their checks as keys, as a list, or as an older mapping.

    Raises
    ------
    InvalidInput: it describes no columns.
    """
    kind = str(document.get("schema_type", ""))
    columns = document.get("columns")
    if isinstance(columns, list):
        columns = {str(item.get("name")): item for item in columns if isinstance(item, dict)}
    if not isinstance(columns, dict) or not columns or (kind and "dataframe" not in kind):
        expected = "a DataFrameSchema with columns"
        raise InvalidInput("this is no pandera schema of a table", where="suite", expected=expected, got=kind or ", ".join(document)[:80])
    drops = document.get("drop_invalid_rows") is True
    severity: Severity = "quarantine" if drops else "refuse"
    claims: list[Claim] = []
    left: list[Fault] = []
    types: dict[str, str] = {}
    for name, said in columns.items():
        item = said if isinstance(said, dict) else {}
        where = f"column {name}"
        if item.get("regex"):
            left.append(left_out(where, "regex", _UNSAID["regex"]))
            continue
        types[str(name)] = str(item.get("dtype") or "")
        claims += _of_column(str(name), item, severity, left)
    _whole(document, types, severity, claims, left)
    return Suite(
        name=str(document.get("name") or ""),
        made_by=f"pandera {document.get('version') or ''}".strip(),
        types=types,
        claims=tuple(claims),
        left=tuple(left),
        description=str(document.get("description") or document.get("title") or ""),
        column_descriptions={str(n): str(c.get("description") or c.get("title") or "") for n, c in columns.items() if isinstance(c, dict)},
        severity=severity,
    )


def _of_column(name: str, item: Mapping[str, Any], severity: Severity, left: list[Fault]) -> Iterator[Claim]:
    where = f"column {name}"
    if not item.get("nullable", False):
        absent = item.get("required") is False  # a column that may be absent holds no nulls where it is there
        yield Claim(kind="required", columns=(name,), where=where, severity=severity, apart=absent)
    if item.get("unique"):
        yield Claim(kind="unique", columns=(name,), where=where, severity=severity)
    values = re.search(r"categories=(\[.*?\])", str(item.get("dtype") or ""))
    if values:
        listed = tuple(text[1:-1] for text in re.findall(r"'[^']*'|\"[^\"]*\"", values[1]))
        yield Claim(kind="enumeration", columns=(name,), where=where, value=listed, severity=severity)
    left += [left_out(where, key, why) for key, why in _UNSAID.items() if item.get(key) not in (None, False, [], 0)]
    for check, stats, options in _checks(item):
        yield from _of_check(name, check, stats, "warn" if options.get("raise_warning") else severity, left)


def _checks(item: Mapping[str, Any]) -> Iterator[tuple[str, Any, Mapping[str, Any]]]:
    """Name, statistics and options of each check, in whichever of pandera's three forms they are written."""
    said = item.get("checks")
    if isinstance(said, list):
        for check in map(_mapping, said):
            options = _mapping(check.get("options"))
            stats = {key: value for key, value in check.items() if key != "options"}
            yield str(options.get("check_name") or "a check without a name"), stats, options
        return
    flat = said if isinstance(said, dict) else {key: value for key, value in item.items() if key in _BUILT_IN}
    for name, value in flat.items():
        if isinstance(value, dict):
            options = {**{k: v for k, v in value.items() if k in _OPTIONS}, **_mapping(value.get("options"))}
            yield str(name), {k: v for k, v in value.items() if k not in _OPTIONS and k != "options"}, options
        else:
            yield str(name), {"value": value}, {}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _of_check(name: str, check: str, stats: Mapping[str, Any], severity: Severity, left: list[Fault]) -> Iterator[Claim]:
    where = f"column {name}, check {check}"

    def claim(kind: Kind, value: Any) -> Claim:
        return Claim(kind=kind, columns=(name,), value=value, where=where, severity=severity)

    alone = next(iter(stats.values()), None) if len(stats) == 1 else None
    if check == "str_matches" and isinstance(alone, str) and alone.startswith("^"):
        yield claim("pattern", alone)
    elif check in _LIMITS and alone is not None:
        yield claim(_LIMITS[check], alone)
    elif check in _VALUES and alone is not None:
        yield claim(_VALUES[check], tuple(alone) if isinstance(alone, list) else (alone,))
    elif check in _PATTERNS and isinstance(alone, str):
        text = _SPECIAL.sub(r"\\\1", alone) if check in _LITERAL else alone
        yield claim("pattern", _PATTERNS[check].format(text))
    elif check == "in_range":
        low, high = stats.get("min_value"), stats.get("max_value")
        yield claim("minimum" if stats.get("include_min", True) else "exclusive_minimum", low)
        yield claim("maximum" if stats.get("include_max", True) else "exclusive_maximum", high)
    elif check == "str_length":
        exact = alone if "value" in stats else stats.get("exact_value")
        low, high = (exact, exact) if exact is not None else (stats.get("min_value"), stats.get("max_value"))
        yield from (claim(kind, limit) for kind, limit in (("length_min", low), ("length_max", high)) if limit is not None)  # type: ignore[arg-type]
    else:
        why = (
            "about the column as a whole, not about its rows"
            if check == "unique_values_eq"
            else "a function of yours: write it as a SQL rule"
        )
        left.append(left_out(f"column {name}", check[:120], why))


def _whole(document: Mapping[str, Any], types: Mapping[str, str], severity: Severity, claims: list[Claim], left: list[Fault]) -> None:
    """What is said of the table."""
    together = document.get("unique")
    named = [together] if isinstance(together, str) else together if isinstance(together, list) else []
    for several in [named] if named and all(isinstance(name, str) for name in named) else named:
        if isinstance(several, list) and several:
            claims.append(Claim(kind="unique", columns=tuple(map(str, several)), where="unique", severity=severity))
    whole = {"checks": document.get("checks")}
    left += [left_out("schema", name[:120], "a check of the whole table: write it as a SQL rule") for name, _, _ in _checks(whole)]
    said = {
        "strict": (document.get("strict") is True, "a column the contract does not name is dropped with a warning"),
        "ordered": (bool(document.get("ordered")), "the order of columns does not matter"),
        "coerce": (bool(document.get("coerce")), "values are converted only where nothing is lost"),
        "add_missing_columns": (bool(document.get("add_missing_columns")), "columns are not made up"),
        "index": (bool(document.get("index")), "rows have no index: make it a column"),
        "parsers": (bool(document.get("parsers")), _UNSAID["parsers"]),
    }
    left += [left_out("schema", name, why) for name, (is_said, why) in said.items() if is_said]
    absent = [name for name, item in _named(document) if item.get("required") is not False and item.get("nullable", False)]
    if absent:
        what = "a column that may hold nulls is missed with a warning only"
        left.append(left_out(f"column {', '.join(absent)}"[:120], "required=True", what))


def _named(document: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    columns = document.get("columns")
    pairs = columns.items() if isinstance(columns, dict) else [(c.get("name"), c) for c in columns or () if isinstance(c, dict)]
    yield from ((str(name), item) for name, item in pairs if isinstance(item, dict) and not item.get("regex"))
