"""``lever up``: control plane, worker and gateway as child processes of one supervisor that restarts what dies."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

from leverframe.apps.orphans import die_with_parent
from leverframe.apps.settings import LOOPBACK, Settings
from leverframe.core.errors import Refused, Unavailable

RESTARTS_MAX = 5
RESTART_WINDOW_S = 30.0
"""More than RESTARTS_MAX deaths within this window is a crash loop: the child is left down for a while, and said to be."""
REST_S = 60.0
"""How long a child in a crash loop stays down before it is tried again: what made it die (a full disk, say) may have been put right."""
STOP_GRACE_S = 15.0
"""Longer than a gateway lets its answers finish; then a child is killed."""
READY_TIMEOUT_S = 60.0


def http_ready(url: str) -> bool:
    """Whether ``url`` answers 200 within a second."""
    try:
        with urllib.request.urlopen(url, timeout=1.0) as answer:  # noqa: S310 - loopback address made by this module
            return bool(answer.status == 200)
    except OSError:
        return False


class Child:
    """One child process: how to start it, how to know that it is ready, and how often it died lately."""

    def __init__(self, name: str, arguments: Sequence[str], environment: dict[str, str], log: Path, ready: Callable[[], bool]) -> None:
        self.name = name
        self.arguments = [sys.executable, *arguments]
        self.environment = environment
        self.log = log
        self.ready = ready
        self.process: subprocess.Popen[bytes] | None = None
        self.deaths: deque[float] = deque(maxlen=RESTARTS_MAX + 1)
        self.rests_until = 0.0
        """Monotonic seconds until which a child in a crash loop is left down; 0 while it is in none."""

    def start(self) -> None:
        """Start the process; its output goes to a log file under home."""
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(  # noqa: S603 - a fixed argument list, no shell
                self.arguments,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                preexec_fn=die_with_parent,
                start_new_session=True,
            )

    def revive(self) -> bool:
        """Restart the process if it died, unless it rests after a crash loop; True when it was restarted or its rest began."""
        now = time.monotonic()
        if self.process is None or self.process.poll() is None or now < self.rests_until:
            return False
        if self.rests_until:
            self.rests_until = 0.0
            self.deaths.clear()
        else:
            self.deaths.append(now)
        if len(self.deaths) > RESTARTS_MAX and now - self.deaths[0] < RESTART_WINDOW_S:
            self.rests_until = now + REST_S
            _say_down(self)
        else:
            self.start()
        return True

    def wait_ready(self) -> None:
        """Wait until the process answers.

        Raises
        ------
        Unavailable: it died or did not answer in time; the message ends with the last lines of its log.
        """
        deadline = time.monotonic() + READY_TIMEOUT_S
        while time.monotonic() < deadline:
            if self.ready():
                return
            if self.process is not None and self.process.poll() is not None:
                break
            time.sleep(0.03)
        tail = self.log.read_text(errors="replace").splitlines()[-8:] if self.log.exists() else []
        raise Unavailable(f"{self.name} did not start", where=str(self.log), got="\n".join(tail), next_step="lever doctor")

    def stop(self) -> None:
        """Ask the process to end, and end it when it does not within the grace."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(STOP_GRACE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def _say_down(child: Child) -> None:
    print(
        f"{child.name} died {len(child.deaths)} times within {RESTART_WINDOW_S:.0f} s: tried again in {REST_S:.0f} s; see {child.log}",
        file=sys.stderr,
    )


class Supervisor:
    """Starts, watches and stops the children of one installation."""

    def __init__(self, settings: Settings) -> None:
        for host in (settings.host, settings.gateway_host):
            if host not in LOOPBACK and not settings.allow_exposure:
                raise Refused(
                    "refusing to listen beyond this machine without TLS in front",
                    where=host,
                    expected="a loopback address",
                    got=host,
                    next_step="put a TLS proxy in front and set LEVER_ALLOW_EXPOSURE=true",
                )
        self.settings = settings
        self.children: list[Child] = []
        self._stopping = False

    def _child(self, name: str, module: str, ready: Callable[[], bool]) -> Child:
        settings = self.settings
        environment = dict(os.environ) | {f"LEVER_{key.upper()}": str(value) for key, value in settings.model_dump().items()}
        # Native thread pools sized for the machine starve the gateway on small ones.
        environment.setdefault("POLARS_MAX_THREADS", "2")
        environment.setdefault("OMP_NUM_THREADS", "2")
        logs = settings.home / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        return Child(name, ["-m", module], environment, logs / f"{name}.log", ready)

    def start(self) -> None:
        """Start every child and wait until all answer."""
        settings = self.settings
        settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        worker_ready = settings.home / "worker.ready"
        worker_ready.unlink(missing_ok=True)
        control = f"http://{settings.host}:{settings.port}/api/v1/health"
        gateway = f"http://{settings.gateway_host}:{settings.gateway_port}/v2/health/live"
        self.children = [
            self._child("worker", "leverframe.apps.worker", worker_ready.exists),
            self._child("control", "leverframe.apps.control_plane", lambda: http_ready(control)),
            self._child("gateway", "leverframe.apps.gateway", lambda: http_ready(gateway)),
        ]
        for child in self.children:
            child.start()
        for child in self.children:
            child.wait_ready()
        self._write_state()

    def _write_state(self) -> None:
        settings = self.settings
        state = {
            "supervisor": os.getpid(),
            "control": f"http://{settings.host}:{settings.port}",
            "gateway": f"http://{settings.gateway_host}:{settings.gateway_port}",
            "children": {child.name: child.process.pid for child in self.children if child.process is not None},
            "resting": [child.name for child in self.children if child.rests_until],
        }
        target = settings.home / "run.json"
        fresh = target.with_suffix(".new")
        fresh.write_text(json.dumps(state, indent=1))
        fresh.replace(target)

    def watch(self) -> None:
        """Restart what dies until :meth:`request_stop` is called."""
        while not self._stopping:
            changed = [child for child in self.children if child.revive()]
            if changed:
                self._write_state()
            time.sleep(0.05)

    def request_stop(self, _signal: int = 0, _frame: FrameType | None = None) -> None:
        """Make :meth:`watch` return (a signal handler)."""
        self._stopping = True

    def stop(self) -> None:
        """Stop every child, the gateway last."""
        for child in self.children:
            child.stop()
        (self.settings.home / "run.json").unlink(missing_ok=True)


def up(home: Path, host: str, port: int, gateway_port: int, json_output: bool) -> int:
    """Run one installation until interrupted; prints addresses, and the one-time token at first start. Returns the exit code."""
    from leverframe.apps.wiring import open_platform

    settings = Settings(home=home, host=host, port=port, gateway_port=gateway_port)
    supervisor = Supervisor(settings)
    platform = open_platform(settings)
    token = platform.access.bootstrap()
    platform.close()
    signal.signal(signal.SIGTERM, supervisor.request_stop)
    signal.signal(signal.SIGINT, supervisor.request_stop)
    try:
        supervisor.start()
        addresses = {"console": f"http://{host}:{port}/", "gateway": f"http://{settings.gateway_host}:{gateway_port}/"}
        if json_output:
            print(json.dumps({**addresses, "token": token}), flush=True)
        else:
            _announce(addresses, token)
        supervisor.watch()
    finally:
        supervisor.stop()
    return 0


def _announce(addresses: dict[str, str], token: str | None) -> None:
    print(f"Leverframe is up.  Console {addresses['console']}   Gateway {addresses['gateway']}")
    if token is not None:
        print(f"One-time administrator token (shown once, stored only as a hash): {token}")
        print(f"Next: lever login --token {token}")
    print("Ctrl-C stops everything.", flush=True)
