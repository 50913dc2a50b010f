"""A version that is taken back takes along, at other endpoints, what was made from it and promoted after it; no more, no storm."""

import msgspec
import pytest
from tests.release.harness import ALICE, ENV, NAME, TEAM, Register, Rig, version
from tests.release.test_dependants import promoted
from tests.release.test_environments import look_at

from leverframe.core.actor import PLATFORM
from leverframe.core.command import Command, Handles, Transaction
from leverframe.core.descent import MadeFrom, descendants
from leverframe.core.errors import Refused
from leverframe.core.model import ModelVersion
from leverframe.core.route import Endpoint
from leverframe.release.commands import ApplyPlan, CompleteRelease, DeclareTeamRules, Pin, PlanRelease, Rollback
from leverframe.release.plans.plan import KIND_PLAN
from leverframe.release.plans.team_rules import Environment, TeamRules
from leverframe.release.records import KIND_ENDPOINT, KIND_RELEASE
from leverframe.release.rollout import back
from leverframe.release.rollout.made_from import resting_on
from leverframe.release.rollout.rollout import get_release

AT = {"environment": ENV, "endpoint": NAME, "owner_team": TEAM, "reason": "AUC lost"}
BAD = "flight-delay@v2"
ROWS = MadeFrom(version=BAD, how="rows", dataset="scores")


def of(model: str, number: int, *made_from: MadeFrom, tier: str = "low") -> ModelVersion:
    digest = "sha256:" + f"{sum(map(ord, model)) * 1000 + number:064x}"
    return msgspec.structs.replace(
        version(number, tier=tier), model=model, bundle=digest, envelope=digest, made_from=made_from or msgspec.UNSET
    )


def rig(*more: ModelVersion) -> Rig:
    """``flight-delay@v1`` and ``cost@v1`` are live; ``cost@v2`` was trained on what ``flight-delay@v2`` predicted."""
    made = Rig()
    for record in (of("cost", 1), of("cost", 2, ROWS), of("cost", 3), *more):
        made.write(ALICE, Register(record=record))
    at(made, "cost", "cost@v1", strategy="initial")
    made.tick()
    return made


def at(
    made: Rig, endpoint: str, name: str, *, environment: str = ENV, team: str = TEAM, strategy: str = "blue_green", **fields: object
) -> str:
    plan = made.write(
        ALICE, PlanRelease(environment=environment, endpoint=endpoint, version=name, owner_team=team, strategy=strategy, **fields)
    )["plan"]
    return made.write(ALICE, ApplyPlan(plan=plan, owner_team=team))["release"]


def answers(made: Rig, endpoint: str, environment: str = ENV) -> str:
    found = made.journal.get(KIND_ENDPOINT, f"{environment}/{endpoint}", Endpoint)
    assert found is not None
    assert found.live is not None
    return found.live.version


def test_what_learned_from_its_predictions_goes_back_with_it_in_the_same_transaction() -> None:
    made = rig()
    bad = promoted(made, BAD)
    child = at(made, "cost", "cost@v2")
    assert [(each.release.id, each.stays, each.good) for each in resting_on(made.journal, made.state(bad))] == [(child, "", "cost@v1")]
    entries = len(made.journal.audit(limit=10_000))
    done = made.write(ALICE, Rollback(release=bad, **AT))
    assert (done["version"], done["taken_along"], done["flagged"]) == ("flight-delay@v1", [child], [])
    assert answers(made, "cost") == "cost@v1"
    last = made.state(child).log[-1]
    assert (made.state(child).state, last.event, last.cause) == ("rolled_back", "rollback", bad)
    assert last.reason == f"trained on rows of scores that {BAD} predicted; {bad} took {BAD} back in prod: AUC lost"
    assert len(made.journal.audit(limit=10_000)) == entries + 1
    assert list(resting_on(made.journal, made.state(bad))) == [], "nothing is left to take back"


def test_what_was_promoted_before_it_stays() -> None:
    made = rig()
    child = at(made, "cost", "cost@v2")
    bad = promoted(made, BAD)
    done = made.write(ALICE, Rollback(release=bad, **AT))
    assert (done["taken_along"], made.state(child).state, answers(made, "cost")) == ([], "watching", "cost@v2")


def test_the_way_leads_over_versions_that_were_never_released_and_says_so() -> None:
    tuned = of("cost", 5, MadeFrom(version="base@v1"))
    made = rig(of("base", 1, ROWS), tuned)
    bad = promoted(made, BAD)
    child = at(made, "cost", "cost@v5")
    assert list(descendants(made.journal, BAD)) == ["base@v1", "cost@v2", "cost@v5"]
    done = made.write(ALICE, Rollback(release=bad, **AT))
    assert (done["taken_along"], answers(made, "cost")) == ([child], "cost@v1")
    assert "made from base@v1, which was trained on rows of scores that flight-delay@v2 predicted" in made.state(child).log[-1].reason


def test_what_was_promoted_on_top_of_a_child_goes_too_and_what_was_made_from_that_in_turn() -> None:
    made = rig(of("fee", 1), of("fee", 2, MadeFrom(version="cost@v3")))
    at(made, "fee", "fee@v1", strategy="initial")
    made.tick()
    bad = promoted(made, BAD)
    child = at(made, "cost", "cost@v2", watch_us=1)
    made.clock.advance(1)
    made.write(PLATFORM, CompleteRelease(release=child, stage=0, owner_team=TEAM, reason="watched"))
    on_top = at(made, "cost", "cost@v3")
    far = at(made, "fee", "fee@v2")
    done = made.write(ALICE, Rollback(release=bad, **AT))
    assert done["taken_along"] == [child, on_top, far]
    assert (answers(made, "cost"), answers(made, "fee")) == ("cost@v1", "fee@v1")
    assert made.state(far).log[-1].cause == bad, "each names the first cause"


@pytest.mark.parametrize("how", ["flag", "pinned", "no good"])
def test_one_that_may_not_or_cannot_go_back_is_flagged_with_the_reason_and_left_alone(how: str) -> None:
    made = rig(of("first", 1, ROWS))
    bad = promoted(made, BAD)
    endpoint, name = ("first", "first@v1") if how == "no good" else ("cost", "cost@v2")
    strategy = "initial" if how == "no good" else "blue_green"
    child = at(made, endpoint, name, strategy=strategy, dependants="flag" if how == "flag" else None)
    if how == "pinned":
        made.write(ALICE, Pin(environment=ENV, endpoint="cost", owner_team=TEAM, reason="the fair"))
    state = made.state(child).state
    done = made.write(PLATFORM, Rollback(release=bad, **AT))
    assert (done["version"], done["flagged"], made.state(child).state, answers(made, endpoint)) == ("flight-delay@v1", [child], state, name)
    why = {"flag": "its plan says that it stays", "pinned": "the endpoint is pinned", "no good": "lever kill first"}[how]
    assert why in str(made.state(child).flagged)
    assert made.state(child).log[-1].cause == bad


class Forget(Command, frozen=True, kw_only=True):
    """Gives a release a plan as one was written before plans said what becomes of them."""

    action = "Test.Forget"
    release: str

    def resource(self) -> str:
        return "test"


def _forget(command: Forget, tx: Transaction) -> None:
    release, plan = get_release(tx, command.release)
    older = msgspec.structs.replace(plan, dependants=msgspec.UNSET)
    tx.put(KIND_PLAN, older.digest, older)
    tx.put(KIND_RELEASE, release.id, msgspec.structs.replace(release, plan=older.digest))


@pytest.mark.parametrize(("team", "older", "back_to"), [("others", False, True), ("others", True, False), (TEAM, True, True)])
def test_another_teams_release_goes_back_only_if_its_plan_says_so(team: str, older: bool, back_to: bool) -> None:
    made = Rig(more=(Handles(command=Forget, run=_forget),))
    for record in (of("toll", 1), of("toll", 2, ROWS)):
        made.write(ALICE, Register(record=record, evidence=False))
    at(made, "toll", "toll@v1", team=team, strategy="initial")
    made.tick()
    bad = promoted(made, BAD)
    child = at(made, "toll", "toll@v2", team=team)
    if older:
        made.write(ALICE, Forget(release=child))
    done = made.write(ALICE, Rollback(release=bad, **AT))
    assert (done["taken_along"], done["flagged"]) == (([child], []) if back_to else ([], [child]))
    assert answers(made, "toll") == ("toll@v1" if back_to else "toll@v2")


def test_children_in_another_environment_go_back_by_the_time_they_began() -> None:
    made = rig()
    rules = TeamRules(team=TEAM, environments=(Environment(name="stage"), Environment(name=ENV, demands="nothing")))
    made.write(ALICE, DeclareTeamRules(rules=rules, reason="drill"))
    at(made, "cost", "cost@v1", environment="stage", strategy="initial")
    look_at(made, "stage")
    bad = promoted(made, BAD)
    child = at(made, "cost", "cost@v2", environment="stage")
    done = made.write(ALICE, Rollback(release=bad, **AT))
    assert (done["taken_along"], answers(made, "cost", "stage")) == ([child], "cost@v1")


def test_children_taken_back_again_and_again_by_evidence_are_not_started_until_a_person_has_looked() -> None:
    made = rig()
    made.write(ALICE, DeclareTeamRules(rules=TeamRules(team=TEAM, rollbacks_max=9, rollbacks_of_version_max=2), reason="drill"))
    for _ in range(2):
        bad = made.release(BAD, strategy="blue_green", stages=None)
        child = at(made, "cost", "cost@v2")
        made.write(PLATFORM, Rollback(release=bad, **AT))
        assert made.state(child).state == "rolled_back"
    with pytest.raises(Refused, match="cost@v2 was rolled back by evidence 2 times"):
        at(made, "cost", "cost@v2")


def test_beyond_the_bound_children_are_flagged_so_that_a_rollback_stays_short(monkeypatch: pytest.MonkeyPatch) -> None:
    made = rig(of("fee", 1), of("fee", 2, ROWS))
    at(made, "fee", "fee@v1", strategy="initial")
    made.tick()
    bad = promoted(made, BAD)
    first, second = at(made, "cost", "cost@v2"), at(made, "fee", "fee@v2")
    monkeypatch.setattr(back, "TAKEN_MAX", 1)
    done = made.write(ALICE, Rollback(release=bad, **AT))
    assert (done["taken_along"], done["flagged"]) == ([first], [second])
    assert "more than 1 endpoints go back already" in str(made.state(second).flagged)
