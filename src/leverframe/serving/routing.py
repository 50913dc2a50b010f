"""Who answers: a published route table compiled into one immutable object, and the sticky choice of an arm.

Every caller value hashes to a point in [0, 100). Arms own intervals of that line, laid out so that a change of weights moves only the share
that changed (P24): the live arm is the rest of the line, the first other arm grows up from 0, the second grows down from 100, further ones
follow the first.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from leverframe.core.route import Arm, Caller, Endpoint, RouteTable
from leverframe.serving.missing import MissingPolicy, missing_policy
from leverframe.serving.models import LoadedVersion
from leverframe.serving.telemetry import ArmStats, Telemetry

_SCALE = 100.0 / 2**64


def position(salt: str, key: str) -> float:
    """The point in [0, 100) of ``key``; evenly spread, the same in every process.

    >>> 0.0 <= position("salt", "customer-1") < 100.0
    True
    """
    return int.from_bytes(blake2b(f"{salt}\0{key}".encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big") * _SCALE


@dataclass(frozen=True)
class CompiledArm:
    """An arm with its loaded version and what is constant in its answers."""

    arm: Arm
    model: LoadedVersion
    policy: MissingPolicy
    parameters: bytes
    stats: ArmStats

    @property
    def version(self) -> str:
        """The version this arm answers with."""
        return self.arm.version


@dataclass(frozen=True)
class CompiledEndpoint:
    """An endpoint ready to answer. ``intervals`` are (from, to, arm) in percent; whatever they leave is the live arm's."""

    record: Endpoint
    generation: int
    live: CompiledArm
    arms: tuple[CompiledArm, ...]
    intervals: tuple[tuple[float, float, CompiledArm], ...]
    unseen: tuple[CompiledArm, ...]

    def pick(self, key: str) -> CompiledArm:
        """The arm that answers the caller value ``key``."""
        if not self.intervals:
            return self.live
        point = position(self.record.salt, key)
        for low, high, arm in self.intervals:
            if low <= point < high:
                return arm
        return self.live

    def named(self, version: str) -> CompiledArm | None:
        """The answering arm whose version is ``version`` (``flight-delay@v2``, ``v2`` or ``2``)."""
        for arm in self.arms:
            full = arm.version
            short = full.rpartition("@")[2]
            if version in (full, short, short.removeprefix("v")) and arm.arm.role != "shadow":
                return arm
        return None


def intervals(weights: Sequence[float]) -> list[tuple[float, float]]:
    """The interval of each arm that is not live, in table order.

    >>> intervals([5.0, 10.0, 20.0])
    [(0.0, 5.0), (90.0, 100.0), (5.0, 25.0)]
    """
    placed: list[tuple[float, float]] = []
    low = 0.0
    for index, weight in enumerate(weights):
        if index == 1:
            placed.append((100.0 - weight, 100.0))
        else:
            placed.append((low, low + weight))
            low += weight
    return placed


@dataclass(frozen=True)
class CompiledRoutes:
    """All of a gateway's routes: replaced by one assignment, never changed."""

    table: RouteTable
    endpoints: Mapping[str, CompiledEndpoint]
    targets: Mapping[bytes, CompiledEndpoint]
    callers: Mapping[bytes, Caller]

    @property
    def generation(self) -> int:
        """Which table this is."""
        return self.table.generation


def _compile_endpoint(
    endpoint: Endpoint, generation: int, load: Callable[[str, Arm], LoadedVersion], telemetry: Telemetry
) -> CompiledEndpoint:
    arms = []
    for arm in endpoint.arms:
        model = load(endpoint.name, arm)
        parameters = b'{"arm":"%b","generation":%d' % (arm.role.encode(), generation)
        policy = missing_policy(model.signature, endpoint.disabled_features)
        arms.append(CompiledArm(arm, model, policy, parameters, telemetry.arm(endpoint.name, arm.version, arm.role)))
    live = next(compiled for compiled in arms if compiled.arm.role == "live")
    others = [compiled for compiled in arms if compiled.arm.role == "canary"]
    placed = [(low, high, arm) for (low, high), arm in zip(intervals([a.arm.weight for a in others]), others, strict=True) if high > low]
    unseen = tuple(compiled for compiled in arms if compiled.arm.role == "shadow" or compiled.arm.mirror)
    return CompiledEndpoint(endpoint, generation, live, tuple(arms), tuple(placed), unseen)


def compile_routes(table: RouteTable, load: Callable[[str, Arm], LoadedVersion], telemetry: Telemetry) -> CompiledRoutes:
    """Compile ``table``; ``load`` gives a checked version for each arm.

    Raises
    ------
    Integrity, Unavailable: a version cannot be loaded; nothing of the table is used then.
    """
    endpoints = {e.name: _compile_endpoint(e, table.generation, load, telemetry) for e in table.endpoints}
    return CompiledRoutes(
        table=table,
        endpoints=endpoints,
        targets={f"/v2/models/{name}/infer".encode(): endpoint for name, endpoint in endpoints.items()},
        callers={bytes.fromhex(caller.token_sha256): caller for caller in table.callers},
    )
