"""What a team has declared about its releases, in one place: the way from environment to environment, hours, and how much is too much.

A team that has declared nothing has one environment, no hours, and the bounds below.
"""

from typing import Literal, Protocol, TypeVar

import msgspec

from leverframe.core.clock import DAY_US, HOUR_US
from leverframe.core.errors import Fault
from leverframe.release.plans.windows import Calendar, calendar_faults

KIND_TEAM_RULES = "release_rules"

Demand = Literal["nothing", "live", "completed"]
Dependants = Literal["roll_back", "flag"]

ENVIRONMENTS_MAX = 8

ROLLBACKS_MAX = 3
"""Rollbacks of one endpoint by evidence within :data:`ROLLBACKS_PERIOD_US`: from then on nothing starts there until a person has looked."""

ROLLBACKS_OF_VERSION_MAX = 2
"""The same for one version: what was taken back twice today is not tried a third time."""

ROLLBACKS_PERIOD_US = DAY_US

_T = TypeVar("_T", bound=msgspec.Struct)


class Reads(Protocol):
    """Where records are read: a transaction, or the journal."""

    def get(self, kind: str, id: str, type: type[_T]) -> _T | None:
        """The current record, or None."""
        ...


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """A step of the way. ``demands``: what the environment *below* must have shown of the very bundle that is planned for this one.

    ``nothing``    only that it is a version
    ``live``       it answers there now
    ``completed``  a release there was proven, watched and completed, and it answers there still
    """

    name: str
    demands: Demand = "completed"
    calendar: Calendar | None = None


class TeamRules(msgspec.Struct, frozen=True, kw_only=True):
    """``environments`` lowest first (none: the order is not watched over); the rest bounds rollbacks and says what they take along."""

    team: str
    environments: tuple[Environment, ...] = ()
    rollbacks_max: int = ROLLBACKS_MAX
    rollbacks_of_version_max: int = ROLLBACKS_OF_VERSION_MAX
    rollbacks_period_us: int = ROLLBACKS_PERIOD_US
    dependants: Dependants = "roll_back"
    reason: str = ""
    by: str = ""
    at_us: int = 0

    def environment(self, name: str) -> Environment | None:
        """The declared environment of that name."""
        return next((each for each in self.environments if each.name == name), None)

    def below(self, name: str) -> Environment | None:
        """The environment a version comes from on its way to ``name``; None for the lowest and for one not declared."""
        names = [each.name for each in self.environments]
        place = names.index(name) if name in names else 0
        return self.environments[place - 1] if place else None


def rules_of(reads: Reads, team: str) -> TeamRules:
    """What ``team`` has declared, or the defaults."""
    return reads.get(KIND_TEAM_RULES, team, TeamRules) or TeamRules(team=team)


def team_rules_faults(rules: TeamRules) -> list[Fault]:
    """Everything wrong with what a team declares."""
    names = [environment.name for environment in rules.environments]
    faults = []
    if len(names) > ENVIRONMENTS_MAX or len(set(names)) != len(names) or not all(_is_name(name) for name in names):
        expected = f"at most {ENVIRONMENTS_MAX} different names in lower case, lowest first"
        faults.append(Fault(where="environments", what="not a way from one to the next", expected=expected, got=", ".join(names)[:80]))
    for environment in rules.environments:
        if environment.calendar is not None:
            faults += calendar_faults(environment.calendar, f"environments.{environment.name[:40]}.calendar")
    if min(rules.rollbacks_max, rules.rollbacks_of_version_max) < 1:
        faults.append(Fault(where="rollbacks_max", what="the first release could not start", expected="1 or more"))
    if not HOUR_US <= rules.rollbacks_period_us <= 90 * DAY_US:
        faults.append(Fault(where="rollbacks_period_us", what="out of range", expected="an hour to 90 days, in microseconds"))
    return faults


def _is_name(name: str) -> bool:
    return 0 < len(name) <= 40 and name[0].isalpha() and name == name.lower() and all(c.isalnum() or c in "-_" for c in name)
