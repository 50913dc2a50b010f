"""What a suite of another tool says about rows, in neutral terms: one claim after another, and what cannot be said as one."""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from leverframe.core.errors import Fault
from leverframe.data.contract.contracts import Severity

Kind = Literal[
    "required",
    "unique",
    "minimum",
    "maximum",
    "exclusive_minimum",
    "exclusive_maximum",
    "length_min",
    "length_max",
    "pattern",
    "not_pattern",
    "enumeration",
    "excluded",
    "predicate",
]


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """One rule about the values of ``columns``; a predicate (SQL, true of a bad row) names its columns itself.

    ``share_max`` (0 to 1) of the rows may break it. ``apart``: it is no fact of the column, because it asks nothing where the column is
    absent. ``where`` is the place in the suite, for what is said about it.
    """

    kind: Kind
    columns: tuple[str, ...]
    where: str
    value: Any = None
    share_max: float = 0.0
    severity: Severity = "refuse"
    description: str = ""
    apart: bool = False


class Suite(msgspec.Struct, frozen=True, kw_only=True):
    """A whole suite. ``types``: each column the suite names, in order, with the other tool's name of its type (empty: it says none).

    ``left`` is what could not be said as a claim, and why. ``severity`` is what a column's broken rule does where a claim says no other.
    """

    name: str
    made_by: str
    types: Mapping[str, str]
    claims: tuple[Claim, ...]
    left: tuple[Fault, ...] = ()
    description: str = ""
    column_descriptions: Mapping[str, str] = {}
    rows_min: int | None = None
    rows_max: int | None = None
    volume_severity: Severity = "refuse"
    severity: Severity = "refuse"


def left_out(where: str, what: str, why: str) -> Fault:
    """One thing of a suite that the contract does not say."""
    return Fault(where=where, what=why, got=what)
