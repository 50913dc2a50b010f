"""``lever data stream`` against librdkafka's own mock cluster: offsets of every partition are the position, and nothing is committed."""

from collections import Counter
from pathlib import Path

import pytest
from tests.apps.data_streams import ids, opened, reading, stream, trip, until
from tests.serving.test_stream_kafka import PARTITIONS, Kafka

from leverframe.core.errors import NotFound


def test_every_partition_is_read_on_from_its_own_place(tmp_path: Path) -> None:
    kafka, platform = Kafka(), opened(tmp_path)
    kafka.send("rows", [(trip(n), f"k{n}") for n in range(60)])
    with reading(platform, tmp_path, f"{kafka.url}/rows", rows_max=25) as said:
        until(lambda: stream(platform).messages == 60)
    first = stream(platform)
    assert set(first.position) <= {str(n) for n in range(PARTITIONS)}
    assert sum(int(place) + 1 for place in first.position.values()) == 60
    assert said[-2]["behind"] == 0
    kafka.send("rows", [(trip(n), f"k{n}") for n in range(60, 80)])
    with reading(platform, tmp_path, f"{kafka.url}/rows", rows_max=25):
        until(lambda: stream(platform).messages == 80)
    assert Counter(ids(platform)) == Counter(f"t{n}" for n in range(80))
    assert stream(platform).repeated == 0
    platform.close()


def test_a_broker_that_is_not_there_is_said(tmp_path: Path) -> None:
    platform = opened(tmp_path)
    with (
        pytest.raises(Exception, match="no Kafka broker answers") as failed,
        reading(platform, tmp_path, "kafka://127.0.0.1:1/rows") as said,
    ):
        until(lambda: any(each["event"] == "failed" for each in said))
    assert not isinstance(failed.value, NotFound)
    platform.close()
