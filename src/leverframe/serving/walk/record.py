"""What stays of an answer: its record in the prediction log, its counts, and what it says about itself."""

from typing import Any

import msgspec
import numpy as np

from leverframe.core.prediction import PredictionRecord
from leverframe.serving.features.lookup import freshness
from leverframe.serving.features.missing import lacking_facts
from leverframe.serving.routes.routing import CompiledArm, CompiledEndpoint
from leverframe.serving.walk import fallback
from leverframe.serving.walk.ask import Ask, Outcome, Status
from leverframe.serving.walk.model_input import ModelInput

_encode = msgspec.json.encode


def prediction(
    endpoint: CompiledEndpoint, arm: CompiledArm, ask: Ask, inputs: ModelInput, outcome: Outcome, latency_us: int, role: Any
) -> PredictionRecord:
    """The record of one answer; of a model with several score columns the first is the score, the others stand beside it."""
    record, width, scores, more = endpoint.record, arm.model.outputs.width, outcome.scores, b""
    if width > 1 and scores:
        table = np.array(scores, dtype="<f8").reshape(-1, width)
        scores, more = table[:, 0].tolist(), table[:, 1:].tobytes()
    return PredictionRecord(
        id=ask.id,
        endpoint=record.name,
        tenant=record.tenant,
        version=arm.version,
        role=role,
        generation=endpoint.generation,
        asked_at_us=ask.asked_at_us,
        latency_us=latency_us,
        status=outcome.status,
        outputs=tuple(scores),
        features=inputs.features,
        entities=ask.entities,
        missing=inputs.lacking.count,
        disabled=len(arm.policy.off) * ask.rows,
        code=outcome.code,
        more_outputs=more,
        routed=ask.routed,
        exposure=ask.exposure,
    )


def count(arm: CompiledArm, ask: Ask, inputs: ModelInput, status: Status, latency_us: int) -> None:
    """Count one answer of ``arm``."""
    stats = arm.stats
    if status == "ok":
        stats.ok += 1
    elif status == "fallback":
        stats.fallbacks += 1
    elif status == "refused":
        stats.refused += 1
    else:
        stats.errors += 1
    stats.missing += inputs.lacking.count
    stats.warned += bool(ask.warned)
    stats.disabled += len(arm.policy.off)
    stats.observe(latency_us)


def facts(endpoint: CompiledEndpoint, arm: CompiledArm, ask: Ask, inputs: ModelInput, outcome: Outcome) -> bytes:
    """What the answer says about itself: the inside of a JSON object."""
    said = arm.parameters
    if inputs.ages_us:
        said += freshness(inputs.ages_us)
    if inputs.lacking.count:
        said += lacking_facts(inputs.lacking)
    if ask.warned:
        said += b',"contract_warnings":%b' % _encode(",".join(ask.warned))
    if inputs.unreachable:
        said += b',"unreachable_views":%b' % _encode(",".join(inputs.unreachable))
    if arm.policy.off:
        said += b',"disabled_features":%b' % _encode(",".join(arm.policy.disabled))
    if outcome.cached:
        said += b',"cached":true'
    if outcome.fallback:
        said += b',"fallback":%b,"fallback_reason":%b' % (_encode(outcome.fallback), _encode(outcome.code))
        if outcome.fallback == fallback.LAST_GOOD and endpoint.last_good is not None:
            said += b',"fallback_version":%b' % _encode(endpoint.last_good.version)
    return said
