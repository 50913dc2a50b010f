"""gRPC's server library under the event loop: whole messages come in on the loop's thread, answers go out from it.

The only importer of ``grpc``. The library offers two servers: one that keeps a thread for every call under way, which a client that sends a
head and no message occupies for good, and one on asyncio whose coroutines cost more than the model. This is a third on the same foundation
(``grpc._cython.cygrpc``, what ``grpc.server`` itself is made of): one thread waits for the library's events, starts the reception of each
call's message, and hands whole calls to the loop, several at one wake-up. No thread ever waits for a client. The foundation is not a
promised interface, so the version is bounded in pyproject.toml; decision 0012 has the measurement.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from grpc._cython import cygrpc

from leverframe.core.errors import Unavailable
from leverframe.serving.doors.grpc.limits import GrpcLimits

ACCEPTS = 512
"""Calls the library may take up before this server has looked at the first of them; more wait in their sockets. At a stop the library
cancels those that wait, so there is room for what several busy connections send at once."""
DRAIN_CALLS = 32
"""Calls answered at one wake-up of the loop; then other events have their turn."""
SWEEP_S = 0.25
STOP_S_MAX = 5.0
"""How long the library may take to let go once every call is finished or cancelled; it is abandoned after that."""
RESOURCE_EXHAUSTED, UNIMPLEMENTED = 8, 12
Metadata = Sequence[tuple[str, str | bytes]]

# An operation owns what the library reads and writes: each serves one batch of one call.
_Head = cygrpc.SendInitialMetadataOperation
_Message = cygrpc.SendMessageOperation
_Status = cygrpc.SendStatusFromServerOperation
_Close = cygrpc.ReceiveCloseOnServerOperation
_Receive = cygrpc.ReceiveMessageOperation


class Call:
    """One call: its method, metadata, absolute deadline (Unix seconds, ``inf`` when there is none) and, once received, its message.

    ``message`` is None when the client left, or sent none within the bounds.
    """

    __slots__ = ("_call", "answered", "arrived_ns", "deadline_s", "give_up_s", "message", "metadata", "method")

    def __init__(self, event: Any, give_up_s: float) -> None:
        details = event.call_details
        self._call = event.call
        self.method: str = details.method.decode("latin-1")
        self.deadline_s: float = details.deadline
        self.metadata: Sequence[Any] = event.invocation_metadata
        self.give_up_s = give_up_s
        self.message: bytes | None = None
        self.arrived_ns = 0
        self.answered = False

    def receive(self) -> None:
        """Have the message received; the library says when it is there."""
        self._call.start_server_batch((_Receive(0),), self)

    def answer(self, message: bytes) -> None:
        """End the call well."""
        if not self.answered:
            self.answered = True
            self._call.start_server_batch((_Head(None, 0), _Message(message, 0), _Status(None, 0, b"", 0), _Close(0)), self)

    def fail(self, status: int, details: str, trailers: Metadata = ()) -> None:
        """End the call with a ``status`` other than 0."""
        if not self.answered:
            self.answered = True
            self._call.start_server_batch((_Head(None, 0), _Status(trailers, status, details.encode(), 0), _Close(0)), self)

    def cancel(self) -> None:
        """Drop what the client is still sending."""
        self._call.cancel(RESOURCE_EXHAUSTED, "the message was not received in time")


def _options(limits: GrpcLimits, *, share_port: bool) -> tuple[tuple[bytes, int], ...]:
    milliseconds = {
        b"grpc.server_handshake_timeout_ms": limits.handshake_s_max,
        b"grpc.max_connection_idle_ms": limits.idle_s_max,
        b"grpc.max_connection_age_ms": limits.age_s_max,
        b"grpc.max_connection_age_grace_ms": limits.age_grace_s,
        b"grpc.http2.min_ping_interval_without_data_ms": limits.ping_s_min,
        b"grpc.keepalive_time_ms": limits.silent_s_max,
        b"grpc.keepalive_timeout_ms": 10.0,
    }
    return (
        (b"grpc.max_receive_message_length", limits.message_bytes_max),
        (b"grpc.max_metadata_size", limits.metadata_bytes_max),
        (b"grpc.absolute_max_metadata_size", limits.metadata_bytes_max),
        (b"grpc.max_concurrent_streams", limits.streams_max),
        (b"grpc.max_allowed_incoming_connections", limits.connections_max),
        (b"grpc.so_reuseport", int(share_port)),
        # Off: it refuses a stream while answered ones are not yet let go, which turns away a client that keeps to streams_max.
        # calls_max and the library's bound on calls nobody has looked at hold the memory.
        (b"grpc.http.overload_protection", 0),
        *((name, int(seconds * 1000)) for name, seconds in milliseconds.items()),
    )


class GrpcServer:
    """Listens, and gives every whole call to ``handle`` on the event loop's thread.

    Parameters
    ----------
    methods: the full names that are served; any other is UNIMPLEMENTED.
    handle: answers or fails a call, at once or later.
    share_port: whether other processes may listen on the same port.
    """

    def __init__(
        self, methods: frozenset[str], handle: Callable[[Call], None], *, limits: GrpcLimits | None = None, share_port: bool = False
    ) -> None:
        self.limits = limits or GrpcLimits()
        self._methods = methods
        self._known = ", ".join(sorted(method.rpartition("/")[2] for method in methods))
        self._handle = handle
        self._loop = asyncio.get_running_loop()
        self._share_port = share_port
        self._inbox: deque[Call] = deque()
        self._awake = False
        self._open: set[Call] = set()
        self._accepting = 0
        self._stopped = asyncio.Event()
        self._server: Any = None
        self._sweeper: asyncio.Task[None] | None = None

    @property
    def calls(self) -> int:
        """Calls under way."""
        return len(self._open)

    async def start(self, host: str, port: int) -> int:
        """Listen; returns the port (useful when ``port`` is 0).

        Raises
        ------
        Unavailable: the address cannot be had.
        """
        self._queue = cygrpc.CompletionQueue()
        self._server = cygrpc.Server(_options(self.limits, share_port=self._share_port), False)
        self._server.register_completion_queue(self._queue)
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            bound: int = self._server.add_http2_port(address.encode())
        except RuntimeError:
            bound = 0
        if not bound:
            raise Unavailable(
                "cannot listen for gRPC",
                where=address,
                expected="an address of this machine and a free port",
                next_step="choose a free port",
            )
        self._server.start()
        for _ in range(ACCEPTS):
            self._accept()
        threading.Thread(target=self._wait_for_events, name="grpc", daemon=True).start()
        self._sweeper = asyncio.create_task(self._sweep())
        return bound

    async def stop(self) -> None:
        """Accept nothing new, finish what is under way within the grace, then cancel.

        A call that has arrived but not been taken up, e.g. one sent before the client heard of the stop, is turned away by the library:
        UNAVAILABLE or CANCELLED. It has not been scored or logged.
        """
        if self._server is None:
            return
        self._server.shutdown(self._queue, self)
        ended = await self._ended(self.limits.stop_grace_s)
        if not ended:
            self._server.cancel_all_calls()
            ended = await self._ended(STOP_S_MAX)
        if self._sweeper is not None:
            self._sweeper.cancel()
        if ended:
            self._server.destroy()

    async def _ended(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._stopped.wait(), seconds)
        except TimeoutError:
            return False
        return True

    # ---- on the library's thread ------------------------------------------------------------------------------------------------------

    def _accept(self) -> None:
        # The library refuses to be asked for calls once a stop has begun, which the other thread may have done since this one last looked:
        # an exception here would end the thread, and every call under way would wait for the end of the grace.
        with suppress(ValueError):
            self._server.request_call(self._queue, self._queue, None)
            self._accepting += 1

    def _wait_for_events(self) -> None:
        poll, stopping = self._queue.poll, False
        while not stopping or self._open or self._accepting:
            event = poll()
            call = event.tag
            if call is None:
                self._accepting -= 1
                if event.success and event.call_details.method:
                    self._accept()
                    self._begin(event)
            elif call is self:
                stopping = True
            elif call.answered:
                self._open.discard(call)
            else:
                call.message = event.batch_operations[0].message()
                call.arrived_ns = time.perf_counter_ns()
                self._inbox.append(call)
                if not self._awake:
                    self._awake = True
                    self._loop.call_soon_threadsafe(self._drain)
            event = call = None  # an event holds its call: let go before waiting again
        self._loop.call_soon_threadsafe(self._stopped.set)

    def _begin(self, event: Any) -> None:
        call = Call(event, time.monotonic() + self.limits.receive_s_max)
        self._open.add(call)
        if call.method not in self._methods:
            call.fail(UNIMPLEMENTED, f"{call.method[:100]}: no such method; expected {self._known}")
        elif len(self._open) > self.limits.calls_max:
            call.fail(
                RESOURCE_EXHAUSTED, f"gateway: too many calls under way; expected at most {self.limits.calls_max}. Next: ask again later"
            )
        else:
            call.receive()

    # ---- on the event loop's thread ---------------------------------------------------------------------------------------------------

    def _drain(self) -> None:
        self._awake = False
        inbox = self._inbox
        for _ in range(DRAIN_CALLS):
            if not inbox:
                return
            self._handle(inbox.popleft())
        if inbox and not self._awake:
            self._awake = True
            self._loop.call_soon(self._drain)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            now = time.monotonic()
            for call in list(self._open):
                if call.give_up_s < now and call.arrived_ns == 0:
                    call.cancel()
