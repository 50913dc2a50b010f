"""``lever doctor``: the checks that find what would hurt later."""

import json
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from leverframe.apps.checkpointing import chain_fault
from leverframe.apps.egress.addresses import parse_networks
from leverframe.apps.egress.destination import check_allowed, parse_allowed, parse_destination
from leverframe.apps.egress.outbox import outbox_standing
from leverframe.apps.platform.parts import Parts
from leverframe.apps.platform.stream_health import stream_check
from leverframe.apps.platform.views import Check
from leverframe.apps.settings import LOOPBACK, Settings
from leverframe.core.clock import SECOND_US
from leverframe.core.errors import LeverframeError

DISK_FREE_MIN_BYTES = 1 << 30
CLOCK_STEP_MAX_S = 2.0


def checks(parts: Parts) -> tuple[Check, ...]:
    """Clock, disk, durability, exposure, credentials, reachability, and the age of the published routes."""
    return tuple(_checks(parts))


def _checks(parts: Parts) -> Iterator[Check]:
    settings = parts.settings
    yield _clock(settings.home)
    yield _disk(settings.home)
    yield _durability(settings.ledger_url)
    yield _exposure(settings.host, settings.gateway_host, settings.allow_exposure)
    yield _credentials(settings.keys_folder)
    yield _egress(settings)
    yield _record(parts)
    yield from stream_check(parts)
    yield from _supervisor(settings.home)
    yield _gateway(parts)
    yield _routes(parts)


def _clock(home: Path) -> Check:
    probe = home / ".clock-probe"
    probe.write_text("")
    drift_s = abs(probe.stat().st_mtime - time.time())
    probe.unlink()
    return Check(
        name="clock",
        ok=drift_s < CLOCK_STEP_MAX_S,
        detail=f"file system and process clocks differ by {drift_s:.3f} s",
        fix="" if drift_s < CLOCK_STEP_MAX_S else "synchronise the clocks of this host and its storage (chrony, NTP)",
    )


def _disk(home: Path) -> Check:
    free = shutil.disk_usage(home).free
    ok = free >= DISK_FREE_MIN_BYTES
    return Check(
        name="disk",
        ok=ok,
        detail=f"{free / 1e9:.1f} GB free at {home}",
        fix="" if ok else "free space: ledger and artifacts refuse writes when full",
    )


def _durability(url: str) -> Check:
    if not url.startswith("sqlite"):
        return Check(name="durability", ok=True, detail="PostgreSQL decides (synchronous_commit)")
    with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
        mode = connection.execute("PRAGMA journal_mode").fetchone()[0]
    ok = mode == "wal"
    return Check(
        name="durability",
        ok=ok,
        detail=f"ledger journal mode {mode}, every commit synced",
        fix="" if ok else "the ledger sets WAL when it opens: restart",
    )


def _exposure(host: str, gateway_host: str, allowed: bool) -> Check:
    outside = [name for name in (host, gateway_host) if name not in LOOPBACK]
    if not outside:
        return Check(name="exposure", ok=True, detail="everything listens on loopback only")
    return Check(
        name="exposure",
        ok=allowed,
        detail=f"listens on {', '.join(outside)}",
        fix="" if allowed else "put TLS in front, then LEVER_ALLOW_EXPOSURE=true",
    )


def _egress(settings: Settings) -> Check:
    """What may leave, and whether it does."""
    try:
        hosts = parse_allowed(settings.egress_hosts)
        parse_networks(settings.egress_networks)
        for url in filter(None, (settings.openlineage_url, settings.witness_url)):
            check_allowed(parse_destination(url), hosts)
    except LeverframeError as error:
        return Check(
            name="egress",
            ok=False,
            detail=error.sentence(),
            fix="correct LEVER_EGRESS_HOSTS, LEVER_EGRESS_NETWORKS, LEVER_OPENLINEAGE_URL or LEVER_WITNESS_URL",
        )
    if not hosts:
        return Check(name="egress", ok=True, detail="nothing leaves: no host is listed")
    standing = outbox_standing(settings.outbox_file)
    dead = sum(channel.dead for channel in standing.values())
    waiting = sum(channel.waiting for channel in standing.values())
    return Check(
        name="egress",
        ok=not dead,
        detail=f"{len(hosts)} hosts listed, {waiting} messages wait, {dead} dead letters",
        fix="lever webhooks list says why; lever webhooks retry NAME" if dead else "",
    )


def _credentials(folder: Path) -> Check:
    loose = [p.name for p in folder.glob("*.key") if p.stat().st_mode & 0o077]
    return Check(
        name="credentials",
        ok=not loose,
        detail="signing key readable by its owner only" if not loose else f"readable by others: {', '.join(loose)}",
        fix="" if not loose else f"chmod 600 {folder}/*.key",
    )


def _record(parts: Parts) -> Check:
    fault = chain_fault(parts.ledger, parts.publisher, parts.trust)
    return Check(
        name="record",
        ok=not fault,
        detail=fault or "the record goes on from its newest published checkpoint",
        fix="lever audit verify; then restore the newest backup" if fault else "",
    )


def _supervisor(home: Path) -> Iterator[Check]:
    state = home / "run.json"
    if not state.exists():
        yield Check(name="processes", ok=False, detail="no supervisor is running here", fix="lever up")
        return
    running = json.loads(state.read_text())
    for name, pid in running["children"].items():
        alive = _alive(pid)
        gone = "died again and again and is tried once a minute" if name in running.get("resting", ()) else "is gone"
        fix = "" if alive else f"see {home}/logs/{name}.log"
        yield Check(name=f"process {name}", ok=alive, detail=f"pid {pid} {'runs' if alive else gone}", fix=fix)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def _gateway(parts: Parts) -> Check:
    state = parts.probe.state()
    ok = state.generation is not None and not state.down
    fix = "repair what the gateway's log names, then send its parent a SIGHUP" if state.down else "lever up, or see the gateway's log"
    return Check(name="gateway", ok=ok, detail=state.sentence, fix="" if ok else fix)


def _routes(parts: Parts) -> Check:
    try:
        published = parts.publisher.published()
    except LeverframeError as error:
        return Check(
            name="routes", ok=False, detail=error.sentence(), fix="the worker publishes again within a second; if not, lever status"
        )
    if published is None:
        return Check(name="routes", ok=True, detail="nothing is published yet")
    age_us = parts.clock.now_us() - published.issued_at_us
    ok = published.generation >= parts.publisher.desired().generation
    detail = f"generation {published.generation}, issued {max(age_us, 0) / SECOND_US:.0f} s ago"
    return Check(name="routes", ok=ok, detail=detail, fix="" if ok else "a newer table waits: is the worker running?")
