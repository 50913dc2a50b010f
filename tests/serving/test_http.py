"""HTTP/1.1 on a real socket: every bound, in order, without a model."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from leverframe.core.errors import Unauthenticated
from leverframe.serving.protocol.message import HttpLimits, Request, Response
from leverframe.serving.wire import http
from leverframe.serving.wire.listener import Listener

LIMITS = HttpLimits(
    head_bytes_max=1000,
    headers_max=8,
    body_bytes_max=100_000,
    request_s_max=0.4,
    idle_s_max=1.0,
    unread_s_max=0.4,
    connections_max=4,
    stop_grace_s=2.0,
)


class Echo:
    """Answers with method, target and length; ``/slow`` later."""

    def __init__(self) -> None:
        self.refusals: list[str] = []
        self.seen = 0

    def handle(self, request: Request):
        self.seen += 1
        if request.target == b"/slow":
            return self.later()
        if request.target == b"/big":
            return Response(200, b"x" * 4_000_000)
        return Response(200, b"%b %b %d" % (request.method, request.target, len(request.body)))

    async def later(self) -> Response:
        await asyncio.sleep(0.05)
        return Response(200, b"slow")

    def admit(self, request: Request):
        return None if b"authorization" in request.headers else Unauthenticated("no token")


@asynccontextmanager
async def listening(limits: HttpLimits = LIMITS) -> AsyncIterator[tuple[Listener, int, Echo]]:
    echo = Echo()
    listener = Listener(echo.handle, admit=echo.admit, refused=lambda e: echo.refusals.append(e.code), limits=limits)
    port = await listener.start("127.0.0.1", 0)
    try:
        yield listener, port, echo
    finally:
        await listener.stop()


async def talk(port: int, *pieces: bytes, pause_s: float = 0.0, until: bytes = b"") -> bytes:
    """Send pieces, then read until the server closes, or ``until`` is seen."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    got = b""
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause_s)
        while not (until and until in got):
            piece = await asyncio.wait_for(reader.read(65536), 5)
            if not piece:
                break
            got += piece
    except ConnectionError:
        pass
    writer.close()
    return got


def head(line: str = "POST /x", **headers: object) -> bytes:
    lines = [f"{line} HTTP/1.1", "Host: x", *(f"{k.replace('_', '-')}: {v}" for k, v in headers.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


async def test_plain_chunked_and_bytewise_requests():
    async with listening() as (_, port, _echo):
        assert b"POST /x 3" in await talk(port, head(Content_Length=3), b"abc", until=b" 3")
        chunks = b"2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n"
        assert b"POST /x 5" in await talk(port, head(Transfer_Encoding="chunked") + chunks, until=b" 5")
        whole = head(Content_Length=3) + b"abc"
        assert b"POST /x 3" in await talk(port, *[whole[i : i + 1] for i in range(len(whole))], until=b" 3")


async def test_pipelined_requests_are_answered_in_order_around_a_slow_one():
    async with listening() as (_, port, _echo):
        sent = head("GET /a") + head("GET /slow") + head("GET /b") + head("GET /c", Connection="close")
        got = await talk(port, sent)
        assert [got.index(part) for part in (b"GET /a", b"slow", b"GET /b", b"GET /c")] == sorted(
            got.index(part) for part in (b"GET /a", b"slow", b"GET /b", b"GET /c")
        )
        assert got.count(b"HTTP/1.1 200") == 4


async def most_answers_a_turn(requests: int, port: int, echo: Echo) -> tuple[int, bytes]:
    """Sends so many requests in one write; the most that were answered in one turn of the loop, and all answers."""
    loop, turns, ended = asyncio.get_running_loop(), [0], False

    def turn() -> None:
        if echo.seen > sum(turns):
            turns.append(echo.seen - sum(turns))
        if not ended:
            loop.call_soon(turn)

    loop.call_soon(turn)
    got = await talk(port, b"".join(head(f"GET /{n:03d}") for n in range(requests - 1)) + head("GET /last", Connection="close"))
    ended = True
    return max(turns), got


async def test_a_client_that_pipelines_gets_its_share_of_a_turn_and_no_more(monkeypatch):
    for bound in (http.ANSWERS_A_TURN_MAX, 1_000_000):
        monkeypatch.setattr(http, "ANSWERS_A_TURN_MAX", bound)
        async with listening() as (_, port, echo):
            most, got = await most_answers_a_turn(200, port, echo)
        assert echo.seen == got.count(b"HTTP/1.1 200") == 200
        places = [got.index(b"GET /%03d" % n) for n in range(199)]
        assert places == sorted(places), "answers are out of order"
        # Without the bound one client has the loop to itself.
        assert most <= bound if bound == 8 else most > 100


async def test_what_is_wrong_behind_pipelined_requests_is_answered_behind_them():
    for before in (head("GET /a") * 30, head("GET /a") + head("GET /slow")):
        for wrong, status in ((b"nonsense\r\n\r\n", b"400"), (head(Content_Length=100_001), b"413")):
            async with listening() as (_, port, _echo):
                got = await talk(port, before + wrong)
            assert got.count(b"HTTP/1.1 200") == before.count(b"GET ")
            assert got.count(b"Content-Length: ") == before.count(b"GET ") + 1
            assert re.findall(rb"HTTP/1.1 (\d+) ", got)[-1] == status


async def test_http_1_0_and_connection_close_are_closed_and_head_has_no_body():
    async with listening() as (_, port, _echo):
        assert (await talk(port, b"GET /a HTTP/1.0\r\n\r\n")).endswith(b"GET /a 0")
        assert (await talk(port, head("HEAD /a", Connection="close"))).endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\x16\x03\x01 not http\r\n\r\n", b"400"),
        (head(Content_Length="x"), b"400"),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"400"),
        (head(**{f"H{i}": "v" for i in range(20)}), b"431"),
        (head(Long="v" * 2000), b"431"),
        (b"GET /" + b"a" * 3000, b"431"),
        (head(Content_Length=100_001), b"413"),
        (head(Transfer_Encoding="chunked") + (b"8000\r\n" + b"x" * 0x8000 + b"\r\n") * 4, b"413"),
        (head(Content_Length=90_000), b"401"),
        (head(Expect="100-continue", Content_Length=3), b"401"),
    ],
)
async def test_a_bound_or_a_broken_request_is_refused_and_closed(sent, status):
    async with listening() as (_, port, echo):
        got = await talk(port, sent)
        assert got.startswith(b"HTTP/1.1 " + status), got[:200]
        assert b"Connection: close" in got
        assert b'"error":' in got
        assert echo.seen == 0, "a refused request reached the handler"
        assert len(echo.refusals) == 1
        assert b"GET /a 0" in await talk(port, head("GET /a"), until=b" 0"), "the listener does not go on"


async def test_expect_continue_is_answered_before_the_body():
    async with listening() as (_, port, _echo):
        got = await talk(port, head(Expect="100-continue", Content_Length=3, Authorization="Bearer x"), b"abc", pause_s=0.05, until=b" 3")
        assert got.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200")


async def test_a_slow_sender_is_cut_at_the_deadline_of_the_whole_request():
    async with listening() as (_, port, echo):
        whole = head(Content_Length=50) + b"x" * 50
        started = asyncio.get_running_loop().time()
        got = await talk(port, *[whole[i : i + 1] for i in range(40)], pause_s=0.03)
        assert got.startswith(b"HTTP/1.1 408")
        assert asyncio.get_running_loop().time() - started < 3.0
        assert echo.seen == 0


async def test_an_unfinished_header_cannot_grow_without_bound():
    async with listening(HttpLimits(head_bytes_max=1000)) as (_, port, _echo):
        got = await talk(port, b"GET / HTTP/1.1\r\nA: ", *[b"v" * 100] * 30, pause_s=0.001)
        assert got.startswith(b"HTTP/1.1 431")


async def test_idle_connections_and_clients_that_do_not_read_are_closed():
    async with listening() as (listener, port, _echo):
        assert await talk(port) == b""
        _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        for _ in range(8):
            writer.write(head("GET /big"))
        for _ in range(40):
            await asyncio.sleep(0.05)
            if not listener.connections:
                break
        assert not listener.connections, "a client that never reads keeps its answers in memory"
        writer.close()


async def test_too_many_connections_are_refused_with_retry_after():
    async with listening() as (_, port, _echo):
        open_ones = [await asyncio.open_connection("127.0.0.1", port) for _ in range(4)]
        await asyncio.sleep(0.05)
        got = await talk(port)
        assert got.startswith(b"HTTP/1.1 503")
        assert b"Retry-After" in got
        for _, writer in open_ones:
            writer.close()


async def test_an_upgrade_is_answered_as_plain_http_and_closed():
    async with listening() as (_, port, _echo):
        got = await talk(port, b"GET /a HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\nPRI * HTTP/2.0\r\n\r\n")
        assert b"GET /a 0" in got
        assert got.count(b"HTTP/1.1 200") == 1


async def test_a_stop_finishes_what_is_under_way():
    async with listening() as (listener, port, _echo):
        asking = asyncio.create_task(talk(port, head("GET /slow")))
        await asyncio.sleep(0.02)
        await listener.stop()
        got = await asking
        assert b"slow" in got
        assert b"Connection: close" in got
        with pytest.raises(OSError):
            await asyncio.open_connection("127.0.0.1", port)
