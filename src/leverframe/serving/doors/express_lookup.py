"""The usual request of a model of fields, expressions and features looked up: one row, a tensor a field in the signature's order, JSON.

As in :mod:`leverframe.serving.doors.express`, all of this is said again in full by :mod:`leverframe.serving.walk.inference`, which answers
whatever this declines, and a test holds answers, records and counts of the two equal. It declines before anything is counted or logged: a
value that has expired, a store that cannot be read, a refusal, a null, parameters, an output by name, a fault of any kind. The decoder of
an endpoint is made of its fields, so one pass over the bytes finds names, shapes, datatypes and values right, or the request unusual.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import isfinite, isnan
from operator import itemgetter
from time import perf_counter_ns
from typing import Annotated, Any, Literal

import msgspec
import numpy as np

from leverframe.core.errors import LeverframeError
from leverframe.core.expressions.compiled import compiled, row_value
from leverframe.core.prediction import Exposure, PredictionRecord
from leverframe.core.request_time import SCALAR_FUNCTIONS, request_time_function
from leverframe.core.schema import InputColumn, RequestField
from leverframe.serving.doors.express import USUAL_BYTES_MAX
from leverframe.serving.features.lookup import NEVER_US, Lookup, RowReader, freshness
from leverframe.serving.features.missing import lacking_facts
from leverframe.serving.protocol.message import JSON, Request, Response
from leverframe.serving.protocol.oip import ID_CHARS_MAX
from leverframe.serving.routes.routing import CompiledArm, CompiledEndpoint
from leverframe.serving.walk.inference import Inference

_encode = msgspec.json.encode
_alone: Any = tuple
_literal: Any = Literal
"""Types that are made of an endpoint's fields, not of names that a type checker could know."""
_VALUES: dict[str, Any] = {"BYTES": str, "FP64": float, "FP32": float, "BOOL": bool}
_VALUES |= {f"INT{bits}": Annotated[int, msgspec.Meta(ge=-(2 ** (bits - 1)), le=2 ** (bits - 1) - 1)] for bits in (8, 16, 32, 64)}
"""Datatypes of usual fields, and what their single value is in JSON."""


def _decoder(fields: Sequence[RequestField]) -> Callable[[bytes], Any] | None:
    """Reads a usual request of ``fields``, or raises; None when a field is not usual."""
    if any(field.datatype not in _VALUES or field.width != 1 for field in fields):
        return None
    tensors = tuple(
        msgspec.defstruct(
            "Field",
            [
                ("name", _literal[field.name]),
                ("shape", _alone[Literal[1]]),
                ("datatype", _literal[field.datatype]),
                ("data", _alone[_VALUES[field.datatype]]),
            ],
            forbid_unknown_fields=True,
            gc=False,
        )
        for field in fields
    )
    document = msgspec.defstruct("Fields", [("inputs", _alone[tensors]), ("id", str, "")], forbid_unknown_fields=True, gc=False)
    return msgspec.json.Decoder(document).decode


def _step(column: InputColumn) -> Callable[[Any], float]:
    """One column of the request's own: its field's value to a number, as :class:`leverframe.serving.protocol.row.RowPlan` has it."""
    if column.source == "request_time":
        scalar, params = SCALAR_FUNCTIONS.get(column.function), column.params
        if scalar is not None:
            return partial(_scalar, scalar, params)
        function = request_time_function(column.function)
        return lambda value: float(function(np.array([value], dtype=np.int64), params)[0])
    if column.categories:
        position = {category: float(index) for index, category in enumerate(column.categories)}.get
        return lambda value: position(str(value), -1.0)
    return float


def _scalar(function: Callable[[int, Any], float], params: Any, value: int) -> float:
    return function(value, params)


@dataclass(frozen=True)
class _ArmPlan:
    """An arm's row, compiled: request columns first, then each view's stored row; ``pick`` brings them into the signature's order."""

    arm: CompiledArm
    read: RowReader
    keys: tuple[Callable[[Sequence[Any]], bytes], ...]
    views: tuple[tuple[str, int], ...]
    """Name and TTL of each view."""
    steps: tuple[tuple[int, Callable[[Any], float]], ...]
    late: tuple[Callable[[Sequence[Any], Sequence[Any]], float], ...]
    """Expressions, computed of the request's values and everything before them; they come last."""
    pick: Callable[[list[Any]], Sequence[float]]
    entities: tuple[tuple[str, int], ...]
    fresh: bytes
    """How old every view is, when each has a row."""


def _arm_plan(arm: CompiledArm, lookup: Lookup) -> _ArmPlan | None:
    """``arm`` compiled, or None when its requests are not usual."""
    model, policy = arm.model, arm.policy
    signature = model.signature
    read = lookup.reader(signature.views) if signature.views else _no_rows
    cheap = model.lane is None and model.outputs.simple and arm.reads_as_live
    if read is None or not cheap or policy.off or policy.remember or len(signature.columns) < 2:
        return None
    at = {field.name: index for index, field in enumerate(signature.request)}
    steps: list[tuple[int, Callable[[Any], float]]] = []
    own = [column for column in signature.columns if column.source in ("request", "request_time")]
    base = len(own)
    places: dict[tuple[str, str], int] = {}
    for binding in signature.views:
        places |= {(binding.view, feature): base + 2 + index for index, feature in enumerate(binding.features)}
        base += 2 + len(binding.features)
    order = []
    late: list[Callable[[Sequence[Any], Sequence[Any]], float]] = []
    for column in signature.columns:
        if column.source == "view":
            order.append(places[column.view, column.feature])
        elif column.source == "expression":
            order.append(base + len(late))
            late.append(_late(column, signature.request, at, places))
        else:
            order.append(len(steps))
            steps.append((at[column.field], _step(column)))
    ages = b",".join(_encode(binding.view).replace(b"%", b"%%") + b":%d" for binding in signature.views)
    return _ArmPlan(
        arm=arm,
        read=read,
        keys=tuple(_key(lookup, [at[field] for field in binding.entity_fields]) for binding in signature.views),
        views=tuple((binding.view, binding.ttl_us) for binding in signature.views),
        steps=tuple(steps),
        late=tuple(late),
        pick=itemgetter(*order),
        entities=tuple((name, at[name]) for name in model.entity_fields),
        fresh=b',"freshness_s":{' + ages + b"}" if ages else b"",
    )


def _no_rows(keys: Sequence[bytes]) -> list[tuple[Any, ...]]:
    """What is read for a model that looks nothing up."""
    return []


def _late(
    column: InputColumn, request: tuple[RequestField, ...], at: Mapping[str, int], places: Mapping[tuple[str, str], int]
) -> Callable[[Sequence[Any], Sequence[Any]], float]:
    """An expression's column, from the request's values and from what was looked up."""
    expression = compiled(column, request)
    value = row_value(expression, column.categories)
    reads = [(bool(view), places[view, name] if view else at[name]) for name, view in expression.inputs]
    return lambda values, flat: value([flat[place] if looked_up else values[place] for looked_up, place in reads])


def _key(lookup: Lookup, fields: Sequence[int]) -> Callable[[Sequence[Any]], bytes]:
    key = lookup.key
    if len(fields) == 1:
        (only,) = fields
        return lambda values: key(values[only])
    return lambda values: key(*[values[index] for index in fields])


@dataclass(frozen=True)
class _EndpointPlan:
    """A usual endpoint: how its requests are decoded, the field that sticks (-1: the id does), and its arms' rows."""

    decode: Callable[[bytes], Any]
    sticky: int
    arms: dict[int, _ArmPlan]


class ExpressLookup:
    """Answers usual requests of endpoints whose models take fields one by one, and look features up or not.

    Parameters
    ----------
    inference: the general way, whose clock, log, look-up and ids are used here too.
    """

    def __init__(self, inference: Inference) -> None:
        self._now_us = inference.clock.now_us
        self._log_answer = inference.log.answer
        self._next_id = inference.next_id
        self._lookup = inference.lookup
        self._plans: dict[str, tuple[CompiledEndpoint, _EndpointPlan | None]] = {}

    def answer(self, endpoint: CompiledEndpoint, request: Request) -> Response | None:
        """The answer, logged and counted; None when the request is not a usual one, with nothing done."""
        asked_at_us = self._now_us()
        known = self._plans.get(endpoint.record.name)
        if known is None or known[0] is not endpoint:
            known = self._plans[endpoint.record.name] = (endpoint, self._compile(endpoint))
        plan = known[1]
        if plan is None or len(request.body) > USUAL_BYTES_MAX:
            return None
        try:
            document = plan.decode(request.body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        if len(document.id) > ID_CHARS_MAX:
            return None
        values = [tensor.data[0] for tensor in document.inputs]
        prediction_id = document.id or self._next_id()
        arm, exposure = endpoint.live, None
        if endpoint.intervals:
            arm, exposure = endpoint.pick(prediction_id if plan.sticky < 0 else str(values[plan.sticky]))
        contract = arm.model.contract
        if contract and not contract.keeps(values):
            return None
        try:
            return self._answer(endpoint, plan.arms[id(arm)], values, prediction_id, asked_at_us, request.arrived_ns, exposure)
        except LeverframeError:
            return None

    def _answer(
        self,
        endpoint: CompiledEndpoint,
        plan: _ArmPlan,
        values: list[Any],
        prediction_id: str,
        asked_at_us: int,
        arrived_ns: int,
        exposure: Exposure | None,
    ) -> Response | None:
        flat: list[Any] = [step(values[index]) for index, step in plan.steps]
        ages = []
        newest = self._lookup.newest_event_us
        rows = plan.read([key(values) for key in plan.keys])
        for (view, ttl_us), found in zip(plan.views, rows, strict=True):
            event_us = found[0]
            if event_us != NEVER_US:
                if ttl_us and event_us <= asked_at_us - ttl_us:
                    return None
                if event_us > newest.get(view, NEVER_US):
                    newest[view] = event_us
                ages.append((asked_at_us - event_us) // 1_000_000 if event_us < asked_at_us else 0)
            flat += found
        for late in plan.late:
            flat.append(late(values, flat))
        row = plan.pick(flat)
        arm = plan.arm
        lacks, facts = 0, b""
        if isnan(sum(row)):
            row, lacking = arm.policy.apply_row(row)
            if lacks := lacking.count:
                facts = lacking_facts(lacking)
        model = arm.model
        packed = model.plan.pack(*row)
        score = model.score_row(packed)
        if not isfinite(score):
            return None
        record, latency_us = endpoint.record, (perf_counter_ns() - arrived_ns) // 1000
        self._log_answer(
            PredictionRecord(
                id=prediction_id,
                endpoint=record.name,
                tenant=record.tenant,
                version=arm.version,
                role=arm.arm.role,
                generation=endpoint.generation,
                asked_at_us=asked_at_us,
                latency_us=latency_us,
                status="ok",
                outputs=(score,),
                features=packed,
                entities={name: str(values[index]) for name, index in plan.entities},
                missing=lacks,
                exposure=exposure,
            )
        )
        stats = arm.stats
        stats.ok += 1
        stats.missing += lacks
        stats.observe(latency_us)
        if len(ages) == len(rows):
            fresh = plan.fresh % tuple(ages)
        else:
            known = {view: asked_at_us - row[0] for (view, _), row in zip(plan.views, rows, strict=True) if row[0] != NEVER_US}
            fresh = freshness(known) if known else b""
        parts = (model.answer_start, _encode(prediction_id), arm.parameters, fresh, facts, model.answer_outputs, _encode(score))
        return Response(200, b'%b%b,"parameters":{%b%b%b}%b1],"data":[%b]}]}' % parts, JSON)

    def _compile(self, endpoint: CompiledEndpoint) -> _EndpointPlan | None:
        """How usual requests of ``endpoint`` are answered, or None when it has none."""
        if endpoint.unseen or endpoint.record.killed:
            return None
        arms = {id(arm): _arm_plan(arm, self._lookup) for arm in endpoint.arms}
        fields = endpoint.live.model.signature.request
        decode = _decoder(fields)
        plans = {number: plan for number, plan in arms.items() if plan is not None}
        if decode is None or len(plans) < len(arms):
            return None
        names = [field.name for field in fields]
        sticky = endpoint.sticky
        return _EndpointPlan(decode, names.index(sticky) if sticky in names else -1, plans)
