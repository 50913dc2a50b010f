"""A small installation for tests: real bundles of real models, a signed route table, and real gateway processes."""

import hashlib
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import lightgbm
import msgspec
import numpy as np

from leverframe.core.assemble import assemble
from leverframe.core.digest import canonical_json
from leverframe.core.model import GOLDEN, MODEL_LIGHTGBM, MODEL_ONNX, SIGNATURE, Golden
from leverframe.core.prediction import LogRecord, decode_frames
from leverframe.core.route import Arm, Caller, Endpoint, RouteTable
from leverframe.core.schema import InputColumn, OutputField, RequestField, Signature, ViewBinding
from leverframe.core.segment import DATA_OFFSET, Counts, parse_segment_name, unpack_header
from leverframe.governance.artifacts import ArtifactStore
from leverframe.governance.bundles import write_bundle
from leverframe.governance.publication import Publication
from leverframe.governance.signing import load_or_create
from leverframe.training.export import export_onnx

ROUTES_TYPE = "application/vnd.leverframe.routes+json"
TOKEN = "test-token-1"

PLAIN = Signature(
    request=tuple(RequestField(name=f"x{i}", datatype="FP64", example=0.5) for i in range(4)),
    columns=tuple(InputColumn(name=f"x{i}", source="request", field=f"x{i}") for i in range(4)),
    outputs=(OutputField(name="probability"),),
)
"""Four numbers in, one score out."""

FLIGHT = Signature(
    request=(
        RequestField(name="origin", datatype="BYTES", entity=True, example="JFK"),
        RequestField(name="carrier", datatype="BYTES", required=False, example="B6"),
        RequestField(name="distance", datatype="FP64", required=False, example=187.0),
        RequestField(name="sched_dep_s", datatype="INT64", example=1364814000),
    ),
    columns=(
        InputColumn(name="carrier", source="request", field="carrier", categories=("AA", "B6", "UA")),
        InputColumn(name="distance", source="request", field="distance", on_missing="default", default=500.0),
        InputColumn(
            name="minute", source="request_time", field="sched_dep_s", function="minute_of_day", params={"zone": "America/New_York"}
        ),
        InputColumn(name="delay", source="view", view="origin_delays", feature="mean_2h"),
        InputColumn(name="delays", source="view", view="origin_delays", feature="count_2h", on_missing="default", default=0.0),
        InputColumn(name="wind", source="view", view="origin_weather", feature="wind"),
    ),
    views=(
        ViewBinding(view="origin_delays", view_version="1", entity_fields=("origin",), features=("mean_2h", "count_2h")),
        ViewBinding(view="origin_weather", view_version="1", entity_fields=("origin",), features=("wind", "gust"), ttl_us=3_600_000_000),
    ),
)
"""Entity keys, categories, request-time functions and looked-up features."""


@cache
def model_text(columns: int, seed: int, trees: int = 20) -> str:
    """A fitted LightGBM classifier in its text form."""
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(1500, columns)) * np.array([1.0, 300.0, 700.0, 20.0, 20.0, 10.0] + [1.0] * 20)[:columns]
    matrix[rng.random(matrix.shape) < 0.1] = np.nan
    target = (np.nan_to_num(matrix[:, 0]) + rng.normal(size=1500) > 0).astype(float)
    params = {"objective": "binary", "verbose": -1, "num_threads": 1, "seed": seed, "num_leaves": 15, "min_data_in_leaf": 20}
    return str(lightgbm.train(params, lightgbm.Dataset(matrix, target), trees).model_to_string())


def bundle_files(signature: Signature, seed: int, trees: int = 20) -> Mapping[str, bytes]:
    """A whole bundle: both model forms, signature, golden rows."""
    return _bundle_files(msgspec.json.encode(signature), seed, trees)


@cache
def _bundle_files(packed: bytes, seed: int, trees: int) -> Mapping[str, bytes]:
    signature = msgspec.json.decode(packed, type=Signature)
    text = model_text(len(signature.columns), seed, trees)
    rng = np.random.default_rng(seed + 1)
    rows = rng.normal(size=(16, len(signature.columns)))
    rows[rng.random(rows.shape) < 0.2] = np.nan
    expected = lightgbm.Booster(model_str=text).predict(rows)
    golden = Golden(
        columns=tuple(c.name for c in signature.columns),
        rows=tuple(tuple(None if np.isnan(v) else float(v) for v in row) for row in rows),
        expected=tuple((float(v),) for v in expected),
        tolerance=1e-9,
    )
    return {
        MODEL_LIGHTGBM: text.encode(),
        MODEL_ONNX: export_onnx(text),
        SIGNATURE: msgspec.json.encode(signature),
        GOLDEN: msgspec.json.encode(golden),
    }


def expected_scores(
    signature: Signature, seed: int, request: Mapping[str, list[Any]], views: Mapping[str, Any], rows: int, trees: int = 20
) -> Any:
    """What the fitted model itself says about ``core.assemble``'s matrix."""
    matrix = assemble(signature, request, views, rows)
    return lightgbm.Booster(model_str=model_text(len(signature.columns), seed, trees)).predict(matrix)


def table(*endpoints: Endpoint, generation: int = 1, callers: bool = True, issued_at_us: int | None = None) -> RouteTable:
    """A route table with one caller (``TOKEN``)."""
    caller = Caller(token_sha256=hashlib.sha256(TOKEN.encode()).hexdigest(), subject="service:test")
    return RouteTable(
        environment="prod",
        generation=generation,
        issued_at_us=time.time_ns() // 1000 if issued_at_us is None else issued_at_us,
        endpoints=endpoints,
        callers=(caller,) if callers else (),
    )


class Installation:
    """Keys, artifacts and publication under ``home``, as the control plane would keep them."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.key = load_or_create(home / "keys")
        self.artifacts = ArtifactStore(str(home / "artifacts"))
        self.publication = Publication(str(home / "published"))
        self._arms: dict[tuple[str, int, bytes, int], Arm] = {}

    def arm(
        self,
        version: str,
        seed: int,
        *,
        signature: Signature = PLAIN,
        role: Any = "live",
        weight: float = 100.0,
        trees: int = 20,
        **more: Any,
    ) -> Arm:
        """An arm whose bundle is really there."""
        known = (version, seed, msgspec.json.encode(signature), trees)
        if known not in self._arms:
            digest, envelope = write_bundle(
                self.artifacts, self.key, model=version.partition("@")[0], files=bundle_files(signature, seed, trees), created_at_us=1
            )
            self._arms[known] = Arm(version=version, bundle=digest, envelope=envelope, role="live", weight=100.0)
        return msgspec.structs.replace(self._arms[known], role=role, weight=weight, **more)

    def bundle(self, files: Mapping[str, bytes], version: str = "m@v9") -> Arm:
        """An arm with exactly these files."""
        digest, envelope = write_bundle(self.artifacts, self.key, model="m", files=files, created_at_us=1)
        return Arm(version=version, bundle=digest, envelope=envelope, role="live", weight=100.0)

    def publish(self, routes: RouteTable) -> None:
        """Sign and publish."""
        self.publication.publish("routes-prod", self.key.sign(ROUTES_TYPE, canonical_json(routes)))


class Gateway:
    """A running gateway process."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, started_s: float) -> None:
        self.process = process
        self.port = port
        self.started_s = started_s
        self.url = f"http://127.0.0.1:{port}"

    def call(self, path: str, document: object = None, *, token: str = TOKEN, headers: Mapping[str, str] | None = None) -> Any:
        """(status, JSON) of a GET, or of a POST when there is a document (or bytes)."""
        body = None if document is None else document if isinstance(document, bytes) else json.dumps(document).encode()
        request = urllib.request.Request(self.url + path, data=body, headers={"Authorization": f"Bearer {token}", **(headers or {})})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"null")

    def page(self) -> Any:
        """The health page."""
        return self.call("/")[1]

    def wait(self, condition: Callable[[Any], bool], timeout_s: float = 5.0) -> float:
        """Seconds until the health page satisfies ``condition``."""
        started = time.monotonic()
        while not condition(self.page()):
            assert time.monotonic() - started < timeout_s, self.page()
            time.sleep(0.01)
        return time.monotonic() - started

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        self.process.terminate()
        return self.process.wait(15)


def start_gateway(home: Path, *arguments: str, preexec: Callable[[], None] | None = None, command: Sequence[str] | None = None) -> Gateway:
    """Start a gateway on a free port (or by another ``command``) and wait until it listens."""
    started = time.monotonic()
    process = subprocess.Popen(
        command or [sys.executable, "-m", "leverframe.apps.gateway", "--home", str(home), "--port", "0", *arguments],
        stdout=subprocess.PIPE,
        stderr=(home / "gateway.err").open("ab"),
        env={k: v for k, v in os.environ.items() if not k.startswith("LEVER_")},
        preexec_fn=preexec,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, (home / "gateway.err").read_text()
    facts = json.loads(line)
    return Gateway(process, facts["port"], time.monotonic() - started)


@contextmanager
def gateway(home: Path, *arguments: str, preexec: Callable[[], None] | None = None) -> Iterator[Gateway]:
    """A gateway that is gone afterwards, whatever happens."""
    running = start_gateway(home, *arguments, preexec=preexec)
    try:
        yield running
    finally:
        running.process.kill()
        running.process.wait()


def infer_body(values: list[float], request_id: str = "") -> dict[str, Any]:
    """A one-row request of the plain model."""
    inputs = [{"name": f"x{i}", "shape": [1], "datatype": "FP64", "data": [value]} for i, value in enumerate(values)]
    return {"inputs": inputs} | ({"id": request_id} if request_id else {})


def read_log(folder: Path) -> tuple[list[LogRecord], Counts]:
    """Every committed record of every segment, and the totals over workers."""
    records: list[LogRecord] = []
    totals: dict[str, Counts] = {}
    for path in sorted(folder.iterdir()):
        name = parse_segment_name(path.name)
        if name is None and path.suffix != ".totals":
            continue
        data = path.read_bytes()
        header = unpack_header(data)
        totals[header.worker] = totals.get(header.worker, Counts()).highest(header.counts)
        if name is not None:
            records += [record for record, _ in decode_frames(data[: header.used], DATA_OFFSET)]
    total = Counts()
    for counts in totals.values():
        total = total.plus(counts)
    return records, total
