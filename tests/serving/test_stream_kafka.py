"""The Kafka adapter against librdkafka's own mock cluster: a real listener that speaks Kafka's protocol, without a broker's storage."""

import json
import time
from typing import Any

import pytest
from tests.serving.brokers import DIES_BEFORE_SETTLING, Worker, row, settings_for, worker
from tests.serving.installation import Installation, table

from leverframe.core.route import Endpoint

PARTITIONS = 4
"""Of each topic: what the mock cluster makes."""


class Kafka:
    """A cluster of one broker inside this process, and clients of it."""

    def __init__(self) -> None:
        from confluent_kafka import Producer

        self._producer = Producer({"test.mock.num.brokers": 1, "log_level": 0})
        (broker,) = self._producer.list_topics(timeout=10).brokers.values()
        self.server = f"{broker.host}:{broker.port}"
        self.url = f"kafka://{self.server}"
        for topic in ("rows", "scores", "scores.dead"):
            self._producer.list_topics(topic, timeout=10)

    def send(self, topic: str, messages: list[tuple[bytes, str]]) -> None:
        """Publish (body, key) with a header that is not UTF-8."""
        for body, key in messages:
            self._producer.produce(topic, body, key=key, headers=[("trace", b"\xff\xfe")])
        assert self._producer.flush(10) == 0

    def read(self, topic: str, enough: int, timeout_s: float = 20.0) -> list[tuple[str, Any]]:
        """(key, message) of the first ``enough`` records and whatever follows within half a second."""
        from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

        consumer = Consumer({"bootstrap.servers": self.server, "group.id": "unused", "log_level": 0})
        consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in range(PARTITIONS)])
        found: list[tuple[str, Any]] = []
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            found += [(one.key().decode(), json.loads(one.value())) for one in consumer.consume(500, 0.2) if not one.error()]
            if len(found) >= enough:
                deadline = min(deadline, time.monotonic() + 0.5)
        consumer.close()
        return found


@pytest.fixture
def kafka() -> Kafka:
    return Kafka()


@pytest.fixture
def home(tmp_path) -> Any:
    made = Installation(tmp_path)
    made.publish(table(Endpoint(name="m", arms=(made.arm("m@v1", 1),))))
    return tmp_path


def test_a_topic_is_scored_and_what_cannot_be_is_set_aside(kafka, home):
    kafka.send("rows", [(row(number), f"r{number}") for number in range(50)] + [(b"{bad", "k"), (row(5), "r5")])
    with worker(settings_for(home, kafka.url, id_from="key")) as running:
        answers = kafka.read("scores", 50)
        letters = kafka.read("scores.dead", 1)
        said = running.stop()
    assert sorted(key for key, _ in answers) == sorted(f"r{number}" for number in range(50))
    assert all(key == answer["id"] for key, answer in answers)
    assert [letter["code"] for _, letter in letters] == ["invalid_input"]
    assert (said["answered"], said["dead"], said["repeated"]) == (50, 1, 1)


@pytest.mark.slow
def test_a_worker_that_dies_publishes_the_same_bytes_under_the_same_key_and_loses_nothing(kafka, home):
    kafka.send("rows", [(row(number, f"r{number}"), f"k{number % 3}") for number in range(50)] + [(b"{bad", "k")])
    dying = Worker(settings_for(home, kafka.url), DIES_BEFORE_SETTLING)
    dying.process.wait(30)
    with worker(settings_for(home, kafka.url)) as running:
        letters = kafka.read("scores.dead", 1)
        answers = kafka.read("scores", 51)
        said = running.stop()
    by_key: dict[str, set[str]] = {}
    for key, answer in answers:
        assert key == answer["id"]
        by_key.setdefault(key, set()).add(json.dumps(answer, sort_keys=True))
    assert set(by_key) == {f"r{number}" for number in range(50)}
    assert all(len(bodies) == 1 for bodies in by_key.values()), "who drops a key it has seen must lose nothing by it"
    assert {letter["code"] for _, letter in letters} == {"invalid_input"}
    assert said["repeated"] > 0, "nothing was delivered again: the test would prove nothing"
    assert said["answered"] + said["dead"] + said["repeated"] == said["taken"] == 51
