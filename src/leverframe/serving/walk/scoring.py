"""Scores of one arm for one request, on the spot or in the model's lane; whatever a model does, an outcome comes of it."""

import asyncio
import math
from time import perf_counter_ns

from leverframe.core.errors import DeadlineExceeded, InvalidInput, LeverframeError, Overloaded
from leverframe.serving.engine.lane import Lane
from leverframe.serving.routes.routing import CompiledArm
from leverframe.serving.walk import fallback
from leverframe.serving.walk.ask import Ask, Outcome
from leverframe.serving.walk.model_input import ModelInput


def score_now(arm: CompiledArm, inputs: ModelInput) -> Outcome:
    """Scores on the spot."""
    model = arm.model
    try:
        if inputs.rows == 1 and model.outputs.simple:
            score = model.score_row(inputs.features)
            return Outcome([score]) if math.isfinite(score) else failed(arm)
        scores = model.score(inputs.matrix()).ravel().tolist()
    except InvalidInput:
        # Found late, but still the caller's: a value no model could take must not count against this one.
        raise
    except LeverframeError:
        return failed(arm)
    return Outcome(scores) if _finite(scores) else failed(arm)


async def score_in_lane(arm: CompiledArm, ask: Ask, inputs: ModelInput, lane: Lane) -> Outcome:
    """Scores from a lane, or what became of waiting for them."""
    try:
        waiting = lane.submit(inputs.matrix(), deadline_ns=ask.deadline_ns, priority=ask.priority, trace=ask.trace)
        if not ask.deadline_ns:
            result = await waiting
        else:
            async with asyncio.timeout(max(0.0, (ask.deadline_ns - perf_counter_ns()) / 1e9)):
                result = await waiting
    except TimeoutError:
        error = DeadlineExceeded("the answer was not there in time", where=arm.version, next_step="allow more time")
        return Outcome([], "error", error.code, error)
    except (Overloaded, DeadlineExceeded) as refusal:
        return Outcome([], "error", refusal.code, refusal)
    except LeverframeError:
        return failed(arm)
    scores = result.ravel().tolist()
    return Outcome(scores) if _finite(scores) else failed(arm)


def failed(arm: CompiledArm) -> Outcome:
    """What comes of asking a model that does not do its work."""
    return Outcome([], "error", fallback.MODEL_FAILED, fallback.failed_error(arm.endpoint, arm.version))


def _finite(scores: list[float]) -> bool:
    # One look for the usual case; only a sum that is not finite is worth a look at each score.
    return math.isfinite(sum(scores)) or all(map(math.isfinite, scores))
