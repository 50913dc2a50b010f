"""A contract's rules as a person would say them."""

from collections.abc import Iterator

from leverframe.core.clock import iso_from_us
from leverframe.data.checks.rules import Rule, row_rules
from leverframe.data.contract.contracts import Contract

LISTED_MAX = 8
_WHOLE_TYPES = {
    "string": "is text",
    "integer": "is a whole number",
    "number": "is a number",
    "boolean": "is true or false",
    "date": "is a day",
    "timestamp": "is a moment (UTC)",
}


def rules_in_words(contract: Contract) -> Iterator[tuple[Rule, str]]:
    """Every rule about rows, in the order of the contract, with its sentence.

    >>> from leverframe.data.contract.contracts import Column
    >>> wind = Column(name="wind", logical_type="number", physical_type="float64", minimum=0, missing_share_max=0.05)
    >>> contract = Contract(name="n", version="1.0.0", dataset="d", owner="o", team="t", columns=(wind,))
    >>> [words for _, words in rules_in_words(contract)]
    ['is a number (float64)', 'is at least 0', 'at most 5 % are missing']
    """
    by_name = {column.name: column for column in contract.columns}
    told = {sql.name: sql.description for sql in contract.sql_rules} | {metric.name: metric.description for metric in contract.metrics}
    for rule in row_rules(contract, frozenset(by_name)):
        moments = bool(rule.columns) and by_name[rule.columns[0]].logical_type == "timestamp"
        if rule.kind == "type":
            column = by_name[rule.columns[0]]
            yield rule, f"{_WHOLE_TYPES[column.logical_type]} ({column.physical_type})"
        else:
            yield rule, told.get(rule.name) or f"{_words(rule, moments)}{_tolerance(rule)}"


def _words(rule: Rule, moments: bool) -> str:
    limit = iso_from_us(int(rule.limit)) if moments and rule.limit is not None else f"{rule.limit:,}" if rule.limit is not None else ""
    listed = ", ".join(map(str, rule.values[:LISTED_MAX]))
    listed += f" and {len(rule.values) - LISTED_MAX} more" if len(rule.values) > LISTED_MAX else ""
    match rule.kind:
        case "required":
            return "has a value in every row"
        case "unique":
            return "no value twice"
        case "primary_key":
            return f"no two rows with the same {' and '.join(rule.columns)}"
        case "minimum":
            return f"is at least {limit}"
        case "maximum":
            return f"is at most {limit}"
        case "exclusive_minimum":
            return f"is more than {limit}" if not moments else f"is after {limit}"
        case "exclusive_maximum":
            return f"is less than {limit}" if not moments else f"is before {limit}"
        case "length_min":
            return f"has at least {limit} character{'s' if rule.limit != 1 else ''}"
        case "length_max":
            return f"has at most {limit} character{'s' if rule.limit != 1 else ''}"
        case "pattern":
            return f"matches {rule.text}"
        case "enumeration":
            return f"is one of {listed}"
        case "missing":
            also = f" (so counts {listed})" if rule.values else ""
            return f"at most {rule.share_max * 100:g} % are missing{also}" if rule.share_max else f"none is missing{also}"
        case "invalid":
            wanted = [f"is one of {listed}"] if rule.values else []
            return " and ".join([*wanted, *([f"matches {rule.text}"] if rule.text else [])])
        case "reference":
            return f"is a value of {rule.text}"
        case "sql":
            return f"no row where {rule.text}"
    raise AssertionError(rule.kind)


def _tolerance(rule: Rule) -> str:
    if rule.kind == "missing" and not rule.rows_max:
        return ""
    if rule.share_max:
        return f", but for {rule.share_max * 100:g} % of the rows"
    return f", but for {rule.rows_max:,} rows" if rule.rows_max else ""
