from leverframe.core.clock import HOUR_US, MINUTE_US
from leverframe.monitoring.slo import MinuteTally, Objective, burns, slo_signals

OBJECTIVE = Objective(name="availability", target=0.999)
START_US = 1_000_000 * HOUR_US


def _trace(error_rates: list[tuple[int, float]], per_minute: int = 10_000) -> MinuteTally:
    """Minutes of traffic, each stretch with its error rate, from ``START_US``."""
    tally, minute = MinuteTally(), 0
    for minutes, rate in error_rates:
        for _ in range(minutes):
            bad = round(per_minute * rate)
            tally.add(START_US + minute * MINUTE_US, per_minute - bad, bad)
            minute += 1
    return tally


def _first_page(rate: float, quiet: int = 4000) -> int | None:
    """Minutes from the start of an outage until a page; None when none comes within six hours."""
    tally = _trace([(quiet, 0.0), (400, rate)])
    for minute in range(361):
        fired = burns(tally.between, OBJECTIVE, START_US + (quiet + minute) * MINUTE_US)
        if any(each.fires and each.rule.severity == "page" for each in fired):
            return minute
    return None


def test_pages_fire_when_the_workbook_says() -> None:
    """P25. The time to fire is (alerting window x rule / burn rate): a total outage pages within a minute, a 14.4x burn within the hour."""
    assert _first_page(1.0) == 1
    assert _first_page(0.1) == 9, "10 % errors burn 100x: 14.4 / 100 of an hour is 8.6 minutes"
    assert _first_page(0.0145) == 60
    assert _first_page(0.0061) == 355, "6.1x is paged by the six-hour rule"
    assert _first_page(0.004) is None, "4x is for working hours"


def test_pages_reset_soon_after_the_outage_ends() -> None:
    """P25: the short window is what ends the page, not the hour-long memory of the long one."""
    tally = _trace([(4000, 0.0), (12, 1.0), (400, 0.0)])
    end = 4012
    page = next(b for b in burns(tally.between, OBJECTIVE, START_US + end * MINUTE_US) if b.rule.rate == 14.4)
    assert page.fires
    later = next(b for b in burns(tally.between, OBJECTIVE, START_US + (end + 5) * MINUTE_US) if b.rule.rate == 14.4)
    assert not later.fires
    assert later.long_rate > 14.4, "the control: the long window alone would page for an hour more"


def test_slow_burn_is_a_ticket() -> None:
    tally = _trace([(72 * 60, 0.0012)], per_minute=10_000)
    fired = [b.rule.severity for b in burns(tally.between, OBJECTIVE, START_US + 72 * HOUR_US) if b.fires]
    assert fired == ["ticket"]
    found = slo_signals(tally, OBJECTIVE, START_US + 72 * HOUR_US)
    assert [s.kind for s in found] == ["errors"]


def test_a_quiet_night_with_one_failure_is_no_outage() -> None:
    tally = MinuteTally()
    tally.add(START_US, 2, 1)
    assert slo_signals(tally, OBJECTIVE, START_US + 2 * MINUTE_US) == []


def test_memory_is_bounded() -> None:
    tally = _trace([(20_000, 0.0)], per_minute=1)
    assert len(tally.minutes) <= 72 * 60 + 62
