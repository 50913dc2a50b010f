"""What the request path answers to rows, each as a request of its own: what batch scoring is held against."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import polars as pl
from tests.serving.installation import table

from leverframe.core.clock import ManualClock
from leverframe.core.errors import LeverframeError
from leverframe.core.route import Arm, Endpoint
from leverframe.core.schema import Signature
from leverframe.features.online.online import entity_keys
from leverframe.serving.doors.rest import RestInference
from leverframe.serving.engine.models import LoadedVersion
from leverframe.serving.features.lookup import Lookup
from leverframe.serving.log_segments import SegmentLog
from leverframe.serving.protocol.message import Request
from leverframe.serving.routes.routing import compile_routes
from leverframe.serving.telemetry.counts import Telemetry
from leverframe.serving.walk.inference import Inference
from leverframe.serving.walk.shadow import ShadowQueue

Answer = tuple[str, float, int]


def answer_rows(
    folder: Path, signature: Signature, model: LoadedVersion, store: Any, now_us: int, frame: pl.DataFrame, fields: list[str]
) -> list[Answer]:
    """(code, score, missing values) of each row."""
    clock = ManualClock(now_us)
    loop = asyncio.new_event_loop()
    log = SegmentLog(folder / "log", "test", clock)
    arm = Arm(version=model.version, bundle=model.bundle, envelope=model.bundle, role="live", weight=100.0)
    endpoint = compile_routes(table(Endpoint(name="m", arms=(arm,))), lambda _name, _arm: model, Telemetry()).endpoints["m"]
    inference = Inference(clock=clock, log=log, lookup=Lookup(store, entity_keys), shadows=ShadowQueue(loop), id_prefix="t")
    rest = RestInference(inference, 1 << 20)
    types = {field.name: field.datatype for field in signature.request}
    answers: list[Answer] = []
    for row in frame.select(fields).iter_rows(named=True):
        inputs = [{"name": name, "shape": [1], "datatype": types[name], "data": [value]} for name, value in row.items()]
        request = Request(b"POST", b"/v2/models/m/infer", {}, json.dumps({"inputs": inputs}).encode(), time.perf_counter_ns())
        try:
            document = json.loads(rest.answer(endpoint, request).body)
        except LeverframeError as error:
            answers.append((error.code, float("nan"), 0))
            continue
        answers.append(("", document["outputs"][0]["data"][0], document["parameters"].get("missing", 0)))
        log.maintain()
    log.close()
    loop.close()
    return answers
