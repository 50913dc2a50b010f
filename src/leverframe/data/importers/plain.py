"""A suite's file as plain values: JSON or YAML, bounded before anything is built."""

from typing import Any

import msgspec

from leverframe.core.errors import InvalidInput, LimitExceeded
from leverframe.data.contract.odcs import load_mapping

BYTES_MAX = 8_000_000


def read_plain(data: bytes, *, json: bool) -> dict[str, Any]:
    """The mapping in ``data``.

    Parameters
    ----------
    json: JSON; otherwise YAML, of which only plain values are built and no alias or tag is followed.

    Raises
    ------
    LimitExceeded: larger, deeper or with more nodes than any suite.
    InvalidInput: not UTF-8, neither JSON nor YAML, or no mapping.
    """
    if not json:
        return load_mapping(data, "suite")
    if len(data) > BYTES_MAX:
        raise LimitExceeded("suite is too large", where="suite", expected=f"at most {BYTES_MAX} bytes", got=str(len(data)))
    try:
        raw = msgspec.json.decode(data)
    except RecursionError as error:
        raise LimitExceeded("suite is too deep", where="suite", expected="a few levels") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInput("suite is not valid JSON", where="suite", got=str(error)[:200]) from error
    if not isinstance(raw, dict):
        raise InvalidInput("suite is not a mapping", where="suite", expected="an object", got=type(raw).__name__)
    return raw
