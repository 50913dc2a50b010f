"""What is said of streams that wait: a check, metrics and an alert's signal at the endpoints that read what they bring."""

from pathlib import Path

from tests.apps.data_streams import ANA, opened, trip

from leverframe.apps.platform.stream_health import stream_check, stream_signals
from leverframe.apps.platform.views.streams import OpenStreamRequest, StreamBatch
from leverframe.data.streams.messages import StreamMessage
from leverframe.data.streams.taken import KIND_STREAM, Stream
from leverframe.monitoring.alerts import group_signals
from leverframe.monitoring.origins import Origin


def test_a_stream_that_waits_is_seen_everywhere(tmp_path: Path) -> None:
    platform = opened(tmp_path)
    assert list(stream_check(platform.parts)) == [], "nothing is said where there is no stream"
    platform.streams.open(ANA, "trips", "rows", OpenStreamRequest(source="nats://h/rows"), key="open")
    batch = StreamBatch(after={}, upto={"0": "1"}, messages=(StreamMessage("0:1", "", trip(1).decode()),), behind=7)
    platform.streams.take(ANA, "trips", "rows", batch, key="1")
    assert [each.ok for each in stream_check(platform.parts)] == [True]
    bad = tuple(StreamMessage(f"0:{n}", "", "{") for n in range(2, 32))
    platform.streams.take(ANA, "trips", "rows", StreamBatch(after={"0": "1"}, upto={"0": "31"}, messages=bad, behind=7), key="2")
    assert "30 of 30 messages of its last batch were set aside" in next(stream_check(platform.parts)).detail, "nobody is told of it"
    platform.streams.pause(ANA, "trips", "rows", "the producer is being mended", key="pause")
    (check,) = stream_check(platform.parts)
    assert not check.ok
    assert "lever data streams resume trips rows" in check.fix
    said = platform.streams.metrics().decode()
    label = '{dataset="trips",stream="rows"}'
    for line in (f"lever_stream_rows_total{label} 1", f"lever_stream_behind{label} 7", f"lever_stream_paused{label} 1"):
        assert line in said.splitlines()
    origins = {"a": Origin(column="a", view="v", feature="a", source="trips"), "b": Origin(column="b", view="w", feature="b", source="x")}
    (signal,) = stream_signals(platform.parts.ledger.find(KIND_STREAM, Stream), origins, 9)
    (group,) = group_signals([signal], origins)
    assert (group.name, group.title, group.severity) == ("feed:trips", "Feed trips: its stream waits or changed", "ticket")
    assert "being mended" in group.signals[0].detail
    platform.close()
