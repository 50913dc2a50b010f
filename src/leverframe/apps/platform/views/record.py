"""What the record, the tokens and the installation itself answer."""

import msgspec

from leverframe.apps.platform.views.operating import EndpointView
from leverframe.apps.platform.views.release import ReleaseView
from leverframe.core.alert import Alert
from leverframe.core.route import Priority, Quota


class AuditView(msgspec.Struct, frozen=True, kw_only=True):
    """One audit entry as shown to a reader."""

    seq: int
    at_us: int
    recorded_at_us: int
    actor: str
    action: str
    resource: str
    policy_ids: tuple[str, ...]
    hash: str
    summary: str = ""


class VerifyView(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the audit chain holds, and if not, where it breaks."""

    ok: bool
    entries: int
    first_bad_seq: int | None
    what: str
    seconds: float


class StatusView(msgspec.Struct, frozen=True, kw_only=True):
    """Is everything all right? What changed? What needs me?"""

    ok: bool
    now_us: int
    clock: str
    sentence: str
    endpoints: tuple[EndpointView, ...]
    alerts: tuple[Alert, ...]
    releases: tuple[ReleaseView, ...]
    needs: tuple[dict[str, str], ...]
    changes: tuple[AuditView, ...]
    audit_entries: int


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One line of ``lever doctor``."""

    name: str
    ok: bool
    detail: str
    fix: str = ""


class TokenView(msgspec.Struct, frozen=True, kw_only=True):
    """A token as issued: ``secret`` is shown this once and never stored."""

    id: str
    subject: str
    roles: tuple[str, ...]
    teams: tuple[str, ...]
    expires_at_us: int
    secret: str = ""
    priority: Priority = "normal"
    quota: Quota | None = None
