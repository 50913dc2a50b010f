"""The parent of several workers on one port: it listens, they accept; it replaces those that die or hang, and serves nothing itself.

Because the parent holds the listening socket, a connection that waits to be accepted outlives every worker, and a worker that is replaced
is missed by nobody but the clients it was answering.
"""

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from types import FrameType
from typing import TextIO

import msgspec

from leverframe.apps.gateway.settings import FleetPlace, GatewaySettings, to_argument
from leverframe.apps.orphans import die_with_parent
from leverframe.core.errors import Refused, Unavailable
from leverframe.serving.telemetry.fleet_page import FleetPage, page_path
from leverframe.serving.wire.acceptor import open_sockets

POLL_S = 0.02
DEATHS_MAX = 5
DEATHS_WINDOW_S = 30.0
"""This many deaths of a worker within the window are a crash loop: it stays down, and the health page says so."""
PAUSE_S = 0.25
"""A worker that died just before is replaced after this pause, doubled with each further death; the first time at once."""
START_S_MAX = 60.0
"""A worker that has not begun to serve by then is killed and counts as dead."""
GAP_S = 1.0
"""If the parent itself did not run for this long, the machine stood still: no worker is called hung for a while."""
STOP_MARGIN_S = 3.0
"""At a stop, workers get the grace of their answers and this much more to seal their logs; then they are killed."""
HURRY_S = 2.0
"""After a second SIGTERM workers have this long to seal their logs."""


class Worker:
    """One place in the fleet: the process that fills it now, and how often it had to be filled again."""

    def __init__(self, settings: GatewaySettings, page: FleetPage) -> None:
        self.settings = settings
        self.name = settings.worker
        self.page = page
        self.process: subprocess.Popen[bytes] | None = None
        self.asked_to_stop = False
        self._deaths: deque[float] = deque(maxlen=DEATHS_MAX)
        self._started_at = self._start_at = 0.0

    def start(self) -> None:
        """Start a process; it takes its place once it beats."""
        place = self.settings.fleet
        assert place is not None
        self.page.state = "starting"
        self.asked_to_stop = False
        self._started_at = time.monotonic()
        self.page.started(0)
        self.process = subprocess.Popen(  # noqa: S603 - a fixed argument list, no shell
            [sys.executable, "-m", "leverframe.apps.gateway.worker", to_argument(self.settings)],
            stdin=subprocess.DEVNULL,
            pass_fds=place.listen_fds,
            preexec_fn=die_with_parent,
            start_new_session=True,
        )
        self.page.started(self.process.pid)

    def tick(self, now: float, *, patient: bool) -> None:
        """Look after the process: replace it if it died, end it if it hangs. ``patient``: nobody is called hung now."""
        if self.process is None:
            if self.page.state == "starting" and now >= self._start_at:
                self.start()
            return
        code = self.process.poll()
        if code is not None:
            self._ended(now, code)
        elif self.page.beat_ns:
            self.page.state = "serving"
            if not patient and now - self.page.beat_ns / 1e9 > self.settings.hung_s:
                self._kill(now, f"hung: no heartbeat for {self.settings.hung_s:g} s")
        elif now - self._started_at > START_S_MAX:
            self._kill(now, f"did not serve within {START_S_MAX:g} s")

    def release(self) -> None:
        """Fill the place again after a quarantine."""
        if self.page.state == "quarantined":
            self._deaths.clear()
            self._start_at = 0.0
            self.page.state = "starting"

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Ask the process to end."""
        self.asked_to_stop = True
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)

    @property
    def gone(self) -> bool:
        """Whether no process is left."""
        return self.process is None or self.process.poll() is not None

    def _kill(self, now: float, reason: str) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self._died(now, reason)

    def _ended(self, now: float, code: int) -> None:
        if self.asked_to_stop:
            self.start()
        elif code < 0:
            self._died(now, f"ended by {signal.Signals(-code).name}")
        else:
            self._died(now, f"ended with exit code {code}")

    def _died(self, now: float, reason: str) -> None:
        self.process = None
        self.page.died(reason)
        self._deaths.append(now)
        recent = sum(now - death < DEATHS_WINDOW_S for death in self._deaths)
        quarantined = recent >= DEATHS_MAX
        self.page.state = "quarantined" if quarantined else "starting"
        self._start_at = now + (PAUSE_S * 2 ** (recent - 2) if recent > 1 else 0.0)
        _say("worker died", to=sys.stderr, worker=self.name, reason=reason, deaths=recent, quarantined=quarantined)


class Parent:
    """Runs a fleet until asked to stop.

    Parameters
    ----------
    settings: of the whole gateway.
    sockets: the listening sockets that the workers inherit.
    """

    def __init__(self, settings: GatewaySettings, sockets: list[socket.socket]) -> None:
        self._settings = settings
        self._sockets = sockets
        place = FleetPlace(workers=settings.names, listen_fds=tuple(each.fileno() for each in sockets), started_ns=time.monotonic_ns())
        folder = settings.home / "gateway"
        self._workers = [
            Worker(msgspec.structs.replace(settings, worker=name, fleet=place), FleetPage.create(page_path(folder, name)))
            for name in settings.names
        ]
        self._signals = 0
        self._rolling: deque[Worker] = deque()
        self._patient_until = 0.0
        self._announced = False

    def request_stop(self, _signal: int = 0, _frame: FrameType | None = None) -> None:
        """Stop; called again: stop now (a signal handler)."""
        self._signals += 1

    def request_restart(self, _signal: int = 0, _frame: FrameType | None = None) -> None:
        """Replace the workers one after the other, and give those in quarantine another chance (a signal handler)."""
        self._rolling = deque(self._workers)

    def run(self) -> None:
        """Start the workers and look after them.

        Raises
        ------
        Unavailable: every worker is in quarantine.
        """
        for worker in self._workers:
            worker.start()
        looked = time.monotonic()
        try:
            while not self._signals:
                time.sleep(POLL_S)
                now = time.monotonic()
                if now - looked > GAP_S:
                    self._patient_until = now + self._settings.hung_s
                looked = now
                self._look(now)
        finally:
            self._stop()

    def _look(self, now: float) -> None:
        for worker in self._workers:
            worker.tick(now, patient=now < self._patient_until)
        states = {worker.page.state for worker in self._workers}
        if states == {"quarantined"}:
            raise Unavailable(
                "no worker stays up",
                where=f"gateway at {self._settings.host}:{self._settings.port}",
                got="; ".join(f"{worker.name} {worker.page.reason}" for worker in self._workers[:4]),
                next_step="read what the workers said above, repair it and start again",
            )
        if "starting" in states:
            return
        if not self._announced:
            self._announce()
        if self._rolling:
            worker = self._rolling.popleft()
            if worker.page.state == "quarantined":
                worker.release()
            else:
                worker.page.state = "starting"
                worker.page.started(0)
                worker.stop()

    def _announce(self) -> None:
        self._announced = True
        port = self._sockets[0].getsockname()[1]
        _say("listening", host=self._settings.host, port=port, workers=[worker.name for worker in self._workers], parent=os.getpid())

    def _stop(self) -> None:
        """Stop accepting, let answers finish, and end what has not ended by then."""
        for listening in self._sockets:
            listening.close()
        for worker in self._workers:
            worker.stop()
        hurried = self._signals
        deadline = time.monotonic() + self._settings.limits.stop_grace_s + STOP_MARGIN_S
        while time.monotonic() < deadline and not all(worker.gone for worker in self._workers):
            time.sleep(POLL_S)
            if self._signals > max(hurried, 1):
                hurried = self._signals
                deadline = min(deadline, time.monotonic() + HURRY_S)
                for worker in self._workers:
                    worker.stop()
        killed = [worker.name for worker in self._workers if not worker.gone]
        for worker in self._workers:
            worker.stop(signal.SIGKILL)
            worker.page.state = "stopped"
        if self._announced:
            _say("fleet stopped", killed=killed)


def _say(event: str, *, to: TextIO | None = None, **facts: object) -> None:
    print(json.dumps({"event": event, **facts}), file=to, flush=True)


def run(settings: GatewaySettings) -> None:
    """Be the parent of ``settings.workers`` workers until asked to stop.

    Raises
    ------
    Refused: another fleet of this home has the same name.  Unavailable: the port cannot be had, or no worker stays up.
    """
    folder = settings.home / "gateway"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{settings.names[0]}.fleet").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise Refused(
                "another gateway of this home has workers of this name",
                where=settings.names[0],
                next_step="stop it first, or give this one a name of its own with --worker",
            ) from error
        parent = Parent(settings, open_sockets(settings.host, settings.port))
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, parent.request_stop)
        signal.signal(signal.SIGHUP, parent.request_restart)
        parent.run()
