"""Who is measured: how each server is installed and started, how it wants to be asked, and what ours must reach beside it.

Each product is set up as its own documentation says for speed: one worker, the model on one thread, no access log. The rows are the
same for all, written as each one's own protocol wants them.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from benchmarks.classifier import COLUMNS, NAMES
from benchmarks.serving.setup import Matrix, http

from leverframe.core.model import MODEL_LIGHTGBM, MODEL_ONNX

OURS = "leverframe"
Bars = dict[str, float]
RATE_16, RATE_64, RATE_32_ROWS = "1-row requests at 16 connections", "1-row requests at 64 connections", "32-row requests at 16 connections"
_PRODUCT: Bars = {RATE_16: 10.0, RATE_64: 10.0, RATE_32_ROWS: 4.0}
ONNX = "onnxruntime==1.32.0"


@dataclass(frozen=True)
class Protocol:
    """How rows are asked for and where the scores stand in the answer."""

    target: str
    body: Callable[[Matrix], Any]
    scores: Callable[[Any], Any]

    def requests(self, rows: Matrix) -> list[bytes]:
        """A whole HTTP request for each of ``rows`` [requests, rows, columns]."""
        return [http(self.target, msgspec.json.encode(self.body(each))) for each in rows]

    def read(self, answer: bytes) -> list[float]:
        """The scores in a whole HTTP answer; raises when there are none."""
        head, _, body = answer.partition(b"\r\n\r\n")
        if b"transfer-encoding: chunked" in head.lower():
            body = body.partition(b"\r\n")[2].rpartition(b"\r\n0\r\n")[0]
        scores = self.scores(msgspec.json.decode(body))
        return [float(score) for score in scores]


def _tensor(rows: Matrix) -> Any:
    return {"inputs": [{"name": "rows", "shape": list(rows.shape), "datatype": "FP64", "data": rows.ravel().tolist()}]}


def _rows(rows: Matrix) -> Any:
    return {"rows": rows.tolist()}


OPEN_INFERENCE = Protocol("/v2/models/m/infer", _tensor, lambda answer: answer["outputs"][0]["data"])
_INVOCATIONS = "/invocations"


@dataclass(frozen=True)
class Server:
    """One server. ``requirements`` are those of its throw-away environment, named ``environment``; none: it runs in ours.

    ``bars``: what ours must reach as a multiple of it, by figure; ``with_32_rows``: whether it can be asked for many rows at once.
    """

    name: str
    script: str
    protocol: Protocol
    arguments: tuple[str, ...] = ()
    environment: str = ""
    requirements: tuple[str, ...] = ()
    bars: tuple[tuple[str, float], ...] = tuple(_PRODUCT.items())
    with_32_rows: bool = True

    def command(self, python: Path | None, home: Path, port: int) -> list[str]:
        """How it is started on ``port``."""
        if self.name == OURS:
            return [sys.executable, "-m", "leverframe.apps.gateway", "--home", str(home), "--port", str(port)]
        if python is None:
            model = [str(home / MODEL_LIGHTGBM), str(COLUMNS)] if self.arguments else []
            return [sys.executable, "-m", f"benchmarks.serving.{self.script}", *self.arguments, *model, str(port)]
        return [str(python), str(Path(__file__).with_name(f"{self.script}.py")), str(home / MODEL_ONNX), str(port), *self.arguments]


def _peer(name: str, protocol: Protocol, requirements: tuple[str, ...], *arguments: str, bars: Bars = _PRODUCT) -> Server:
    tool = name.partition("-")[0]
    return Server(name, f"peer_{tool}", protocol, arguments, f"serving-{tool}", (*requirements, ONNX), tuple(bars.items()))


def _limit(predictor: str) -> Server:
    bars = ((RATE_16, 0.7), (RATE_64, 0.7))
    return Server(f"limit-{predictor}", "limit", OPEN_INFERENCE, (predictor,), bars=bars, with_32_rows=False)


_MLFLOW, _MLSERVER = ("mlflow==3.17.2",), ("mlserver==1.7.1", "uvloop==0.21.0")
OURSELVES = Server(OURS, "", OPEN_INFERENCE, bars=())
NULL = Server("null", "null", OPEN_INFERENCE, bars=(), with_32_rows=False)
SERVERS: tuple[Server, ...] = (
    _limit("trees"),
    _limit("lightgbm"),
    _peer(
        "fastapi",
        OPEN_INFERENCE,
        ("fastapi==0.165.0", "uvicorn==0.54.0", "uvloop==0.23.0", "httptools==0.9.0"),
        bars={RATE_16: 4.0, RATE_64: 4.0, RATE_32_ROWS: 2.5},
    ),
    _peer("kserve", OPEN_INFERENCE, ("kserve==0.21.0",)),
    _peer("mlserver-in-process", OPEN_INFERENCE, _MLSERVER, "0"),
    _peer("mlserver-worker", OPEN_INFERENCE, _MLSERVER, "1"),
    _peer("bentoml", Protocol("/predict", _rows, lambda answer: answer), ("bentoml==1.4.39", "uvloop==0.23.0", "httptools==0.9.0")),
    _peer(
        "litserve",
        Protocol("/predict", _rows, lambda answer: answer["scores"]),
        ("litserve==0.2.19", "uvloop==0.23.0", "httptools==0.9.0"),
    ),
    _peer(
        "mlflow-plain",
        Protocol(_INVOCATIONS, lambda rows: {"inputs": rows.tolist()}, lambda answer: answer["predictions"]),
        _MLFLOW,
        "plain",
    ),
    _peer(
        "mlflow-signature",
        Protocol(
            _INVOCATIONS,
            lambda rows: {"dataframe_split": {"columns": NAMES, "data": rows.tolist()}},
            lambda answer: answer["predictions"],
        ),
        _MLFLOW,
        "signature",
    ),
    _peer("ray", Protocol("/", _rows, lambda answer: answer["scores"]), ("ray[serve]==2.60.0",)),
    _peer("pytriton", OPEN_INFERENCE, ("nvidia-pytriton==0.7.0",), bars={RATE_16: 8.0, RATE_64: 5.0, RATE_32_ROWS: 4.0}),
)
