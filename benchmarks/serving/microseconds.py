"""Where the microseconds of one usual request go: each step of the walk timed in this process, and the whole as a client sees it.

``python -m benchmarks.serving.microseconds [passes]``

A step is a loop over 2,000 distinct requests, in processor time of its thread; of several passes the quickest counts (a disturbance only
adds), less what the loop itself costs. What holds steps that are timed by themselves (the door, the connection) is given as the rest:
itself less what it calls. What a real gateway took in processor time for each answer, less the walk, is what event loop and kernel cost.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import uvloop
from benchmarks.serving.load import measure
from benchmarks.serving.products import OURSELVES
from benchmarks.serving.servers import free_port, pin_load, running
from benchmarks.serving.setup import Scene, set_up

from leverframe.apps.clocks import open_clock
from leverframe.apps.gateway.process import _follower
from leverframe.apps.gateway.settings import GatewaySettings
from leverframe.core.prediction import PredictionRecord, encode_frame
from leverframe.serving.doors.door import Door
from leverframe.serving.doors.express import read_usual
from leverframe.serving.doors.permission import Permission
from leverframe.serving.doors.quotas import Quotas
from leverframe.serving.doors.rest import RestInference
from leverframe.serving.features.lookup import Lookup
from leverframe.serving.log_segments import SegmentLog
from leverframe.serving.protocol.message import JSON, HttpLimits, Request, Response, response_bytes
from leverframe.serving.telemetry.counts import Telemetry
from leverframe.serving.telemetry.load import LoadGate
from leverframe.serving.walk.inference import Inference
from leverframe.serving.walk.shadow import ShadowQueue
from leverframe.serving.wire.heads import HEAD_END
from leverframe.serving.wire.http import Connection
from leverframe.serving.wire.listener import Listener

PASSES = 15
SECONDS, CONNECTIONS = 2.0, 16
Step = tuple[str, float]


class _Sink:
    """A transport that forgets what is written."""

    def write(self, data: bytes) -> None: ...

    def set_write_buffer_limits(self, high: int) -> None: ...

    def is_closing(self) -> bool:
        return False

    def abort(self) -> None: ...

    def close(self) -> None: ...


def _each_us(function: Callable[..., Any], arguments: Sequence[tuple[Any, ...]], passes: int, before: Callable[[], None]) -> float:
    """Microseconds of a call in the quickest pass, the loop's own subtracted."""
    clock, took = time.thread_time, []
    for _ in range(passes):
        before()
        begun = clock()
        for _each in arguments:
            pass
        between = clock()
        for each in arguments:
            function(*each)
        took.append((clock() - between) - (between - begun))
    return min(took) / len(arguments) * 1e6


async def steps(scene: Scene, passes: int) -> list[Step]:
    """The walk of one request in this process, in order; the last is its sum."""
    loop = asyncio.get_running_loop()
    clock, telemetry = open_clock("system"), Telemetry()
    tables = _follower(GatewaySettings(home=scene.alone), telemetry)
    tables.look()
    assert tables.routes is not None
    log = SegmentLog(scene.alone / "log", "microseconds", clock)
    inference = Inference(
        clock=clock, log=log, lookup=Lookup(None, lambda columns: []), shadows=ShadowQueue(loop), id_prefix="0123456789ab-"
    )
    rest, limits = RestInference(inference, HttpLimits().body_bytes_max), HttpLimits()
    door = Door(
        permission=Permission(tables, Quotas(1), loopback=True), inference=rest, log=log, clock=clock, gate=LoadGate(loop),
        telemetry=telemetry, version="0", body_bytes_max=limits.body_bytes_max,
    )  # fmt: skip
    listener = Listener(door.handle, admit=door.admit, refused=lambda error: None, limits=limits)
    connection = Connection(listener)
    connection.connection_made(_Sink())  # type: ignore[arg-type]  # all a connection asks of a transport
    asked = OURSELVES.protocol.requests(scene.rows[1])
    for data in asked:
        connection.data_received(data)  # their heads are known from here on

    endpoint = tables.routes.endpoints["m"]
    model, arm, record = endpoint.live.model, endpoint.live, endpoint.record
    heads = [listener.heads.find(data[: data.find(HEAD_END) + 4]) for data in asked]
    assert all(heads)
    bodies = [data[data.find(HEAD_END) + 4 :] for data in asked]
    now_ns = time.perf_counter_ns()
    requests = [
        Request(b"POST", head.target, head.headers, body, now_ns, head)
        for head, body in zip(heads, bodies, strict=True)
        if head is not None
    ]
    documents = [read_usual(body, model.inputs) for body in bodies]
    rows = [document.inputs[0].data for document in documents if document is not None]
    packed = [model.plan.pack(*row) for row in rows]
    assert model.score_row is not None
    scores = [model.score_row(row) for row in packed]

    def made(row: bytes, score: float) -> PredictionRecord:
        return PredictionRecord(
            id="0123456789ab-12345", endpoint=record.name, tenant=record.tenant, version=arm.version, role=arm.arm.role,
            generation=endpoint.generation, asked_at_us=1_700_000_000_000_000, latency_us=40, status="ok", outputs=(score,), features=row,
        )  # fmt: skip

    def answer(score: float) -> Response:
        body = b"%b%b%b%b]}]}" % (model.answer_start, msgspec.json.encode("0123456789ab-12345"), arm.single, msgspec.json.encode(score))
        return Response(200, body, JSON)

    records, answers = [made(row, score) for row, score in zip(packed, scores, strict=True)], [answer(score) for score in scores]

    def one(values: Sequence[Any]) -> list[tuple[Any, ...]]:
        return [(value,) for value in values]

    def between_passes() -> None:
        log.prepare()  # the next segment, as the gateway's maintenance does: a full log would drop, which is quicker
        log.maintain()

    def timed(function: Callable[..., Any], arguments: Sequence[tuple[Any, ...]]) -> float:
        return _each_us(function, arguments, passes, between_passes)

    whole = timed(connection.data_received, one(asked))
    handled = timed(door.handle, one(requests))
    inferred = timed(rest.answer, [(endpoint, request) for request in requests])
    framed = timed(encode_frame, one(records))
    inside = [
        ("decode the document (msgspec)", timed(read_usual, [(body, model.inputs) for body in bodies])),
        ("pack the row", timed(model.plan.pack, [tuple(row) for row in rows])),
        ("pick the arm (salted hash)", timed(endpoint.pick, [(str(row[0]),) for row in rows]) + timed(str, one([row[0] for row in rows]))),
        ("score (200 trees)", timed(model.score_row, one(packed))),
        ("make the record", timed(made, list(zip(packed, scores, strict=True)))),
        ("encode the record's frame", framed),
        ("copy it into the log's mapping, counts", timed(log.answer, one(records)) - framed),
        ("make the answer's body", timed(answer, one(scores))),
    ]
    written = timed(lambda response: response_bytes(response, close=False), one(answers))
    assert log.dropped == 0
    log.close()
    return [
        ("find the known head, make the request, hand over", whole - handled - written),
        ("load gate, route, permit", handled - inferred),
        *inside,
        ("clock, id, checks, counters, histogram", inferred - sum(us for _, us in inside)),
        ("make the answer's bytes", written),
        ("in process, together", whole),
    ]


def served_us(scene: Scene) -> float:
    """Microseconds of processor time a gateway takes for each answer at 16 connections."""
    port, requests = free_port(), OURSELVES.protocol.requests(scene.rows[1])
    command, log = OURSELVES.command(None, scene.alone, port), scene.home / "alone.log"
    with running(command, port, log, ask=requests[0], protocol=OURSELVES.protocol, expected=scene.expected[1]) as gateway:
        measure(port, requests, CONNECTIONS, SECONDS)
        begun, started = gateway.processor_s(), time.perf_counter()
        rate = measure(port, requests, CONNECTIONS, SECONDS).answers_per_s
        return (gateway.processor_s() - begun) / (rate * (time.perf_counter() - started)) * 1e6


def main(passes: int) -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory(prefix="lever-bench-") as folder:
        scene = set_up(Path(folder))
        pin_load()
        found = uvloop.run(steps(scene, passes))
        served = served_us(scene)
    inside = found[-1][1]
    rows = [
        *found,
        ("event loop and kernel: poll, receive, send", served - inside),
        (f"processor time an answer, {CONNECTIONS} connections", served),
    ]
    print("| step | µs | share |\n|---|---|---|")
    for name, us in rows:
        print(f"| {name} | {us:.2f} | {us / served:.0%} |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else PASSES)
