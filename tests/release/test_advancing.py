"""A release climbs only while what it started with holds: its approvals, and every exception whose rule does not hold by itself."""

import pytest
from tests.faults.test_release_two_persons import ADMIN, AUTHOR, ENGINEER, ONE, TWO, Office
from tests.release.harness import ENV, NAME, SHORT, TEAM, Register, version
from tests.release.test_requirements import _declare, _no_runbook, grant, office

from leverframe.core.actor import PLATFORM
from leverframe.core.clock import DAY_US
from leverframe.core.errors import Conflict, Forbidden
from leverframe.core.verdict import Verdict
from leverframe.release.commands import (
    AbortRelease,
    AdvanceRelease,
    ApplyPlan,
    CompleteRelease,
    HoldRelease,
    NoteEvidence,
    PlanRelease,
    WithdrawApproval,
    WithdrawException,
)
from leverframe.release.control.controller import Controller

RULE = "evidence-runbook"
ID = "prod.flight-delay.0002"
PROOF = tuple(Verdict(rule=rule, answer="pass", observed=0.0, threshold=0.1) for rule in ("errors", "prediction_shift", "outcome_brier"))
ON = {"release": ID, "stage": 0, "owner_team": TEAM, "reason": "proven"}


def running(*, lack: bool = True, days: float = 3.0) -> Office:
    """``flight-delay@v2``, of high risk, under way; its model names no runbook, which an exception lifted."""
    made = office("low", approved=False)
    made.apply(PLATFORM)
    made.rig.write(PLATFORM, CompleteRelease(release="prod.flight-delay.0001", stage=0, owner_team=TEAM, reason="nothing to compare"))
    made.rig.write(ADMIN, Register(record=version(2, tier="high")))
    plan = PlanRelease(environment=ENV, endpoint=NAME, version=f"{NAME}@v2", owner_team=TEAM, stages=SHORT)
    made.plan = made.rig.write(AUTHOR, plan)["plan"]
    made.approve(ONE)
    made.approve(TWO)
    if lack:
        _no_runbook(made)
        grant(made, rule=RULE, expires_after_us=round(days * DAY_US))
    made.rig.write(ENGINEER, ApplyPlan(plan=made.plan, owner_team=TEAM))
    made.rig.controller = Controller(made.rig.journal, ENV)
    return made


def climb(made: Office) -> int:
    made.rig.write(PLATFORM, AdvanceRelease(**ON, verdicts=PROOF))
    return made.rig.state(ID).stage


def _withdrawn(made: Office) -> None:
    made.rig.write(TWO, WithdrawException(plan=made.plan, rule=RULE, owner_team=TEAM))


def _expired(made: Office) -> None:
    made.rig.clock.advance(3 * DAY_US)


@pytest.mark.parametrize("ended", [_withdrawn, _expired])
def test_it_does_not_climb_after_its_exception_ended_and_everything_but_the_climb_goes_on(ended: object) -> None:
    made = running()
    ended(made)  # type: ignore[operator]
    with pytest.raises(Forbidden, match="must name its runbook") as caught:
        climb(made)
    assert RULE in caught.value.expected
    made.rig.write(PLATFORM, NoteEvidence(**ON, verdicts=PROOF))
    made.rig.write(PLATFORM, HoldRelease(**ON))
    assert made.rig.state(ID).state == "holding"


def test_it_climbs_while_the_exception_lasts_and_when_the_rule_has_come_to_hold_by_itself() -> None:
    assert climb(running()) == 1
    made = running()
    _withdrawn(made)
    _declare(made, runbook="https://runbooks.example.com/d")
    assert climb(made) == 1


def test_a_rule_that_was_met_at_the_start_is_not_asked_again_by_a_climb() -> None:
    made = running(lack=False)
    _no_runbook(made)
    assert climb(made) == 1


def test_while_it_runs_the_exception_can_be_granted_again_and_after_its_end_no_more() -> None:
    made = running()
    _withdrawn(made)
    grant(made, rule=RULE)
    assert climb(made) == 1
    made.rig.write(ADMIN, AbortRelease(release=ID, owner_team=TEAM, reason="enough"))
    with pytest.raises(Conflict, match="has ended"):
        grant(made, rule=RULE)


@pytest.mark.parametrize("lost", ["exception", "approval"])
def test_the_controller_puts_it_on_hold_says_why_and_what_to_type_and_goes_on_when_it_is_mended(lost: str) -> None:
    made = running()
    if lost == "exception":
        _withdrawn(made)
    else:
        made.rig.write(ONE, WithdrawApproval(plan=made.plan, owner_team=TEAM))
    held = made.rig.run(ID, 60)
    assert (held.state, held.stage) == ("holding", 0)
    last = held.log[-1]
    assert (last.event, held.log[-2].event) == ("stalled", "apply"), "it is put on hold once"
    assert {"exception": "must name its runbook", "approval": "was withdrawn"}[lost] in last.reason
    typed = {"exception": f"lever release show {made.plan.removeprefix('sha256:')[:12]}", "approval": f"lever release abort {ID}"}
    assert typed[lost] in last.reason
    look = made.rig.controller.live()[0]
    assert look.lines[-1] == last.reason, "who watches is told, too"
    if lost == "approval":
        return
    grant(made, rule=RULE)
    mended = made.rig.run(ID, 200)
    assert [entry.event for entry in mended.log][:3] == ["apply", "stalled", "proven"]


def test_without_the_loss_it_climbs_on_the_same_traffic() -> None:
    """The negative control of the test above."""
    made = running(days=14)
    found = made.rig.run(ID, 60)
    assert "stalled" not in [entry.event for entry in found.log]
    assert found.stage >= 1
