"""Whether now is an hour in which a release may start or climb: by the plan's own calendar and by the team's of today, the stricter."""

from leverframe.core.clock import iso_from_us
from leverframe.core.command import Transaction
from leverframe.core.errors import Refused
from leverframe.release.plans.plan import ReleasePlan
from leverframe.release.plans.team_rules import Reads, rules_of
from leverframe.release.plans.windows import Calendar, closed_because, opens_at


def calendars(reads: Reads, plan: ReleasePlan) -> tuple[Calendar, ...]:
    """The calendars that hold for a plan: the one it was approved with, and the one its team keeps for this environment now."""
    environment = rules_of(reads, plan.team).environment(plan.environment)
    own = environment.calendar if environment is not None else None
    found = [calendar for calendar in (plan.calendar or None, own) if calendar is not None]
    return tuple(found[:1] if len(found) == 2 and found[0] == found[1] else found)


def shut(reads: Reads, plan: ReleasePlan, now_us: int) -> tuple[str, int | None]:
    """Why nothing may climb now (empty: it may), and when that ends (None: not in sight)."""
    for calendar in calendars(reads, plan):
        reason = closed_because(calendar, now_us)
        if reason:
            return reason, opens_at(calendar, now_us)
    return "", None


def require_open(tx: Transaction, plan: ReleasePlan) -> None:
    """Refuse to start or climb outside the declared hours.

    Raises
    ------
    Refused: with the reason and the next opening.
    """
    reason, opens_us = shut(tx, plan, tx.now_us)
    if reason:
        raise Refused(
            f"nothing starts or climbs now: {reason}",
            where=plan.endpoint_id,
            expected=f"open again at {iso_from_us(opens_us)}" if opens_us is not None else "open again within a year: it does not",
            got=iso_from_us(tx.now_us),
            next_step="wait; the release goes on by itself, and lever rollback works at any hour",
        )
