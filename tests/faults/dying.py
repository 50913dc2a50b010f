"""Processes that are killed: what runs in them, and how they are started cheaply."""

import multiprocessing
import os
import random
import signal
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tests.governance.levers import ALICE, HANDLERS, AddToLever, SetLever, SetRoute

from leverframe.core.clock import ManualClock
from leverframe.core.command import Command
from leverframe.governance.ledger.memory import AllowEverything
from leverframe.governance.ledger.store import Ledger
from leverframe.governance.publication import Publication

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload([__name__])


def start(target: Callable[..., None], *arguments: Any) -> tuple[Any, Connection]:
    """Run ``target(pipe, *arguments)`` in a process of its own; returns it with this end of the pipe."""
    ours, theirs = _CONTEXT.Pipe()
    process = _CONTEXT.Process(target=target, args=(theirs, *arguments), daemon=True)
    process.start()
    theirs.close()
    return process, ours


def commands(seed: int, total: int) -> Iterator[tuple[str, Command]]:
    """The same mixed writes for the same seed, each with its idempotency key; adding twice or in another order would show."""
    rng = random.Random(seed)
    for n in range(total):
        name = f"lever-{rng.randrange(4)}"
        kind = rng.randrange(3)
        if kind == 0:
            yield f"{seed}/{n}", AddToLever(name=name, by=rng.randrange(1, 100))
        elif kind == 1:
            yield f"{seed}/{n}", SetLever(name=name, position=rng.randrange(100), note="x" * rng.randrange(3_000))
        else:
            yield f"{seed}/{n}", SetRoute(positions={f"lever-{m}": rng.randrange(100) for m in range(4)})


def write_until_killed(pipe: Connection, url: str, seed: int, total: int, acknowledge_early: bool) -> None:
    """Write, and acknowledge each write once it returned (or, as a negative control, just before it is begun)."""
    ledger = Ledger(url, ManualClock(0), AllowEverything(), HANDLERS)
    for key, command in commands(seed, total):
        if acknowledge_early:
            pipe.send((key, 0, ""))
        receipt = ledger.write(ALICE, command, key=key)
        if not acknowledge_early:
            pipe.send((key, receipt.seq, receipt.hash))
    pipe.send(None)


def die_at(call: int) -> None:
    """Kill this process at its ``call``-th step that touches the file system, half of them after doing half or all of it."""
    count = 0

    def dying(name: str) -> None:
        real = getattr(os, name)

        def step(*arguments: Any, **named: Any) -> Any:
            nonlocal count
            count += 1
            if count == call:
                os.kill(os.getpid(), signal.SIGKILL)
            if name == "write" and count + 1 == call:
                real(arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            result = real(*arguments, **named)
            count += 1
            if count == call:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        setattr(os, name, step)

    for name in ("open", "write", "fchmod", "fsync", "replace", "link", "close"):
        dying(name)


def publish_and_die(pipe: Connection, folder: str, data: bytes, call: int) -> None:
    """Publish, dying at step ``call``; says so if it got to the end."""
    board = Publication(folder)
    die_at(call)
    board.publish("routes/prod.json", data)
    pipe.send("done")


def publish_in_place_and_die(pipe: Connection, folder: str, data: bytes, call: int) -> None:
    """The negative control: a publication without the temporary file and the rename."""
    path = Path(folder) / "routes" / "prod.json"
    die_at(call)
    handle = os.open(path, os.O_WRONLY | os.O_TRUNC)
    os.write(handle, data)
    os.close(handle)
    pipe.send("done")


def migrate_and_die(pipe: Connection, url: str, statement: int) -> None:
    """Open a fresh ledger, dying just before the ``statement``-th SQL statement."""
    from sqlalchemy import Engine, event

    count = 0

    @event.listens_for(Engine, "before_cursor_execute")
    def _count(*_: Any) -> None:
        nonlocal count
        count += 1
        if count == statement:
            os.kill(os.getpid(), signal.SIGKILL)

    Ledger(url, ManualClock(0), AllowEverything(), HANDLERS)
    pipe.send("done")
