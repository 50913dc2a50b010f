"""Which snapshots of a stream's batches stay."""

import msgspec

from leverframe.core.clock import DAY_US, HOUR_US, MINUTE_US
from leverframe.core.dataset import Erasure, Snapshot
from leverframe.data.commands import Quarantine
from leverframe.data.streams.thin import ROWS_ASIDE_MAX, gather, thin

NOW_US = 100 * DAY_US + 12 * HOUR_US


def batch(name: str, at_us: int, *, stream: str = "s", contract: str = "c") -> Snapshot:
    return Snapshot(
        dataset="d",
        digest=name,
        rows=1,
        bytes=1,
        columns={},
        contract="d",
        contract_version="1.0.0",
        contract_digest=contract,
        report_digest="r",
        created_at_us=at_us,
        stream=stream,
    )


def windows(*snapshots: Snapshot, used: tuple[str, ...] = (), latest: str = "") -> list[tuple[str, str]]:
    return [(each.kept, " ".join(each.going)) for each in thin(snapshots, used, latest, NOW_US)]


def test_a_day_of_batches_every_five_seconds_comes_down_to_one_an_hour_and_those_of_the_last_hour() -> None:
    every_5_s = [batch(f"{n:06}", NOW_US - n * 5_000_000) for n in range(24 * 720)]
    found = thin(every_5_s, (), "000000", NOW_US)
    left = {each.digest for each in every_5_s} - {digest for window in found for digest in window.going}
    assert len(left) == 720 + 24, "the batches of the last hour, and the last of each hour before that"
    assert "000000" in left
    assert {window.kept for window in found} < left


def test_before_two_days_the_last_of_a_day_stays() -> None:
    old = [batch(f"h{n:02}", 90 * DAY_US + n * HOUR_US) for n in range(24)]
    young = [batch(f"y{n}", 99 * DAY_US + n * HOUR_US) for n in range(3)]
    assert windows(*old, *young) == [("h23", " ".join(f"h{n:02}" for n in range(23)))]


def test_what_is_used_the_newest_and_rows_that_came_otherwise_stay() -> None:
    at = 100 * DAY_US
    four = [batch(name, at + n * MINUTE_US) for n, name in enumerate("abcd")]
    assert windows(*four) == [("d", "a b c")]
    assert windows(*four, used=("b",)) == [("d", "a c")]
    assert windows(*four, latest="a") == [("d", "b c")]
    offered = batch("x", at + 90_000_000, stream="")
    assert windows(*four, offered) == [("b", "a"), ("d", "c")], "after a file replaced the rows, later batches do not have the earlier ones"
    other = [msgspec.structs.replace(each, contract_digest="c2") for each in four[2:]]
    assert windows(*four[:2], *other) == [("b", "a"), ("d", "c")], "a report is about one contract"


def test_after_a_deletion_hours_are_those_in_which_rows_came_and_the_sign_posts_go_with_what_they_point_to() -> None:
    at = 100 * DAY_US
    old = [batch(name, at + n * 40 * MINUTE_US) for n, name in enumerate("abc")]
    gone_us = NOW_US - 2 * HOUR_US
    posts = [
        msgspec.structs.replace(each, erased=Erasure(id="e", replaced_by=each.digest.upper(), parts=(), rows=1, erased_at_us=gone_us))
        for each in old
    ]
    remains = [batch(name, gone_us) for name in "ABC"]
    assert windows(*posts, *remains) == [("B", "a A")], "a and b came in one hour, c in the next"
    assert windows(*posts, *remains, used=("a", "A")) == []


def test_what_was_set_aside_is_gathered_by_hour_stream_and_version_up_to_a_size() -> None:
    def aside(name: str, at_us: int, *, stream: str = "s", version: str = "1.0.0", whole: bool = False) -> Quarantine:
        return Quarantine(
            dataset="d",
            contract="d",
            contract_version=version,
            digest=name,
            report_digest="r",
            rows=1,
            reasons=(),
            recorded_at_us=at_us,
            stream=stream,
            whole=whole,
        )

    at = 100 * DAY_US
    hour = [aside(name, at + n * MINUTE_US) for n, name in enumerate("abc")]
    others = [aside("file", at, stream=""), aside("t", at, stream="t"), aside("v", at, version="2.0.0"), aside("later", at + HOUR_US)]
    others.append(aside("all", at, whole=True))
    young = aside("young", NOW_US - 1)
    assert [[each.digest for each in run] for run in gather([young, *others, *reversed(hour)], NOW_US)] == [["a", "b", "c"]]
    large = [msgspec.structs.replace(each, rows=ROWS_ASIDE_MAX // 2) for each in hour]
    assert [[each.digest for each in run] for run in gather(large, NOW_US)] == [["a", "b"]]
