"""The data contract at the door: each row of a request held to the rules its signature carries, in about a microsecond.

A row that keeps them all is told from one that does not by :meth:`RowContract.keeps`, which is compiled to positions and bounds; only then
is anything said in words.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from leverframe.core.errors import ContractViolation, Fault
from leverframe.core.schema import FieldRule, Signature

FAULTS_MAX = 50
"""Faults named in one refusal; a request of thousands of bad rows names the first rows of each rule."""
SHOWN_CHARACTERS_MAX = 60


class _Numbers(NamedTuple):
    """Inclusive bounds of a number, the value at ``position`` of a row."""

    position: int
    low: float
    high: float


class _Texts(NamedTuple):
    """What a value at ``position`` may be: one of ``known`` (None: any), of so many characters."""

    position: int
    known: frozenset[Any] | None
    length_min: int
    length_max: float


class RowContract:
    """The rules of one signature, compiled.

    Parameters
    ----------
    signature: its ``rules`` name request fields; a rule of a field that is not there is a programmer's fault.
    """

    def __init__(self, signature: Signature) -> None:
        self._rules = signature.rules
        self._name = signature.contract
        positions = {field.name: index for index, field in enumerate(signature.request)}
        self._fields = tuple(positions)
        self._numbers = tuple(
            _Numbers(positions[rule.field], *bounds(rule)) for rule in self._rules if bounds(rule) != (-math.inf, math.inf)
        )
        self._texts = tuple(
            _Texts(
                positions[rule.field],
                frozenset(rule.enumeration) if rule.enumeration else None,
                rule.length_min or 0,
                math.inf if rule.length_max is None else rule.length_max,
            )
            for rule in self._rules
            if rule.enumeration or rule.length_min is not None or rule.length_max is not None
        )
        self._required = tuple(positions[rule.field] for rule in self._rules if rule.required)

    def __bool__(self) -> bool:
        return bool(self._rules)

    def keeps(self, row: Sequence[Any]) -> bool:
        """Whether ``row``, one value a request field in the signature's order, breaks nothing; None, NaN and empty text are missing."""
        for position, low, high in self._numbers:
            value = row[position]
            if value is not None and not low <= value <= high and value == value:
                return False
        for position, known, shortest, longest in self._texts:
            value = row[position]
            if value is None or value == "" or value != value:
                continue
            if (known is not None and value not in known) or (isinstance(value, str) and not shortest <= len(value) <= longest):
                return False
        for position in self._required:
            value = row[position]
            if value is None or value == "" or value != value:
                return False
        return True

    def check(self, columns: Mapping[str, Any], rows: int) -> tuple[str, ...]:
        """Hold ``rows`` rows, given as field name to column, to the rules.

        Returns
        -------
        tuple of str: the rules that only warn and were broken, as ``field.rule``.

        Raises
        ------
        ContractViolation: a rule that refuses is broken; names every such rule with the first row that breaks it.
        """
        if rows == 1 and self.keeps([_first(columns.get(name)) for name in self._fields]):
            return ()
        refused: list[Fault] = []
        warned: list[str] = []
        for rule in self._rules:
            column = columns.get(rule.field)
            if column is None:
                continue
            for name, expected, broken in _broken(rule, column):
                if not broken.any():
                    continue
                if rule.severity == "warn":
                    warned.append(f"{rule.field}.{name}")
                else:
                    refused.append(_fault(rule, name, expected, column, broken))
        if refused:
            raise ContractViolation(
                "; ".join(f"{fault.where}: {fault.what}" for fault in refused)[:400],
                where=f"data contract {self._name}",
                expected=refused[0].expected,
                got=refused[0].got,
                next_step="send values that keep the contract, or change the contract and train anew: lever contracts check",
                faults=refused[:FAULTS_MAX],
            )
        return tuple(warned)


def bounds(rule: FieldRule) -> tuple[float, float]:
    """The inclusive interval of a number: an exclusive limit is the next float inside it.

    >>> bounds(FieldRule(field="x", exclusive_minimum=0.0, maximum=2.0))
    (5e-324, 2.0)
    """
    lows = [rule.minimum, None if rule.exclusive_minimum is None else math.nextafter(rule.exclusive_minimum, math.inf)]
    highs = [rule.maximum, None if rule.exclusive_maximum is None else math.nextafter(rule.exclusive_maximum, -math.inf)]
    return max((low for low in lows if low is not None), default=-math.inf), min((h for h in highs if h is not None), default=math.inf)


def _first(column: Any) -> Any:
    return None if column is None else column[0]


def _broken(rule: FieldRule, column: Any) -> list[tuple[str, str, npt.NDArray[np.bool_]]]:
    """Each rule of a field: its name, what it expects, and where ``column`` breaks it."""
    values = np.asarray(column, dtype=object) if not isinstance(column, np.ndarray) or column.dtype == object else column
    numeric = values.dtype != object
    missing = (
        np.isnan(values) if numeric and values.dtype.kind == "f" else np.array([v is None or v == "" or v != v for v in values], dtype=bool)
    )
    found = [("required", "a value", missing)] if rule.required else []
    low, high = bounds(rule)
    if low > -math.inf or high < math.inf:
        present = ~missing
        outside = np.zeros(len(values), dtype=bool)
        numbers = values[present] if numeric else np.array([float(v) for v in values[present]])
        outside[present] = (numbers < low) | (numbers > high)
        found.append(("range", _range(rule), outside))
    if rule.enumeration:
        known = frozenset(rule.enumeration)
        unknown = np.array([not gone and v not in known for v, gone in zip(values.tolist(), missing, strict=True)], dtype=bool)
        found.append(("enumeration", f"one of {', '.join(map(str, rule.enumeration))}"[:300], unknown))
    if rule.length_min is not None or rule.length_max is not None:
        shortest, longest = rule.length_min or 0, math.inf if rule.length_max is None else rule.length_max
        lengths = [isinstance(v, str) and v != "" and not shortest <= len(v) <= longest for v in values.tolist()]
        found.append(("length", f"{shortest} to {longest:g} characters", np.array(lengths, dtype=bool)))
    return found


def _range(rule: FieldRule) -> str:
    signs = ((">=", rule.minimum), (">", rule.exclusive_minimum), ("<=", rule.maximum), ("<", rule.exclusive_maximum))
    return " and ".join(f"{sign} {limit:g}" for sign, limit in signs if limit is not None)


def _fault(rule: FieldRule, name: str, expected: str, column: Any, broken: npt.NDArray[np.bool_]) -> Fault:
    """One broken rule with the first row that breaks it; a personal value is not shown."""
    row, count = int(broken.argmax()), int(broken.sum())
    got = "not shown: personal" if rule.personal else f"{column[row]}"[:SHOWN_CHARACTERS_MAX]
    return Fault(where=f"{rule.field}, row {row}", what=f"breaks {name} in {count} of {len(broken)} rows", expected=expected, got=got)
