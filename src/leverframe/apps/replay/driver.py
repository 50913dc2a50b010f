"""The replay's loop: set the clock, deliver what arrived, ask what was asked, report what became known."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec
import polars as pl

from leverframe.apps.clocks import ReplayClock
from leverframe.apps.replay.load import LoadClient
from leverframe.core.clock import DAY_US, HOUR_US, MINUTE_US
from leverframe.core.errors import Unavailable
from leverframe.core.schema import RequestField

LABEL_BATCH_US = 15 * MINUTE_US
"""Labels are reported in batches this far apart in event time."""

AHEAD_MAX_US = 30 * MINUTE_US
"""How far, in event time, the replay may run ahead of the release controller's last look (decision 0003)."""

LOOK_TIMEOUT_S = 30.0


class Feed(Protocol):
    """Delivers source rows to the online store."""

    def advance(self, to_us: int) -> object:
        """Deliver everything that had arrived by ``to_us``."""
        ...


class Progress(msgspec.Struct, kw_only=True):
    """How far a replay is, and what came back. ``stopped`` says why it ended early."""

    at_us: int = 0
    asked: int = 0
    answered: int = 0
    failed: int = 0
    labels: int = 0
    by_version: dict[str, int] = {}
    first_failure: str = ""
    stopped: str = ""


class _Answer(msgspec.Struct):
    """The part of an inference response the replay reads."""

    model_version: str = ""


_DECODE_ANSWER = msgspec.json.Decoder(_Answer).decode


class _Labels(msgspec.Struct):
    id: str
    label: float
    known_at_us: int


def request_bodies(questions: pl.DataFrame, fields: Sequence[RequestField], id_column: str) -> list[bytes]:
    """One Open Inference Protocol request a row: every request field as a one-element tensor, the row's id as the request id."""
    encode = msgspec.json.encode
    # A text nobody knows is asked with as the empty text; so the gateway finds no such entity, and the model sees a missing value.
    texts = [pl.col(field.name).fill_null("") for field in fields if field.datatype == "BYTES"]
    columns = [questions.with_columns(texts)[field.name].to_list() for field in fields]
    bodies = []
    for index, request_id in enumerate(questions[id_column].to_list()):
        inputs = [
            {"name": field.name, "shape": [1], "datatype": field.datatype, "data": [columns[position][index]]}
            for position, field in enumerate(fields)
        ]
        bodies.append(encode({"id": request_id, "inputs": inputs}))
    return bodies


class Replay:
    """Lives through recorded questions in event time.

    Parameters
    ----------
    questions: rows with ``id_column``, ``asked_at`` and ``label_known_at`` (µs UTC), ``label`` and the request fields.
    feeds: what delivers features as time goes on.
    clock, look: the installation's replay clock, and the mark of how far the release controller has looked.
    """

    def __init__(
        self,
        questions: pl.DataFrame,
        *,
        endpoint: str,
        fields: Sequence[RequestField],
        id_column: str,
        label: str,
        feeds: Sequence[Feed],
        clock: ReplayClock,
        look: ReplayClock,
        client: LoadClient,
    ) -> None:
        questions = questions.sort("asked_at", id_column)
        self._asked_at = questions["asked_at"].to_list()
        self._bodies = request_bodies(questions, fields, id_column)
        labelled = questions.drop_nulls([label, "label_known_at"]).sort("label_known_at", id_column)
        self._labels = [
            _Labels(id=row[0], label=float(row[1]), known_at_us=row[2])
            for row in labelled.select(id_column, label, "label_known_at").iter_rows()
        ]
        self._path = f"/v2/models/{endpoint}/infer"
        self._feedback_path = f"/v2/models/{endpoint}/feedback"
        self._feeds = feeds
        self._clock = clock
        self._look = look
        self._client = client
        self._next_question = 0
        self._next_label = 0
        self._labels_due_us = 0

    async def run(self, until_us: int, *, every_us: int = HOUR_US, on_step: Callable[[Progress], bool] | None = None) -> Progress:
        """Live until ``until_us``; ``on_step`` is called every ``every_us`` of event time and may end the replay by returning True.

        Raises
        ------
        Unavailable: the gateway or the release controller stopped answering.
        """
        progress = Progress(by_version={})
        next_step_us = 0
        while self._next_question < len(self._asked_at) and self._asked_at[self._next_question] < until_us:
            now_us = self._asked_at[self._next_question]
            await self._move_to(now_us)
            await self._ask(now_us, progress)
            await self._report_labels(now_us, progress)
            progress.at_us = now_us
            if now_us >= next_step_us:
                next_step_us = now_us + every_us
                if on_step is not None and on_step(progress):
                    progress.stopped = "asked to stop"
                    return progress
        return progress

    async def _move_to(self, now_us: int) -> None:
        """Advance the clock and the feeds, in hops small enough that the controller looks in between."""
        behind_us = self._clock.now_us()
        while now_us - behind_us > AHEAD_MAX_US:
            behind_us = min(now_us, max(behind_us, now_us - DAY_US) + AHEAD_MAX_US)
            await self._arrive(behind_us)
        await self._arrive(now_us)

    async def _arrive(self, now_us: int) -> None:
        """It is ``now_us``: what had arrived is delivered, and the controller has looked lately."""
        self._clock.set(now_us)
        for feed in self._feeds:
            feed.advance(now_us)
        await self._wait_for_look(now_us)

    async def _wait_for_look(self, now_us: int) -> None:
        loop = asyncio.get_running_loop()
        deadline = 0.0
        while self._look.now_us() < now_us - AHEAD_MAX_US:
            if deadline == 0.0:
                deadline = loop.time() + LOOK_TIMEOUT_S
            elif loop.time() > deadline:
                raise Unavailable("the release controller stopped looking", where="worker", next_step="lever doctor")
            await asyncio.sleep(0.001)

    async def _ask(self, now_us: int, progress: Progress) -> None:
        start = self._next_question
        end = start
        while end < len(self._asked_at) and self._asked_at[end] == now_us:
            end += 1
        self._next_question = end
        for answer in await self._client.post(self._path, self._bodies[start:end]):
            progress.asked += 1
            if answer.status == 200:
                progress.answered += 1
                version = _DECODE_ANSWER(answer.body).model_version
                progress.by_version[version] = progress.by_version.get(version, 0) + 1
            else:
                progress.failed += 1
                progress.first_failure = progress.first_failure or answer.body[:400].decode(errors="replace")

    async def _report_labels(self, now_us: int, progress: Progress) -> None:
        if now_us < self._labels_due_us:
            return
        self._labels_due_us = now_us + LABEL_BATCH_US
        start = self._next_label
        while self._next_label < len(self._labels) and self._labels[self._next_label].known_at_us <= now_us:
            self._next_label += 1
        batch = self._labels[start : self._next_label]
        if batch:
            (answer,) = await self._client.post(self._feedback_path, [msgspec.json.encode({"labels": batch})])
            if answer.status != 200:
                raise Unavailable("the gateway refused labels", where=self._feedback_path, got=answer.body[:300].decode(errors="replace"))
            progress.labels += len(batch)
