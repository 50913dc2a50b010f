"""The worker's process (``python -m leverframe.apps.worker``): durable training runs, and the loop that judges, publishes and watches."""

import logging
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType

import msgspec

from leverframe.apps.checkpointing import CheckpointLoop
from leverframe.apps.clocks import ReplayClock
from leverframe.apps.data_loop import LOOK_EVERY_S, DataLoop
from leverframe.apps.durable import DurableEngine
from leverframe.apps.egress_loop import PAUSE_S as EGRESS_PAUSE_S
from leverframe.apps.egress_loop import EgressLoop
from leverframe.apps.experiment_loop import ExperimentLoop
from leverframe.apps.fetch_workflow import FetchWorkflow
from leverframe.apps.log_tape import LogTape
from leverframe.apps.materialize_workflow import MaterializeWorkflow
from leverframe.apps.monitor_loop import MonitorLoop
from leverframe.apps.parity_check import ParityCheck, ParitySample
from leverframe.apps.platform.fetching import WORKFLOW as FETCH
from leverframe.apps.platform.materializing import WORKFLOW as MATERIALIZE
from leverframe.apps.platform.parts import Parts
from leverframe.apps.platform.reproducing import WORKFLOW as REPRODUCE
from leverframe.apps.platform.training import WORKFLOW
from leverframe.apps.registry_loop import RegistryLoop
from leverframe.apps.reproduce_workflow import ReproduceWorkflow
from leverframe.apps.settings import Settings
from leverframe.apps.table_loop import LOOK_EVERY_S as TABLES_LOOK_S
from leverframe.apps.table_loop import TableLoop
from leverframe.apps.training_workflow import TrainingWorkflow
from leverframe.apps.wiring import open_parts
from leverframe.core.errors import Conflict, LeverframeError
from leverframe.monitoring.log_reader import Position, earlier
from leverframe.release.control.controller import Controller
from leverframe.release.records import KIND_RELEASE, Release

EXECUTOR = "worker-1"
GATEWAY_TIMEOUT_S = 1.0
"""How long a look waits for the gateway to take a route that was just published; the promise is under a second."""
TELL_EVERY_S = 1.0
CHECKPOINT_EVERY_S = 30.0
PARITY_LOOK_S = 1.0
FAILED_LOOK_PAUSE_S = 0.5

log = logging.getLogger("leverframe.worker")


class LookLoop:
    """Looks at releases, publishes what the ledger wants, lets the monitor look, and marks how far it has looked."""

    def __init__(self, parts: Parts, sample: ParitySample | None = None) -> None:
        self._parts = parts
        self._controller = Controller(parts.ledger, parts.settings.environment)
        self._tape = LogTape(parts.settings.log_folder, parts.settings.home / "log.marks", self._lowest_generation)
        # A memory-mapped moment that a replay waits for, so that it never outruns the looks (decision 0003).
        self._look = ReplayClock(parts.settings.home / "look.clock")
        self._monitor = MonitorLoop(parts, sample)
        self._confirmed = -1
        self._told, self._told_s = b"", 0.0

    def look(self) -> None:
        """One look: judge, decide, publish, and wait until the gateway has what was published."""
        now_us = self._parts.clock.now_us()
        self._controller.tick(self._tape.since, now_us)
        self._tell()
        table = self._parts.publisher.publish()
        self._tape.mark(table.generation)
        if table.generation != self._confirmed and table.endpoints:
            self._await_gateway(table.generation)
        self._monitor.look()
        self._look.set(now_us)

    def left_behind(self) -> Position | None:
        """Up to where the log is read by releases and by the monitor, and is not read again; None: nobody knows yet."""
        safe = self._tape.start()
        return earlier(safe, self._monitor.position) if safe is not None else None

    def _tell(self) -> None:
        """Leave what this look saw where the control API reads it, at most once a second: an account, nothing is decided by it."""
        if time.monotonic() - self._told_s < TELL_EVERY_S:
            return
        looks = msgspec.msgpack.encode(self._controller.live())
        if looks != self._told:
            self._parts.publisher.publish_live(looks)
            self._told, self._told_s = looks, time.monotonic()

    def _lowest_generation(self) -> int | None:
        releases = self._parts.ledger.find(KIND_RELEASE, Release)
        return min((release.generation for release in releases if release.active), default=None)

    def _await_gateway(self, generation: int) -> None:
        deadline = time.monotonic() + GATEWAY_TIMEOUT_S
        while time.monotonic() < deadline:
            state = self._parts.probe.state()
            if state.generation is not None and state.generation >= generation:
                self._confirmed = generation
                return
            time.sleep(0.01)


class Worker:
    """Runs the durable engine and the loops until asked to stop."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._parts = open_parts(settings)
        self._stopping = threading.Event()
        self._engine = DurableEngine(settings.durable_url, executor=EXECUTOR)
        self._engine.workflow(WORKFLOW, TrainingWorkflow(self._parts).run)
        self._engine.workflow(MATERIALIZE, MaterializeWorkflow(self._parts).run)
        self._engine.workflow(FETCH, FetchWorkflow(self._parts).run)
        self._engine.workflow(REPRODUCE, ReproduceWorkflow(self._parts).run)

    def run(self) -> None:
        """Work until :meth:`stop`."""
        sample = ParitySample()
        pause_s = self._settings.look_interval_ms / 1000
        looks = LookLoop(self._parts, sample)
        loops: list[tuple[str, Callable[[], None], float]] = [
            ("look", looks.look, pause_s),
            ("experiments", ExperimentLoop(self._parts).look, pause_s),
            ("tables", TableLoop(self._parts).look, TABLES_LOOK_S),
            ("parity", ParityCheck(self._parts, sample).look, PARITY_LOOK_S),
            ("checkpoint", self._checkpoints().look, CHECKPOINT_EVERY_S),
            ("registries", RegistryLoop(self._parts).look, self._settings.registry_interval_s),
            ("egress", EgressLoop(self._parts).look, EGRESS_PAUSE_S),
            ("data", DataLoop(self._parts, left_behind=looks.left_behind).look, LOOK_EVERY_S),
        ]
        threads = [threading.Thread(target=self._repeat, args=loop, name=loop[0], daemon=True) for loop in loops]
        for thread in threads:
            thread.start()
        # Releases first: a rollout that was left alone by a killed worker waits for the loops, and the engine takes a second to come up.
        self._engine.launch()
        (self._settings.home / "worker.ready").touch()
        self._stopping.wait()
        for thread in threads:
            thread.join(timeout=5.0)
        self._engine.close()

    def stop(self, _signal: int = 0, _frame: FrameType | None = None) -> None:
        """Make :meth:`run` return (a signal handler)."""
        self._stopping.set()

    def _checkpoints(self) -> CheckpointLoop:
        return CheckpointLoop(self._parts.ledger, self._parts.publisher, self._parts.key, self._parts.trust)

    def _repeat(self, name: str, look: Callable[[], None], pause_s: float) -> None:
        """Look again and again; a failed look is logged and tried again, since everything it needs is in the ledger and the log."""
        while not self._stopping.is_set():
            try:
                look()
            except Conflict as error:
                log.info("%s: somebody was first: %s", name, error)
            except LeverframeError as error:
                log.warning("%s: %s", name, error)
                self._stopping.wait(FAILED_LOOK_PAUSE_S)
            except Exception:
                log.exception("%s: a look failed", name)
                self._stopping.wait(FAILED_LOOK_PAUSE_S)
            self._stopping.wait(pause_s)


def main() -> None:
    """Work until terminated."""
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO,
        format='{"at":"%(asctime)s","level":"%(levelname)s","room":"%(name)s","message":"%(message)s"}',
    )
    worker = Worker(Settings())
    signal.signal(signal.SIGTERM, worker.stop)
    signal.signal(signal.SIGINT, worker.stop)
    worker.run()


if __name__ == "__main__":
    main()
