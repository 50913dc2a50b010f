"""A gateway from the command line: the installation's ``LEVER_*`` variables are the defaults of its options."""

import argparse
import json
import os
import sys
from pathlib import Path

from leverframe.apps.gateway.settings import HUNG_S, GatewaySettings, workers_of
from leverframe.core.errors import LeverframeError
from leverframe.serving.log_segments import SEAL_S, SEGMENT_BYTES

REFUSED_TO_START = 5
"""Exit code of a gateway that cannot serve; why stands on standard error."""


def run(settings: GatewaySettings) -> None:
    """Serve until asked to stop: in this process, or, with several workers, as their parent.

    Raises
    ------
    Refused: exposed without callers.  Unavailable: port or log folder cannot be had, or no worker stays up.
    """
    # Only what is needed is loaded: a parent has no model runtime, a lone worker no supervision.
    if settings.workers == 1:
        from leverframe.apps.gateway import process

        process.run(settings)
    else:
        from leverframe.apps.gateway import fleet

        fleet.run(settings)


def main(arguments: list[str] | None = None) -> int:
    """Start from a command line; returns the exit code."""
    given = os.environ
    parser = argparse.ArgumentParser(prog="leverframe-gateway", description="The data plane: one worker, or several on one port.")
    parser.add_argument("--home", type=Path, default=Path(given.get("LEVER_HOME", ".leverframe")))
    parser.add_argument("--host", default=given.get("LEVER_GATEWAY_HOST", "127.0.0.1"))
    parser.add_argument("--port", type=int, default=int(given.get("LEVER_GATEWAY_PORT", "8401")))
    parser.add_argument("--grpc-port", type=int, default=int(given.get("LEVER_GATEWAY_GRPC_PORT", "0")), help="port for gRPC; 0: none")
    parser.add_argument("--workers", default=given.get("LEVER_GATEWAY_WORKERS", "1"), help="processes on the port; auto: one a usable core")
    parser.add_argument("--hung-s", type=float, default=HUNG_S, help="a worker without a heartbeat for this long is replaced")
    parser.add_argument("--environment", default=given.get("LEVER_ENVIRONMENT", "prod"))
    parser.add_argument("--clock", default=given.get("LEVER_CLOCK", "system"))
    parser.add_argument("--worker", default="gateway-0", help="name of the log segments; of a fleet's, with the worker's number")
    parser.add_argument("--artifacts-url", default=given.get("LEVER_ARTIFACTS_URL", ""))
    parser.add_argument("--publication-url", default=given.get("LEVER_PUBLICATION_URL", ""))
    parser.add_argument("--online-url", default=given.get("LEVER_ONLINE_URL", ""), help="redis:// address of the online store")
    parser.add_argument(
        "--allow-isolated",
        action="store_true",
        default=given.get("LEVER_ALLOW_ISOLATED", "").lower() in ("1", "true"),
        help="run signed foreign models (MLflow pyfunc), each in a locked-down process of its own",
    )
    parser.add_argument(
        "--onnx-providers", default=given.get("LEVER_ONNX_PROVIDERS", "cpu"), help="what ONNX models run on: cpu, cuda or cuda,cpu"
    )
    parser.add_argument(
        "--traces-url", default=given.get("LEVER_TRACES_URL", ""), help="OTLP collector of traces (http://host:4318/v1/traces)"
    )
    parser.add_argument(
        "--traces-share", type=float, default=float(given.get("LEVER_TRACES_SHARE", "0")), help="traced of what comes untraced"
    )
    parser.add_argument("--segment-bytes", type=int, default=SEGMENT_BYTES)
    parser.add_argument("--seal-s", type=float, default=SEAL_S)
    try:
        options = vars(parser.parse_args(arguments))
        run(GatewaySettings(**{**options, "workers": workers_of(options["workers"])}))
    except LeverframeError as error:
        print(json.dumps({"event": "refused to start", **error.to_dict()}), file=sys.stderr, flush=True)
        return REFUSED_TO_START
    return 0
