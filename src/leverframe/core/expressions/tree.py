"""What an expression is once it is read: a small tree of known operations over leaves and constants, each with its kind.

A value is a number (float64), a text or a truth, or missing. Missing is ``None`` for one row and a mask for columns. NaN is a number, as in
the SQL of feature views, and only what comes in or goes out as NaN is missing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

Kind = Literal["number", "text", "truth", "nothing"]
"""``nothing`` is the kind of NULL written down, which goes with any."""
Bools = npt.NDArray[np.bool_]


class Column(NamedTuple):
    """One value a row: float64, bool, or object (texts). Where ``absent`` the value is missing, whatever stands there; None: nowhere."""

    values: npt.NDArray[Any]
    absent: Bools | None = None


@dataclass(frozen=True)
class Operation:
    """What is computed from values of the kinds ``takes`` (the last any number of times when it ``repeats``).

    ``one`` takes Python values. A strict operation is missing where one of its values is, and is never given a missing one; any other is
    given None. ``many`` is the same of whole arrays, of ``Column`` for one that is not strict; without it ``one`` is called row by row.
    """

    takes: tuple[Kind, ...]
    gives: Kind
    one: Callable[..., Any]
    many: Callable[..., Any] | None = None
    strict: bool = True
    repeats: bool = False


@dataclass(frozen=True)
class Function:
    """An operation as it is written: ``variants`` by the kinds they take, or one made of constants that come last (``constants``).

    ``optional`` of the constants may be left out. ``make`` raises ValueError with the reason when a constant is out of range.
    """

    written: str
    says: str
    variants: tuple[Operation, ...] = ()
    constants: tuple[Kind, ...] = ()
    optional: int = 0
    make: Callable[..., Operation] | None = None


@dataclass(frozen=True)
class Leaf:
    """Input number ``index`` of the expression. Of an integer field that is used as a text, the decimal digits (``digits``)."""

    index: int
    kind: Kind
    digits: bool = False


@dataclass(frozen=True)
class Constant:
    """A value written down; None for NULL."""

    value: float | str | bool | None
    kind: Kind


@dataclass(frozen=True)
class Call:
    """An operation on the values of ``arguments``."""

    operation: Operation
    arguments: tuple["Node", ...]

    @property
    def kind(self) -> Kind:
        """The kind of its value."""
        return self.operation.gives


Node = Leaf | Constant | Call


class Input(NamedTuple):
    """What an expression reads: the request field ``name``, or feature ``name`` of feature view ``view``."""

    name: str
    view: str = ""


@dataclass(frozen=True)
class Expression:
    """An expression that was read and found right: its inputs in order of first use, and the tree over them."""

    sql: str
    inputs: tuple[Input, ...]
    root: Node
