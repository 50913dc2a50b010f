"""Who answers whom: the route table the control plane publishes and gateways obey."""

from typing import Literal

import msgspec

from leverframe.core.assignment import LAYER_BUCKETS, Assignment
from leverframe.core.digest import Digest
from leverframe.core.errors import InvalidInput

Role = Literal["live", "canary", "shadow"]


class Arm(msgspec.Struct, frozen=True, kw_only=True):
    """A model version answering a share of an endpoint's traffic.

    ``weight`` is in percent (0 to 100) of the sticky-hash space; a ``shadow`` arm has weight 0 and sees a copy of every request.
    ``mirror`` on a canary arm also scores, unseen by callers, the requests that other arms answer, so that both
    can be compared paired.
    """

    version: str
    bundle: Digest
    envelope: Digest
    role: Role
    weight: float = 0.0
    mirror: bool = False


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """Holds when the model's input ``column`` is at least ``at_least`` and below ``below`` (None: no bound); never for a missing value."""

    column: str
    at_least: float | None = None
    below: float | None = None


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """Answers ``value`` for a row of which every condition holds."""

    value: float
    when: tuple[Condition, ...] = ()


class Fallback(msgspec.Struct, frozen=True, kw_only=True):
    """What to answer when an arm cannot: the ``last_good`` version, else the first of ``rules`` that holds, else the constant ``value``.

    The answer is marked as fallback. Where none of them applies the request is refused. ``last_good`` is loaded beside the arms and has no
    share of the traffic.
    """

    last_good: Arm | None = None
    rules: tuple[Rule, ...] = ()
    value: float | None = None


class Quota(msgspec.Struct, frozen=True, kw_only=True):
    """Requests a second, and how many may come at once after a pause (``burst``; 0: one second's worth, at least one)."""

    per_second: float
    burst: float = 0.0


Priority = Literal["high", "normal", "low"]


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One addressable model. ``arms`` weights sum to 100. ``hash_field`` is the request field whose value sticks to an arm
    (empty: the request id). ``disabled_features`` (``view.feature`` or ``view.*``) are fed as missing on purpose.
    ``deadline_ms`` is how long an answer may take; past it the fallback answers (0: as long as the caller waits). While an ``experiment``
    runs, it decides who meets which arm; weights then say what share of all callers that comes to."""

    name: str
    arms: tuple[Arm, ...]
    hash_field: str = ""
    salt: str = ""
    release: str = ""
    killed: bool = False
    pinned: bool = False
    disabled_features: tuple[str, ...] = ()
    fallback: Fallback = Fallback()
    tenant: str = "default"
    deadline_ms: int = 0
    quota: Quota | None = None
    experiment: Assignment | None = None

    @property
    def live(self) -> Arm | None:
        """The arm that answers by default."""
        return next((arm for arm in self.arms if arm.role == "live"), None)


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Someone who may ask: the SHA-256 of the bearer token (hex), a name, and the endpoints (``*`` = all of the tenant).

    When a model has more work than time, callers of low ``priority`` are refused first.
    """

    token_sha256: str
    subject: str
    endpoints: tuple[str, ...] = ("*",)
    tenant: str = "default"
    priority: Priority = "normal"
    quota: Quota | None = None


class RouteTable(msgspec.Struct, frozen=True, kw_only=True):
    """All of an environment's endpoints and callers, whole; replaced, never edited. ``generation`` only grows.

    ``tenant_quotas`` bound all callers of a tenant together.
    """

    environment: str
    generation: int
    issued_at_us: int
    endpoints: tuple[Endpoint, ...]
    callers: tuple[Caller, ...] = ()
    tenant_quotas: dict[str, Quota] = {}

    def endpoint(self, name: str) -> Endpoint | None:
        """The endpoint called ``name``, if there is one."""
        return next((e for e in self.endpoints if e.name == name), None)


def check_endpoint(endpoint: Endpoint) -> Endpoint:
    """Return ``endpoint`` if it can be published.

    Raises
    ------
    InvalidInput: weights do not sum to 100, two live arms, a version twice, a shadow arm with weight, or an experiment of other arms.
    """
    weight = sum(arm.weight for arm in endpoint.arms)
    if abs(weight - 100.0) > 1e-9:
        raise InvalidInput("arm weights must sum to 100", where=endpoint.name, expected="100", got=f"{weight:g}")
    if sum(arm.role == "live" for arm in endpoint.arms) != 1:
        raise InvalidInput("an endpoint has exactly one live arm", where=endpoint.name)
    if len({arm.version for arm in endpoint.arms}) != len(endpoint.arms):
        raise InvalidInput("a version appears in two arms", where=endpoint.name)
    for arm in endpoint.arms:
        if not 0.0 <= arm.weight <= 100.0 or (arm.role == "shadow" and arm.weight):
            raise InvalidInput("arm weight out of range", where=f"{endpoint.name}/{arm.version}", got=f"{arm.weight:g}")
    if endpoint.experiment is not None:
        _check_assignment(endpoint, endpoint.experiment)
    return endpoint


def _check_assignment(endpoint: Endpoint, assignment: Assignment) -> None:
    others = [arm.weight for arm in endpoint.arms if arm.role == "canary"]
    wanted = [share * assignment.traffic / 100.0 for share in assignment.shares]
    if not 0 <= assignment.low < assignment.high <= LAYER_BUCKETS:
        raise InvalidInput("an experiment's buckets are out of range", where=endpoint.name, got=f"{assignment.low}..{assignment.high}")
    if len(others) != len(wanted) or any(abs(a - b) > 1e-9 for a, b in zip(others, wanted, strict=True)):
        raise InvalidInput("arms are not those of the experiment", where=endpoint.name, expected=str(wanted), got=str(others))
