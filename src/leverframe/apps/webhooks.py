"""Audit entries as CloudEvents, and what of them each webhook is told.

Format: CloudEvents 1.0.2 in structured JSON mode (https://github.com/cloudevents/spec). ``id`` and ``source`` together name an entry of one
installation's chain, so that a receiver can drop what it has seen.
"""

import re
from datetime import UTC, datetime
from typing import Any

import msgspec
from cloudevents.core.bindings.http import to_structured
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from leverframe.apps.egress.outbox import Message, Outbox
from leverframe.core.clock import SECOND_US
from leverframe.governance.ledger.chain import AuditEntry
from leverframe.governance.ledger.store import Ledger
from leverframe.governance.webhooks import KIND_WEBHOOK, Webhook, fits

TYPES = {
    "ApplyContract": "contract.applied",
    "RecordSnapshot": "data.ingested",
    "RecordQuarantine": "data.quarantined",
    "ApplyView": "view.applied",
    "RecordMaterialization": "view.materialized",
    "ApplyModel": "model.applied",
    "StartRun": "training.started",
    "FinishRun": "training.finished",
    "RegisterVersion": "version.registered",
    "PlanRelease": "release.planned",
    "ApprovePlan": "approval.given",
    "WithdrawApproval": "approval.withdrawn",
    "GrantException": "release.exception_granted",
    "WithdrawException": "release.exception_withdrawn",
    "ApplyPlan": "release.started",
    "AdvanceRelease": "release.advanced",
    "HoldRelease": "release.held",
    "CompleteRelease": "release.completed",
    "PauseRelease": "release.paused",
    "ResumeRelease": "release.resumed",
    "AbortRelease": "release.aborted",
    "Rollback": "release.rolled_back",
    "FreezeReleases": "release.frozen",
    "UnfreezeReleases": "release.unfrozen",
    "RaiseAlert": "alert.raised",
    "CloseAlert": "alert.closed",
    "OpenIncident": "incident.opened",
    "NoteIncident": "incident.noted",
    "PlanExperiment": "experiment.planned",
    "ApproveExperiment": "approval.given",
    "StartExperiment": "experiment.started",
    "StopExperiment": "experiment.stopped",
    "ConcludeExperiment": "experiment.concluded",
    "FileReport": "experiment.reported",
    "WriteTable": "table.written",
    "PlanTable": "table.planned",
    "ApproveTable": "approval.given",
    "SwitchTable": "table.switched",
    "RollbackTable": "table.rolled_back",
}
"""Commands that have an event of their own; any other is ``audit.<command>``."""

ENTRIES_MAX = 500
"""Audit entries read for one webhook at one look."""
_HUMP = re.compile(r"(?<!^)(?=[A-Z])")


def event_type(command: str) -> str:
    """The type of the event that a command of this name makes.

    >>> event_type("Rollback"), event_type("IssueToken")
    ('release.rolled_back', 'audit.issue_token')
    """
    return TYPES.get(command) or f"audit.{_HUMP.sub('_', command).lower()}"


def channel_of(name: str) -> str:
    """The outbox's channel of a webhook."""
    return f"webhook/{name}"


def cloud_event(entry: AuditEntry, environment: str) -> tuple[str, bytes]:
    """(content type, body) of the event that ``entry`` is.

    The data say who did what to which thing and what came of it; the command itself, which may be long or private, stays in the record.
    """
    moment = datetime.fromtimestamp(entry.at_us / SECOND_US, UTC)
    attributes: dict[str, Any] = {
        "id": f"audit-{entry.seq}",
        "source": f"/leverframe/{environment}",
        "type": f"leverframe.{event_type(entry.command)}",
        "time": moment,
        "subject": entry.resource,
        "datacontenttype": "application/json",
    }
    data = {
        "seq": entry.seq,
        "actor": entry.actor,
        "action": entry.action,
        "command": entry.command,
        "resource": entry.resource,
        "team": entry.team,
        "result": msgspec.json.decode(entry.result),
        "recorded_at_us": entry.recorded_at_us,
        "hash": entry.hash,
    }
    message = to_structured(CloudEvent(attributes, data), JSONFormat())
    return message.headers["content-type"], bytes(message.body)


class WebhookFollower:
    """Reads the audit chain for every webhook, each at its own place, so that a full or new one holds up nobody else."""

    def __init__(self, ledger: Ledger, outbox: Outbox, environment: str) -> None:
        self._ledger = ledger
        self._outbox = outbox
        self._environment = environment
        self._retried: dict[str, int] = {}

    def look(self, now_us: int) -> None:
        """Queue what happened since the last look; drop the channels of webhooks that were removed."""
        hooks = {channel_of(hook.name): hook for hook in self._ledger.find(KIND_WEBHOOK, Webhook)}
        for channel in self._outbox.channels():
            if channel.startswith("webhook/") and channel not in hooks:
                self._outbox.forget(channel)
        for channel, hook in hooks.items():
            self._follow(channel, hook, now_us)

    def _follow(self, channel: str, hook: Webhook, now_us: int) -> None:
        seen = self._retried.setdefault(channel, 0)
        if hook.retried_us != seen:
            # After a restart this tries dead letters once more than asked for, which hurts nobody.
            self._outbox.revive(channel)
            self._retried[channel] = hook.retried_us
        begun = self._first(hook)
        after = self._outbox.cursor(channel)
        if after is None or after < begun:
            # A webhook of the same name that was added anew begins where it was added.
            self._outbox.forget(channel)
            after = begun
        room = self._outbox.room(channel)
        entries = self._ledger.audit(after=after, limit=max(0, min(room, ENTRIES_MAX))) if room > 0 else []
        if entries:
            wanted = [entry for entry in entries if fits(event_type(entry.command), hook.types)]
            self._outbox.put(channel, entries[-1].seq, [self._message(entry, hook) for entry in wanted], now_us)

    def _first(self, hook: Webhook) -> int:
        """The audit entry that added the webhook as it is now."""
        began = 0
        for revision in self._ledger.history(KIND_WEBHOOK, hook.name, Webhook):
            if revision.record is None or not began:
                began = 0 if revision.record is None else revision.seq
        return began

    def _message(self, entry: AuditEntry, hook: Webhook) -> Message:
        content_type, body = cloud_event(entry, self._environment)
        return Message(id=f"audit-{entry.seq}", url=hook.url, content_type=content_type, body=body)
