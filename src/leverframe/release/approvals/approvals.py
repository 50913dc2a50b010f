"""Who may approve a plan, which approvals hold now, and whether releases are frozen: the facts a release's policy rests on."""

from typing import Any, Protocol

from leverframe.core.clock import DAY_US
from leverframe.core.command import Journal, Transaction
from leverframe.core.errors import Conflict, Forbidden, InvalidInput
from leverframe.governance.identity import holds_role
from leverframe.release.records import KIND_APPROVAL, KIND_FREEZE, Approval, Freeze

APPROVER_ROLE = "approver"

APPROVAL_EXPIRES_US = 7 * DAY_US
"""How long an approval is good when its approver does not say."""

APPROVAL_EXPIRES_MAX_US = 30 * DAY_US


class Approvable(Protocol):
    """A plan that people approve by its digest: a release's, an experiment's, a table's."""

    @property
    def digest(self) -> str:
        """The name of exactly this plan."""
        ...

    @property
    def author(self) -> str:
        """Who wrote it, and so cannot approve it."""
        ...

    @property
    def team(self) -> str:
        """Whose it is."""
        ...


class Named(Approvable, Protocol):
    """Such a plan, with the name that people know it by."""

    @property
    def id(self) -> str:
        """For instance ``prod.flight-delay.0002``."""
        ...


def record_approval(tx: Transaction, plan: Named, *, note: str, expires_after_us: int, over: Conflict | None = None) -> dict[str, Any]:
    """Put the actor's approval of exactly this plan: the rule of two persons, whatever is planned.

    Parameters
    ----------
    over: why an approval means nothing any more, when the plan has been carried out.

    Raises
    ------
    Forbidden: the author's own, or not a person's.    Conflict: ``over``.    InvalidInput: it would last too long.
    """
    if tx.actor.subject == plan.author:
        raise Forbidden("the author of a plan cannot approve it", where=plan.id, expected="another person", got=tx.actor.subject)
    if tx.actor.kind != "human":
        raise Forbidden("only a person can approve a plan", where=plan.id, expected="human", got=tx.actor.kind)
    if over is not None:
        raise over
    if not 0 < expires_after_us <= APPROVAL_EXPIRES_MAX_US:
        raise InvalidInput("an approval lasts at most 30 days", where="expires_after_us", got=str(expires_after_us))
    approval = Approval(
        plan=plan.digest,
        approver=tx.actor.subject,
        roles=tx.actor.roles,
        at_us=tx.now_us,
        expires_us=tx.now_us + expires_after_us,
        note=note,
    )
    tx.put(KIND_APPROVAL, f"{plan.digest}/{tx.actor.subject}", approval)
    return {"plan": plan.digest, "approvals": len(valid_approvals(tx, plan))}


def valid_approvals(tx: Transaction, plan: Approvable, *, running: bool = False) -> list[Approval]:
    """The approvals of exactly this plan that count now: not the author's, not withdrawn, not expired, given in a role still held.

    Parameters
    ----------
    running: the plan was applied already, so an expiry (of approval or token) no longer matters; a withdrawal and a revoked role still do.
    """
    tokens_at_us = 0 if running else tx.now_us
    return [
        approval
        for approval in tx.find(KIND_APPROVAL, Approval, prefix=f"{plan.digest}/")
        if approval.plan == plan.digest
        and approval.approver != plan.author
        and not approval.withdrawn
        and (running or tx.now_us < approval.expires_us)
        and holds_role(tx, approval.approver, APPROVER_ROLE, plan.team, now_us=tokens_at_us)
    ]


def freeze_id(environment: str, endpoint: str) -> str:
    """The record id of a freeze: the environment's, or one endpoint's."""
    return f"{environment}/{endpoint}" if endpoint else environment


def frozen(tx: Transaction, environment: str, endpoint: str) -> Freeze | None:
    """The freeze in force for the endpoint now, if any; one that has expired counts no more."""
    return freeze_at(tx, environment, endpoint, tx.now_us)


def freeze_at(journal: Journal | Transaction, environment: str, endpoint: str, now_us: int) -> Freeze | None:
    """The freeze in force for the endpoint at ``now_us``, the environment's before the endpoint's own."""
    for id in (environment, freeze_id(environment, endpoint)):
        freeze = journal.get(KIND_FREEZE, id, Freeze)
        if freeze is not None and (freeze.expires_us is None or now_us < freeze.expires_us):
            return freeze
    return None
