"""Freshness against the SLA, at its edges."""

from leverframe.core.feature import FeatureView
from leverframe.features.freshness import freshness
from leverframe.features.online.online import NEVER_US, ViewMeta

VIEW = FeatureView(name="w", source="feed", entity=("k",), event_time="e", arrival_time="a", freshness_sla_us=10)
META = ViewMeta(view="w", view_version="v", features=(), watermark_us=100, newest_event_us=80, newest_arrival_us=90)


def test_late_is_later_than_the_sla_and_not_at_it() -> None:
    assert [freshness(VIEW, META, now).late for now in (90, 100, 101)] == [False, False, True]
    at = freshness(VIEW, META, 101)
    assert (at.source, at.newest_event_us, at.newest_arrival_us, at.lag_us, at.sla_us, at.checked_at_us) == ("feed", 80, 90, 11, 10, 101)


def test_a_clock_behind_the_feed_is_not_a_negative_lag() -> None:
    assert freshness(VIEW, META, 50).lag_us == 0


def test_a_view_that_holds_nothing_is_late() -> None:
    empty = ViewMeta(view="w", view_version="v", features=(), watermark_us=100, newest_event_us=NEVER_US, newest_arrival_us=NEVER_US)
    for meta in (None, empty):
        assert (freshness(VIEW, meta, 1_000).late, freshness(VIEW, meta, 1_000).lag_us) == (True, 1_000)


def test_a_static_table_is_never_late() -> None:
    static = FeatureView(name="w", source="feed", entity=("k",), event_time="e", arrival_time="a")
    assert not freshness(static, META, 10**12).late
