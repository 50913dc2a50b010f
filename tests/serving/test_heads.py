"""Heads that were answered before are not parsed again; what follows from them is asked again, and anything unusual is parsed."""

import asyncio
from typing import Any

import pytest

from leverframe.core.errors import Unauthenticated
from leverframe.serving.protocol.message import HttpLimits, Request, Response
from leverframe.serving.wire import heads
from leverframe.serving.wire.heads import Heads
from leverframe.serving.wire.http import Connection

HEAD = b"POST /m HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer t\r\nContent-Length: 4\r\n\r\n"


class Wire:
    """A transport that keeps what was written."""

    def __init__(self) -> None:
        self.written = b""
        self.closed = False

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True

    def set_write_buffer_limits(self, high: int) -> None: ...
    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...
    def is_closing(self) -> bool:
        return self.closed


class Server:
    """What a connection needs, with a handler that can be told to refuse."""

    def __init__(self) -> None:
        self.limits, self.loop, self.heads = HttpLimits(), asyncio.new_event_loop(), Heads()
        self.stopping = False
        self.status = 200
        self.seen: list[Request] = []

    def handle(self, request: Request) -> Response:
        self.seen.append(request)
        return Response(self.status, request.body)

    def admit(self, request: Request) -> Unauthenticated | None:
        return None

    def refused(self, error: Any) -> None: ...
    def opened(self, connection: Connection) -> None: ...
    def closed(self, connection: Connection) -> None: ...


@pytest.fixture
def server() -> Any:
    made = Server()
    yield made
    made.loop.close()


def connect(server: Server) -> tuple[Connection, Wire]:
    connection, wire = Connection(server), Wire()
    connection.connection_made(wire)  # type: ignore[arg-type]
    return connection, wire


def test_a_known_head_gives_the_same_request_and_answer(server):
    connection, wire = connect(server)
    connection.data_received(HEAD + b"1234")
    parsed, wire.written = wire.written, b""
    connection.data_received(HEAD + b"1234")
    first, second = server.seen
    assert first.head is None, "the first request was not parsed"
    assert second.head is not None, "the second request was parsed again"
    assert [(r.method, r.target, r.headers, r.body) for r in (first,)] == [(r.method, r.target, r.headers, r.body) for r in (second,)]
    assert wire.written == parsed
    other, other_wire = connect(server)
    other.data_received(HEAD + b"5678")
    assert other_wire.written.endswith(b"5678")
    assert server.seen[-1].head is second.head, "another connection of the same client parses anew"


@pytest.mark.parametrize(
    "pieces",
    [
        [HEAD, b"12", b"34"],
        [HEAD + b"12", b"34"],
        [HEAD[:30], HEAD[30:] + b"1234"],
        [HEAD + b"1234" + HEAD + b"5678"],
        [HEAD + b"1234" + HEAD, b"5678"],
    ],
)
def test_pieces_and_pipelines_are_parsed(server, pieces):
    connection, _ = connect(server)
    connection.data_received(HEAD + b"0000")
    for piece in pieces:
        connection.data_received(piece)
    connection.data_received(HEAD + b"9999")
    bodies = [request.body for request in server.seen]
    assert bodies == [b"0000", *([b"1234", b"5678"] if b"5678" in b"".join(pieces) else [b"1234"]), b"9999"]
    assert [request.head is None for request in server.seen[1:]] == [True] * (len(bodies) - 2) + [False]


def test_a_head_that_comes_before_its_body_becomes_known_and_is_known(server):
    connection, wire = connect(server)
    for body in (b"0000", b"1234", b"5678"):
        connection.data_received(HEAD)
        assert not connection.idle, "half a request is a request under way: it has a deadline, and a stop waits for it"
        connection.data_received(body)
        assert wire.written.endswith(body)
        assert connection.idle
    assert [request.body for request in server.seen] == [b"0000", b"1234", b"5678"]
    assert [request.head is None for request in server.seen] == [True, False, False]


def test_a_known_head_without_its_body_is_answered_at_the_deadline(server):
    connection, wire = connect(server)
    connection.data_received(HEAD + b"1234")
    wire.written = b""
    connection.data_received(HEAD)
    assert connection.deadline <= server.loop.time() + server.limits.request_s_max
    connection.expire()
    assert wire.written.startswith(b"HTTP/1.1 408 ")
    assert len(server.seen) == 1


def test_answered_requests_are_let_go(server):
    connection, _ = connect(server)
    for _ in range(20):
        connection.data_received(HEAD + b"1234")
    kept = [name for name, value in vars(connection).items() if isinstance(value, (list, dict)) and len(value) > 5]
    assert not kept, "a connection holds every request it ever answered"


@pytest.mark.parametrize(
    "sent",
    [
        HEAD.replace(b"POST", b"PUT") + b"1234",
        HEAD.replace(b"Host: a", b"Content-Encoding: gzip") + b"1234",
        HEAD.replace(b"Host: a", b"Inference-Header-Content-Length: 2") + b"1234",
        HEAD.replace(b"Host: a", b"Expect: 100-continue") + b"1234",
        HEAD.replace(b"Host: a", b"Connection: close") + b"1234",
        HEAD.replace(b"Content-Length: 4", b"Transfer-Encoding: chunked") + b"4\r\n1234\r\n0\r\n\r\n",
        HEAD.replace(b"Host: a", b"X: " + b"a" * heads.HEAD_BYTES_MAX) + b"1234",
        b"\r\n" + HEAD + b"1234",
    ],
)
def test_heads_that_are_parsed_each_time(server, sent):
    connection, _ = connect(server)
    connection.data_received(sent)
    assert len(server.seen) == 1
    assert len(server.heads) == 0


def test_only_answered_requests_are_kept(server):
    server.status = 401
    connection, _ = connect(server)
    connection.data_received(HEAD + b"1234")
    assert len(server.heads) == 0, "somebody without a token fills the memory"


def test_the_number_of_heads_is_bounded(server, monkeypatch):
    monkeypatch.setattr(heads, "HEADS_MAX", 3)
    connection, _ = connect(server)
    for number in range(10):
        connection.data_received(HEAD.replace(b"Host: a", b"Host: %d" % number) + b"1234")
    assert len(server.seen) == 10
    assert 1 <= len(server.heads) <= 3


def test_a_stopping_server_closes_behind_a_known_head(server):
    connection, wire = connect(server)
    connection.data_received(HEAD + b"1234")
    server.stopping, wire.written = True, b""
    connection.data_received(HEAD + b"1234")
    assert b"Connection: close" in wire.written
    assert wire.closed
