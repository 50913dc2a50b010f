"""What the ledger keeps of releases."""

import msgspec
from msgspec import UNSET, UnsetType

from leverframe.core.digest import Digest
from leverframe.core.route import Quota, Rule
from leverframe.core.verdict import Verdict
from leverframe.release.evidence.evidence import Counts, Point
from leverframe.release.machine import ACTIVE, Progress, State

KIND_APPROVAL = "approval"
KIND_RELEASE = "release"
KIND_ENDPOINT = "endpoint"
KIND_FREEZE = "freeze"
KIND_LEVER = "lever"
KIND_GENERATION = "generation"
KIND_EVIDENCE = "evidence"
KIND_TENANT_QUOTA = "tenant_quota"
KIND_REVIEW = "review"
KIND_QUEUE = "queue"

# Kinds other rooms write, read here.
KIND_MODEL = "model"
KIND_MODEL_VERSION = "model_version"

REASON_CHARS_MAX = 2000
"""Of a reason, a note or a finding; what is longer is cut."""
LOG_ENTRIES_MAX = 200
"""Entries a stage log keeps: the first and the newest; entries between them go (the audit chain keeps all)."""


class Approval(msgspec.Struct, frozen=True, kw_only=True):
    """One person's yes to exactly one plan (``plan`` is its digest), good until ``expires_us``."""

    plan: Digest
    approver: str
    roles: tuple[str, ...]
    at_us: int
    expires_us: int
    note: str = ""
    withdrawn: bool = False


class StageEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened in a release, with the verdicts it rests on; ``cause``: the release whose taking back it follows from."""

    at_us: int
    stage: str
    event: str
    state: State
    weight: float
    generation: int
    actor: str
    reason: str
    verdicts: tuple[Verdict, ...] = ()
    cause: str | UnsetType = UNSET


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """A plan being carried out. ``generation`` is the route generation the current stage began with."""

    id: str
    plan: Digest
    environment: str
    endpoint: str
    team: str
    candidate: str
    champion: str
    author: str
    approvals: tuple[str, ...]
    started_us: int
    stage_started_us: int
    generation: int
    state: State = "planned"
    stage: int = -1
    ended_us: int | None = None
    log: tuple[StageEntry, ...] = ()
    excepted: tuple[str, ...] | UnsetType = UNSET
    """Rules that an exception had lifted when it started: it climbs only while the exception lasts, or the rule holds by itself."""
    flagged: str | UnsetType = UNSET
    """Why a person should look: what it rests on was taken back, and its plan says that it stays. Unset: nothing, or somebody has; what is
    unset is not written, so that a release of an older shape keeps its byte form, which evidence packs are checked by."""

    @property
    def active(self) -> bool:
        """Whether this release owns its endpoint's route."""
        return self.state in ACTIVE

    @property
    def progress(self) -> Progress:
        """Where it stands in the machine."""
        return Progress(state=self.state, stage=self.stage)


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """A release in line; ``unattended``: no person asked for it, which the policy weighs again when it starts."""

    release: str
    plan: Digest
    unattended: bool


class Queue(msgspec.Struct, frozen=True, kw_only=True):
    """Releases of an endpoint that wait for the one under way to end, first come, first served."""

    waiting: tuple[Waiting, ...]


class EvidenceNote(msgspec.Struct, frozen=True, kw_only=True):
    """A stage's evidence as last noted, for people to look at; decisions are made from the log itself."""

    release: str
    stage: str
    at_us: int
    reason: str
    verdicts: tuple[Verdict, ...]
    counts: Counts
    paths: tuple[Point, ...]


class Review(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody broke the glass to start this release; open until another person has looked and written down a ``finding``."""

    release: str
    team: str
    opened_by: str
    reason: str
    opened_us: int
    closed_by: str = ""
    finding: str = ""
    closed_us: int | None = None

    @property
    def open(self) -> bool:
        """Whether nobody has looked yet."""
        return self.closed_us is None


class Freeze(msgspec.Struct, frozen=True, kw_only=True):
    """No release starts or climbs in ``environment`` (or only at ``endpoint``) until lifted or expired; rollback stays possible."""

    environment: str
    endpoint: str
    reason: str
    by: str
    at_us: int
    expires_us: int | None = None


class FallbackBefore(msgspec.Struct, frozen=True, kw_only=True):
    """A chain of fallbacks as it was set: whether the last good version is kept, rules, and the constant."""

    value: float | None = None
    rules: tuple[Rule, ...] = ()
    last_good: bool = False


class Lever(msgspec.Struct, frozen=True, kw_only=True):
    """An operator's lever that is pulled: which, why, by whom, until when; and the chain ``before`` a fallback that ends by itself."""

    environment: str
    endpoint: str
    team: str
    lever: str
    argument: str
    reason: str
    by: str
    at_us: int
    expires_us: int | None = None
    before: FallbackBefore | None = None


class TenantQuota(msgspec.Struct, frozen=True, kw_only=True):
    """How much all callers of a tenant together may ask in ``environment``, why, and by whose word."""

    environment: str
    tenant: str
    quota: Quota
    reason: str
    by: str
    at_us: int


class Generation(msgspec.Struct, frozen=True, kw_only=True):
    """A counter that only grows: route generations of an environment, plan numbers of an endpoint."""

    value: int
