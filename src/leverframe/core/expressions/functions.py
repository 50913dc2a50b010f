"""Every function that an expression may call, by name: the closed list."""

from collections.abc import Iterator, Mapping

from leverframe.core.expressions import choices, moments, numbers, texts
from leverframe.core.expressions.tree import Function, Operation

FUNCTIONS: Mapping[str, Function] = {**numbers.FUNCTIONS, **choices.FUNCTIONS, **texts.FUNCTIONS, **moments.FUNCTIONS}
OPERATORS: Mapping[str, Function] = {**numbers.OPERATORS, **texts.OPERATORS}
COMPARISONS: Mapping[str, tuple[Operation, ...]] = {
    name: tuple(table[name] for table in (numbers.COMPARISONS, texts.COMPARISONS, choices.COMPARISONS) if name in table)
    for name in numbers.COMPARISONS
}


def described() -> Iterator[tuple[str, str]]:
    """How each function is written and what it says, each once; what the documentation's table is held to.

    >>> dict(described())["clip(x, low, high)"]
    'x, or the limit it is beyond'
    """
    seen: set[str] = set()
    for function in FUNCTIONS.values():
        if function.written not in seen:
            seen.add(function.written)
            yield function.written, function.says
