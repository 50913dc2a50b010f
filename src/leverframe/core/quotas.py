"""What numbers a quota may have."""

import math

from leverframe.core.errors import Fault, InvalidInput
from leverframe.core.route import Quota

PER_SECOND_MAX = 1_000_000.0
"""Largest quota a second; a larger one is refused, since it bounds nothing."""

BURST_MAX = 10_000_000.0
"""Largest burst of a quota; a larger one is refused."""


def quota_faults(quota: Quota) -> list[Fault]:
    """Everything wrong with a quota's numbers.

    >>> [fault.where for fault in quota_faults(Quota(per_second=0.0, burst=-1.0))]
    ['per_second', 'burst']
    """
    faults = []
    if not (math.isfinite(quota.per_second) and 0.0 < quota.per_second <= PER_SECOND_MAX):
        faults.append(_range("per_second", f"above 0, at most {PER_SECOND_MAX:g}", quota.per_second))
    if not (math.isfinite(quota.burst) and 0.0 <= quota.burst <= BURST_MAX):
        faults.append(_range("burst", f"0 to {BURST_MAX:g}", quota.burst))
    return faults


def _range(where: str, expected: str, got: float) -> Fault:
    return Fault(where=where, what="out of range", expected=expected, got=f"{got:g}")


def quota_of(per_second: float, burst: float) -> Quota | None:
    """The quota of these numbers; None when both are 0.

    Raises
    ------
    InvalidInput: out of range, or a burst without a quota.
    """
    if per_second == burst == 0.0:
        return None
    quota = Quota(per_second=per_second, burst=burst)
    faults = quota_faults(quota)
    if faults:
        raise InvalidInput("not a quota", where="quota", faults=faults)
    return quota
