"""What watches, records and answers in a fake platform."""

from typing import Any

from tests.apps import fake_records as records
from tests.apps.fake_access import Calls, FakeAccess

from leverframe.apps.platform import views
from leverframe.apps.platform.serving import Answered
from leverframe.apps.platform.views.policies import PolicyView, ProposalView, WhyView
from leverframe.core.actor import Actor
from leverframe.core.alert import Alert
from leverframe.core.errors import NotFound, Unauthenticated
from leverframe.core.schema import RequestField
from leverframe.governance.own_policies import Proposal
from leverframe.governance.policy import rules_in


class FakeWebhooks:
    def __init__(self, calls: Calls, access: FakeAccess) -> None:
        self._calls, self._access = calls, access

    def add(self, actor: Actor, request: views.WebhookRequest, *, key: str) -> views.WebhookView:
        self._calls.write(self._access, actor, "Webhooks.Manage", key, request)
        return records.WEBHOOK

    def remove(self, actor: Actor, name: str, *, key: str) -> dict[str, object]:
        self._calls.write(self._access, actor, "Webhooks.Manage", key, name)
        return {"webhook": name}

    retry = remove

    def webhooks(self) -> tuple[views.WebhookView, ...]:
        return (records.WEBHOOK,)


class FakeObjectives:
    def __init__(self, calls: Calls, access: FakeAccess) -> None:
        self._calls, self._access = calls, access

    def objectives(self, endpoint: str) -> views.ObjectivesView:
        if endpoint != "flight-delay":
            raise NotFound("no such endpoint", where=endpoint)
        return records.OBJECTIVES

    def set_objectives(self, actor: Actor, endpoint: str, wanted: views.ObjectivesRequest, *, key: str) -> views.ObjectivesView:
        self._calls.write(self._access, actor, "Monitoring.SetObjectives", key, endpoint, wanted)
        return self.objectives(endpoint)


class FakeMonitoring:
    def monitor(self, endpoint: str) -> views.MonitorView:
        if endpoint != "flight-delay":
            raise NotFound("no such endpoint", where=endpoint)
        return records.monitor()

    def alerts(self, *, open_only: bool = False) -> tuple[Alert, ...]:
        return (records.ALERT,)

    def diagnose(self, endpoint: str) -> views.DiagnosisView:
        return records.DIAGNOSIS


class FakeAudit:
    def entries(self, *, after: int = 0, limit: int = 100, newest_first: bool = True) -> tuple[views.AuditView, ...]:
        seqs = [seq for seq in range(1, 60) if seq > after]
        return tuple(records.audit(seq) for seq in (reversed(seqs) if newest_first else seqs))[:limit]

    def verify(self, checkpoints: tuple[bytes, ...] = ()) -> views.VerifyView:
        if b"older" in checkpoints:
            return views.VerifyView(ok=False, entries=59, first_bad_seq=60, what="cut short", seconds=0.004)
        return views.VerifyView(ok=True, entries=59, first_bad_seq=None, what="", seconds=0.004)

    def checkpoint(self) -> bytes:
        return b'{"payloadType":"checkpoint"}'

    def export(self) -> bytes:
        return b'{"seq":1}\n{"seq":2}\n'

    def evidence(self, release_id: str) -> bytes:
        return b"PK\x05\x06" + bytes(18)


class FakePolicies:
    def __init__(self, calls: Calls, access: FakeAccess) -> None:
        self._calls, self._access = calls, access

    def list(self) -> tuple[PolicyView, ...]:
        text = '@id("read")\n@reason("everyone may read")\npermit (principal, action, resource);\n'
        return (PolicyView(name="shipped-1", text=text, own=False, rules=rules_in(text)),)

    def actions(self) -> tuple[str, ...]:
        return ("Release.Apply", "Release.Read")

    def proposals(self) -> tuple[ProposalView, ...]:
        proposal = Proposal(name="no_fridays", text="forbid …", reason="weekends", author="ana", at_us=records.NOW_US)
        return (ProposalView(digest=proposal.digest, proposal=proposal),)

    def why(self, actor: Actor, action: str, resource: str, *, team: str = "", facts: Any = None) -> WhyView:
        return WhyView(allowed=True, policy_ids=("engineer",), reasons=("engineers may",), facts=dict(facts or {}), subject=actor.subject)

    def propose(self, actor: Actor, name: str, text: str, reason: str, cases: Any = (), *, key: str) -> dict[str, Any]:
        self._calls.write(self._access, actor, "Policy.Propose", key, name, text, reason)
        return {"proposal": records.digest("policy"), "name": name}

    def approve(self, actor: Actor, proposal: str, *, key: str) -> dict[str, Any]:
        self._calls.write(self._access, actor, "Policy.Approve", key, proposal)
        return {"name": "no_fridays", "in_force": "yes"}


class FakeServing:
    address = "http://127.0.0.1:8401"
    grpc_address = "127.0.0.1:8402"

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str, dict[str, object]]] = []

    def fields(self, environment: str, endpoint: str) -> tuple[RequestField, ...]:
        if (environment, endpoint) != ("prod", "flight-delay"):
            raise NotFound("nothing is live at this endpoint", where=endpoint, next_step="lever status")
        return records.SPEC.request

    def ask(self, actor: Actor, bearer: str, environment: str, endpoint: str, *rows: dict[str, object]) -> Answered:
        if "admin" not in actor.roles:
            raise Unauthenticated("no valid token", where="Authorization", next_step="lever token issue")
        self.asked.extend((bearer, environment, endpoint, dict(row)) for row in rows)
        each = tuple({"probability": 0.3129 + place} for place in range(len(rows)))
        missing = ("origin_weather_visib",)
        return Answered(id="p-1", outputs={"probability": 0.3129}, version="flight-delay@v3", arm="canary", missing=missing, rows=each)
