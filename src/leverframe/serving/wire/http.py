"""HTTP/1.1 for one connection, on httptools: every bound holds before bytes are kept or parsed.

Requests of a connection are answered in order. A handler answers at once (the usual case) or gives an awaitable; while that runs, reading
pauses. No timer runs per request: :class:`leverframe.serving.wire.listener.Listener` sweeps the deadlines of all connections.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, cast

import httptools

from leverframe.core.errors import InvalidInput, LeverframeError, LimitExceeded, Unavailable
from leverframe.serving.protocol.message import Handler, HttpLimits, Request, Response, error_response, response_bytes
from leverframe.serving.wire.heads import HEAD_END, Heads

_KNOWN = {
    spelling: name
    for name in (
        b"authorization",
        b"accept-encoding",
        b"content-encoding",
        b"content-length",
        b"content-type",
        b"expect",
        b"inference-header-content-length",
        b"traceparent",
        b"tracestate",
        b"x-request-timeout-ms",
    )
    for spelling in (name, name.title())
}
# Spared a second look-up: what nearly every request carries and the gateway has no use for.
_KNOWN.update(dict.fromkeys((b"Host", b"host", b"User-Agent", b"Accept", b"Connection"), b""))
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
EARLY_CHECK_BYTES = 65_536
"""A body announced larger than this is checked for permission before it is received."""
DISCARD_S = 1.0
"""After a refusal in the middle of a request, what still arrives is thrown away this long, so that the client can read why."""
ANSWERS_A_TURN_MAX = 8
"""Of one connection in one turn of the event loop; the requests behind them wait, unread bytes too, until the others had their turn."""


class Server(Protocol):
    """What a connection needs of the listener that accepted it."""

    limits: HttpLimits
    loop: asyncio.AbstractEventLoop
    handle: Handler
    admit: Callable[[Request], LeverframeError | None]
    refused: Callable[[LeverframeError], None]
    heads: Heads
    stopping: bool

    def opened(self, connection: "Connection") -> LeverframeError | None:
        """A client connected; the refusal when there are too many."""
        ...

    def closed(self, connection: "Connection") -> None:
        """A client is gone."""
        ...


class _Stop(Exception):
    """Ends parsing from inside a parser callback."""


class Connection(asyncio.Protocol):
    """One client connection."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._limits = server.limits
        self._loop_time = server.loop.time
        self._idle_s = server.limits.idle_s_max
        self._find_head = server.heads.find
        self._handle = server.handle
        self._parser: Any = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._waiting: deque[tuple[Request, bool]] = deque()
        self._task: asyncio.Future[Response] | None = None
        self._output: list[bytes] = []
        self._refusal: LeverframeError | None = None
        self._fault: LeverframeError | None = None  # of bytes that came behind requests which are still to be answered
        self._answered = 0  # requests in this turn of the loop
        self._turn: asyncio.Handle | None = None  # the next turn, when requests wait for it
        self._known_head = b""  # came alone, its body is to follow
        self._parsed_head = b""  # the same, of a head that is parsed
        self._in_request = self._in_head = False
        self._head_bytes = self._headers_total = self._body_bytes = 0
        self._target = b""
        self._headers: dict[bytes, bytes] = {}
        self._body: list[bytes] = []
        self._begun = 0  # requests that started in the bytes being parsed
        self._good: list[Request] = []  # those of them that were answered with 200 and left the connection open
        self._ended = False  # nothing more of this connection is parsed
        self._unread = False  # the client does not read its answers
        self.deadline = float("inf")

    @property
    def idle(self) -> bool:
        """Whether no request is under way."""
        return not (self._in_request or self._task or self._waiting or self._unread)

    # ---- asyncio.Protocol -------------------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Accept, or refuse above the connection bound."""
        # uvloop's transports have the interface without the base class.
        self._transport = transport = cast(asyncio.Transport, transport)
        transport.set_write_buffer_limits(high=self._limits.write_buffer_bytes_max)
        self.deadline = self._loop_time() + self._limits.idle_s_max
        refusal = self._server.opened(self)
        if refusal is not None:
            self._refuse(refusal)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection and whatever it was waiting for."""
        self._end()
        if self._task is not None:
            self._task.cancel()
        if self._turn is not None:
            self._turn.cancel()
        self._server.closed(self)

    def pause_writing(self) -> None:
        """The client does not read: stop reading from it; the sweep closes it if that lasts."""
        self._unread = True
        self.deadline = self._loop_time() + self._limits.unread_s_max
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """The client reads again."""
        self._unread = False
        self.deadline = self._loop_time() + self._limits.idle_s_max
        self._answer_waiting()

    def eof_received(self) -> bool:
        """The client is done sending: answers under way are still given, a half request is dropped."""
        return not self.idle and not self._in_request

    def data_received(self, data: bytes) -> None:
        """Bytes came in."""
        if self._ended or self._fault is not None:
            return
        if self._known_head:
            data, self._known_head, self._in_request = self._known_head + data, b"", False
        between = not (self._in_request or self._task is not None or self._waiting or self._unread)
        if between and self._answer_known(data):
            return
        self._parse(data, between)

    def _parse(self, data: bytes, between: bool) -> None:
        """Take ``data`` the general way; ``between``: no request was under way."""
        head = b"" if between else self._parsed_head
        self._parsed_head = b""
        self._begun = self._answered = 0
        self._good.clear()
        if self._in_head:
            self._head_bytes += len(data)
        try:
            if self._in_head and self._head_bytes > self._limits.head_bytes_max:
                self._stop_for_head()
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # The request itself is answered as plain HTTP/1.1 (RFC 9110, 7.8, allows that); the other bytes are another protocol's.
            if self._waiting:
                self._waiting[-1] = (self._waiting[-1][0], False)
            else:
                self._end()
        except (httptools.HttpParserError, _Stop):
            self._in_request = False
            self._fault = self._fault or InvalidInput(
                "not an HTTP/1.1 request", where="connection", expected="RFC 9112 framing", next_step="use an HTTP client"
            )
            if self._task is None and not self._waiting:
                self._refuse(self._fault)
        if between and self._begun == 1 and self._in_request and data.endswith(HEAD_END):
            self._parsed_head = data
        elif len(self._good) == 1 and (self._begun == 1 if between else head and not self._begun):
            self._server.heads.remember(head + data, self._good[0])
        if self._output:
            self._flush()
        if self._waiting and self._task is None and not self._unread:
            self._wait_for_turn()

    def _answer_known(self, data: bytes) -> bool:
        """Answer ``data`` without parsing it, when it is one whole request whose head is known; False when it is anything else."""
        end = data.find(HEAD_END) + 4
        head = self._find_head(data[:end])
        if head is None:
            return False
        if len(data) - end != head.body_bytes:
            if len(data) != end:
                return False
            self._known_head, self._in_request = data, True
            self.deadline = self._loop_time() + self._limits.request_s_max
            return True
        self.deadline = self._loop_time() + self._idle_s
        request = Request(b"POST", head.target, head.headers, data[end:], time.perf_counter_ns(), head)
        answer = self._handle(request)
        if not isinstance(answer, Response):
            self._start(answer, request, keep_alive=True)
        elif self._server.stopping or self._transport is None:
            self._write(answer, request, keep_alive=True)
            self._flush()
        else:
            self._transport.write(response_bytes(answer, close=False))
        return True

    # ---- parser callbacks -------------------------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """A request starts."""
        self._in_request = self._in_head = True
        self._begun += 1
        self._head_bytes = self._headers_total = self._body_bytes = 0
        self._target = b""
        self._headers = {}
        self._body = []
        self.deadline = self._loop_time() + self._limits.request_s_max

    def on_url(self, target: bytes) -> None:
        """A piece of the request target."""
        self._target += target
        self._head_bytes += len(target)
        if self._head_bytes > self._limits.head_bytes_max:
            self._stop_for_head()

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        self._headers_total += 1
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > self._limits.head_bytes_max or self._headers_total > self._limits.headers_max:
            self._stop_for_head()
        known = _KNOWN.get(name)
        if known is None:
            known = _KNOWN.get(name.lower(), b"")
        if known:
            self._headers[known] = value

    def on_headers_complete(self) -> None:
        """The head is whole: refuse a body that is too large, or not permitted, before it is received."""
        self._in_head = False
        headers = self._headers
        announced = headers.get(b"content-length")
        size = int(announced) if announced else 0
        expects = b"expect" in headers
        if size > self._limits.body_bytes_max:
            self._stop_for_body()
        if (size > EARLY_CHECK_BYTES or expects) and not self._ended:
            refusal = self._server.admit(Request(self._parser.get_method(), self._target, headers, b"", 0))
            if refusal is not None:
                self._stop(refusal)
            if expects:
                self._output.append(_CONTINUE)

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._body_bytes += len(body)
        if self._body_bytes > self._limits.body_bytes_max:
            self._stop_for_body()
        self._body.append(body)

    def on_message_complete(self) -> None:
        """The request is whole: answer it, or let it wait for the one before it."""
        self._in_request = False
        if self._ended:
            return
        parser, body = self._parser, self._body
        whole = b"" if not body else body[0] if len(body) == 1 else b"".join(body)
        request = Request(parser.get_method(), self._target, self._headers, whole, time.perf_counter_ns())
        self.deadline = self._loop_time() + self._limits.idle_s_max
        if self._task is not None or self._waiting or self._unread or self._answered >= ANSWERS_A_TURN_MAX:
            self._waiting.append((request, parser.should_keep_alive()))
        else:
            self._answer(request, parser.should_keep_alive())

    # ---- answering --------------------------------------------------------------------------------------------------------------------

    def _answer(self, request: Request, keep_alive: bool) -> None:
        self._answered += 1
        answer = self._handle(request)
        if isinstance(answer, Response):
            self._write(answer, request, keep_alive)
        else:
            self._start(answer, request, keep_alive)

    def _write(self, answer: Response, request: Request, keep_alive: bool) -> None:
        close = not keep_alive or self._server.stopping
        self._output.append(response_bytes(answer, close=close, head_only=request.method == b"HEAD"))
        if close:
            self._end()
        elif answer.status == 200:
            self._good.append(request)

    def _start(self, work: Awaitable[Response], request: Request, keep_alive: bool) -> None:
        assert self._transport is not None
        self._transport.pause_reading()
        self._task = asyncio.ensure_future(work)
        self._task.add_done_callback(lambda task: self._done(task, request, keep_alive))

    def _done(self, task: asyncio.Future[Response], request: Request, keep_alive: bool) -> None:
        self._task = None
        if task.cancelled() or self._transport is None or self._transport.is_closing():
            return
        error = task.exception()
        answer = task.result() if error is None else error_response(Unavailable("the request could not be finished", where="gateway"))
        self._write(answer, request, keep_alive)
        self._answer_waiting()
        self._flush()

    def _answer_waiting(self) -> None:
        """Go on with the requests that wait, at most a turn's worth of them, and read again when none does."""
        self._answered = 0
        while self._waiting and self._answered < ANSWERS_A_TURN_MAX and self._task is None and not self._unread and not self._ended:
            self._answer(*self._waiting.popleft())
            self._flush()
        if self._task is not None or self._unread or self._ended:
            return
        if self._waiting:
            self._wait_for_turn()
        elif self._fault is not None:
            self._refuse(self._fault)
        elif self._transport is not None:
            # A request that came in part waited for those before it: its time starts now.
            self.deadline = self._loop_time() + (self._limits.request_s_max if self._in_request else self._idle_s)
            self._transport.resume_reading()

    def _wait_for_turn(self) -> None:
        """Let the other connections have theirs."""
        assert self._transport is not None
        self.deadline = self._loop_time() + self._idle_s
        if self._turn is None:
            self._transport.pause_reading()
            self._turn = self._server.loop.call_soon(self._take_turn)

    def _take_turn(self) -> None:
        self._turn = None
        self._answer_waiting()

    def _flush(self) -> None:
        output = self._output
        if self._transport is not None and output:
            self._transport.write(output[0] if len(output) == 1 else b"".join(output))
        output.clear()
        if self._ended and self._task is None and self._refusal is None and self._transport is not None:
            self._transport.close()

    # ---- ending -----------------------------------------------------------------------------------------------------------------------

    def _end(self) -> None:
        """Parse nothing more; the transport closes once what was answered is written."""
        self._ended = True
        self._waiting.clear()

    def _refuse(self, refusal: LeverframeError, status: int = 0) -> None:
        """Answer and close, discarding what the client still sends so that it gets to read the answer."""
        self._refusal = refusal
        self._server.refused(refusal)
        status = status or (431 if refusal.where == "headers" else 0)
        self._output.append(response_bytes(error_response(refusal, status=status), close=True))
        self._end()
        self._flush()
        self.deadline = self._loop_time() + DISCARD_S

    def expire(self) -> None:
        """The deadline has passed (called by the sweep): say so if a request was under way, and close."""
        if self._transport is None or self._transport.is_closing():
            return
        if self._in_request and not self._ended and not self._unread:
            self._refuse(
                LimitExceeded(
                    "the request was not received in time", where="connection", expected=f"whole within {self._limits.request_s_max:g} s"
                ),
                408,
            )
        elif self._unread:
            self._transport.abort()
        elif self._task is None:
            self._transport.close()

    def abort(self) -> None:
        """Close now, whatever is under way."""
        if self._transport is not None:
            self._transport.abort()

    def _stop(self, refusal: LeverframeError) -> None:
        self._fault = refusal
        raise _Stop

    def _stop_for_head(self) -> None:
        limits = self._limits
        self._stop(
            LimitExceeded(
                "the request's head is too large",
                where="headers",
                expected=f"at most {limits.head_bytes_max} bytes and {limits.headers_max} headers",
                got="more",
                next_step="send fewer or shorter headers",
            )
        )

    def _stop_for_body(self) -> None:
        self._stop(
            LimitExceeded(
                "the request's body is too large",
                where="body",
                expected=f"at most {self._limits.body_bytes_max} bytes",
                got="more",
                next_step="send fewer rows a request",
            )
        )
