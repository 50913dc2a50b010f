"""Stream scoring: what becomes of each message, in process with a real model, and through real brokers with real workers."""

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from tests.serving.brokers import Nats, Redis, Worker, row, settings_for, wait_until, worker
from tests.serving.installation import PLAIN, Installation, bundle_files, expected_scores, infer_body, read_log, table

from leverframe.core.assignment import position
from leverframe.core.clock import ManualClock
from leverframe.core.errors import Overloaded
from leverframe.core.route import Endpoint, Fallback
from leverframe.features.online.online import entity_keys
from leverframe.serving.engine.models import load_version
from leverframe.serving.features.lookup import Lookup
from leverframe.serving.log_segments import SegmentLog
from leverframe.serving.routes.routing import compile_routes
from leverframe.serving.stream import scorer as stream
from leverframe.serving.stream.message import Incoming
from leverframe.serving.stream.scorer import ATTEMPTS_MAX, RETRIES_MAX, StreamScorer
from leverframe.serving.stream.window import StreamWindow
from leverframe.serving.telemetry.counts import Telemetry
from leverframe.serving.walk.inference import Inference
from leverframe.serving.walk.shadow import ShadowQueue


class Bench:
    """A scorer with a real model; ``before`` is called with the id of whatever is about to be scored."""

    def __init__(self, folder, **endpoint: Any) -> None:
        self.folder = folder
        self.installation = Installation(folder)
        self.log = SegmentLog(folder / "log", "w", ManualClock(1))
        self.before: Any = lambda prediction_id: None
        self.endpoint: Any = self.compiled(**endpoint)
        self.scorer = self.opened()

    def compiled(self, **endpoint: Any) -> Any:
        routes = table(Endpoint(name="m", arms=(self.installation.arm("m@v1", 1),), **endpoint))
        return compile_routes(routes, lambda name, arm: load_version(name, arm, bundle_files(PLAIN, 1)), Telemetry()).endpoints["m"]

    def opened(self) -> StreamScorer:
        """The scorer as the next process has it."""
        if hasattr(self, "window"):
            self.window.close()
        self.window = StreamWindow(self.folder / "window", "w")
        shadows = ShadowQueue(asyncio.get_running_loop())
        inference = Inference(clock=ManualClock(1), log=self.log, lookup=Lookup(None, entity_keys), shadows=shadows, id_prefix="t")
        infer = inference.infer

        def watched(endpoint: Any, document: Any, arrived_ns: int, **more: Any) -> Any:
            self.before(document.id)
            return infer(endpoint, document, arrived_ns, **more)

        inference.infer = watched
        return StreamScorer("m", lambda: self.endpoint, inference, self.window)

    async def score(self, *bodies: bytes, settle: bool = True) -> dict[str, Any]:
        """Id to published message, of one batch."""
        outgoing = await self.scorer.score([Incoming(body, f"rows.{number}") for number, body in enumerate(bodies)])
        if settle:
            self.scorer.settle(outgoing)
        return {each.id: json.loads(each.body) for each in outgoing}


@pytest.fixture
async def bench(tmp_path) -> Bench:
    return Bench(tmp_path)


def balanced(scorer: StreamScorer) -> bool:
    counts = scorer.counts
    return counts.taken == counts.answered + counts.dead + counts.repeated


async def test_a_batch_of_everything_ends_message_by_message(bench):
    request = json.dumps(infer_body([1.0, 2.0, 3.0, 4.0], "oip")).encode()
    published = await bench.score(row(1, "a"), request, row(1, "a"), b"{bad", row(2, "a"), row(3))
    by_code = sorted(letter.get("code", "") for letter in published.values())
    assert by_code == ["", "", "", "conflict", "invalid_input"]
    assert {"a", "oip"} < set(published)
    assert published["oip"]["outputs"][0]["data"] == pytest.approx(
        expected_scores(PLAIN, 1, {f"x{i}": [float(i + 1)] for i in range(4)}, {}, 1), abs=1e-9
    )
    assert bench.scorer.counts.repeated == 1
    assert balanced(bench.scorer)
    assert bench.log.counts.served == bench.log.counts.logged == 3


async def test_delivered_again_it_is_not_scored_again(bench):
    first = await bench.score(row(1, "a"), row(2, "b"), settle=False)
    bench.scorer = bench.opened()
    assert await bench.score(row(1, "a"), row(2, "b")) == first, "unpublished as far as anybody knows: the same bytes again"
    assert await bench.score(row(1, "a"), row(2, "b")) == {}, "published"
    assert bench.log.counts.served == 2


async def test_a_message_that_ends_the_process_is_set_aside_alone(bench):
    def before(prediction_id: str) -> None:
        if prediction_id == "poison":
            raise KeyboardInterrupt

    bench.before = before
    for _ in range(ATTEMPTS_MAX):
        with pytest.raises(KeyboardInterrupt):
            await bench.score(row(1, "a"), row(2, "poison"), row(3, "b"))
        bench.scorer = bench.opened()
    published = await bench.score(row(1, "a"), row(2, "poison"), row(3, "b"))
    assert published["poison"]["code"] == "integrity"
    assert "code" not in published["a"]
    assert "code" not in published["b"]


async def test_what_is_not_there_is_tried_again_and_not_for_ever(bench, monkeypatch):
    monkeypatch.setattr(stream, "RETRY_S", 0.001)
    tries: list[str] = []

    def before(prediction_id: str) -> None:
        tries.append(prediction_id)
        if prediction_id == "never" or tries.count(prediction_id) < 3:
            raise Overloaded("no room", where="m")

    bench.before = before
    published = await bench.score(row(1, "later"), row(2, "never"))
    assert "code" not in published["later"]
    assert published["never"]["code"] == "overloaded"
    assert tries.count("never") == RETRIES_MAX + 1
    assert balanced(bench.scorer)


async def test_without_a_route_nothing_is_taken_until_there_is_one(bench, monkeypatch):
    monkeypatch.setattr(stream, "READY_LOOK_S", 0.001)
    endpoint, bench.endpoint = bench.endpoint, None
    scoring = asyncio.ensure_future(bench.score(row(1, "a")))
    await asyncio.sleep(0.05)
    assert not scoring.done()
    assert bench.scorer.counts.taken == 0
    bench.endpoint = endpoint
    assert set(await scoring) == {"a"}


async def test_the_kill_switch_holds_the_stream_and_the_constant_answers_it(bench, monkeypatch):
    monkeypatch.setattr(stream, "READY_LOOK_S", 0.001)
    bench.endpoint = bench.compiled(killed=True)
    scoring = asyncio.ensure_future(bench.score(row(1, "a")))
    await asyncio.sleep(0.05)
    assert not scoring.done()
    bench.endpoint = bench.compiled(killed=True, fallback=Fallback(value=0.25))
    answer = (await scoring)["a"]
    assert answer["outputs"][0]["data"] == [0.25]
    assert answer["parameters"]["fallback"] == "constant"


# ---- through brokers ----------------------------------------------------------------------------------------------------


@pytest.fixture(params=["nats", "redis"])
def broker(request) -> Iterator[Any]:
    kind, fixture = (Nats, "nats_url") if request.param == "nats" else (Redis, "redis_tcp_url")
    client = kind(request.getfixturevalue(fixture))
    client.make("rows", "scores", "scores.dead")
    yield client
    client.close()


def test_a_stream_is_scored_like_online_by_sticky_arms_and_stops_gracefully(broker, tmp_path):
    made = Installation(tmp_path)
    arms = (made.arm("m@v1", 1, weight=50.0), made.arm("m@v2", 2, role="canary", weight=50.0))
    made.publish(table(Endpoint(name="m", arms=arms, salt="s", hash_field="x0")))
    settings = settings_for(tmp_path, broker.url, id_from="header:Request")
    for number in range(40):
        broker.send("rows", [row(number)], Request=f"r{number}")
    broker.send("rows", [b"\xff\x00 not JSON", row(5)], Request="r5")
    with worker(settings) as running:
        wait_until(lambda: broker.count("scores") >= 40 and broker.count("scores.dead") >= 1)
        killed = Endpoint(name="m", arms=arms, salt="s", hash_field="x0", killed=True, fallback=Fallback(value=0.25))
        made.publish(table(killed, generation=2))
        more = 0
        while broker.read("scores")[-1]["parameters"]["generation"] != 2:
            more += 1
            assert more < 200, "the kill switch was not obeyed"
            broker.send("rows", [row(7)], Request=f"later{more}")
            time.sleep(0.1)
        wait_until(lambda: broker.waiting("rows", "lever-m") == 0)
        said = running.stop()
    answers, letters = broker.read("scores"), broker.read("scores.dead")
    by_id = {answer["id"]: answer for answer in answers}
    assert {f"r{number}" for number in range(40)} <= set(by_id)
    assert len(by_id) == len(answers)
    for number in range(40):
        values = json.loads(row(number))
        seed = 2 if position("s", str(values["x0"])) < 50.0 else 1
        answer = by_id[f"r{number}"]
        assert answer["version"] == f"m@v{seed}"
        exact = expected_scores(PLAIN, seed, {name: [value] for name, value in values.items()}, {}, 1)
        assert answer["outputs"][0]["data"] == pytest.approx(exact, abs=1e-9)
    assert [letter["code"] for letter in letters] == ["invalid_input"]
    assert {answer["outputs"][0]["data"][0] for answer in answers if answer["parameters"]["generation"] == 2} == {0.25}
    assert said["taken"] == said["answered"] + said["dead"] + said["repeated"]
    assert said["repeated"] == 1, "r5 was sent twice"
    counts = read_log(tmp_path / "log")[1]
    assert counts.adds_up
    assert counts.served == counts.logged == len(answers)
    assert not list((tmp_path / "log").glob("*.open")), "a clean stop seals its segment"
    assert running.errors.read_text() == ""


def test_a_broker_that_takes_nothing_gets_nothing_acknowledged(redis_tcp_url, tmp_path):
    """The worker ends, with the reason; what it took stays to be delivered to the next one."""
    made = Installation(tmp_path)
    made.publish(table(Endpoint(name="m", arms=(made.arm("m@v1", 1),))))
    broker = Redis(redis_tcp_url)
    broker.send("rows", [row(number, f"r{number}") for number in range(20)])
    dying = Worker(settings_for(tmp_path, broker.url), "import leverframe.apps.streaming.redis as r; r._ONCE = 'return redis.call(1)'")
    assert dying.process.wait(30) == 5
    assert json.loads(dying.errors.read_text())["code"] == "unavailable"
    assert broker.waiting("rows", "lever-m") == 20
    assert broker.count("scores") == 0
    broker.close()
