"""What a gateway is told: by its command line, or by the parent of its fleet."""

import os
from pathlib import Path
from typing import Any

import msgspec

from leverframe.core.errors import InvalidInput
from leverframe.serving.doors.grpc.limits import GrpcLimits
from leverframe.serving.log_segments import SEAL_S, SEGMENT_BYTES
from leverframe.serving.protocol.message import HttpLimits

WORKERS_MAX = 256
"""More workers than this are refused: each is a process with every model in it, and a label value in the metrics."""
HUNG_S = 5.0
"""A worker whose event loop has not beaten for this long is killed and replaced."""
AUTO = "auto"


class FleetPlace(msgspec.Struct, frozen=True, kw_only=True):
    """A worker's place in its fleet.

    ``listen_fds``: the parent's listening sockets, inherited; ``started_ns``: the parent's start (monotonic).
    """

    workers: tuple[str, ...]
    listen_fds: tuple[int, ...]
    started_ns: int


class GatewaySettings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything one gateway is told. Empty URLs mean the folders of an installation under ``home``; a ``grpc_port`` of 0: no gRPC.

    ``worker`` names the log segments of a lone worker; the workers of a fleet are called like it with their number behind.
    """

    home: Path
    host: str = "127.0.0.1"
    port: int = 8401
    grpc_port: int = 0
    environment: str = "prod"
    clock: str = "system"
    worker: str = "gateway-0"
    workers: int = 1
    hung_s: float = HUNG_S
    artifacts_url: str = ""
    publication_url: str = ""
    online_url: str = ""
    segment_bytes: int = SEGMENT_BYTES
    seal_s: float = SEAL_S
    allow_isolated: bool = False
    onnx_providers: str = "cpu"
    limits: HttpLimits = HttpLimits()
    grpc_limits: GrpcLimits = GrpcLimits()
    traces_url: str = ""
    traces_share: float = 0.0
    fleet: FleetPlace | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The workers' names: unique in the home, and the same for whoever replaces one."""
        stem = self.worker.removesuffix("-0")
        return tuple(f"{stem}-{number}" for number in range(self.workers))


def workers_of(text: str) -> int:
    """How many workers ``text`` asks for: a number, or ``auto`` for one a core that this process may use.

    >>> workers_of("2")
    2

    Raises
    ------
    InvalidInput: neither, or out of 1 to ``WORKERS_MAX``.
    """
    if text == AUTO:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return min(cores, WORKERS_MAX)
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= WORKERS_MAX:
        raise InvalidInput(
            "not a number of workers",
            where="workers",
            expected=f"1 to {WORKERS_MAX}, or {AUTO}",
            got=text[:40],
            next_step="set LEVER_GATEWAY_WORKERS or --workers",
        )
    return int(text)


def to_argument(settings: GatewaySettings) -> str:
    """``settings`` as one argument of a worker's command line."""
    return msgspec.json.encode(settings, enc_hook=str).decode()


def from_argument(text: str) -> GatewaySettings:
    """The settings that :func:`to_argument` wrote."""
    return msgspec.json.decode(text, type=GatewaySettings, dec_hook=_path)


def _path(kind: type, value: Any) -> Any:
    return Path(value) if kind is Path else value
