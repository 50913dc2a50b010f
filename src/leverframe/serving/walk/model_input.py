"""From a request's columns to a model's input: look-up, request-time functions, one matrix, and what to do where a value lacks."""

import math
from collections.abc import Mapping, Sequence
from time import perf_counter_ns

import msgspec
import numpy as np
import numpy.typing as npt

from leverframe.core.assemble import assemble
from leverframe.serving.engine.models import LoadedVersion
from leverframe.serving.features.lookup import Looked, Lookup
from leverframe.serving.features.missing import NOTHING_LACKING, Lacking
from leverframe.serving.protocol.inputs import PackedRow, PackedTable
from leverframe.serving.protocol.tensors import Column
from leverframe.serving.routes.routing import CompiledArm
from leverframe.serving.telemetry.trace import LOOK_UP
from leverframe.serving.walk.ask import Ask

_NO_AGES: Mapping[str, int] = {}
_NOT_LOOKED = Looked({})
Float = npt.NDArray[np.float64]


class ModelInput(msgspec.Struct, gc=False):
    """What a model is asked for one request; ``features`` is its input matrix as little-endian float64, ``ages_us`` each view's age."""

    features: bytes
    rows: int
    lacking: Lacking = NOTHING_LACKING
    unreachable: Sequence[str] = ()
    ages_us: Mapping[str, int] = _NO_AGES

    def matrix(self) -> Float:
        """The input matrix ``[rows, columns]``, read-only."""
        return np.frombuffer(self.features, dtype="<f8").reshape(self.rows, -1)


NO_INPUT = ModelInput(b"", 1)


def model_input(lookup: Lookup, arm: CompiledArm, ask: Ask) -> ModelInput:
    """Features and matrix of one request for one arm.

    Raises
    ------
    Refused: a value is missing that the model does not do without.
    """
    model, policy = arm.model, arm.policy
    bindings, now_us = model.signature.views, ask.asked_at_us
    looked, lacking = _NOT_LOOKED, NOTHING_LACKING
    started_ns = perf_counter_ns() if bindings and ask.trace is not None else 0
    if ask.rows == 1:
        if bindings:
            looked = lookup.read_one(bindings, ask.columns, now_us, policy.off_views, policy.remember)
            if started_ns and ask.trace is not None:
                ask.trace.stage(LOOK_UP, started_ns, perf_counter_ns())
        row = _row(model, ask.columns, looked.values)
        # A sum is NaN when any of its terms is: one cheap look instead of one a column.
        if policy.off or math.isnan(sum(row)):
            row, lacking = policy.apply_row(row, looked.gaps)
        return ModelInput(model.plan.pack(*row), 1, lacking, looked.unreachable, looked.ages_us)
    if bindings:
        looked = lookup.read(bindings, ask.columns, ask.rows, now_us, policy.off_views, policy.remember)
        if started_ns and ask.trace is not None:
            ask.trace.stage(LOOK_UP, started_ns, perf_counter_ns())
    sent = ask.columns.table if isinstance(ask.columns, PackedTable) and model.plan.as_sent else None
    matrix = assemble(model.raw, ask.columns, looked.values, ask.rows) if sent is None else sent
    if policy.off or math.isnan(matrix.sum()):
        # Policy is applied in place, and other arms may be about to read the same table.
        matrix, lacking = policy.apply(matrix if sent is None else sent.copy(), looked.gaps)
    return ModelInput(np.ascontiguousarray(matrix, dtype="<f8").tobytes(), ask.rows, lacking, looked.unreachable, looked.ages_us)


def _row(model: LoadedVersion, columns: Mapping[str, Column], views: Mapping[str, Sequence[float]]) -> Sequence[float]:
    """The single row of a request, before any missing-value policy."""
    if isinstance(columns, PackedRow) and model.plan.as_sent and None not in columns.row:
        return columns.row
    values = {name: column[0] for name, column in columns.items()}
    return model.plan.row(values, views)
