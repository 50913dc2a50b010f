"""Routes of monitoring, audit, access, and of the installation itself."""

import base64
from typing import Annotated, Any

import msgspec

from leverframe.apps.control.route import Call, Route
from leverframe.apps.platform.views import AuditView, Check, DiagnosisView, MonitorView, StatusView, TokenView, VerifyView
from leverframe.core.actor import Actor
from leverframe.core.alert import Alert
from leverframe.core.errors import InvalidInput
from leverframe.core.quotas import quota_of
from leverframe.core.route import Priority
from leverframe.governance.ledger.checkpoints import CHECKPOINT_TYPE

AUDIT_LIMIT_MAX = 1000
CHECKPOINTS_CHARS_MAX = 8_000
"""About ten checkpoints: the newest is worth all before it."""


class AlertsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Only alerts that are still open."""

    open_only: bool = False


SEQ_MAX = 2**63 - 1


class AuditQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A window of the record: ``limit`` entries after sequence number ``after``."""

    after: Annotated[int, msgspec.Meta(ge=0, le=SEQ_MAX)] = 0
    limit: Annotated[int, msgspec.Meta(ge=1, le=AUDIT_LIMIT_MAX)] = 100
    newest_first: bool = True


class Issue(msgspec.Struct, frozen=True, kw_only=True):
    """A token to make: whom it speaks for, with which roles and teams, for how many days; its priority and quota at gateways (0: none)."""

    subject: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
    roles: tuple[str, ...]
    teams: tuple[str, ...] = ()
    days: Annotated[int, msgspec.Meta(ge=1, le=366)] = 90
    priority: Priority = "normal"
    per_second: float = 0.0
    burst: float = 0.0


class VerifyQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Checkpoints that were kept elsewhere, each in URL-safe base64, with commas."""

    checkpoints: Annotated[str, msgspec.Meta(max_length=CHECKPOINTS_CHARS_MAX)] = ""


def _envelopes(checkpoints: str) -> tuple[bytes, ...]:
    try:
        return tuple(base64.urlsafe_b64decode(each) for each in checkpoints.split(",") if each)
    except ValueError as error:
        raise InvalidInput("not a checkpoint", where="checkpoints", expected="URL-safe base64", got="something else") from error


def _entries(call: Call) -> tuple[AuditView, ...]:
    asked: AuditQuery = call.query
    return call.platform.audit.entries(after=asked.after, limit=asked.limit, newest_first=asked.newest_first)


def _issue(call: Call) -> TokenView:
    wanted: Issue = call.body
    return call.platform.access.issue(
        call.actor,
        wanted.subject,
        wanted.roles,
        wanted.teams,
        days=wanted.days,
        key=call.key,
        priority=wanted.priority,
        quota=quota_of(wanted.per_second, wanted.burst),
    )


def _revoke(call: Call) -> dict[str, Any]:
    call.platform.access.revoke(call.actor, call.path["token_id"], key=call.key)
    return {"revoked": call.path["token_id"]}


ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/api/v1/status",
        permission="Platform.Read",
        run=lambda call: call.platform.status(),
        gives=StatusView,
        summary="Is everything all right? What changed? What needs me?",
    ),
    Route(
        method="GET",
        path="/api/v1/doctor",
        permission="Platform.Read",
        run=lambda call: call.platform.doctor(),
        gives=tuple[Check, ...],
        summary="Every health check of the installation",
    ),
    Route(
        method="GET",
        path="/api/v1/whoami",
        permission="Platform.Read",
        run=lambda call: call.actor,
        gives=Actor,
        summary="Who the token speaks for",
    ),
    Route(
        method="GET",
        path="/api/v1/alerts",
        permission="Monitoring.Read",
        query=AlertsQuery,
        run=lambda call: call.platform.monitoring.alerts(open_only=call.query.open_only),
        gives=tuple[Alert, ...],
        summary="Alerts: signals grouped by likely origin",
    ),
    Route(
        method="GET",
        path="/api/v1/monitor/{endpoint}",
        permission="Monitoring.Read",
        resource="endpoint/{endpoint}",
        run=lambda call: call.platform.monitoring.monitor(call.path["endpoint"]),
        gives=MonitorView,
        summary="Drift, performance, feeds and log totals of an endpoint",
    ),
    Route(
        method="GET",
        path="/api/v1/diagnose/{endpoint}",
        permission="Monitoring.Read",
        resource="endpoint/{endpoint}",
        run=lambda call: call.platform.monitoring.diagnose(call.path["endpoint"]),
        gives=DiagnosisView,
        summary="Ranked causes, each with its evidence and the lever to pull",
    ),
    Route(
        method="GET",
        path="/api/v1/audit",
        permission="Audit.Read",
        query=AuditQuery,
        run=_entries,
        gives=tuple[AuditView, ...],
        summary="The record, entry by entry",
    ),
    Route(
        method="GET",
        path="/api/v1/audit/verify",
        permission="Audit.Read",
        query=VerifyQuery,
        run=lambda call: call.platform.audit.verify(_envelopes(call.query.checkpoints)),
        gives=VerifyView,
        summary="Recompute the whole hash chain, with checkpoints kept elsewhere",
    ),
    Route(
        method="GET",
        path="/api/v1/audit/checkpoint",
        permission="Audit.Read",
        run=lambda call: call.platform.audit.checkpoint(),
        gives=bytes,
        media_type=CHECKPOINT_TYPE,
        summary="A signed statement of where the chain ends now, to be kept on another host",
    ),
    Route(
        method="GET",
        path="/api/v1/audit/export",
        permission="Audit.Read",
        every_team=True,
        run=lambda call: call.platform.audit.export(),
        gives=bytes,
        media_type="application/x-ndjson",
        summary="The whole chain as JSON lines, to be verified off-host",
    ),
    Route(
        method="GET",
        path="/api/v1/releases/{release_id}/evidence",
        permission="Audit.Read",
        resource="release/{release_id}",
        run=lambda call: call.platform.audit.evidence(call.path["release_id"]),
        gives=bytes,
        media_type="application/zip",
        summary="All that a release was decided on, with a verifier that needs only Python and the public key",
    ),
    Route(
        method="GET",
        path="/api/v1/tokens",
        permission="Tokens.Read",
        run=lambda call: call.platform.access.tokens(),
        gives=tuple[TokenView, ...],
        summary="Every live token, without secrets",
    ),
    Route(
        method="POST",
        path="/api/v1/tokens",
        permission="Tokens.Issue",
        run=_issue,
        takes=Issue,
        gives=TokenView,
        example={"subject": "ana", "roles": ["engineer"], "teams": ["flights"], "days": 30},
        summary="Make a token; its secret is in this answer and nowhere else",
    ),
    Route(
        method="DELETE",
        path="/api/v1/tokens/{token_id}",
        permission="Tokens.Revoke",
        run=_revoke,
        gives=dict[str, Any],
        summary="End a token now",
    ),
)
