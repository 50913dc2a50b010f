"""An expression of one row: functions within functions, made once, that take the row's inputs and give a number.

For a single row an array costs more than the answer, so that nothing here knows numpy.
"""

from collections.abc import Callable, Sequence
from typing import Any

from leverframe.core.expressions.tree import Call, Constant, Expression, Leaf, Node

NAN = float("nan")
Inputs = Sequence[Any]
Step = Callable[[Inputs], Any]


def row_number(expression: Expression) -> Callable[[Inputs], float]:
    """A function of the values of ``expression.inputs`` that gives its value as float64: truths are 1 and 0, missing is NaN.

    Inputs are Python or numpy scalars; None and NaN are missing.
    """
    step = _step(expression.root)

    def number(inputs: Inputs) -> float:
        value = step(inputs)
        return NAN if value is None or value != value else float(value)

    return number


def row_text(expression: Expression) -> Callable[[Inputs], str | None]:
    """As ``row_number``, of an expression that gives a text."""
    return _step(expression.root)


def _step(node: Node) -> Step:
    if isinstance(node, Constant):
        value = node.value
        return lambda inputs: value
    if isinstance(node, Leaf):
        return _leaf(node)
    return _call(node)


def _leaf(leaf: Leaf) -> Step:
    index = leaf.index
    if leaf.digits:

        def digits(inputs: Inputs) -> str | None:
            value = inputs[index]
            return None if value is None or value != value else str(int(value))

        return digits
    if leaf.kind == "number":

        def number(inputs: Inputs) -> float | None:
            value = inputs[index]
            return None if value is None or value != value else float(value)

        return number
    plain = bool if leaf.kind == "truth" else str

    def other(inputs: Inputs) -> Any:
        value = inputs[index]
        return None if value is None else plain(value)

    return other


def _call(call: Call) -> Step:
    one, steps = call.operation.one, [_step(argument) for argument in call.arguments]
    if not call.operation.strict:
        return lambda inputs: one(*[step(inputs) for step in steps])
    if len(steps) == 1:
        (only,) = steps

        def of_one(inputs: Inputs) -> Any:
            value = only(inputs)
            return None if value is None else one(value)

        return of_one
    if len(steps) == 2:
        left, right = steps

        def of_two(inputs: Inputs) -> Any:
            a, b = left(inputs), right(inputs)
            return None if a is None or b is None else one(a, b)

        return of_two

    def of_many(inputs: Inputs) -> Any:
        values = [step(inputs) for step in steps]
        return None if None in values else one(*values)

    return of_many
