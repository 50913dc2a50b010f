"""P28: the two-person rule holds. Every way round it that we know of is tried against the shipped policies; none may work."""

import contextlib

import msgspec
import pytest
from tests.release.harness import ENV, NAME, REGISTER, TEAM, Register, Rig, version

from leverframe.core.actor import PLATFORM, Actor
from leverframe.core.clock import DAY_US
from leverframe.core.errors import Conflict, Forbidden, InvalidInput, LeverframeError, NotFound
from leverframe.core.verdict import Verdict
from leverframe.governance.commands import HANDLERS as ACCESS_HANDLERS
from leverframe.governance.commands import IssueToken, RevokeToken
from leverframe.governance.identity import secret_sha256
from leverframe.governance.ledger.memory import AllowEverything, MemoryJournal
from leverframe.governance.policy import Policy, shipped_policies
from leverframe.release.commands import (
    HANDLERS,
    AdvanceRelease,
    ApplyPlan,
    ApprovePlan,
    CloseReview,
    CompleteRelease,
    PlanRelease,
    Rollback,
    WithdrawApproval,
)
from leverframe.release.control.controller import Controller
from leverframe.release.records import KIND_ENDPOINT, KIND_RELEASE, KIND_REVIEW, Release, Review

ADMIN = Actor(subject="root", roles=("admin",), teams=("*",))
AUTHOR = Actor(subject="author", roles=("approver", "engineer"), teams=(TEAM,))
ONE = Actor(subject="one", roles=("approver",), teams=(TEAM,))
TWO = Actor(subject="two", roles=("approver",), teams=(TEAM,))
ENGINEER = Actor(subject="hands", roles=("engineer",), teams=(TEAM,))
OUTSIDER = Actor(subject="outsider", roles=("approver", "engineer"), teams=("other",))
ROBOT = Actor(subject="robot", roles=("approver",), teams=(TEAM,), kind="service")

_TEST_POLICY = """
@id("test-register") @reason("the training room's part, in this test")
permit (principal, action == Action::"Test.Register", resource);
"""


class Office:
    """A ledger under the shipped policies, tokens for everyone, and a high-risk plan waiting for approval."""

    def __init__(self, *, tier: str = "high", gates: str = "pass", policy: object = None) -> None:
        self.issued = 0
        self.rig = Rig(initial=False, versions=())
        self.rig.journal = MemoryJournal(
            self.rig.clock, policy or Policy((*shipped_policies(), _TEST_POLICY)), (*HANDLERS, *ACCESS_HANDLERS, REGISTER)
        )
        self.tokens = {actor.subject: self.issue(actor) for actor in (ADMIN, AUTHOR, ONE, TWO, ENGINEER, OUTSIDER, ROBOT)}
        self.rig.write(ADMIN, Register(record=version(1, tier=tier, gates=gates)))
        self.plan = self.rig.write(
            AUTHOR, PlanRelease(environment=ENV, endpoint=NAME, version="flight-delay@v1", owner_team=TEAM, strategy="initial")
        )["plan"]

    def issue(self, actor: Actor) -> str:
        """A token for ``actor``, a new one each time."""
        self.issued += 1
        now_us = self.rig.clock.now_us()
        by = PLATFORM if actor is ADMIN else ADMIN
        command = IssueToken(
            sha256=secret_sha256(f"{actor.subject} {self.issued}"),
            subject=actor.subject,
            kind=actor.kind,
            roles=actor.roles,
            teams=actor.teams,
            issued_at_us=now_us,
            expires_at_us=now_us + 30 * DAY_US,
        )
        return self.rig.write(by, command)["id"]

    def approve(self, actor: Actor, **fields: object) -> None:
        self.rig.write(actor, ApprovePlan(**{"plan": self.plan, "owner_team": TEAM, **fields}))

    def apply(self, actor: Actor = ENGINEER, **fields: object) -> None:
        self.rig.write(actor, ApplyPlan(**{"plan": self.plan, "owner_team": TEAM, **fields}))

    def live(self) -> bool:
        return bool(self.rig.journal.find(KIND_ENDPOINT, msgspec.Struct) or self.rig.journal.find(KIND_RELEASE, msgspec.Struct))


def test_two_people_who_are_not_the_author_can() -> None:
    office = Office()
    office.approve(ONE)
    office.approve(TWO)
    office.apply()
    assert office.live()


def _self_approval(office: Office) -> None:
    office.approve(ONE)
    office.approve(AUTHOR)


def _self_approval_with_every_role(office: Office) -> None:
    office.approve(ONE)
    office.approve(msgspec.structs.replace(AUTHOR, roles=("admin", "approver", "platform")))


def _the_same_person_twice(office: Office) -> None:
    office.approve(ONE)
    office.approve(ONE)


def _another_team(office: Office) -> None:
    office.approve(ONE)
    office.approve(OUTSIDER)


def _another_team_claiming_this_one_is_platform_wide(office: Office) -> None:
    office.approve(ONE)
    office.approve(OUTSIDER, owner_team="")


def _another_team_claiming_it_as_its_own(office: Office) -> None:
    office.approve(ONE)
    office.approve(OUTSIDER, owner_team="other")


def _an_engineer_without_the_role(office: Office) -> None:
    office.approve(ONE)
    office.approve(ENGINEER)


def _the_platform(office: Office) -> None:
    office.approve(ONE)
    office.approve(PLATFORM)


def _a_service(office: Office) -> None:
    office.approve(ONE)
    office.approve(ROBOT)


def _an_admin(office: Office) -> None:
    office.approve(ONE)
    office.approve(ADMIN)


def _withdrawn(office: Office) -> None:
    office.approve(ONE)
    office.approve(TWO)
    office.rig.write(TWO, WithdrawApproval(plan=office.plan, owner_team=TEAM))


def _expired(office: Office) -> None:
    office.approve(ONE)
    office.approve(TWO, expires_after_us=DAY_US)
    office.rig.clock.advance(DAY_US)


def _removed_role(office: Office) -> None:
    office.approve(ONE)
    office.approve(TWO)
    office.rig.write(ADMIN, RevokeToken(token_id=office.tokens["two"]))


def _changed_after_approval(office: Office) -> None:
    office.approve(ONE)
    office.approve(TWO)
    again = PlanRelease(environment=ENV, endpoint=NAME, version="flight-delay@v1", owner_team=TEAM, strategy="initial", note="more")
    office.plan = office.rig.write(AUTHOR, again)["plan"]


def _gate_failed_after_approval(office: Office) -> None:
    office.approve(ONE)
    office.approve(TWO)
    office.rig.write(ADMIN, Register(record=version(1, tier="high", gates="fail")))


def _bundle_swapped_after_approval(office: Office) -> None:
    office.approve(ONE)
    office.approve(TWO)
    swapped = msgspec.structs.replace(version(1, tier="low"), bundle="sha256:" + "f" * 64)
    office.rig.write(ADMIN, Register(record=swapped))


def _unattended_by_claim(office: Office) -> None:
    office.apply(msgspec.structs.replace(ENGINEER, kind="service"))


def _platform_applies_high_risk(office: Office) -> None:
    office.apply(PLATFORM)


def _made_up_digest(office: Office) -> None:
    office.plan = "sha256:" + "a" * 64


WAYS = [
    _self_approval,
    _self_approval_with_every_role,
    _the_same_person_twice,
    _another_team,
    _another_team_claiming_this_one_is_platform_wide,
    _another_team_claiming_it_as_its_own,
    _an_engineer_without_the_role,
    _the_platform,
    _a_service,
    _an_admin,
    _withdrawn,
    _expired,
    _removed_role,
    _changed_after_approval,
    _gate_failed_after_approval,
    _bundle_swapped_after_approval,
    _unattended_by_claim,
    _platform_applies_high_risk,
    _made_up_digest,
]


@pytest.mark.parametrize("way", WAYS)
def test_no_way_round_the_second_person(way: object) -> None:
    office = Office()
    with contextlib.suppress(Forbidden, NotFound):
        way(office)
    with pytest.raises((Forbidden, NotFound)):
        office.apply()
    assert not office.live()


def test_an_approved_plan_runs_once() -> None:
    office = Office()
    office.approve(ONE)
    office.approve(TWO)
    office.apply()
    with pytest.raises(Conflict, match="runs once"):
        office.apply()
    with pytest.raises(LeverframeError):
        office.rig.write(ENGINEER, Rollback(environment=ENV, endpoint=NAME, owner_team=TEAM, reason="x"))


@pytest.mark.parametrize("lost", ["withdrawn", "revoked"])
def test_a_release_stops_climbing_when_an_approval_it_runs_on_is_lost(lost: str) -> None:
    office = Office(tier="low")
    office.apply(PLATFORM)
    office.rig.write(PLATFORM, CompleteRelease(release="prod.flight-delay.0001", stage=0, owner_team=TEAM, reason="nothing to compare"))
    office.rig.write(ADMIN, Register(record=version(2, tier="high")))
    office.plan = office.rig.write(AUTHOR, PlanRelease(environment=ENV, endpoint=NAME, version="flight-delay@v2", owner_team=TEAM))["plan"]
    office.approve(ONE)
    office.approve(TWO)
    office.apply()
    if lost == "withdrawn":
        office.rig.write(ONE, WithdrawApproval(plan=office.plan, owner_team=TEAM))
    else:
        office.rig.write(ADMIN, RevokeToken(token_id=office.tokens["one"]))
    proof = tuple(
        Verdict(rule=rule, answer="pass", observed=0.0, threshold=0.1) for rule in ("errors", "prediction_shift", "outcome_brier")
    )
    climb = AdvanceRelease(release="prod.flight-delay.0002", stage=0, owner_team=TEAM, reason="", verdicts=proof)
    with pytest.raises(Forbidden, match="withdrawn, or its approver lost the role"):
        office.rig.write(PLATFORM, climb)
    if lost == "withdrawn":
        return
    office.issue(ONE)
    office.rig.write(PLATFORM, climb)
    assert office.rig.state("prod.flight-delay.0002").stage == 1, "with the role back it was only the lost role that stopped it"


def test_low_risk_needs_one_other_person_or_the_platform() -> None:
    office = Office(tier="low")
    with pytest.raises(Forbidden):
        office.apply()
    with pytest.raises(Forbidden):
        office.apply(AUTHOR)
    office.approve(ONE)
    office.apply(AUTHOR)
    assert office.live()
    unattended = Office(tier="low")
    unattended.apply(PLATFORM)
    assert unattended.live()


def test_nobody_but_the_controller_moves_a_release_along() -> None:
    office = Office()
    for actor in (ADMIN, AUTHOR, ENGINEER, ONE):
        with pytest.raises(Forbidden):
            office.rig.write(actor, AdvanceRelease(release="prod.flight-delay.0001", stage=0, owner_team=TEAM, reason="please"))


def test_negative_control_without_policy_the_ways_are_open() -> None:
    office = Office(policy=AllowEverything())
    office.apply()
    assert office.live(), "it is the policy and its facts that closed the ways above"


OLGA = Actor(subject="olga", roles=("operator",), teams=(TEAM,))
AUDITOR = Actor(subject="ada", roles=("auditor",))


def test_broken_glass_starts_a_release_and_opens_a_review_by_somebody_else():
    office = Office()
    office.apply(OLGA, break_glass="the live model answers nonsense")
    release = office.rig.journal.find(KIND_RELEASE, Release)[0]
    review = office.rig.journal.get(KIND_REVIEW, release.id, Review)
    assert (review.opened_by, review.reason, review.open) == ("olga", "the live model answers nonsense", True)
    closing = CloseReview(release=release.id, finding="right", owner_team=TEAM)
    for nobody in (OLGA, ROBOT, OUTSIDER, ENGINEER, ADMIN):
        with pytest.raises(Forbidden):
            office.rig.write(nobody, closing)
    with pytest.raises(InvalidInput):
        office.rig.write(ONE, msgspec.structs.replace(closing, finding=" "))
    office.rig.write(ONE, closing)
    assert office.rig.journal.get(KIND_REVIEW, release.id, Review).closed_by == "one"
    with pytest.raises(Conflict):
        office.rig.write(TWO, closing)


def test_an_auditor_reviews_too():
    office = Office()
    office.apply(OLGA, break_glass="now")
    release = office.rig.journal.find(KIND_RELEASE, Release)[0]
    office.rig.write(AUDITOR, CloseReview(release=release.id, finding="fine", owner_team=TEAM))


@pytest.mark.parametrize("actor", [ENGINEER, AUTHOR, ADMIN, ROBOT, ONE, OUTSIDER, PLATFORM], ids=lambda actor: actor.subject)
def test_only_an_operator_breaks_the_glass(actor):
    office = Office()
    with pytest.raises(Forbidden):
        office.apply(actor, break_glass="I am in a hurry")


@pytest.mark.parametrize("gates", ["fail", "inconclusive"])
def test_broken_glass_does_not_pass_a_gate(gates):
    office = Office(gates=gates)
    with pytest.raises(Forbidden, match="gate"):
        office.apply(OLGA, break_glass="now")


def test_blank_glass_is_no_glass():
    office = Office()
    with pytest.raises(Forbidden):
        office.apply(OLGA, break_glass="  ")


@pytest.mark.parametrize(("withdrawn", "state"), [(False, "watching"), (True, "aborted")])
def test_what_waits_in_line_is_started_by_the_platform_only_on_approvals_that_still_hold(withdrawn: bool, state: str) -> None:
    """A person put it in line: that the platform starts it later does not make it an unattended release, which needs no approval."""
    office = Office(tier="low")
    for number in (2, 3):
        office.rig.write(ADMIN, Register(record=version(number)))
    office.rig.write(ONE, ApprovePlan(plan=office.plan, owner_team=TEAM))
    office.rig.write(ENGINEER, ApplyPlan(plan=office.plan, owner_team=TEAM))
    office.rig.controller = Controller(office.rig.journal, ENV)
    office.rig.tick()
    plans = [
        office.rig.plan(name, AUTHOR, strategy="blue_green", stages=None, queue=queue)
        for name, queue in (("flight-delay@v2", False), ("flight-delay@v3", True))
    ]
    releases = []
    for plan in plans:
        office.rig.write(ONE, ApprovePlan(plan=plan, owner_team=TEAM))
        releases.append(office.rig.write(ENGINEER, ApplyPlan(plan=plan, owner_team=TEAM))["release"])
    assert office.rig.state(releases[1]).state == "planned"
    office.rig.write(ENGINEER, Rollback(environment=ENV, endpoint=NAME, reason="bad", owner_team=TEAM))
    if withdrawn:
        office.rig.write(ONE, WithdrawApproval(plan=plans[1], owner_team=TEAM))
    office.rig.tick()
    found = office.rig.state(releases[1])
    assert found.state == state
    if withdrawn:
        assert "a low-risk release needs one approval" in found.log[-1].reason
