"""When an arm cannot answer: the last good version, else a rule, else the endpoint's constant, else the arm's own failure."""

from time import perf_counter_ns

from leverframe.core.errors import InvalidInput, Refused
from leverframe.serving.features.lookup import Lookup
from leverframe.serving.routes.routing import CompiledArm, CompiledEndpoint
from leverframe.serving.walk import fallback
from leverframe.serving.walk.ask import Ask, Outcome
from leverframe.serving.walk.model_input import ModelInput, model_input
from leverframe.serving.walk.scoring import score_in_lane, score_now


def killed(lookup: Lookup, endpoint: CompiledEndpoint, arm: CompiledArm, ask: Ask) -> tuple[ModelInput, Outcome]:
    """No model is asked at all: a rule or the constant answers, or the request is refused."""
    record = endpoint.record
    inputs = ModelInput(b"", ask.rows)
    if record.fallback.rules:
        try:
            inputs = model_input(lookup, arm, ask)
        except Refused:
            inputs = ModelInput(b"", ask.rows)
    outcome = without_model(endpoint, arm, inputs, fallback.KILLED)
    return inputs, outcome or Outcome([], "refused", fallback.KILLED, fallback.killed_error(record))


def without_model(endpoint: CompiledEndpoint, arm: CompiledArm, inputs: ModelInput, code: str) -> Outcome | None:
    """What rules and constant answer, in as many score columns as the arm's model has; None when they do not."""
    matrix = inputs.matrix() if inputs.features else None
    found = fallback.without_model(endpoint.record, matrix, arm.positions, inputs.rows)
    if found is None:
        return None
    scores, kind = found
    width = arm.model.outputs.width
    return Outcome([score for score in scores for _ in range(width)], "fallback", code, fallback=kind)


def waits_for_last_good(endpoint: CompiledEndpoint, arm: CompiledArm) -> bool:
    """Whether the last good version can stand in for ``arm``, and has a lane: then it has to be awaited."""
    good = endpoint.last_good
    return good is not None and good.model.lane is not None and _can_stand_in(good, arm)


def recover(lookup: Lookup, endpoint: CompiledEndpoint, arm: CompiledArm, ask: Ask, inputs: ModelInput, failed: Outcome) -> Outcome:
    """What is answered for ``failed``; a last good version is asked only if that can be done on the spot."""
    good = endpoint.last_good
    if good is not None and good.model.lane is None and _can_stand_in(good, arm):
        try:
            again = score_now(good, model_input(lookup, good, ask))
        except (Refused, InvalidInput):
            again = failed
        if again.status == "ok":
            return Outcome(again.scores, "fallback", failed.code, fallback=fallback.LAST_GOOD)
    return without_model(endpoint, arm, inputs, failed.code) or failed


async def recover_later(
    lookup: Lookup, endpoint: CompiledEndpoint, arm: CompiledArm, ask: Ask, inputs: ModelInput, failed: Outcome
) -> Outcome:
    """The same with a last good version that has a lane: it is asked while there is time."""
    good = endpoint.last_good
    in_time = not ask.deadline_ns or perf_counter_ns() < ask.deadline_ns
    if good is not None and good.model.lane is not None and in_time and _can_stand_in(good, arm):
        try:
            again = await score_in_lane(good, ask, model_input(lookup, good, ask), good.model.lane)
        except (Refused, InvalidInput):
            again = failed
        if again.status == "ok":
            return Outcome(again.scores, "fallback", failed.code, fallback=fallback.LAST_GOOD)
    return recover(lookup, endpoint, arm, ask, inputs, failed)


def _can_stand_in(good: CompiledArm, arm: CompiledArm) -> bool:
    return good.version != arm.version and good.model.signature.outputs == arm.model.signature.outputs
