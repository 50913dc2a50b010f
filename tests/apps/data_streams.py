"""A reader in this process or in another, beside a control plane of its own: what a test of streams into data starts from."""

import asyncio
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
from tests.apps.in_process import client_of

from leverframe.apps.data_stream.reader import Reader, ReaderSettings
from leverframe.apps.platform.datasets import latest_rows
from leverframe.apps.platform.platform import Platform
from leverframe.apps.settings import Settings
from leverframe.apps.streaming.address import read_address
from leverframe.apps.wiring import open_platform
from leverframe.core.actor import Actor
from leverframe.data.streams.taken import KIND_STREAM, Stream, StreamRules

ANA = Actor(subject="ana", roles=("admin",), teams=("*",))
CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
id: trips
name: trips
version: 1.0.0
status: active
team:
  name: rides
  members: [{ username: ana, role: owner }]
schema:
  - name: trips
    logicalType: object
    properties:
      - { name: id, logicalType: string, required: true, primaryKey: true }
      - { name: miles, logicalType: number, logicalTypeOptions: { minimum: 0 } }
      - { name: ended_at, logicalType: timestamp, physicalType: int64, required: true }
"""
UNKEYED = CONTRACT.replace(", primaryKey: true", "")


def opened(home: Path, contract: str = CONTRACT) -> Platform:
    """A platform with one contract in force, and a token for ana."""
    platform = open_platform(Settings(home=home))
    platform.data.apply_contract(ANA, contract, key="contract")
    if not (home / "token").exists():
        (home / "token").write_text(platform.access.issue(ANA, "ana", ("admin",), ("*",), days=1, key="token").secret)
    return platform


def trip(number: int, **more: Any) -> bytes:
    """One good message."""
    return json.dumps({"id": f"t{number}", "miles": float(number % 50), "ended_at": number, **more}).encode()


def ids(platform: Platform, dataset: str = "trips") -> list[str]:
    """The ids in the newest snapshot, in order."""
    return sorted(latest_rows(platform.parts, dataset)[1].select(pl.col("id")).collect()["id"].to_list())


def stream(platform: Platform, name: str = "rows") -> Stream:
    """The stream as the ledger has it."""
    found = platform.parts.ledger.get(KIND_STREAM, f"trips/{name}", Stream)
    return found or Stream(dataset="trips", name=name, source="")


def reader(platform: Platform, home: Path, url: str, said: Callable[..., None], **options: Any) -> Reader:
    """A reader of ``url`` whose requests go straight into ``platform``."""
    rules = StreamRules(**{name: options.pop(name) for name in ("new_columns", "on_break", "push") if name in options})
    address = read_address(url)
    settings = ReaderSettings(dataset="trips", name=address.name, address=address, rules=rules, **({"every_s": 0.05} | options))
    return Reader(settings, client_of(platform, (home / "token").read_text()), said)


@contextmanager
def reading(platform: Platform, home: Path, url: str, **options: Any) -> Iterator[list[dict[str, Any]]]:
    """A reader at work in a thread; gives the list of what it says, and stops it afterwards."""
    said: list[dict[str, Any]] = []
    made = reader(platform, home, url, lambda event, **facts: said.append({"event": event, **facts}), **options)
    loop, failed = asyncio.new_event_loop(), list[BaseException]()

    def work() -> None:
        try:
            loop.run_until_complete(made.run())
        except BaseException as fault:
            failed.append(fault)
            said.append({"event": "failed"})

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield said
    except AssertionError:
        raise failed[0] if failed else AssertionError(said) from None
    finally:
        loop.call_soon_threadsafe(made.stop)
        thread.join(30)
        loop.close()
    if failed:
        raise failed[0]


def until(condition: Callable[[], bool], timeout_s: float = 30.0) -> None:
    """Look until ``condition`` holds."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)


def read_in_this_process(home: str, url: str, rows_max: str) -> None:
    """Read until killed; says each event on a line."""
    platform = open_platform(Settings(home=Path(home)))

    def say(event: str, **facts: Any) -> None:
        sys.stdout.write(json.dumps({"event": event, **facts}) + "\n")
        sys.stdout.flush()

    asyncio.run(reader(platform, Path(home), url, say, rows_max=int(rows_max)).run())
