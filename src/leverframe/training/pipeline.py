"""A durable pipeline as data: steps that pass digests, are skipped when nothing they depend on changed, and resume where they died.

A step is a plain function from the bytes of earlier steps to bytes. Whatever runs it (this process, or a durable engine in ``apps``)
calls :func:`run_step`, and hands back nothing but its :class:`StepOutcome`, which is plain data.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from leverframe.core.digest import Digest, digest_record
from leverframe.core.errors import DeadlineExceeded, InvalidInput, Unavailable

STEPS_MAX = 64
RETRIES_MAX = 10
PAUSE_S, PAUSE_S_MAX = 0.2, 5.0


class Blobs(Protocol):
    """Content-addressed bytes (the artifact store is one)."""

    def put(self, data: bytes) -> Digest:
        """Store ``data``; the same bytes again are the same name."""
        ...

    def get(self, digest: Digest) -> bytes:
        """The bytes of that name."""
        ...

    def has(self, digest: Digest) -> bool:
        """Whether the bytes are there."""
        ...


class StepMemory(Protocol):
    """Remembers which output a step key had; survives the process when its caller needs to resume."""

    def recall(self, key: Digest) -> Digest | None:
        """The output remembered for ``key``."""
        ...

    def remember(self, key: Digest, output: Digest) -> None:
        """Keep ``output`` for ``key``; the same key may be remembered again."""
        ...


@dataclass(frozen=True)
class Inputs(Mapping[str, bytes]):
    """The outputs of the steps a step needs, read when asked for; ``blobs`` takes what is too large for the one output."""

    digests: Mapping[str, Digest]
    blobs: Blobs

    def __getitem__(self, name: str) -> bytes:
        """The bytes step ``name`` gave."""
        return self.blobs.get(self.digests[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self.digests)

    def __len__(self) -> int:
        return len(self.digests)


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step of a pipeline.

    Parameters
    ----------
    run: from the outputs of the steps named in ``needs`` to this step's output.
    settings: everything else the output depends on, as plain data; it is part of the cache key.
    retries: further tries after a transient fault.    timeout_s: of one try.
    reusable: false for a step that acts on the world, such as registering; it runs in every run.
    """

    name: str
    run: Callable[[Inputs], bytes]
    needs: tuple[str, ...] = ()
    settings: Any = None
    retries: int = 2
    timeout_s: float = 900.0
    reusable: bool = True


class StepOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a step came to: the digest of its output, whether it was reused, how long it took and at which try."""

    name: str
    output: Digest
    cached: bool
    seconds: float
    attempts: int


@dataclass(frozen=True)
class Pipeline:
    """Steps in an order in which each needs only earlier ones; ``code`` is the digest of everything that is not data or settings."""

    name: str
    code: Digest
    steps: tuple[Step, ...]

    def __post_init__(self) -> None:
        """Raise InvalidInput for a step twice, a need that is no earlier step, or bounds exceeded."""
        seen: set[str] = set()
        wrong = [f"{len(self.steps)} steps"] if not 0 < len(self.steps) <= STEPS_MAX else []
        for step in self.steps:
            wrong += [f"{step.name} twice"] if step.name in seen else []
            wrong += [f"{step.name} needs {need}, which is no earlier step" for need in step.needs if need not in seen]
            wrong += [f"{step.name} has {step.retries} retries"] if not 0 <= step.retries <= RETRIES_MAX else []
            seen.add(step.name)
        if wrong:
            raise InvalidInput("; ".join(wrong), where=f"pipeline {self.name}", expected=f"1 to {STEPS_MAX} steps, in order")

    def key(self, step: Step, outputs: Mapping[str, Digest]) -> Digest:
        """The name of one execution: the same code, settings and inputs have the same output."""
        inputs = {need: outputs[need] for need in step.needs}
        return digest_record({"code": self.code, "step": step.name, "settings": step.settings, "inputs": inputs})


def run_step(
    pipeline: Pipeline,
    step: Step,
    outputs: Mapping[str, Digest],
    *,
    blobs: Blobs,
    memory: StepMemory,
    pause: Callable[[float], None] = time.sleep,
) -> StepOutcome:
    """Run one step, or reuse the output it had before; transient faults are tried again with growing pauses.

    Parameters
    ----------
    outputs: digests of at least the steps that ``step`` needs.    pause: waits that many seconds.

    Raises
    ------
    whatever the step raises, when it is not transient (see :func:`is_transient`) or the tries are used up.
    """
    started = time.perf_counter()
    key = pipeline.key(step, outputs)
    remembered = memory.recall(key) if step.reusable else None
    if remembered is not None and blobs.has(remembered):
        return StepOutcome(name=step.name, output=remembered, cached=True, seconds=time.perf_counter() - started, attempts=0)
    inputs = Inputs({need: outputs[need] for need in step.needs}, blobs)
    for attempt in range(1, step.retries + 2):
        try:
            output = blobs.put(within(step.timeout_s, lambda: step.run(inputs), where=f"step {step.name}"))
            break
        except Exception as error:
            if attempt > step.retries or not is_transient(error):
                raise
            pause(min(PAUSE_S_MAX, PAUSE_S * 2 ** (attempt - 1)))
    if step.reusable:
        memory.remember(key, output)
    return StepOutcome(name=step.name, output=output, cached=False, seconds=time.perf_counter() - started, attempts=attempt)


def is_transient(error: Exception) -> bool:
    """Whether the same try may succeed in a moment: a thing was not there, or the network failed. Running out of time is no such fault."""
    if isinstance(error, DeadlineExceeded):
        return False
    return isinstance(error, Unavailable | ConnectionError | InterruptedError)


def within(timeout_s: float, work: Callable[[], bytes], *, where: str) -> bytes:
    """The result of ``work``, or DeadlineExceeded after ``timeout_s``; the abandoned thread's late result is dropped.

    Raises
    ------
    DeadlineExceeded: the time ran out.
    """
    result: list[bytes] = []
    failure: list[BaseException] = []

    def call() -> None:
        try:
            result.append(work())
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=call, name=where, daemon=True)
    thread.start()
    thread.join(timeout_s)
    if failure:
        raise failure[0]
    if not result:
        raise DeadlineExceeded("the step ran out of time", where=where, expected=f"<= {timeout_s:g} s", next_step="train on fewer rows")
    return result[0]


def outputs_of(outcomes: Sequence[StepOutcome]) -> dict[str, Digest]:
    """Output digest by step name."""
    return {outcome.name: outcome.output for outcome in outcomes}
