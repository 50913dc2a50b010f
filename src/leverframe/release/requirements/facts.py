"""Evidence as facts: each computed in the transaction that decides, from records of what was seen, none from what a plan says of itself.

Which tier needs which of them is said in one place, ``governance/policies/35-evidence.cedar``.
"""

from typing import Any, Protocol

import msgspec

from leverframe.core.alert import Alert
from leverframe.core.command import Transaction
from leverframe.core.model import ModelSpec
from leverframe.release.approvals.approvals import Approvable
from leverframe.release.plans.plan import VersionRef
from leverframe.release.records import KIND_MODEL
from leverframe.release.requirements.exceptions import excepted_now
from leverframe.release.requirements.observed import KIND_OBSERVED, ObservedBundle, stated

# Kinds of the monitoring room, read here.
KIND_ALERT = "alert"
KIND_INCIDENT = "incident"
KIND_ERROR_BUDGET = "error_budget"

SEVERITY_BLOCKING = 2
"""Incidents of severity 1 and 2 hold releases up; 3 and 4 are being dealt with while work goes on."""

PPM = 1_000_000


class _Incident(msgspec.Struct, frozen=True):
    """As much of an incident as matters here."""

    endpoint: str
    severity: int
    closed_at_us: int | None = None


class _Budget(msgspec.Struct, frozen=True):
    """As much of an endpoint's error budget as matters here."""

    left: float


class Evidenced(Approvable, Protocol):
    """A plan by which callers come to meet a version: a release's, or one variant of an experiment's."""

    @property
    def candidate(self) -> VersionRef:
        """The version they meet."""
        ...

    @property
    def endpoint(self) -> str:
        """Where."""
        ...


def evidence_facts(tx: Transaction, plan: Evidenced) -> dict[str, Any]:
    """What the evidence rules decide on.

    Whom to call and what to do is asked of the model's declaration as it is now; what the card says, of the bundle that is released. An
    endpoint that answered nothing yet has burnt nothing of its error budget. A bundle that the platform never opened is not signed.
    """
    seen = tx.get(KIND_OBSERVED, plan.candidate.bundle, ObservedBundle)
    if seen is not None and seen.envelope != plan.candidate.envelope:
        seen = None
    spec = tx.get(KIND_MODEL, plan.candidate.version.partition("@v")[0], ModelSpec)
    incidents = [
        incident
        for incident in tx.find(KIND_INCIDENT, _Incident)
        if incident.endpoint == plan.endpoint and incident.closed_at_us is None and incident.severity <= SEVERITY_BLOCKING
    ]
    alerts = [
        alert for alert in tx.find(KIND_ALERT, Alert, prefix=f"{plan.endpoint}/") if alert.closed_at_us is None and alert.severity == "page"
    ]
    budget = tx.get(KIND_ERROR_BUDGET, plan.endpoint, _Budget)
    return {
        "signed": seen is not None and seen.signed,
        "owner": spec is not None and bool(stated(spec.owner)),
        "runbook": spec is not None and bool(stated(spec.runbook)),
        "card_missing": ["not seen"] if seen is None else list(seen.card_missing),
        "lineage_missing": ["not seen"] if seen is None else list(seen.lineage_missing),
        "incidents_open": len(incidents),
        "alerts_open": len(alerts),
        "error_budget_left_ppm": PPM if budget is None else round(budget.left * PPM),
        "excepted": list(excepted_now(tx, plan)),
    }
