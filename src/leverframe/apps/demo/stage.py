"""What the story is played on: one running installation, the people in it, the replayed world, and the figures collected so far."""

import asyncio
import os
import secrets
import socket
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from leverframe.apps.client import Client
from leverframe.apps.clocks import ReplayClock
from leverframe.apps.demo.project.features import VIEWS
from leverframe.apps.demo.project.models import FLIGHT_DELAY
from leverframe.apps.demo.project.prepare import between, datasets, moment_us
from leverframe.apps.demo.timeline import Timeline
from leverframe.apps.replay.driver import Progress, Replay
from leverframe.apps.replay.feeds import SourceFeed, source_feeds
from leverframe.apps.replay.load import LoadClient
from leverframe.apps.settings import Settings
from leverframe.apps.supervisor import Supervisor
from leverframe.apps.wiring import open_platform
from leverframe.core.clock import DAY_US, SECOND_US
from leverframe.features.online.online_address import open_for_writing

ENDPOINT = "flight-delay"
ENVIRONMENT = "prod"
TEAM = "flights"
START_US = moment_us(4, 1)
FEED_HISTORY_US = 3 * DAY_US
"""Source rows from this long before the replay starts are delivered too: the longest window is a day, weather expires after hours."""

LOOK_INTERVAL_MS = 2
"""The controller looks this often: at thousands of times real speed, its looks are what the replay waits for (decision 0003)."""


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Stage:
    """One installation under replay, with its people.

    Parameters
    ----------
    home: an empty folder for everything it keeps.
    timeline: where the story is printed.
    """

    def __init__(self, home: Path, timeline: Timeline) -> None:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.timeline = timeline
        self.figures: dict[str, Any] = {}
        self.settings = Settings(
            home=home,
            clock=f"replay:{home.resolve() / 'replay.clock'}",
            port=free_port(),
            gateway_port=free_port(),
            gateway_grpc_port=free_port(),
            look_interval_ms=LOOK_INTERVAL_MS,
        )
        self.clock = ReplayClock(home / "replay.clock")
        self.clock.set(START_US)
        self.look = ReplayClock(home / "look.clock")
        self.look.set(START_US)
        self.supervisor = Supervisor(self.settings)
        self._watcher = threading.Thread(target=self.supervisor.watch, name="supervisor", daemon=True)
        self.world: Mapping[str, pl.DataFrame] = {}
        self.people: dict[str, Client] = {}
        self._replay: Replay | None = None
        self._feeds: dict[str, SourceFeed] = {}
        self._service_token = ""
        self._loop = asyncio.new_event_loop()

    # The installation -----------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Start every process and give each person a token of their own."""
        platform = open_platform(self.settings)
        token = platform.access.bootstrap()
        platform.close()
        assert token is not None, "the demo needs a fresh home"
        self.supervisor.start()
        self._watcher.start()
        admin = self._client(token)
        self.people["admin"] = admin
        for subject, role in (("ana", "engineer"), ("ben", "approver"), ("olga", "operator")):
            self.people[subject] = self._client(admin.access.issue(subject, (role,), (TEAM,), days=1).secret)
        self._service_token = admin.access.issue("booking-site", ("service",), (TEAM,), days=1).secret

    def _client(self, token: str) -> Client:
        settings = self.settings
        return Client(
            f"http://{settings.host}:{settings.port}", token, gateway_url=f"http://{settings.gateway_host}:{settings.gateway_port}"
        )

    @property
    def service_token(self) -> str:
        """The bearer token of the service that asks for predictions."""
        return self._service_token

    def child_pid(self, name: str) -> int:
        """The process id of a child of the supervisor."""
        process = next(child.process for child in self.supervisor.children if child.name == name)
        assert process is not None
        return process.pid

    def close(self) -> None:
        """Stop everything that was started."""
        for client in self.people.values():
            client.close()
        self.supervisor.request_stop()
        if self._watcher.is_alive():
            self._watcher.join()
        self.supervisor.stop()
        self._loop.close()

    # The replayed world -----------------------------------------------------------------------------------------------

    def load_world(self) -> None:
        """Read and prepare the whole year; only the replay sees beyond the clock."""
        self.world = datasets()

    def arrived(self) -> Mapping[str, pl.DataFrame]:
        """What the team has at the clock's moment: rows and labels that had arrived by then."""
        return datasets(self.clock.now_us())

    def prepare_replay(self, until_us: int) -> None:
        """Build the questions of ``[now, until_us)`` and the feeds that fill the online store meanwhile."""
        now_us = self.clock.now_us()
        store = open_for_writing(self.settings.online_url, self.settings.online_folder)
        arrival = {"departures": "departed_at", "weather": "known_at", "planes": "valid_from"}
        sources = {
            name: self.world[name] if name == "planes" else between(self.world[name], column, now_us - FEED_HISTORY_US, until_us)
            for name, column in arrival.items()
        }
        self._feeds = source_feeds(sources, VIEWS, store)
        questions = between(self.world["flights"], "asked_at", now_us, until_us)
        client = LoadClient(self.settings.gateway_host, self.settings.gateway_port, self._service_token)
        self._loop.run_until_complete(client.open())
        self._replay = Replay(
            questions,
            endpoint=ENDPOINT,
            fields=FLIGHT_DELAY.request,
            id_column="flight_id",
            label=FLIGHT_DELAY.label,
            feeds=list(self._feeds.values()),
            clock=self.clock,
            look=self.look,
            client=client,
        )

    def feed(self, source: str) -> SourceFeed:
        """The feed of one source, to be frozen and resumed."""
        return self._feeds[source]

    def live(self, label: str, until_us: int, *, until: Callable[[], str] | None = None, every_hours: int = 2) -> Progress:
        """Replay until ``until_us``, or until ``until()`` returns a non-empty reason; shows a bar over the days."""
        assert self._replay is not None
        from_us = self.clock.now_us()
        with self.timeline.days(label, from_us, until_us) as bar:

            def on_step(progress: Progress) -> bool:
                reason = until() if until is not None else ""
                bar.at(progress.at_us, f"{progress.answered:,} answers")
                progress.stopped = reason
                return bool(reason)

            return self._loop.run_until_complete(self._replay.run(until_us, every_us=every_hours * 3600 * SECOND_US, on_step=on_step))


def fresh_home() -> Path:
    """A new folder for a demo that is not kept: under ``TMPDIR``, readable by its owner only."""
    import tempfile

    return Path(tempfile.mkdtemp(prefix="leverframe-demo-", suffix=f"-{os.getpid()}-{secrets.token_hex(2)}"))
