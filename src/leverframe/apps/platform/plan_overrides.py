"""What a plan request may set instead of the defaults, turned into the fields of the command that writes the plan."""

from typing import Any

import msgspec

from leverframe.core.errors import InvalidInput
from leverframe.release.plans.asked import RuleAsked, ladder_of, rules_asked
from leverframe.release.plans.plan import MetricRule, Stage, Strategy, default_stages
from leverframe.release.plans.team_rules import Dependants
from leverframe.release.plans.windows import Calendar


class Overrides(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that may be set.

    ``stages`` or ``ladder`` (``shadow@6h,5,25``) replace the strategy's ladder; ``rules`` replaces all rules as they are, ``ask`` is put
    over the default ones (``ask_only``: instead of them) and shares the false-abort budget. ``major``: callers must change with it.
    """

    stages: tuple[Stage, ...] | None = None
    ladder: str = ""
    rules: tuple[MetricRule, ...] | None = None
    ask: tuple[RuleAsked, ...] = ()
    ask_only: bool = False
    watch_us: int | None = None
    label_horizon_us: int | None = None
    stall_us: int | None = None
    supersede: bool = False
    queue: bool = False
    follow: bool = False
    dependants: Dependants | None = None
    calendar: Calendar | None = None
    major: bool = False


def read_overrides(given: dict[str, Any]) -> Overrides:
    """The overrides of a request.

    Raises
    ------
    InvalidInput: a field is unknown or has the wrong type.
    """
    try:
        return msgspec.convert(given, Overrides)
    except msgspec.ValidationError as error:
        raise InvalidInput(
            "the plan's overrides cannot be read",
            where="overrides",
            expected=", ".join(Overrides.__struct_fields__),
            got=str(error),
        ) from error


def command_fields(overrides: Overrides, strategy: Strategy) -> dict[str, Any]:
    """The fields of the command that ``overrides`` set; what is absent takes the command's default.

    Raises
    ------
    InvalidInput: the ladder or a rule cannot be read, or stages and rules are given in two ways.
    """
    if overrides.ladder and overrides.stages is not None:
        raise InvalidInput("stages are given twice", where="overrides", expected="stages, or a ladder")
    if (overrides.ask or overrides.ask_only) and overrides.rules is not None:
        raise InvalidInput("rules are given twice", where="overrides", expected="rules as they are, or rules put over the default ones")
    stages = ladder_of(overrides.ladder) if overrides.ladder else overrides.stages
    rules = overrides.rules
    if overrides.ask or overrides.ask_only:
        rules = rules_asked(overrides.ask, stages or default_stages(strategy), only=overrides.ask_only)
    wished = {
        "stages": stages,
        "rules": rules,
        "watch_us": overrides.watch_us,
        "label_horizon_us": overrides.label_horizon_us,
        "stall_us": overrides.stall_us,
        "dependants": overrides.dependants,
        "calendar": overrides.calendar,
    }
    flags = {"supersede": overrides.supersede, "queue": overrides.queue, "follow": overrides.follow}
    return {**{name: value for name, value in wished.items() if value is not None}, **flags}
