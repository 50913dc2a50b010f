"""What is answered when an arm cannot: the first rule that holds, else the endpoint's constant, else a refusal.

(The step before these, the last good version, is a model of its own: :mod:`leverframe.serving.walk.inference` asks it.)
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from leverframe.core.errors import LeverframeError, Unavailable
from leverframe.core.route import Condition, Endpoint

Float = npt.NDArray[np.float64]

KILLED = "killed"
MODEL_FAILED = "model_failed"
LAST_GOOD, RULE, CONSTANT = "last_good", "rule", "constant"


def killed_error(endpoint: Endpoint) -> LeverframeError:
    """What callers of an endpoint without a fallback are told while its kill switch is on."""
    return Unavailable(
        "the kill switch of this endpoint is on",
        where=endpoint.name,
        expected="a running endpoint",
        got=KILLED,
        next_step="use your own default; operators: lever unkill",
    )


def failed_error(endpoint: Endpoint, version: str) -> LeverframeError:
    """What callers are told when the model itself failed and there is no fallback."""
    return Unavailable(
        "the model could not answer",
        where=f"{endpoint.name} {version}",
        expected="finite scores",
        got=MODEL_FAILED,
        next_step="ask again; operators: lever rollback",
    )


def without_model(endpoint: Endpoint, matrix: Float | None, positions: Mapping[str, int], rows: int) -> tuple[list[float], str] | None:
    """One score a row by rules and constant, and which of them it was; None when a row has neither.

    Parameters
    ----------
    matrix: the model's input float64 ``[rows, columns]``, or None when there is none: then no rule holds.
    positions: input column to its place.
    """
    fallback = endpoint.fallback
    scores = np.full(rows, np.nan if fallback.value is None else fallback.value)
    kind = CONSTANT
    if matrix is not None:
        for rule in reversed(fallback.rules):
            held = np.ones(rows, dtype=bool)
            for condition in rule.when:
                held &= _holds(condition, matrix, positions)
            if held.any():
                scores[held], kind = rule.value, RULE
    return None if np.isnan(scores).any() else (scores.tolist(), kind)


def _holds(condition: Condition, matrix: Float, positions: Mapping[str, int]) -> npt.NDArray[np.bool_]:
    position = positions.get(condition.column)
    if position is None:
        return np.zeros(len(matrix), dtype=bool)
    values = matrix[:, position]
    held = ~np.isnan(values)
    if condition.at_least is not None:
        held &= values >= condition.at_least
    if condition.below is not None:
        held &= values < condition.below
    return held
