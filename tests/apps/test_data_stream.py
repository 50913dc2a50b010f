"""``lever data stream`` against real NATS and Redis servers: every message ends in the dataset, in quarantine, or was there before."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.apps.data_streams import ANA, CONTRACT, UNKEYED, ids, opened, reading, stream, trip, until
from tests.serving.brokers import Nats, Redis

from leverframe.apps.platform.platform import Platform
from leverframe.apps.platform.views.streams import OpenStreamRequest, StreamBatch
from leverframe.core.actor import Actor
from leverframe.core.errors import Conflict, Forbidden, InvalidInput, LimitExceeded
from leverframe.data.commands import KIND_QUARANTINE, Quarantine
from leverframe.data.streams.messages import MESSAGES_MAX, StreamMessage
from leverframe.data.streams.taken import StreamRules


@pytest.fixture(params=["nats", "redis"])
def broker(request: pytest.FixtureRequest) -> Iterator[Any]:
    kind, fixture = (Nats, "nats_url") if request.param == "nats" else (Redis, "redis_tcp_url")
    client = kind(request.getfixturevalue(fixture))
    client.make("rows")
    yield client
    client.close()


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    made = opened(tmp_path)
    yield made
    made.close()


def test_good_rows_are_kept_bad_ones_set_aside_and_the_reader_goes_on_where_it_was(broker: Any, platform: Platform, tmp_path: Path) -> None:
    broker.send("rows", [*map(trip, range(50)), b"{", trip(50, miles=-1.0), b"\xff\xfe"])
    with reading(platform, tmp_path, f"{broker.url}/rows", rows_max=20) as said:
        until(lambda: stream(platform).messages == 53)
    assert ids(platform) == sorted(f"t{n}" for n in range(50))
    broker.send("rows", [trip(50), trip(3), trip(51)])
    with reading(platform, tmp_path, f"{broker.url}/rows", rows_max=20) as again:
        until(lambda: stream(platform).messages == 56)
    assert ids(platform) == sorted(f"t{n}" for n in range(52))
    held = stream(platform)
    assert (held.rows, held.quarantined, held.repeated) == (52, 3, 1)
    assert (said[-1]["event"], said[-1]["rows"], again[-1]["messages"]) == ("stopped", 50, 3)
    reasons = {reason for each in platform.parts.ledger.find(KIND_QUARANTINE, Quarantine) for reason in each.reasons}
    assert {"minimum miles", "readable: not UTF-8 (here in base64)"} < reasons
    assert held.gaps == ()


def test_without_a_key_the_sender_s_ids_tell_repetitions_apart(broker: Any, tmp_path: Path) -> None:
    platform = opened(tmp_path, UNKEYED)
    broker.send("rows", [trip(1)], Sent="a")
    broker.send("rows", [trip(1)], Sent="a")
    broker.send("rows", [trip(1)], Sent="b")
    with reading(platform, tmp_path, f"{broker.url}/rows", id_from="header:Sent"):
        until(lambda: stream(platform).messages == 3)
    assert ids(platform) == ["t1", "t1"]
    assert stream(platform).repeated == 1
    platform.close()


def test_a_schema_that_breaks_lets_the_stream_wait_and_a_new_contract_lets_it_go_on(
    broker: Any, platform: Platform, tmp_path: Path
) -> None:
    broker.send("rows", [trip(n) for n in range(30)])
    with reading(platform, tmp_path, f"{broker.url}/rows", on_break="pause") as said:
        until(lambda: stream(platform).messages == 30)
        broker.send("rows", [trip(n, ended_at=None) for n in range(30, 60)])
        until(lambda: stream(platform).state == "paused")
        assert "ended_at (required" in stream(platform).reason
        assert stream(platform).messages == 30, "something of the batch was taken"
        until(lambda: any(each["event"] == "waiting" for each in said))
        loose = CONTRACT.replace("physicalType: int64, required: true", "physicalType: int64").replace("1.0.0", "2.0.0")
        platform.data.apply_contract(ANA, loose, key="loose")
        platform.streams.resume(ANA, "trips", "rows", key="resume")
        until(lambda: stream(platform).messages == 60)
    assert len(ids(platform)) == 60


def test_a_batch_of_which_nothing_was_taken_is_a_refused_delivery(platform: Platform) -> None:
    """Would be wrong if a rule that every row breaks were said to hold, because only batches with good rows were looked at."""
    platform.streams.open(ANA, "trips", "rows", OpenStreamRequest(source="nats://h/rows"), key="open")
    for first, miles in ((1, 1.0), (11, -1.0)):
        messages = tuple(StreamMessage(f"0:{n}", "", trip(n, miles=miles).decode()) for n in range(first, first + 10))
        batch = StreamBatch(after={"0": str(first - 1)} if first > 1 else {}, upto={"0": str(first + 9)}, messages=messages)
        platform.streams.take(ANA, "trips", "rows", batch, key=str(first))
    refused, taken = platform.data.reports("trips")
    assert (taken.accepted, refused.accepted, refused.report.rows) == (True, False, 10)
    minimum = next(each for each in platform.contract_details.dataset("trips").rules if (each.rule, each.column) == ("minimum", "miles"))
    assert (minimum.shares, minimum.broken) == ((0.0, 1.0), (False, True))


def test_what_the_broker_dropped_unread_is_said(broker: Any, platform: Platform, tmp_path: Path) -> None:
    broker.send("rows", [trip(n) for n in range(10)])
    with reading(platform, tmp_path, f"{broker.url}/rows"):
        until(lambda: stream(platform).messages == 10)
    broker.send("rows", [trip(n) for n in range(10, 20)])
    if isinstance(broker, Nats):
        broker._do(broker._stream.purge_stream("rows", seq=16))
    else:
        broker._client.xtrim("rows", maxlen=5, approximate=False)
    with reading(platform, tmp_path, f"{broker.url}/rows"):
        until(lambda: stream(platform).messages == 15)
    assert "unread" in stream(platform).gaps[0]


def test_a_stream_that_was_made_anew_is_not_taken_for_the_old_one(broker: Any, platform: Platform, tmp_path: Path) -> None:
    broker.send("rows", [trip(n) for n in range(10)])
    with reading(platform, tmp_path, f"{broker.url}/rows"):
        until(lambda: stream(platform).messages == 10)
    if isinstance(broker, Nats):
        broker._do(broker._stream.delete_stream("rows"))
        broker.make("rows")
    else:
        broker._client.delete("rows")
        broker._client.xadd("rows", {"data": trip(11)}, id="1-1")
    with pytest.raises(Conflict, match="made anew"), reading(platform, tmp_path, f"{broker.url}/rows") as said:
        until(lambda: any(each["event"] == "failed" for each in said))


def test_two_readers_take_each_message_once_and_one_of_them_ends(broker: Any, platform: Platform, tmp_path: Path) -> None:
    broker.send("rows", [trip(n) for n in range(100)])
    ended = None
    try:
        with reading(platform, tmp_path, f"{broker.url}/rows", rows_max=5):
            try:
                with reading(platform, tmp_path, f"{broker.url}/rows", rows_max=7):
                    until(lambda: stream(platform).messages >= 100)
            except Conflict as fault:
                ended = fault
            until(lambda: stream(platform).messages >= 100)
    except Conflict as fault:
        ended = fault
    with reading(platform, tmp_path, f"{broker.url}/rows"):
        until(lambda: stream(platform).messages == 100)
    assert ids(platform) == sorted(f"t{n}" for n in range(100))
    assert stream(platform).repeated == 0, "a message was offered twice and taken for a repetition"
    assert ended is None or "another reader" in ended.sentence()


# What the use cases refuse, without a broker ------------------------------------------------------------------------


def batch(first: int, last: int) -> StreamBatch:
    messages = tuple(StreamMessage(f"0:{n}", "", trip(n).decode()) for n in range(first + 1, last + 1))
    return StreamBatch(after={"0": str(first)} if first else {}, upto={"0": str(last)}, messages=messages)


@pytest.fixture
def declared(platform: Platform) -> Platform:
    platform.streams.open(ANA, "trips", "rows", OpenStreamRequest(source="nats://h/rows"), key="open")
    return platform


def test_a_batch_offered_again_is_taken_once_and_one_that_does_not_follow_never(declared: Platform) -> None:
    streams = declared.streams
    assert streams.take(ANA, "trips", "rows", batch(0, 5), key="1").rows == 5
    again = streams.take(ANA, "trips", "rows", batch(0, 5), key="2")
    assert (again.again, again.stream.messages) == (True, 5)
    for wrong in (batch(0, 7), batch(6, 9)):
        with pytest.raises(Conflict, match="another reader"):
            streams.take(ANA, "trips", "rows", wrong, key=f"w{wrong.upto}")
    assert len(ids(declared)) == 5


def test_rows_that_others_bring_meanwhile_stand_beside_those_of_the_stream(declared: Platform) -> None:
    declared.streams.take(ANA, "trips", "rows", batch(0, 5), key="1")
    declared.data.ingest(ANA, "trips", trip(77), format="jsonl", key="file", append=True)
    declared.streams.take(ANA, "trips", "rows", batch(5, 8), key="2")
    assert ids(declared) == sorted([*(f"t{n}" for n in range(1, 9)), "t77"])


def test_a_contract_that_rows_cannot_follow_lets_the_stream_wait(declared: Platform) -> None:
    declared.streams.take(ANA, "trips", "rows", batch(0, 5), key="1")
    other = CONTRACT.replace("name: miles, logicalType: number", "name: miles, logicalType: string").replace("1.0.0", "2.0.0")
    declared.data.apply_contract(ANA, other.replace(", logicalTypeOptions: { minimum: 0 }", ""), key="two")
    waits = declared.streams.take(ANA, "trips", "rows", batch(5, 8), key="2").stream
    assert (waits.state, waits.messages) == ("paused", 5)
    assert "cannot be added" in waits.reason


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("../x", OpenStreamRequest(source="nats://h/rows")),
        ("rows", OpenStreamRequest(source="nats://user:secret@h/rows")),
        ("rows", OpenStreamRequest(source="nats://h/\x1b[2J")),
    ],
)
def test_names_and_addresses_that_are_none_are_refused(platform: Platform, name: str, asked: OpenStreamRequest) -> None:
    with pytest.raises(InvalidInput) as refused:
        platform.streams.open(ANA, "trips", name, asked, key="open")
    assert "secret" not in json.dumps(refused.value.to_dict())


def test_bounds_and_permissions(declared: Platform) -> None:
    many = StreamBatch(after={}, upto={"0": "1"}, messages=(StreamMessage("0:1", "", "{}"),) * (MESSAGES_MAX + 1))
    with pytest.raises(LimitExceeded):
        declared.streams.take(ANA, "trips", "rows", many, key="many")
    with pytest.raises(InvalidInput, match="position"):
        declared.streams.take(ANA, "trips", "rows", StreamBatch(after={}, upto={"0": "x" * 99}, messages=()), key="long")
    other = Actor(subject="bo", roles=("engineer",), teams=("others",))
    with pytest.raises(Forbidden):
        declared.streams.take(other, "trips", "rows", batch(0, 5), key="other")
    with pytest.raises(Forbidden):
        declared.streams.pause(other, "trips", "rows", "because", key="pause")
    assert declared.streams.streams("trips")[0].stream.messages == 0


def test_rules_can_be_declared_anew_and_the_position_stays(declared: Platform) -> None:
    declared.streams.take(ANA, "trips", "rows", batch(0, 5), key="1")
    asked = OpenStreamRequest(source="nats://h/rows", rules=StreamRules(new_columns="quarantine"))
    view = declared.streams.open(ANA, "trips", "rows", asked, key="open again")
    assert view.stream.position == {"0": "5"}
    assert view.stream.rules.new_columns == "quarantine"
