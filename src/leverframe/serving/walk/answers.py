"""A model's answer before any protocol gives it a form."""

from typing import Any

import msgspec

from leverframe.serving.protocol.outputs import Output
from leverframe.serving.routes.routing import CompiledArm


class Answer(msgspec.Struct, gc=False):
    """One answer of one arm. ``parameters`` is the inside of a JSON object: arm, generation, and what was unusual."""

    id: str
    arm: CompiledArm
    rows: int
    scores: list[float]
    parameters: bytes

    def outputs(self, wanted: tuple[str, ...] = ()) -> list[Output]:
        """The outputs asked for, or all."""
        return self.arm.model.outputs.outputs(self.scores, self.rows, wanted)

    def facts(self) -> dict[str, Any]:
        """``parameters`` as a dictionary of text, numbers and objects."""
        facts: dict[str, Any] = msgspec.json.decode(b"{%b}" % self.parameters)
        return facts
