"""An installation's own policies: proposed by one administrator, put in force by another, kept in the ledger like everything else.

They are added to the shipped ones and can take nothing away from them: in Cedar a prohibition outweighs every permission, so the two-person
rule and the isolation of teams hold whatever an own policy permits.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import msgspec

from leverframe.core.actor import EVERY_TEAM, Actor
from leverframe.core.command import Command, Handles, Transaction
from leverframe.core.digest import Digest, digest_record
from leverframe.core.errors import Conflict, InvalidInput, LimitExceeded, NotFound, Refused
from leverframe.governance.decision import OWN_POLICY, Fact, OwnPolicy
from leverframe.governance.policy import Policy
from leverframe.governance.policy_cases import PolicyCase, failing

KIND_PROPOSAL = "policy_proposal"
TEXT_CHARS_MAX = 100_000
POLICIES_MAX = 50
"""Own policies in force at once; each is read with every decision."""
CASES_MAX = 500


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be in force under ``name`` (an empty text: nothing any more), with the cases that must then hold."""

    name: str
    text: str
    reason: str
    author: str
    at_us: int
    cases: tuple[PolicyCase, ...] = ()
    approved_by: str = ""
    approved_at_us: int = 0

    @property
    def digest(self) -> Digest:
        """The name of exactly this proposal, whoever has approved it."""
        return digest_record(msgspec.structs.replace(self, approved_by="", approved_at_us=0))


class ProposePolicy(Command, frozen=True, kw_only=True):
    """Ask for a policy of one's own; nothing is in force yet."""

    action: ClassVar[str] = "Policy.Propose"
    name: str
    text: str
    reason: str
    cases: tuple[PolicyCase, ...] = ()

    def resource(self) -> str:
        """``policy/<name>``."""
        return f"policy/{self.name}"


class ApprovePolicy(Command, frozen=True, kw_only=True):
    """Put exactly the proposal with this digest in force."""

    action: ClassVar[str] = "Policy.Approve"
    proposal: Digest

    def resource(self) -> str:
        """``policy_proposal/<digest>``."""
        return f"policy_proposal/{self.proposal}"


def propose_policy(command: ProposePolicy, tx: Transaction) -> dict[str, str]:
    """Check the text, alone and beside all others, and put the proposal.

    Raises
    ------
    InvalidInput: no policy, or one that lacks an id or a reason.    Refused: a case does not hold, or nobody could change policies again.
    LimitExceeded: too long, or too many.
    """
    if not command.name.isidentifier() or len(command.name) > 60:
        raise InvalidInput("not a name", where="name", expected="letters, digits and _, 60 at most", got=command.name[:80])
    if not command.reason.strip():
        raise InvalidInput("a policy is not changed without a reason", where="reason", next_step="--reason '...'")
    if len(command.text) > TEXT_CHARS_MAX or len(command.cases) > CASES_MAX:
        raise LimitExceeded("too long a proposal", where=command.name, expected=f"{TEXT_CHARS_MAX} characters, {CASES_MAX} cases")
    _try(tx, command.name, command.text, command.cases)
    proposal = Proposal(
        name=command.name, text=command.text, reason=command.reason, author=tx.actor.subject, at_us=tx.now_us, cases=command.cases
    )
    tx.put(KIND_PROPOSAL, proposal.digest, proposal)
    return {"proposal": proposal.digest, "name": command.name}


def approve_policy(command: ApprovePolicy, tx: Transaction) -> dict[str, str]:
    """Put the proposal in force, after trying it again beside what is in force now.

    Raises
    ------
    NotFound: no such proposal.    Conflict: it is in force already.    Refused: it no longer holds beside the others.
    """
    proposal = tx.get(KIND_PROPOSAL, command.proposal, Proposal)
    if proposal is None or proposal.digest != command.proposal:
        raise NotFound("no proposal has this digest", where=command.proposal[:80], next_step="lever policy list")
    if proposal.approved_by:
        raise Conflict("this proposal was approved already", where=proposal.name, got=f"by {proposal.approved_by}")
    _try(tx, proposal.name, proposal.text, proposal.cases)
    held = tx.get(OWN_POLICY, proposal.name, OwnPolicy)
    if proposal.text:
        tx.put(OWN_POLICY, proposal.name, OwnPolicy(name=proposal.name, text=proposal.text, proposal=command.proposal))
    elif held is not None:
        tx.delete(OWN_POLICY, proposal.name)
    tx.put(KIND_PROPOSAL, command.proposal, msgspec.structs.replace(proposal, approved_by=tx.actor.subject, approved_at_us=tx.now_us))
    return {"name": proposal.name, "in_force": "yes" if proposal.text else "no more"}


def approve_policy_facts(command: ApprovePolicy, tx: Transaction) -> Mapping[str, Any]:
    """Who proposed it, and whether a person is asking."""
    proposal = tx.get(KIND_PROPOSAL, command.proposal, Proposal)
    return {"author": proposal.author if proposal else "", "person": tx.actor.kind == "human"}


def propose_policy_facts(command: ProposePolicy, tx: Transaction) -> Mapping[str, Any]:
    """Whether a person is asking."""
    return {"person": tx.actor.kind == "human"}


def _try(tx: Transaction, name: str, text: str, cases: Sequence[PolicyCase]) -> None:
    """Hold the policies as they would be: they parse, the cases hold, and administrators can still change policies."""
    others = {own.name: own.text for own in tx.find(OWN_POLICY, OwnPolicy)}
    others.pop(name, None)
    texts = [*others.values(), *([text] if text else [])]
    if len(texts) > POLICIES_MAX:
        raise LimitExceeded("too many policies of one's own", where="policies", expected=f"at most {POLICIES_MAX}", got=str(len(texts)))
    policy = Policy().with_own(tuple(texts))
    admin = Actor(subject="an administrator", roles=("admin",), teams=(EVERY_TEAM,))
    facts: dict[str, Fact] = {"person": True, "author": "another"}
    shut = [action for action in ("Policy.Propose", "Policy.Approve") if not policy.decide(admin, action, "policy/x", "", facts).allowed]
    if shut:
        raise Refused("with this policy nobody could change policies any more", where=name, expected=f"an administrator may {shut[0]}")
    wrong = failing(policy, cases)
    if wrong:
        raise Refused(
            f"{len(wrong)} of {len(cases)} cases do not hold with this policy",
            where=f"case {wrong[0].case.name}",
            expected="allowed" if wrong[0].case.allowed else "denied",
            got=wrong[0].words,
            next_step="lever policy test CASES --with POLICY",
        )


HANDLERS: tuple[Handles, ...] = (
    Handles(command=ProposePolicy, run=propose_policy, facts=propose_policy_facts),
    Handles(command=ApprovePolicy, run=approve_policy, facts=approve_policy_facts),
)
