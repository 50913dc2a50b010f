"""Moments typed on a command line."""

from leverframe.core.clock import us_from_iso
from leverframe.core.errors import InvalidInput


def moment_us(text: str, option: str) -> int | None:
    """Microseconds of an ISO 8601 moment; None when nothing was typed.

    >>> moment_us("1970-01-01T00:00:01Z", "--at")
    1000000

    Raises
    ------
    InvalidInput: not a moment.
    """
    if not text:
        return None
    try:
        return us_from_iso(text)
    except ValueError as exc:
        raise InvalidInput("not a moment", where=option, expected="for example 2013-05-01T12:00:00Z", got=text) from exc
