"""One worker of the data plane, from its last-good copies to a sealed log."""

import asyncio
import gc
import json
import secrets
import sys
from collections.abc import Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING

import msgspec

from leverframe.apps.clocks import open_clock
from leverframe.apps.gateway.place import join_fleet, listen, raise_file_limit, stop_signals
from leverframe.apps.gateway.settings import GatewaySettings
from leverframe.core.digest import Digest
from leverframe.core.errors import Refused
from leverframe.features.online.online import entity_keys
from leverframe.features.online.online_address import open_for_reading
from leverframe.governance.artifacts import ArtifactStore
from leverframe.governance.bundles import open_bundle
from leverframe.governance.publication import Publication
from leverframe.governance.signing import TrustStore
from leverframe.serving.doors.door import Door
from leverframe.serving.doors.health import Health
from leverframe.serving.doors.permission import Permission
from leverframe.serving.doors.quotas import Quotas
from leverframe.serving.doors.rest import RestInference
from leverframe.serving.doors.traced import TracedInference
from leverframe.serving.features.lookup import Lookup
from leverframe.serving.log_segments import SegmentLog
from leverframe.serving.routes.tables import TableFollower
from leverframe.serving.runtimes.onnx import choose_providers
from leverframe.serving.telemetry.counts import Telemetry
from leverframe.serving.telemetry.load import LoadGate
from leverframe.serving.walk.inference import Inference
from leverframe.serving.walk.shadow import ShadowQueue
from leverframe.serving.wire.listener import Listener

if TYPE_CHECKING:
    from leverframe.apps.gateway.tracing import OtlpTracing

LOOPBACK = ("127.0.0.1", "::1", "localhost")
MAINTAIN_S = 0.2
SWITCH_S = 0.0005
"""How long the event loop may keep the interpreter from a lane's thread that comes back with scores (Python's default is 5 ms)."""
UNSEEN_GRACE_S = 2.0
"""At a stop, unseen arms have this long to finish what they were given; the rest is dropped and counted."""


def _follower(settings: GatewaySettings, telemetry: Telemetry) -> TableFollower:
    home, folder = settings.home, settings.home / "gateway"
    artifacts = ArtifactStore(settings.artifacts_url or str(home / "artifacts"), cache_dir=folder / "artifacts")

    def trust() -> TrustStore:
        return TrustStore.from_folder(home / "keys")

    def open_files(bundle: Digest, envelope: Digest) -> Mapping[str, bytes]:
        opened = open_bundle(artifacts, trust(), bundle, envelope)
        return {name: opened.read(name) for name in opened.names}

    open_isolated = None
    if settings.allow_isolated:
        # Loaded only where it is allowed: its drivers are an extra.
        from leverframe.serving.runtimes.isolated.opening import IsolatedOpener

        open_isolated = IsolatedOpener(home).open
    return TableFollower(
        environment=settings.environment,
        published=Publication(settings.publication_url or str(home / "published")),
        trust=trust,
        open_bundle=open_files,
        folder=folder,
        telemetry=telemetry,
        open_isolated=open_isolated,
        onnx_providers=choose_providers(settings.onnx_providers),
    )


def _check_exposure(settings: GatewaySettings, tables: TableFollower) -> bool:
    """Whether only this machine can reach the gateway.

    Raises
    ------
    Refused: others can, and the routes name no caller.
    """
    if settings.host in LOOPBACK:
        return True
    if tables.routes is None or not tables.routes.callers:
        raise Refused(
            "refusing to listen beyond this machine while anybody could ask",
            where=settings.host,
            expected="a route table that names callers",
            got="none",
            next_step="issue a token with: lever token issue, or listen on 127.0.0.1",
        )
    return False


async def serve(settings: GatewaySettings) -> None:
    """Run one worker until SIGTERM or SIGINT."""
    loop = asyncio.get_running_loop()
    sys.setswitchinterval(SWITCH_S)
    clock = open_clock(settings.clock)
    telemetry = Telemetry()
    fleet = join_fleet(settings, telemetry)
    tables = _follower(settings, telemetry)
    tables.restore()
    tables.look()
    loopback = _check_exposure(settings, tables)
    log = SegmentLog(settings.home / "log", settings.worker, clock, segment_bytes=settings.segment_bytes, seal_s=settings.seal_s)
    store = open_for_reading(settings.online_url, settings.home / "online")
    gate, shadows = LoadGate(loop), ShadowQueue(loop)
    body_bytes_max = settings.limits.body_bytes_max
    inference = Inference(
        clock=clock,
        log=log,
        lookup=Lookup(store, entity_keys),
        shadows=shadows,
        id_prefix=f"{secrets.token_hex(6)}-",
    )
    permission = Permission(tables, Quotas(settings.workers), loopback=loopback)
    rest, tracing = RestInference(inference, body_bytes_max), _tracing(settings)
    door = Door(
        permission=permission,
        inference=TracedInference(rest, tracing) if tracing else rest,
        log=log,
        clock=clock,
        gate=gate,
        telemetry=telemetry,
        version=version("leverframe"),
        body_bytes_max=body_bytes_max,
    )
    listener = Listener(
        door.handle,
        admit=door.admit,
        refused=lambda error: telemetry.refuse(error.code),
        limits=settings.limits,
        carried=fleet.carry if fleet else None,
    )
    door.health = health = Health(
        worker=settings.worker,
        clock=clock,
        tables=tables,
        log=log,
        telemetry=telemetry,
        gate=gate,
        listener=listener,
        fleet=fleet,
        started_ns=settings.fleet.started_ns if settings.fleet else 0,
        newest_event_us=inference.lookup.newest_event_us,
    )
    stop = stop_signals(listener)
    raise_file_limit()
    grpc = None
    if settings.grpc_port:
        # A gateway without gRPC does not load its library.
        from leverframe.apps.gateway.grpc import open_grpc

        grpc = await open_grpc(
            settings, permission=permission, inference=inference, gate=gate, telemetry=telemetry, ready=lambda: health.ready
        )
    port = await listen(listener, settings, fleet)
    gate.start()
    tables.start()
    maintaining = asyncio.create_task(_maintain(log, health))
    # What is loaded by now lives as long as the process: the collector need not look at it again.
    gc.collect()
    gc.freeze()
    health.publish()
    if fleet is None:
        generation = tables.routes.generation if tables.routes else None
        _say("listening", host=settings.host, port=port, worker=settings.worker, generation=generation, problem=tables.problem)
    await stop.wait()
    await asyncio.gather(listener.stop(), *([grpc.stop()] if grpc else []))
    await inference.unseen.finish(UNSEEN_GRACE_S)
    tables.stop()
    gate.stop()
    maintaining.cancel()
    log.close()
    health.publish()
    if tracing is not None:
        await loop.run_in_executor(None, tracing.stop)
    _say("stopped", worker=settings.worker, **msgspec.to_builtins(log.counts))


def _tracing(settings: GatewaySettings) -> "OtlpTracing | None":
    """Traces, when a collector is set.

    Raises
    ------
    Refused: one is set, and what sends traces is not installed.
    """
    if not settings.traces_url:
        return None
    try:
        from leverframe.apps.gateway.tracing import OtlpTracing
    except ImportError as error:
        raise Refused(
            "traces are wanted and OpenTelemetry is not installed", where="LEVER_TRACES_URL", next_step="pip install 'leverframe[otel]'"
        ) from error
    return OtlpTracing(
        settings.traces_url,
        settings.traces_share,
        worker=settings.worker,
        environment=settings.environment,
        version=version("leverframe"),
    )


async def _maintain(log: SegmentLog, health: Health) -> None:
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(MAINTAIN_S)
        log.maintain()
        health.publish()
        await loop.run_in_executor(None, log.prepare)


def _say(event: str, **facts: object) -> None:
    print(json.dumps({"event": event, **facts}), flush=True)


def run(settings: GatewaySettings) -> None:
    """Serve in this process until asked to stop.

    Raises
    ------
    Refused: exposed without callers.  Unavailable: port or log folder cannot be had.
    """
    if sys.platform == "win32":
        asyncio.run(serve(settings))
    else:
        import uvloop

        uvloop.run(serve(settings))
