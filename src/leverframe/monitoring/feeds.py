"""Whether the feeds behind the features still deliver: late, or arriving without anything new in them."""

from collections.abc import Iterable

import msgspec

from leverframe.core.alert import Signal
from leverframe.core.clock import HOUR_US
from leverframe.core.feature import Freshness


class FeedMemory(msgspec.Struct, frozen=True, kw_only=True):
    """What was last seen of a view: its newest event time, and the arrival time when that event time was first seen."""

    newest_event_us: int
    arrival_when_new_us: int


def feed_signals(freshness: Iterable[Freshness], memory: dict[str, FeedMemory]) -> list[Signal]:
    """A signal for every feed that is late or stuck; static tables (SLA 0) are neither.

    Late: the newest arrival is older than the SLA. Stuck: rows keep arriving, but for longer than the SLA none of them told anything newer.

    Parameters
    ----------
    memory: by view, what earlier calls saw; brought up to date.
    """
    signals = []
    for each in freshness:
        held = memory.get(each.view)
        if held is None or each.newest_event_us != held.newest_event_us:
            held = FeedMemory(newest_event_us=each.newest_event_us, arrival_when_new_us=each.newest_arrival_us)
            memory[each.view] = held
        stuck_us = each.newest_arrival_us - held.arrival_when_new_us
        if each.late:
            signals.append(_signal(each, each.lag_us, f"feed {each.source} delivered nothing for {hours(each.lag_us)}"))
        elif 0 < each.sla_us < stuck_us:
            signals.append(_signal(each, stuck_us, f"feed {each.source} delivers, but nothing newer for {hours(stuck_us)}"))
    return signals


def _signal(freshness: Freshness, observed_us: int, what: str) -> Signal:
    return Signal(
        kind="freshness",
        subject=freshness.view,
        observed=observed_us / HOUR_US,
        threshold=freshness.sla_us / HOUR_US,
        window=(freshness.newest_arrival_us, freshness.checked_at_us),
        detail=f"{what}; its promise for view {freshness.view} is {hours(freshness.sla_us)}",
    )


def hours(span_us: int) -> str:
    """A span in hours, or in days from two days on; a feed that never delivered has an age of decades.

    >>> hours(3 * HOUR_US), hours(72 * HOUR_US), hours(300_000 * HOUR_US)
    ('3.0 h', '3.0 days', 'ever')
    """
    value = span_us / HOUR_US
    if value > 24 * 3650:
        return "ever"
    return f"{value:.1f} h" if value < 48 else f"{value / 24:.1f} days"
