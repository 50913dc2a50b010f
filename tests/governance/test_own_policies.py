"""Policies of an installation's own: two people, cases that must hold, nobody locked out, in force with the very next command."""

import pytest

from leverframe.core.actor import Actor
from leverframe.core.clock import ManualClock
from leverframe.core.errors import Conflict, Forbidden, InvalidInput, NotFound, Refused
from leverframe.governance.commands import HANDLERS as ACCESS
from leverframe.governance.commands import IssueToken
from leverframe.governance.identity import secret_sha256
from leverframe.governance.ledger.memory import MemoryJournal
from leverframe.governance.own_policies import HANDLERS, ApprovePolicy, ProposePolicy
from leverframe.governance.policy import Policy
from leverframe.governance.policy_cases import PolicyCase, failing, run_case

ANA = Actor(subject="ana", roles=("admin",), teams=("*",))
BEN = Actor(subject="ben", roles=("admin",), teams=("*",))
EVA = Actor(subject="eva", roles=("engineer", "approver"), teams=("flights",))
ROBOT = Actor(subject="robot", roles=("admin",), teams=("*",), kind="service")
NO_TOKENS = (
    '@id("no-tokens") @reason("tokens come from single sign-on here") forbid (principal, action == Action::"Tokens.Issue", resource);'
)


class Office:
    def __init__(self) -> None:
        self.journal = MemoryJournal(ManualClock(1_000_000), Policy(), (*ACCESS, *HANDLERS))
        self.serial = 0

    def write(self, actor, command):
        self.serial += 1
        return self.journal.write(actor, command, key=f"k{self.serial}").result

    def propose(self, text=NO_TOKENS, actor=ANA, name="no_tokens", cases=()):
        return self.write(actor, ProposePolicy(name=name, text=text, reason="sign-on", cases=cases))["proposal"]

    def issue(self):
        secret = secret_sha256(f"s{self.serial}")
        self.write(ANA, IssueToken(sha256=secret, subject="x", roles=("viewer",), teams=("a",), issued_at_us=1, expires_at_us=2_000_000))


@pytest.fixture
def office():
    return Office()


def test_a_proposal_changes_nothing_and_an_approved_one_holds_at_once(office):
    digest = office.propose()
    office.issue()
    office.write(BEN, ApprovePolicy(proposal=digest))
    with pytest.raises(Forbidden, match="tokens come from single sign-on"):
        office.issue()
    end = office.propose(text="")
    office.write(BEN, ApprovePolicy(proposal=end))
    office.issue()


def test_nobody_approves_what_they_proposed_and_no_service_does_either(office):
    digest = office.propose()
    with pytest.raises(Forbidden, match="two people"):
        office.write(ANA, ApprovePolicy(proposal=digest))
    with pytest.raises(Forbidden, match="only a person"):
        office.write(ROBOT, ApprovePolicy(proposal=digest))
    with pytest.raises(Forbidden):
        office.write(EVA, ApprovePolicy(proposal=digest))
    with pytest.raises(Forbidden):
        office.propose(actor=EVA)
    office.write(BEN, ApprovePolicy(proposal=digest))
    with pytest.raises(Conflict):
        office.write(BEN, ApprovePolicy(proposal=digest))


def test_an_unknown_digest_approves_nothing(office):
    with pytest.raises((NotFound, Forbidden)):
        office.write(BEN, ApprovePolicy(proposal="sha256:" + "0" * 64))


OPEN = "permit (principal, action, resource);"


@pytest.mark.parametrize("text", ["permit (", OPEN, f'@id("read") @reason("x") {OPEN}'])
def test_what_does_not_parse_or_explain_itself_or_takes_a_known_id_is_not_proposed(office, text):
    with pytest.raises(InvalidInput):
        office.propose(text=text)


def test_a_policy_that_would_lock_everybody_out_is_refused(office):
    with pytest.raises(Refused, match="nobody could change policies"):
        office.propose(text='@id("nothing") @reason("nothing") forbid (principal, action, resource);')


def test_an_own_permission_does_not_outweigh_the_two_person_rule():
    own = '@id("all") @reason("all") permit (principal, action, resource);'
    policy = Policy().with_own((own,))
    facts = {"author": "ana", "tier": "high", "approvals_valid": 1, "gates": "pass", "frozen": False, "unattended": False}
    approver = Actor(subject="ana", roles=("approver",), teams=("flights",))
    assert not policy.decide(approver, "Release.Approve", "plan/x", "flights", facts).allowed
    assert not policy.decide(EVA, "Release.Apply", "plan/x", "flights", facts).allowed
    assert not policy.decide(EVA, "Release.Rollback", "endpoint/x", "fraud", {}).allowed
    assert policy.decide(EVA, "Made.Up", "x/y", "flights", {}).allowed, "the own policy is not in force: the lines above show nothing"


CASE = PolicyCase(name="issue", action="Tokens.Issue", roles=("admin",), allowed=False, policies=("no-tokens",))


def test_cases_go_with_the_proposal_and_must_hold(office):
    office.propose(cases=(CASE,))
    with pytest.raises(Refused, match="1 of 1 cases do not hold"):
        office.propose(cases=(PolicyCase(name="issue", action="Tokens.Issue", roles=("admin",), allowed=True),))


def test_a_case_fails_by_its_answer_and_by_its_policies():
    assert [r.case.name for r in failing(Policy(), [CASE])] == ["issue"]
    assert run_case(Policy().with_own((NO_TOKENS,)), CASE).words == "denied by no-tokens: tokens come from single sign-on here"
    other = PolicyCase(name="x", action="Tokens.Issue", allowed=False, policies=("other",))
    assert not run_case(Policy().with_own((NO_TOKENS,)), other).holds
