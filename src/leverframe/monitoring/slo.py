"""Error budgets and how fast they burn: page when a month's budget would be gone in days, not at every hiccup.

Source: The Site Reliability Workbook (Google 2018), chapter 5, "Alerting on SLOs", table 5-8: multi-window, multi-burn-rate alerts.
"""

from collections.abc import Callable
from typing import Literal

import msgspec

from leverframe.core.alert import Signal
from leverframe.core.clock import DAY_US, HOUR_US, MINUTE_US


class Objective(msgspec.Struct, frozen=True, kw_only=True):
    """A service level objective: this share of requests is good, over a rolling period (OpenSLO ``target``, ``timeWindow``).

    ``kind``: what bad requests are, failed ones or slow ones.
    """

    name: str
    kind: Literal["errors", "latency"] = "errors"
    target: float = 0.999
    period_us: int = 30 * DAY_US


class BurnRule(msgspec.Struct, frozen=True, kw_only=True):
    """Alert when the budget burns ``rate`` times too fast over the long window, and still does over the short one."""

    severity: Literal["page", "ticket"]
    long_us: int
    short_us: int
    rate: float


BAD_MIN = 5
"""Fewer bad requests than this in the long window are no burn, however few requests there were: at night one in three is one."""


WORKBOOK_RULES = (
    BurnRule(severity="page", long_us=HOUR_US, short_us=5 * MINUTE_US, rate=14.4),
    BurnRule(severity="page", long_us=6 * HOUR_US, short_us=30 * MINUTE_US, rate=6.0),
    BurnRule(severity="ticket", long_us=3 * DAY_US, short_us=6 * HOUR_US, rate=1.0),
)
"""2 % of a month's budget in an hour, 5 % in six, 10 % in three days; the short window (1/12 of the long one) ends the alert soon after."""


class Burn(msgspec.Struct, frozen=True, kw_only=True):
    """One rule at one moment: both burn rates, bad requests over the long window, and whether it fires."""

    rule: BurnRule
    long_rate: float
    short_rate: float
    bad: int

    @property
    def fires(self) -> bool:
        """Both windows are at or beyond the rule's rate, on at least ``BAD_MIN`` bad requests."""
        return self.bad >= BAD_MIN and self.long_rate >= self.rule.rate and self.short_rate >= self.rule.rate


def burn_rate(good: int, bad: int, target: float) -> float:
    """How many times faster than allowed the budget is used; 0 without requests.

    >>> round(burn_rate(986, 14, 0.999), 6)
    14.0
    """
    requests = good + bad
    return bad / requests / (1.0 - target) if requests else 0.0


def burns(counts: Callable[[int, int], tuple[int, int]], objective: Objective, now_us: int) -> tuple[Burn, ...]:
    """Every rule of the workbook at ``now_us``.

    Parameters
    ----------
    counts: ``(from_us, to_us)`` to (good, bad) requests in between.
    """
    found = []
    for rule in WORKBOOK_RULES:
        good, bad = counts(now_us - rule.long_us, now_us)
        long = burn_rate(good, bad, objective.target)
        short = burn_rate(*counts(now_us - rule.short_us, now_us), objective.target)
        found.append(Burn(rule=rule, long_rate=long, short_rate=short, bad=bad))
    return tuple(found)


def budget_left(good: int, bad: int, target: float) -> float:
    """The share of the period's error budget that is left: 1 untouched, 0 spent, negative overspent.

    >>> budget_left(10_000, 0, 0.999), round(budget_left(9_995, 5, 0.999), 6)
    (1.0, 0.5)
    """
    return 1.0 - burn_rate(good, bad, target)


class MinuteTally:
    """Good and bad requests by minute, as far back as the longest rule needs."""

    def __init__(self, minutes: dict[int, list[int]] | None = None, *, keep_us: int = WORKBOOK_RULES[-1].long_us) -> None:
        self._keep = keep_us // MINUTE_US
        self.minutes: dict[int, list[int]] = minutes or {}
        """Good and bad requests by minute since the epoch."""

    def add(self, at_us: int, good: int, bad: int) -> None:
        """Count requests of one minute; minutes too old to matter are let go."""
        minute = at_us // MINUTE_US
        held = self.minutes.setdefault(minute, [0, 0])
        held[0] += good
        held[1] += bad
        if len(self.minutes) > self._keep + 60:
            for old in [each for each in self.minutes if each < minute - self._keep]:
                del self.minutes[old]

    def between(self, from_us: int, to_us: int) -> tuple[int, int]:
        """Good and bad requests of the minutes that begin in ``[from_us, to_us)``."""
        first, last = -(-from_us // MINUTE_US), -(-to_us // MINUTE_US)
        chosen = [counts for minute, counts in self.minutes.items() if first <= minute < last]
        return sum(c[0] for c in chosen), sum(c[1] for c in chosen)


def slo_signals(tally: MinuteTally, objective: Objective, now_us: int) -> list[Signal]:
    """A signal for the most urgent rule that fires, so that one outage is one signal."""
    for burn in burns(tally.between, objective, now_us):
        if burn.fires:
            used = burn.long_rate * burn.rule.long_us / objective.period_us
            return [
                Signal(
                    kind=objective.kind,
                    subject=objective.name,
                    observed=burn.long_rate,
                    threshold=burn.rule.rate,
                    window=(now_us - burn.rule.long_us, now_us),
                    detail=f"the error budget of {objective.name} burns {burn.long_rate:.1f} times too fast: {used:.0%} of the period's "
                    f"in the last {burn.rule.long_us / HOUR_US:g} h",
                    waits=burn.rule.severity == "ticket",
                )
            ]
    return []
