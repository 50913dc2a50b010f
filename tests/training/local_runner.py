"""A whole pipeline run in the test's own process, step by step as the durable engine does it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from leverframe.training.pipeline import Blobs, Pipeline, StepMemory, StepOutcome, outputs_of, run_step


@dataclass(frozen=True)
class LocalRunner:
    """What is finished stays in ``memory`` and ``blobs``, so that running again continues.

    ``observe(name, None)`` is called when a step starts and ``observe(name, outcome)`` when it is done.
    """

    blobs: Blobs
    memory: StepMemory
    observe: Callable[[str, StepOutcome | None], None] = field(default=lambda name, outcome: None)
    pause: Callable[[float], None] = time.sleep

    def run(self, pipeline: Pipeline) -> tuple[StepOutcome, ...]:
        """Every step's outcome, in order."""
        outcomes: list[StepOutcome] = []
        for step in pipeline.steps:
            self.observe(step.name, None)
            outputs = outputs_of(outcomes)
            outcomes.append(run_step(pipeline, step, outputs, blobs=self.blobs, memory=self.memory, pause=self.pause))
            self.observe(step.name, outcomes[-1])
        return tuple(outcomes)
