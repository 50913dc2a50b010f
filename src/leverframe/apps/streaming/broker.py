"""What a broker is to the worker: a source of batches, and a sink that says yes when it has what was published."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import msgspec

from leverframe.serving.stream.message import Incoming
from leverframe.serving.stream.window import Outgoing

BATCH_MAX = 256
"""Messages taken at once, and so the most that are under way; the rest waits in the broker."""
BATCH_WAIT_S = 0.02
"""How long a batch that is not full is waited for."""
REDELIVER_S = 30.0
"""A message that was not acknowledged for this long is delivered again, to whoever asks."""
PUBLISH_S = 10.0
"""Longest wait for a broker to confirm a message; then the worker ends and the batch is delivered again."""
GRACE_S = 20.0
"""Longest wait for the batch under way at a stop."""

Take = Callable[[Sequence[Incoming]], Awaitable[None]]
"""Scores and publishes a batch; when it returns, the batch may be acknowledged. When it raises, nothing may be."""


class Consumer(msgspec.Struct, frozen=True, kw_only=True):
    """Who takes: ``group`` shares the messages, ``worker`` is one of it."""

    group: str
    worker: str
    batch_max: int = BATCH_MAX
    redeliver_s: float = REDELIVER_S


class Source(Protocol):
    """Delivers batches until it is stopped."""

    async def start(self, take: Take) -> None:
        """Connect and deliver to ``take``, one batch after the other; acknowledge each one after it returned.

        Raises
        ------
        NotFound, Unavailable: no such stream, or no broker.
        """
        ...

    async def stop(self) -> None:
        """Finish the batch under way and disconnect."""
        ...


class Sink(Protocol):
    """Takes what is published."""

    async def connect(self) -> None:
        """Raises NotFound, Unavailable: nowhere to publish to."""
        ...

    async def publish(self, batch: Sequence[Outgoing]) -> None:
        """Publish ``batch``; returns when the broker has all of it.

        Raises
        ------
        Unavailable: it has not confirmed in time; any part of the batch may be there.
        """
        ...

    async def close(self) -> None:
        """Disconnect."""
        ...
