"""Stream scoring: a batch of messages in, what is to be published for each out; the same routes, look-up and models as online requests.

Knows no broker: who calls takes messages, publishes what :meth:`StreamScorer.score` returns, says :meth:`StreamScorer.settle`, and only
then acknowledges. Every message ends in exactly one of: an answer, a dead letter, or nothing because it was published before.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import msgspec

from leverframe.core.errors import Conflict, Integrity, LeverframeError, Unavailable
from leverframe.serving.protocol.oip import InferDocument
from leverframe.serving.routes.routing import CompiledEndpoint
from leverframe.serving.stream.message import FIELD, Incoming, dead_letter, digest_of, place_id, prediction, read_message
from leverframe.serving.stream.window import Outgoing, StreamWindow
from leverframe.serving.walk.answers import Answer

ATTEMPTS_MAX = 3
"""Times that scoring a message may end the process; then it is a dead letter, unread by any model."""
RETRIES_MAX = 4
"""Further tries when a model or a store is not there; then the message is a dead letter."""
RETRY_S = 0.1
"""Wait before the first of them; doubled each time."""
READY_LOOK_S = 0.2
"""How often a worker without a route for its endpoint looks again; until then messages stay in the broker."""


class Infers(Protocol):
    """The shape of :class:`leverframe.serving.walk.inference.Inference`."""

    def infer(self, endpoint: CompiledEndpoint, document: InferDocument, arrived_ns: int) -> Answer | Awaitable[Answer]:
        """Answer one document, at once or later."""
        ...


class StreamCounts(msgspec.Struct):
    """Messages since the start: ``taken = answered + dead + repeated``."""

    taken: int = 0
    answered: int = 0
    dead: int = 0
    repeated: int = 0


class _Work(msgspec.Struct):
    message: Incoming
    id: str
    digest: bytes
    document: InferDocument


class StreamScorer:
    """Scores the messages of one stream for one endpoint.

    Parameters
    ----------
    find: the endpoint's routes as they are now, or None.
    window: remembers ids.
    id_from: see :func:`leverframe.serving.stream.message.read_message`.
    """

    def __init__(
        self,
        name: str,
        find: Callable[[], CompiledEndpoint | None],
        inference: Infers,
        window: StreamWindow,
        *,
        id_from: str = FIELD,
    ) -> None:
        self._name = name
        self._find = find
        self._inference = inference
        self._window = window
        self._id_from = id_from
        self.counts = StreamCounts()

    async def ready(self) -> CompiledEndpoint:
        """The endpoint, waited for while it has no route, or is killed and has no fallback."""
        # The table is swapped by a thread, which wakes nobody.
        while (endpoint := self._find()) is None or _holds(endpoint):  # noqa: ASYNC110
            await asyncio.sleep(READY_LOOK_S)
        return endpoint

    async def score(self, batch: Sequence[Incoming]) -> list[Outgoing]:
        """What is to be published for ``batch``, in its order; already kept in the window.

        Raises
        ------
        Unavailable: the window cannot be written; nothing may be acknowledged.
        """
        endpoint = await self.ready()
        counts = self.counts
        counts.taken += len(batch)
        outgoing: list[Outgoing] = []
        alone: list[_Work] = []
        together: list[_Work] = []
        unread: list[Outgoing] = []
        taken: dict[str, bytes] = {}
        for message in batch:
            digest = digest_of(message)
            try:
                document = read_message(message, endpoint.live.model.signature.request, self._id_from)
            except LeverframeError as error:
                own_place = place_id(message)
                if self._again(own_place, digest, taken, outgoing) is False:
                    unread.append(self._dead(own_place, message, digest, error))
                continue
            again = self._again(document.id, digest, taken, outgoing)
            if again is None:
                other = f"{document.id[:120]}#{digest.hex()}"
                if self._again(other, digest, taken, outgoing) is False:
                    unread.append(self._dead(other, message, digest, _other_message(document.id)))
            elif again is False:
                attempts = self._window.attempts(document.id)
                if attempts >= ATTEMPTS_MAX:
                    unread.append(self._dead(document.id, message, digest, _ended_the_process(document.id, attempts)))
                else:
                    (alone if attempts else together).append(_Work(message, document.id, digest, document))
        self._window.remember(unread)
        outgoing += unread
        # A message that may have ended the process once must not take others with it.
        for work in alone:
            outgoing += await self._answer(endpoint, [work])
        outgoing += await self._answer(endpoint, together)
        return outgoing

    def settle(self, published: Sequence[Outgoing]) -> None:
        """Note that the broker has ``published``; only then may their messages be acknowledged."""
        self._window.settle(published)

    def _again(self, known_as: str, digest: bytes, taken: dict[str, bytes], outgoing: list[Outgoing]) -> bool | None:
        """True: this message was answered before. False: it is new. None: its id is of another message."""
        window = self._window
        before = taken.get(known_as)
        if before is None and (before := window.known(known_as)) == digest and (waiting := window.waiting(known_as)) is not None:
            outgoing.append(waiting)
        if before is not None and before != digest:
            return None
        taken[known_as] = digest
        if before is None:
            return False
        self.counts.repeated += 1
        return True

    def _dead(self, prediction_id: str, message: Incoming, digest: bytes, error: LeverframeError) -> Outgoing:
        self.counts.dead += 1
        return Outgoing(prediction_id, digest, True, dead_letter(self._name, prediction_id, message, error))

    async def _answer(self, endpoint: CompiledEndpoint, works: Sequence[_Work]) -> list[Outgoing]:
        """An answer or a dead letter for each, kept in the window; what is not there now is asked again, all of it in one wait."""
        self._window.begin([work.id for work in works])
        ended: dict[str, Outgoing] = {}
        left = works
        for retry in range(RETRIES_MAX + 1):
            if retry:
                await asyncio.sleep(RETRY_S * 2 ** (retry - 1))
                endpoint = await self.ready()
            # Asked all at once, so that a model with a lane scores them as one matrix.
            asked = [(work, self._ask(endpoint, work)) for work in left]
            left = []
            for work, answer in asked:
                try:
                    ended[work.id] = await self._end(work, answer)
                except Unavailable as error:
                    if retry < RETRIES_MAX:
                        left.append(work)
                    else:
                        ended[work.id] = self._dead(work.id, work.message, work.digest, error)
            if not left:
                break
        outgoing = [ended[work.id] for work in works]
        self._window.remember(outgoing)
        return outgoing

    def _ask(self, endpoint: CompiledEndpoint, work: _Work) -> Answer | Awaitable[Answer] | LeverframeError:
        try:
            answer = self._inference.infer(endpoint, work.document, time.perf_counter_ns())
        except LeverframeError as error:
            return error
        return answer if isinstance(answer, Answer) else asyncio.ensure_future(answer)

    async def _end(self, work: _Work, answer: Answer | Awaitable[Answer] | LeverframeError) -> Outgoing:
        """Raises Unavailable: another try may do."""
        try:
            if isinstance(answer, LeverframeError):
                raise answer
            given = answer if isinstance(answer, Answer) else await answer
        except Unavailable:
            raise
        except LeverframeError as error:
            return self._dead(work.id, work.message, work.digest, error)
        self.counts.answered += 1
        return Outgoing(work.id, work.digest, False, prediction(self._name, given))


def _holds(endpoint: CompiledEndpoint) -> bool:
    """Whether the kill switch leaves nothing to answer with: then the stream waits, where an online caller would be refused."""
    record = endpoint.record
    return record.killed and record.fallback.value is None and not record.fallback.rules


def _other_message(prediction_id: str) -> Conflict:
    return Conflict(
        "another message with this id was answered",
        where="id",
        expected="an id of its own for each message",
        got=prediction_id[:100],
        next_step="correct the producer, or name the header that carries the id: --id-from header:NAME",
    )


def _ended_the_process(prediction_id: str, attempts: int) -> Integrity:
    return Integrity(
        "scoring this message ended the process",
        where=prediction_id[:100],
        expected="an answer",
        got=f"{attempts} times none",
        next_step="look at the message and the model; send it again under another id",
    )
