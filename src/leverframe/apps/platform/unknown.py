"""Figures that cannot be computed yet are None in every view: JSON has no NaN, and a client that expects a number chokes on null."""

import math
from typing import Any


def known(value: float) -> float | None:
    """``value`` if it is a finite number, else None.

    >>> known(0.5), known(float("nan")), known(float("inf"))
    (0.5, None, None)
    """
    return value if math.isfinite(value) else None


def known_rows(rows: tuple[dict[str, Any], ...]) -> tuple[dict[str, Any], ...]:
    """Free-form rows with None for every figure that is no finite number, however deep.

    >>> known_rows(({"roc_auc": float("nan"), "n": 3, "by": [float("inf")]},))
    ({'roc_auc': None, 'n': 3, 'by': [None]},)
    """
    return tuple({name: _known(value) for name, value in row.items()} for row in rows)


def _known(value: Any) -> Any:
    if isinstance(value, float):
        return known(value)
    if isinstance(value, dict):
        return {name: _known(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_known(each) for each in value]
    return value
