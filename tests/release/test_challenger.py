"""A challenger scores unseen for good: it is judged at every look, answers nobody, and gives way to any other plan."""

import pytest
from tests.release.harness import ALICE, ENV, NAME, TEAM, Rig

from leverframe.core.actor import PLATFORM
from leverframe.core.clock import HOUR_US
from leverframe.core.errors import InvalidInput, Refused
from leverframe.release.commands import AbortRelease, AdvanceRelease, Rollback
from leverframe.release.plans.plan import MetricRule, Stage
from leverframe.release.records import KIND_EVIDENCE, EvidenceNote

RULES = (
    MetricRule(metric="errors", margin=0.05, alpha=0.001),
    MetricRule(metric="outcome_brier", margin=0.01, alpha=0.001),
)


def challenge(rig: Rig, name: str = "flight-delay@v2") -> str:
    return rig.release(name, strategy="challenger", stages=None, rules=RULES)


def hours(rig: Rig, count: int, **traffic: object) -> str:
    """Serve and look; the reason of the newest look."""
    reason = ""
    for _ in range(count):
        rig.serve(**traffic)
        reason = rig.tick()[0].reason
    return reason


def test_it_never_climbs_stalls_or_ends_and_its_verdicts_are_kept() -> None:
    rig = Rig()
    id = challenge(rig)
    assert "undecided" in hours(rig, 2)
    reason = hours(rig, 24 * 9)
    assert "is as good" in reason, "longer than any other stage may take"
    assert reason.endswith("to promote it: lever release plan flight-delay@v2 --endpoint flight-delay --strategy canary")
    found = rig.state(id)
    assert (found.state, found.stage, [entry.event for entry in found.log]) == ("running", 0, ["apply"])
    assert [(arm.version, arm.role, arm.weight) for arm in rig.endpoint().arms] == [
        ("flight-delay@v1", "live", 100.0),
        ("flight-delay@v2", "shadow", 0.0),
    ]
    note = rig.journal.get(KIND_EVIDENCE, f"{id}/0", EvidenceNote)
    assert note is not None
    assert {verdict.rule: verdict.answer for verdict in note.verdicts} == {"errors": "pass", "outcome_brier": "pass"}


def test_a_worse_one_is_told_and_nothing_is_taken_back_and_a_better_one_is_told() -> None:
    rig = Rig()
    id = challenge(rig)
    reason = hours(rig, 48, score=lambda version, score: 0.9 if version == "flight-delay@v2" else score)
    assert "and is worse: at challenger: Brier score differs" in reason
    assert rig.state(id).state == "running"
    other = Rig()
    challenge(other)
    # The champion answers at random; the challenger knows something.
    reason = hours(other, 96, score=lambda version, score: 0.5 if version == "flight-delay@v1" else score)
    assert "and is better: proven in outcome_brier" in reason


def test_it_is_promoted_only_by_a_plan_of_its_own_which_takes_its_place() -> None:
    rig = Rig()
    id = challenge(rig)
    hours(rig, 48)
    with pytest.raises(Refused, match=r"does not climb.*lever release plan flight-delay@v2 --endpoint flight-delay --strategy canary"):
        rig.write(PLATFORM, AdvanceRelease(release=id, stage=0, owner_team=TEAM, reason="please"))
    promoted = rig.release("flight-delay@v2", strategy="blue_green", stages=None, watch_us=HOUR_US)
    assert (rig.state(id).state, rig.state(promoted).state) == ("superseded", "watching")
    assert rig.endpoint().live.version == "flight-delay@v2"


def test_taking_an_endpoint_back_means_what_answers_and_the_challenger_goes_along() -> None:
    rig = Rig()
    second = rig.release("flight-delay@v2", strategy="blue_green", stages=None, watch_us=HOUR_US)
    assert rig.run(second, 20).state == "completed"
    challenger = challenge(rig, "flight-delay@v3")
    rig.write(ALICE, Rollback(environment=ENV, endpoint=NAME, owner_team=TEAM, reason="bad"))
    assert [arm.version for arm in rig.endpoint().arms] == ["flight-delay@v1"]
    assert [rig.state(id).state for id in (second, challenger)] == ["rolled_back", "rolled_back"]


def test_it_ends_when_a_person_says_so_and_has_one_stage() -> None:
    rig = Rig()
    id = challenge(rig)
    rig.write(ALICE, AbortRelease(release=id, owner_team=TEAM, reason="enough seen"))
    assert [arm.version for arm in rig.endpoint().arms] == ["flight-delay@v1"]
    with pytest.raises(InvalidInput) as caught:
        rig.plan("flight-delay@v2", strategy="challenger", stages=(Stage(name="c", role="canary", weight=5.0),))
    assert caught.value.faults[0].what == "a challenger has one stage, in shadow"


def test_one_in_line_does_not_wait_for_a_challenger() -> None:
    rig = Rig()
    id = challenge(rig)
    other = rig.release("flight-delay@v3", queue=True)
    assert (rig.state(id).state, rig.state(other).state) == ("superseded", "running")
