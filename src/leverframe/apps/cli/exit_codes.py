"""The one table of exit codes."""

from leverframe.core.errors import LeverframeError

OK = 0
INTERNAL = 1
USAGE = 2
REFUSED = 3
CONFLICT = 4
UNAVAILABLE = 5

EXIT_OF_CODE = {
    "invalid_input": USAGE,
    "schema_mismatch": USAGE,
    "limit_exceeded": USAGE,
    "not_found": USAGE,
    "unauthenticated": USAGE,
    "contract_violation": REFUSED,
    "forbidden": REFUSED,
    "refused": REFUSED,
    "integrity": REFUSED,
    "conflict": CONFLICT,
    "unavailable": UNAVAILABLE,
    "overloaded": UNAVAILABLE,
    "quota_exceeded": UNAVAILABLE,
    "deadline_exceeded": UNAVAILABLE,
    "internal": INTERNAL,
}
"""Error code (``core.errors``) to exit code; a verdict that is not "pass" exits with ``REFUSED`` as well."""


def exit_code_of(error: LeverframeError) -> int:
    """The exit code of a command that failed with ``error``.

    >>> from leverframe.core.errors import Conflict
    >>> exit_code_of(Conflict("someone was first"))
    4
    """
    return EXIT_OF_CODE[error.code]
