"""What the use cases of requirements and exceptions take and answer."""

from typing import Annotated

import msgspec


class RequirementView(msgspec.Struct, frozen=True, kw_only=True):
    """One rule that a plan must meet: by which policy, what was observed, and the command that mends it (empty when it holds).

    ``excepted_by`` names who granted the exception by which it holds.
    """

    rule: str
    reason: str
    holds: bool
    observed: str
    fix: str = ""
    excepted_by: str = ""


class ExceptionRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The rule that is lifted for one plan, why, and for how many days (at most 14)."""

    rule: Annotated[str, msgspec.Meta(min_length=1, max_length=80)]
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]
    days: Annotated[float, msgspec.Meta(gt=0, le=14)] = 3.0


class ExceptionView(msgspec.Struct, frozen=True, kw_only=True):
    """An exception, and whether it counts now."""

    plan: str
    release: str
    rule: str
    granter: str
    reason: str
    at_us: int
    expires_us: int
    in_force: bool
    withdrawn: bool
