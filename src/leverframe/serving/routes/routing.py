"""Who answers: a published route table compiled into one immutable object. Which arm a caller meets: :mod:`leverframe.core.assignment`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from leverframe.core.assignment import Assigner, intervals, points
from leverframe.core.errors import LeverframeError
from leverframe.core.prediction import Exposure
from leverframe.core.route import Arm, Caller, Endpoint, Fallback, RouteTable
from leverframe.serving.engine.lane import Lane
from leverframe.serving.engine.models import LoadedVersion
from leverframe.serving.features.missing import MissingPolicy, missing_policy
from leverframe.serving.telemetry.counts import ArmStats, Telemetry


@dataclass(frozen=True)
class CompiledArm:
    """An arm with its loaded version and what is constant in its answers."""

    arm: Arm
    model: LoadedVersion
    policy: MissingPolicy
    parameters: bytes
    """What every answer says about itself: the inside of a JSON object."""
    stats: ArmStats
    version: str
    endpoint: Endpoint
    positions: Mapping[str, int]
    """Input column to its place."""
    reads_as_live: bool
    """Whether a request read for the live arm is read for this one too."""
    single: bytes
    """A usual answer of one row, from its id to its score."""


@dataclass(frozen=True)
class CompiledEndpoint:
    """An endpoint ready to answer. ``intervals`` are (from, to, arm) in percent; whatever they leave is the live arm's.

    Where they are empty, the live arm answers everyone and nobody is hashed. While an experiment runs it assigns instead of them.
    """

    record: Endpoint
    generation: int
    live: CompiledArm
    arms: tuple[CompiledArm, ...]
    intervals: tuple[tuple[float, float, CompiledArm], ...]
    unseen: tuple[CompiledArm, ...]
    last_good: CompiledArm | None
    """The version that answers when an arm cannot; it has no share of the traffic."""
    point: Callable[[str], float]
    gate: Lane | None
    """Whose word is asked before a request is read: the only model's, when a refusal of it is all there would be."""
    usual: bool
    """Whether :mod:`leverframe.serving.doors.express` may be asked first."""
    sticky: str
    """The request field that identifies a caller (empty: the request's id)."""
    assigner: Assigner | None = None
    assigned: tuple[CompiledArm, ...] = ()
    """The arms that ``assigner`` counts, the live one first."""

    def pick(self, key: str) -> tuple[CompiledArm, Exposure | None]:
        """The arm that answers the caller value ``key``, and what the log keeps when that was an experiment's doing."""
        if self.assigner is not None:
            index, exposure = self.assigner.assign(key)
            return self.assigned[index], exposure
        if self.intervals:
            point = self.point(key)
            for low, high, arm in self.intervals:
                if low <= point < high:
                    return arm, None
        return self.live, None

    def named(self, version: str) -> CompiledArm | None:
        """The answering arm whose version is ``version`` (``flight-delay@v2``, ``v2`` or ``2``)."""
        for arm in self.arms:
            full = arm.version
            short = full.rpartition("@")[2]
            if version in (full, short, short.removeprefix("v")) and arm.arm.role != "shadow":
                return arm
        return None


@dataclass(frozen=True)
class CompiledRoutes:
    """All of a gateway's routes: replaced by one assignment, never changed. ``stamp`` is of these routes alone.

    ``problems``: endpoints of the table that could not be compiled, and why. One that was served before is still served as it was.
    """

    table: RouteTable
    endpoints: Mapping[str, CompiledEndpoint]
    targets: Mapping[bytes, CompiledEndpoint]
    callers: Mapping[bytes, Caller]
    has_quotas: bool
    problems: Mapping[str, str]
    stamp: object = field(default_factory=object)

    @property
    def generation(self) -> int:
        """Which table this is."""
        return self.table.generation


def _compile_endpoint(
    endpoint: Endpoint, generation: int, load: Callable[[str, Arm], LoadedVersion], telemetry: Telemetry
) -> CompiledEndpoint:
    loaded = [(arm, load(endpoint.name, arm)) for arm in endpoint.arms]
    reads = next(_reads(model) for arm, model in loaded if arm.role == "live")

    def compiled_arm(arm: Arm, model: LoadedVersion) -> CompiledArm:
        parameters = b'"arm":"%b","generation":%d' % (arm.role.encode(), generation)
        return CompiledArm(
            arm=arm,
            model=model,
            policy=missing_policy(model.signature, endpoint.disabled_features),
            parameters=parameters,
            stats=telemetry.arm(endpoint.name, arm.version, arm.role),
            version=arm.version,
            endpoint=endpoint,
            positions={column.name: position for position, column in enumerate(model.signature.columns)},
            reads_as_live=_reads(model) == reads,
            single=b',"parameters":{%b}%b1],"data":[' % (parameters, model.answer_outputs),
        )

    arms = [compiled_arm(arm, model) for arm, model in loaded]
    good = endpoint.fallback.last_good
    last_good = compiled_arm(good, load(endpoint.name, good)) if good is not None else None
    if last_good is not None and not last_good.reads_as_live:
        # It cannot stand in for a version that is asked other questions; the rest of the chain can.
        last_good = None
    live = next(compiled for compiled in arms if compiled.arm.role == "live")
    others = [compiled for compiled in arms if compiled.arm.role == "canary"]
    placed = [(low, high, arm) for (low, high), arm in zip(intervals([a.arm.weight for a in others]), others, strict=True) if high > low]
    unseen = tuple(compiled for compiled in arms if compiled.arm.role == "shadow" or compiled.arm.mirror)
    usual = not unseen and not endpoint.killed and all(_usual(arm) for arm in arms)
    experiment = endpoint.experiment
    return CompiledEndpoint(
        endpoint,
        generation,
        live,
        tuple(arms),
        tuple(placed),
        unseen,
        last_good,
        points(endpoint.salt),
        _gate(endpoint, live),
        usual,
        sticky=endpoint.hash_field if experiment is None else experiment.hash_field,
        assigner=Assigner(experiment) if experiment is not None else None,
        assigned=(live, *others),
    )


def _gate(endpoint: Endpoint, live: CompiledArm) -> Lane | None:
    alone = len(endpoint.arms) == 1 and endpoint.fallback == Fallback() and not endpoint.killed
    return live.model.lane if alone and live.model.cache is None else None


def _reads(model: LoadedVersion) -> list[tuple[object, ...]]:
    """What decides how a request is read: examples and descriptions do not."""
    changes: dict[str, Any] = {"example": None, "description": ""}
    return [msgspec.structs.astuple(msgspec.structs.replace(field, **changes)) for field in model.signature.request]


def _usual(arm: CompiledArm) -> bool:
    """Whether the arm scores rows as they are sent: no look-up, no entity, nothing switched off, the live arm's fields."""
    model = arm.model
    cheap = model.lane is None and model.outputs.simple
    return cheap and arm.reads_as_live and model.inputs.packable and model.plan.as_sent and not (model.entity_fields or arm.policy.off)


def compile_routes(
    table: RouteTable, load: Callable[[str, Arm], LoadedVersion], telemetry: Telemetry, before: CompiledRoutes | None = None
) -> CompiledRoutes:
    """Compile ``table``; ``load`` gives a checked version for each arm.

    An endpoint that cannot be compiled does not hold up the others: it stays as it was in ``before``, whole.
    """
    endpoints: dict[str, CompiledEndpoint] = {}
    problems: dict[str, str] = {}
    for endpoint in table.endpoints:
        try:
            endpoints[endpoint.name] = _compile_endpoint(endpoint, table.generation, load, telemetry)
        except LeverframeError as error:
            problems[endpoint.name] = error.sentence()
            if before is not None and endpoint.name in before.endpoints:
                endpoints[endpoint.name] = before.endpoints[endpoint.name]
    return CompiledRoutes(
        table=table,
        endpoints=endpoints,
        targets={f"/v2/models/{name}/infer".encode(): endpoint for name, endpoint in endpoints.items()},
        callers={bytes.fromhex(caller.token_sha256): caller for caller in table.callers},
        has_quotas=bool(table.tenant_quotas or any(e.quota for e in table.endpoints) or any(c.quota for c in table.callers)),
        problems=problems,
    )
