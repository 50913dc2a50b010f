"""Follows the published route table: verify, load, try, and only then swap one reference; keep a last-good copy to restart from.

A look runs in a thread of its own, so that answers do not wait for a model to load. Whatever is wrong with a table, the routes that are
served stay as they are and the health page says why. What is wrong with a bundle stays with its endpoint: that one is served as it was, and
the others follow the table.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec

from leverframe.core.digest import Digest, digest_bytes
from leverframe.core.errors import Integrity, LeverframeError
from leverframe.core.route import Arm, RouteTable, check_endpoint
from leverframe.governance.durable_files import write_durably
from leverframe.governance.signing import TrustStore
from leverframe.serving.engine.models import LoadedVersion, OpenIsolated, load_version
from leverframe.serving.routes.routing import CompiledRoutes, compile_routes
from leverframe.serving.runtimes.onnx import CPU
from leverframe.serving.telemetry.counts import Telemetry

ROUTES_TYPE = "application/vnd.leverframe.routes+json"
LOOK_S = 0.05
RETRY_S = 1.0
"""A table that was refused is tried again this often, in case what it names was only unreachable."""
RETRY_S_MAX = 60.0
"""A bundle that fails its own checks is loaded again after ``RETRY_S``, then twice as long each time, and at this pace for good."""
FAILED_MAX = 64
"""Bundles that failed are remembered for that; of more, the one that failed first is forgotten, and loaded at the next look."""
RETIRED_MAX = 8
"""Versions no route points at any more that stay loaded, so that a rollback loads nothing."""


class Published(Protocol):
    """Where signed tables are published."""

    def read(self, name: str) -> bytes | None:
        """The newest bytes under ``name``, or None."""
        ...


OpenBundle = Callable[[Digest, Digest], Mapping[str, bytes]]
"""Manifest and envelope digest to the verified files of a bundle."""


def routes_name(environment: str) -> str:
    """The published name of an environment's table."""
    return f"routes-{environment}"


def read_table(envelope: bytes, trust: TrustStore, environment: str) -> RouteTable:
    """The route table in a signed envelope.

    Raises
    ------
    Integrity: not signed by a trusted key, not a table, of another environment, or with an endpoint that cannot be routed.
    """
    try:
        table = msgspec.json.decode(trust.verify(envelope, ROUTES_TYPE), type=RouteTable)
        for endpoint in table.endpoints:
            check_endpoint(endpoint)
        for caller in table.callers:
            bytes.fromhex(caller.token_sha256)
    except (msgspec.MsgspecError, ValueError) as error:
        raise Integrity("the published table is not a route table", where=routes_name(environment), got=str(error)[:200]) from error
    if table.environment != environment:
        raise Integrity("a table of another environment", where=routes_name(environment), expected=environment, got=table.environment[:60])
    return table


@dataclass(frozen=True)
class _Failure:
    """What was wrong with a bundle, and when (monotonic seconds) it is loaded again, ``pause`` after it failed."""

    error: Integrity
    pause: float
    until: float


def _release(before: CompiledRoutes, after: CompiledRoutes) -> None:
    """Take foreign models out of quarantine where an operator put the model back: ``lever kill``, then ``lever unkill``."""
    for name, endpoint in after.endpoints.items():
        known = before.endpoints.get(name)
        if known is not None and known.record.killed and not endpoint.record.killed:
            for arm in endpoint.arms:
                if arm.model.remote is not None:
                    arm.model.remote.release()


class TableFollower:
    """Keeps ``routes`` current.

    Parameters
    ----------
    published: read every ``LOOK_S`` seconds.
    trust: gives the keys whose signatures count; asked anew for each new table.
    open_bundle: fetches and verifies bundles, keeping local copies.
    folder: the gateway's own; the last-good table lives there.
    open_isolated: starts models in processes of their own; None: such models are refused.
    onnx_providers: what ONNX models run on, as ``choose_providers`` gave it.
    """

    def __init__(
        self,
        *,
        environment: str,
        published: Published,
        trust: Callable[[], TrustStore],
        open_bundle: OpenBundle,
        folder: Path,
        telemetry: Telemetry,
        open_isolated: OpenIsolated | None = None,
        onnx_providers: Sequence[str] = CPU,
    ) -> None:
        self.routes: CompiledRoutes | None = None
        self.source = "none"
        self.problem = ""
        self.looked_at = 0.0
        self._environment = environment
        self._published = published
        self._trust = trust
        self._open_bundle = open_bundle
        self._open_isolated = open_isolated
        self._onnx_providers = onnx_providers
        self._last_good = folder / f"{routes_name(environment)}.last-good"
        self._telemetry = telemetry
        self._loaded: OrderedDict[tuple[str, str, Digest], LoadedVersion] = OrderedDict()
        self._seen = self._refused = ""
        self._retry_at = 0.0
        self._failed: OrderedDict[tuple[str, str, Digest], _Failure] = OrderedDict()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    # ---- one look ---------------------------------------------------------------------------------------------------------------------

    def restore(self) -> None:
        """Serve the last-good copy, if there is one."""
        try:
            envelope = self._last_good.read_bytes()
        except OSError:
            return
        try:
            self._adopt(envelope)
            self.source = "last-good copy"
        except LeverframeError as error:
            self.problem = f"the last-good copy cannot be used: {error.sentence()}"

    def look(self) -> bool:
        """Read the publication once and adopt what is new; True when routes were swapped."""
        name = routes_name(self._environment)
        try:
            envelope = self._published.read(name)
        except LeverframeError as error:
            self.problem = f"the published table cannot be read: {error.sentence()}"
            return False
        if envelope is None:
            self.problem = (
                f"no table is published as {name}; serving the {self.source}" if self.routes else f"no table is published as {name}"
            )
            return False
        self.looked_at = time.monotonic()
        digest = digest_bytes(envelope)
        if digest == self._seen and digest != self._refused:
            self.problem, self.source = "", "published"
            return False
        if digest == self._refused and time.monotonic() < self._retry_at:
            return False
        try:
            swapped = self._adopt(envelope)
        except LeverframeError as error:
            self._refuse(digest, error)
            return False
        self.source = "published"
        problems = self.routes.problems if self.routes is not None else {}
        if problems:
            self._note_refused(digest)
            said = "; ".join(f"endpoint {name}: {reason}" for name, reason in problems.items())
            self.problem = f"part of the published table was refused, the previous one is served there: {said}"
            return swapped
        self.problem, self._refused = "", ""
        # Only a table that can be served whole is one to restart from.
        self._keep(envelope)
        return swapped

    def _refuse(self, digest: str, error: LeverframeError) -> None:
        self._note_refused(digest)
        self.problem = f"the published table was refused, the previous one is served: {error.sentence()}"

    def _note_refused(self, digest: str) -> None:
        if digest != self._refused:
            self._telemetry.swap_failures += 1
        self._refused, self._retry_at = digest, time.monotonic() + RETRY_S

    def _adopt(self, envelope: bytes) -> bool:
        """Verify, load and swap; False when this very table is served already, as far as it can be."""
        table = read_table(envelope, self._trust(), self._environment)
        current = self.routes.table if self.routes is not None else None
        if current is not None:
            if table == current and self.routes is not None and not self.routes.problems:
                self._seen = digest_bytes(envelope)
                return False
            # One generation is issued again when only its callers changed.
            if table != current and (table.generation, table.issued_at_us) <= (current.generation, current.issued_at_us):
                raise Integrity(
                    "an old table was published",
                    where=routes_name(self._environment),
                    expected=f"newer than generation {current.generation}",
                    got=f"generation {table.generation}",
                    next_step="publish the newest table again: lever release publish",
                )
        before = self.routes
        compiled = compile_routes(table, self._load, self._telemetry, before)
        if compiled.problems and not compiled.endpoints:
            raise Integrity(
                "no endpoint of the table can be served", where=routes_name(self._environment), got="; ".join(compiled.problems.values())
            )
        if before is not None and table == before.table and compiled.problems == before.problems:
            return False
        self.routes = compiled
        if before is not None:
            _release(before, compiled)
        self._seen = digest_bytes(envelope)
        self._telemetry.swaps += 1
        self._retire(compiled)
        return True

    def _load(self, endpoint: str, arm: Arm) -> LoadedVersion:
        key = (endpoint, arm.version, arm.bundle)
        loaded = self._loaded.get(key)
        if loaded is None:
            self._check_not_failed(key)
            files = self._open_bundle(arm.bundle, arm.envelope)
            try:
                loaded = self._loaded[key] = load_version(endpoint, arm, files, self._open_isolated, self._onnx_providers)
            except Integrity as error:
                self._note_failed(key, error)
                raise
            self._failed.pop(key, None)
        self._loaded.move_to_end(key)
        return loaded

    def _check_not_failed(self, key: tuple[str, str, Digest]) -> None:
        """Raise again what was wrong with a bundle, until its next try is due: each one starts engines, or a process."""
        failed = self._failed.get(key)
        if failed is not None and time.monotonic() < failed.until:
            raise failed.error.with_traceback(None)

    def _note_failed(self, key: tuple[str, str, Digest], error: Integrity) -> None:
        before = self._failed.pop(key, None)
        pause = RETRY_S if before is None else min(before.pause * 2, RETRY_S_MAX)
        self._failed[key] = _Failure(error, pause, time.monotonic() + pause)
        while len(self._failed) > FAILED_MAX:
            self._failed.popitem(last=False)

    def _retire(self, routes: CompiledRoutes) -> None:
        """Let go of the versions that have been out of use longest."""
        table = routes.table
        wanted = {(e.name, arm.version, arm.bundle) for e in table.endpoints for arm in (*e.arms, e.fallback.last_good) if arm is not None}
        served = {(e.record.name, arm.version, arm.arm.bundle) for e in routes.endpoints.values() for arm in e.arms}
        retired = [key for key in self._loaded if key not in wanted | served]
        for key in retired[: max(0, len(retired) - RETIRED_MAX)]:
            self._loaded.pop(key).close()

    def _keep(self, envelope: bytes) -> None:
        try:
            write_durably(self._last_good, envelope)
        except LeverframeError as error:
            self.problem = f"the last-good copy could not be written: {error.sentence()}"

    # ---- the thread -------------------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Look again and again in a daemon thread."""
        self._thread = threading.Thread(target=self._run, name="routes", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stopped.wait(LOOK_S):
            try:
                self.look()
            except Exception as error:  # the follower must outlive any single table; what happened is on the health page
                self.problem = f"a look at the published table failed: {type(error).__name__}"

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(5.0)
        for loaded in self._loaded.values():
            loaded.close()
