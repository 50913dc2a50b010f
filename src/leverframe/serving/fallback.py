"""What is answered when no arm can: the endpoint's constant, marked as such, or a refusal."""

from leverframe.core.errors import LeverframeError, Unavailable
from leverframe.core.route import Endpoint

KILLED = "killed"
MODEL_FAILED = "model_failed"


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


def constant(endpoint: Endpoint, rows: int) -> list[float] | None:
    """The endpoint's constant for each row, or None when it refuses instead."""
    value = endpoint.fallback.value
    return None if value is None else [value] * rows
