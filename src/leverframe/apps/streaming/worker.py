"""The stream worker's process: the gateway's routes, models, look-up and log, with a broker where HTTP would be.

It stops at the first thing it cannot do (a broker that does not confirm, a full disk under its window) without acknowledging anything:
what is not acknowledged is delivered again, and the window knows what was answered.
"""

import asyncio
import json
import secrets
import signal
import sys
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from pathlib import Path

import msgspec

from leverframe.apps.clocks import open_clock
from leverframe.apps.streaming.address import Address, read_address
from leverframe.apps.streaming.broker import BATCH_MAX, REDELIVER_S, Consumer, Sink, Source
from leverframe.core.digest import Digest
from leverframe.core.errors import InvalidInput, LeverframeError, NotFound, Unavailable
from leverframe.features.online.online import entity_keys
from leverframe.features.online.online_lmdb import LmdbOnlineStore
from leverframe.governance.artifacts import ArtifactStore
from leverframe.governance.bundles import open_bundle
from leverframe.governance.publication import Publication
from leverframe.governance.signing import TrustStore
from leverframe.serving.features.lookup import Lookup
from leverframe.serving.log_segments import SegmentLog
from leverframe.serving.routes.routing import CompiledEndpoint
from leverframe.serving.routes.tables import TableFollower
from leverframe.serving.stream.message import FIELD, Incoming
from leverframe.serving.stream.scorer import StreamScorer
from leverframe.serving.stream.window import StreamWindow
from leverframe.serving.telemetry.counts import Telemetry
from leverframe.serving.walk.inference import Inference
from leverframe.serving.walk.shadow import ShadowQueue

MAINTAIN_S = 0.2
"""How often the log is looked after."""
UNSEEN_GRACE_S = 2.0
"""At a stop, unseen arms have this long to finish what they were given; the rest is dropped and counted."""


class StreamSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything one stream worker is told. Empty URLs mean the folders of an installation under ``home``.

    ``source``, ``answers`` and ``dead`` are addresses; dead letters go to ``<answers>.dead`` when ``dead`` is empty.
    """

    home: Path
    endpoint: str
    source: str
    answers: str
    dead: str = ""
    group: str = ""
    worker: str = "stream-0"
    id_from: str = FIELD
    environment: str = "prod"
    clock: str = "system"
    artifacts_url: str = ""
    publication_url: str = ""
    batch_max: int = BATCH_MAX
    redeliver_s: float = REDELIVER_S
    allow_isolated: bool = False


def _follower(settings: StreamSettings, telemetry: Telemetry) -> TableFollower:
    home = settings.home
    artifacts = ArtifactStore(settings.artifacts_url or str(home / "artifacts"), cache_dir=home / "gateway" / "artifacts")

    def trust() -> TrustStore:
        return TrustStore.from_folder(home / "keys")

    def open_files(bundle: Digest, envelope: Digest) -> Mapping[str, bytes]:
        opened = open_bundle(artifacts, trust(), bundle, envelope)
        return {name: opened.read(name) for name in opened.names}

    open_isolated = None
    if settings.allow_isolated:
        # Imported only where it is allowed: a worker without foreign models holds none of it.
        from leverframe.serving.runtimes.isolated.opening import IsolatedOpener

        open_isolated = IsolatedOpener(home).open
    return TableFollower(
        environment=settings.environment,
        published=Publication(settings.publication_url or str(home / "published")),
        trust=trust,
        open_bundle=open_files,
        folder=home / "stream" / settings.worker,
        telemetry=telemetry,
        open_isolated=open_isolated,
    )


def open_stream(settings: StreamSettings) -> tuple[Source, Sink, Path]:
    """Source and sink, and the folder of the window of just this pair: another output, another memory.

    Raises
    ------
    InvalidInput: an address or ``id_from`` cannot be understood.    Unavailable: FastStream is not installed.
    """
    source, answers = read_address(settings.source), read_address(settings.answers)
    dead = read_address(settings.dead) if settings.dead else answers.named(f"{answers.name}.dead")
    if (dead.kind, dead.server) != (answers.kind, answers.server):
        raise InvalidInput("dead letters go to the broker of the answers", where="--dead", expected=answers.shown, got=dead.shown)
    if not (settings.id_from in (FIELD, "key") or settings.id_from.startswith("header:")):
        raise InvalidInput("not a place of an id", where="--id-from", expected="id, key or header:NAME", got=settings.id_from[:100])
    group = settings.group or f"lever-{settings.endpoint}"
    consumer = Consumer(group=group, worker=settings.worker, batch_max=settings.batch_max, redeliver_s=settings.redeliver_s)
    pair = blake2b(f"{source.shown} {answers.shown} {group}".encode(), digest_size=6).hexdigest()
    return _source(source, consumer), _sink(answers, dead), settings.home / "stream" / f"{settings.endpoint}-{pair}"


def _source(address: Address, consumer: Consumer) -> Source:
    try:
        if address.kind == "nats":
            from leverframe.apps.streaming.nats import NatsSource

            return NatsSource(address, consumer)
        if address.kind == "redis":
            from leverframe.apps.streaming.redis import RedisSource

            return RedisSource(address, consumer)
        from leverframe.apps.streaming.kafka import KafkaSource

        return KafkaSource(address, consumer)
    except ImportError as error:
        raise _not_installed(address, error) from error


def _sink(answers: Address, dead: Address) -> Sink:
    try:
        if answers.kind == "nats":
            from leverframe.apps.streaming.nats import NatsSink

            return NatsSink(answers, dead)
        if answers.kind == "redis":
            from leverframe.apps.streaming.redis import RedisSink

            return RedisSink(answers, dead)
        from leverframe.apps.streaming.kafka import KafkaSink

        return KafkaSink(answers, dead)
    except ImportError as error:
        raise _not_installed(answers, error) from error


def _not_installed(address: Address, error: ImportError) -> Unavailable:
    return Unavailable("streams are not installed", where=address.kind, got=str(error)[:200], next_step="pip install 'leverframe[stream]'")


async def serve(settings: StreamSettings) -> None:
    """Score until SIGTERM or SIGINT, or the first fault.

    Raises
    ------
    NotFound: no such endpoint, stream or subject.    Unavailable: a broker, the log or the window cannot be had or was lost.
    """
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    source, sink, folder = open_stream(settings)
    clock, telemetry, shadows = open_clock(settings.clock), Telemetry(), ShadowQueue(loop)
    tables = _follower(settings, telemetry)
    tables.restore()
    tables.look()

    def find() -> CompiledEndpoint | None:
        return tables.routes.endpoints.get(settings.endpoint) if tables.routes is not None else None

    # An endpoint whose model cannot be loaded yet is waited for; nothing is taken from the stream meanwhile.
    if tables.routes is not None and find() is None and settings.endpoint not in tables.routes.problems:
        raise NotFound(
            "no such endpoint", where=settings.endpoint, expected=", ".join(tables.routes.endpoints) or "none yet", got=settings.endpoint
        )
    window = StreamWindow(folder, settings.worker)
    log = SegmentLog(settings.home / "log", settings.worker, clock)
    lookup = Lookup(LmdbOnlineStore(settings.home / "online", read_only=True), entity_keys)
    inference = Inference(clock=clock, log=log, lookup=lookup, shadows=shadows, id_prefix=f"{secrets.token_hex(6)}-")
    scorer = StreamScorer(settings.endpoint, find, inference, window, id_from=settings.id_from)
    one_at_a_time, faults = asyncio.Lock(), list[BaseException]()

    async def take(batch: Sequence[Incoming]) -> None:
        async with one_at_a_time:
            if faults:
                raise faults[0]
            try:
                outgoing = await scorer.score(batch)
                await sink.publish(outgoing)
                scorer.settle(outgoing)
            except asyncio.CancelledError:
                raise
            except BaseException as fault:
                faults.append(fault)
                stop.set()
                raise

    maintaining = asyncio.create_task(_maintain(log))
    try:
        await sink.connect()
        tables.start()
        await source.start(take)
        _say("scoring", endpoint=settings.endpoint, worker=settings.worker, generation=getattr(tables.routes, "generation", None))
        await stop.wait()
    finally:
        await source.stop()
        await sink.close()
        await inference.unseen.finish(UNSEEN_GRACE_S)
        tables.stop()
        maintaining.cancel()
        log.close()
        window.close()
    _say("stopped", **msgspec.to_builtins(scorer.counts), log=msgspec.to_builtins(log.counts))
    if faults:
        raise faults[0]


async def _maintain(log: SegmentLog) -> None:
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(MAINTAIN_S)
        log.maintain()
        await loop.run_in_executor(None, log.prepare)


def _say(event: str, **facts: object) -> None:
    print(json.dumps({"event": event, **facts}), flush=True)


def run(settings: StreamSettings) -> None:
    """Score in this process until asked to stop; see :func:`serve`."""
    if sys.platform == "win32":
        asyncio.run(serve(settings))
    else:
        import uvloop

        uvloop.run(serve(settings))


def main(arguments: list[str]) -> int:
    """Start from one argument, the settings as JSON; returns the exit code."""
    try:
        run(msgspec.json.decode(arguments[0], type=StreamSettings, dec_hook=lambda kind, value: kind(value)))
    except LeverframeError as error:
        print(json.dumps({"event": "ended", **error.to_dict()}), file=sys.stderr, flush=True)
        return 5
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
