"""The gateway's second door: gRPC on a port of its own, in the worker's process and on its event loop."""

from collections.abc import Callable
from importlib.metadata import version

from leverframe.apps.gateway.settings import GatewaySettings
from leverframe.serving.doors.grpc.service import GrpcDoor
from leverframe.serving.doors.grpc.transport import GrpcServer
from leverframe.serving.doors.permission import Permission
from leverframe.serving.telemetry.counts import Telemetry
from leverframe.serving.telemetry.load import LoadGate
from leverframe.serving.walk.inference import Inference


async def open_grpc(
    settings: GatewaySettings,
    *,
    permission: Permission,
    inference: Inference,
    gate: LoadGate,
    telemetry: Telemetry,
    ready: Callable[[], bool],
) -> GrpcServer:
    """Listen for gRPC on ``settings.grpc_port``, with the host and the permissions of the REST door.

    The workers of a fleet listen on the port together: the kernel gives each connection to one of them.

    Raises
    ------
    Unavailable: the port cannot be had.
    """
    door = GrpcDoor(permission=permission, inference=inference, gate=gate, telemetry=telemetry, ready=ready, version=version("leverframe"))
    server = GrpcServer(door.methods, door.handle, limits=settings.grpc_limits, share_port=settings.workers > 1)
    await server.start(settings.host, settings.grpc_port)
    return server
