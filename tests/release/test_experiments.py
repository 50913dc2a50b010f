"""Experiments: who meets what, when they end and by what right, and that nobody is fooled by looking often."""

import msgspec
import pytest
from tests.release.experiment_rig import ALICE, BOB, CLICK, ENV, LOYALTY, NAME, REGION, TEAM, Crowd, ExperimentRig, column, refused
from tests.release.harness import version

from leverframe.apps.platform.looking import Looking
from leverframe.core.actor import PLATFORM, Actor
from leverframe.core.assignment import Assigner
from leverframe.core.clock import DAY_US, HOUR_US
from leverframe.core.errors import Conflict, Forbidden, InvalidInput
from leverframe.core.route import Endpoint
from leverframe.governance.policy import Policy
from leverframe.release.commands import ApplyPlan, DeclareTeamRules, FreezeReleases, Pin, PlanRelease, Rollback
from leverframe.release.experiments.controller import ExperimentController
from leverframe.release.experiments.plan import KIND_EXPERIMENT_PLAN, ExperimentPlan, Guardrail, Primary
from leverframe.release.experiments.planning import ApproveExperiment, StartExperiment, experiment_facts
from leverframe.release.experiments.running import ConcludeExperiment, StopExperiment
from leverframe.release.plans.plan import KIND_PLAN, ReleasePlan
from leverframe.release.plans.team_rules import Environment, TeamRules
from leverframe.release.plans.windows import Calendar, Opening
from leverframe.release.requirements.observed import ObserveBundle

V1, V2, V3 = (f"flight-delay@v{n}" for n in (1, 2, 3))
MANY = Crowd(callers=4_000)


def better(version: str, region: str) -> float:
    return 0.1 if version == V2 else 0.0


def second_endpoint(rig: ExperimentRig, name: str = "arrivals") -> str:
    """Another endpoint, with the same version live."""
    command = PlanRelease(environment=ENV, endpoint=name, version=V1, owner_team=TEAM, strategy="initial")
    rig.write(ALICE, ApplyPlan(plan=rig.write(ALICE, command)["plan"], owner_team=TEAM))
    rig.tick()
    return name


def test_a_better_variant_wins_is_proposed_as_a_release_and_everybody_meets_the_control_again():
    rig = ExperimentRig(seed=1)
    id = rig.start()
    assert [(arm.version, arm.role, arm.weight) for arm in rig.endpoint().arms] == [(V1, "live", 50.0), (V2, "canary", 50.0)]
    ended = rig.run_experiment(id, crowd=Crowd(callers=4_000, gain=better))
    assert (ended.state, ended.outcome, ended.winner) == ("ended", "winner", V2)
    assert [(arm.version, arm.weight) for arm in rig.endpoint().arms] == [(V1, 100.0)]
    assert rig.endpoint().experiment is None
    proposed = rig.journal.get(KIND_PLAN, ended.proposed, ReleasePlan)
    assert proposed is not None
    assert (proposed.candidate.version, proposed.champion.version, proposed.author) == (V2, V1, PLATFORM.subject)
    assert id in proposed.note
    gained = rig.readout(id).arms[1]
    assert 0.0 < gained.low < 0.1 < gained.high


def test_it_waits_for_its_least_duration_however_clear_the_winner_is():
    rig = ExperimentRig(seed=1)
    id = rig.start(min_us=12 * HOUR_US)
    ended = rig.run_experiment(id, crowd=Crowd(callers=4_000, gain=lambda v, r: 0.4 if v == V2 else 0.0))
    assert ended.outcome == "winner"
    assert ended.ended_us - ended.started_us == 12 * HOUR_US


def test_equal_variants_are_found_futile_and_one_worse_variant_ends_it():
    rig = ExperimentRig(seed=2)
    assert rig.run_experiment(rig.start(V2, V3), crowd=MANY).outcome == "futile"
    rig = ExperimentRig(seed=2)
    ended = rig.run_experiment(rig.start(), crowd=Crowd(callers=4_000, gain=lambda v, r: -0.15 if v == V2 else 0.0))
    assert (ended.outcome, ended.winner, ended.proposed) == ("worse", "", "")


def test_lower_is_better_where_the_plan_says_so():
    rig = ExperimentRig(seed=1)
    id = rig.start(primary=Primary(metric="outcome_value", effect=0.05, better="lower", unlabelled=0.0))
    assert rig.run_experiment(id, crowd=Crowd(callers=4_000, gain=better)).outcome in ("worse", "futile")
    arms = rig.readout(id).arms
    assert arms[1].gain == pytest.approx(arms[0].mean - arms[1].mean)


def test_at_the_horizon_it_ends_whatever_it_knows():
    rig = ExperimentRig(seed=3)
    ended = rig.run_experiment(rig.start(horizon_us=5 * HOUR_US), requests=40)
    assert (ended.outcome, ended.ended_us - ended.started_us) == ("horizon", 5 * HOUR_US)
    assert "not enough data" in ended.log[1].reason


def test_callers_of_one_arm_who_get_lost_hide_the_lift_and_end_it():
    """The variant is far better among those who are left: exactly what must not be believed."""
    rig = ExperimentRig(seed=4)
    id = rig.start()
    ended = rig.run_experiment(id, requests=800, crowd=Crowd(callers=40_000, gain=better, lost=V2))
    readout = rig.readout(id)
    assert (ended.outcome, readout.split.answer) == ("mismatch", "fail")
    assert readout.hidden == readout.split.reason
    assert all((arm.gain, arm.low, arm.high, arm.mean) == (None, None, None, None) for arm in readout.arms)
    assert readout.segments == ()


def test_a_variant_that_fails_is_stopped_by_its_first_callers():
    rig = ExperimentRig(seed=5)
    id = rig.start(min_us=48 * HOUR_US)
    looks = 0
    while not rig.experiment(id).outcome and looks < 40:
        rig.callers_ask(10, Crowd(callers=4_000, fails=lambda v: float(v == V2)), minutes=1)
        rig.look()
        looks += 1
    assert rig.experiment(id).outcome == "harm"
    assert looks <= 12, "some sixty callers of the variant are enough to see that every answer fails"
    assert V2 in rig.experiment(id).log[1].reason


def test_a_slower_variant_breaks_its_guardrail():
    rig = ExperimentRig(seed=6)
    guardrails = (Guardrail(metric="errors", margin=0.02), Guardrail(metric="latency_quantile", margin=0.25, quantile=0.5))
    id = rig.start(guardrails=guardrails, min_us=72 * HOUR_US)
    ended = rig.run_experiment(id, crowd=Crowd(callers=4_000, latency_us=lambda v: 6_000 if v == V2 else 3_000))
    assert ended.outcome == "harm"
    assert "p50 latency" in ended.log[1].reason


def aa_wins(rigs: int, seed: int) -> list[str]:
    """How experiments of equal variants end that are looked at after every 100 answers."""
    ends = []
    for number in range(rigs):
        rig = ExperimentRig(seed=seed + number)
        id = rig.start(segments=(REGION,), horizon_us=20 * HOUR_US)
        ends.append(rig.run_experiment(id, requests=100, crowd=Crowd(callers=600)).outcome)
    return ends


def test_of_equal_variants_hardly_any_wins_or_loses_although_it_is_looked_at_again_and_again():
    ends = aa_wins(12, 100)
    assert sum(end not in ("futile", "horizon") for end in ends) <= 1, ends


@pytest.mark.slow
def test_of_two_hundred_experiments_of_equal_variants_at_most_the_level_ends_wrongly():
    """Guardrails (1 %), split (0.1 %) and primary (5 %) together, by the whole machine; 2,000 by the statistic alone are in test_lift."""
    ends = aa_wins(200, 1_000)
    assert sum(end not in ("futile", "horizon") for end in ends) / 200 <= 0.05, ends


def test_a_covariate_known_before_narrows_the_interval():
    widths = []
    for covariate in (None, LOYALTY):
        rig = ExperimentRig(seed=7)
        # The score itself is explained by the caller's mood: the covariate takes most of its variance out.
        id = rig.start(primary=Primary(metric="score", effect=0.02), covariate=covariate, min_us=24 * HOUR_US)
        for _ in range(6):
            rig.callers_ask(400, MANY)
            rig.look()
        arm = rig.readout(id).arms[1]
        widths.append(arm.high - arm.low)
    assert widths[1] < 0.5 * widths[0]


def test_segments_are_read_out_with_correction_and_a_gain_in_one_alone_stands_there_alone():
    rig = ExperimentRig(seed=8)
    id = rig.start(segments=(REGION,), min_us=40 * HOUR_US)
    for _ in range(12):
        rig.callers_ask(1_500, Crowd(callers=20_000, gain=lambda v, r: 0.15 if (v, r) == (V2, "south") else 0.0))
        rig.look()
    readout = rig.readout(id)
    assert {(s.value, s.stands) for s in readout.segments} == {("north", False), ("south", True)}
    assert readout.segment_alpha == pytest.approx(0.05 / 2), "one of two stands: the intervals pay for the choice"


# Who is in what ---------------------------------------------------------------------------------------------------------


def test_experiments_of_one_layer_never_share_a_caller_and_the_layer_can_be_full():
    rig = ExperimentRig()
    other = second_endpoint(rig)
    first, second = rig.start(layer="checkout", traffic=60.0), rig.start(layer="checkout", traffic=40.0, endpoint=other)
    assigners = [Assigner(rig.experiment(id).assignment) for id in (first, second)]
    parts = [[assigner.assign(f"customer-{n}")[1] is not None for n in range(5_000)] for assigner in assigners]
    assert all(sum(both) == 1 for both in zip(*parts, strict=True)), "somebody is in two experiments of one layer"
    third = rig.plan_experiment(layer="checkout", traffic=0.01, endpoint=second_endpoint(rig, "third"))
    said = refused(rig, StartExperiment(plan=third, owner_team=TEAM))
    assert first in said
    assert second in said
    rig.write(ALICE, StopExperiment(experiment=first, owner_team=TEAM, reason="room"))
    assert rig.write(ALICE, StartExperiment(plan=third, owner_team=TEAM))["experiment"]


def test_callers_outside_are_the_controls_and_are_not_counted():
    rig = ExperimentRig(seed=9)
    id = rig.start(traffic=20.0)
    assert [arm.weight for arm in rig.endpoint().arms] == [90.0, 10.0]
    rig.callers_ask(2_000, MANY)
    rig.look()
    counts = rig.readout(id).counts
    assert counts.answers + counts.outside == 2_000
    assert counts.answers == pytest.approx(400, rel=0.15)


def test_a_second_experiment_on_an_endpoint_is_refused_with_the_name_of_the_first():
    rig = ExperimentRig()
    first = rig.start(traffic=10.0, layer="a")
    said = refused(rig, StartExperiment(plan=rig.plan_experiment(V3, traffic=10.0, layer="b"), owner_team=TEAM))
    assert first in said
    assert "one change at a time" in said


def test_a_release_under_way_and_an_experiment_exclude_each_other():
    rig = ExperimentRig()
    planned = rig.plan_experiment()
    release = rig.release(V3)
    said = refused(rig, StartExperiment(plan=planned, owner_team=TEAM))
    assert release in said
    assert "one change at a time" in said
    rig.write(ALICE, Rollback(environment=ENV, endpoint=NAME, reason="back", owner_team=TEAM))
    id = rig.write(ALICE, StartExperiment(plan=planned, owner_team=TEAM))["experiment"]
    said = refused(rig, ApplyPlan(plan=rig.plan(V3), owner_team=TEAM))
    assert id in said
    assert "one change at a time" in said


def test_a_rollback_during_an_experiment_wins_and_the_experiment_says_so():
    rig = ExperimentRig()
    rig.release(V2, strategy="blue_green", stages=None, watch_us=0)
    for _ in range(4):
        rig.serve(200)
        rig.tick()
    assert rig.endpoint().live.version == V2
    id = rig.start(V3)
    rig.write(BOB, Rollback(environment=ENV, endpoint=NAME, reason="v2 is bad", owner_team=TEAM))
    assert ([arm.version for arm in rig.endpoint().arms], rig.endpoint().experiment) == ([V1], None)
    rig.look()
    rig.look()
    assert (rig.experiment(id).state, rig.experiment(id).outcome) == ("ended", "interrupted")
    assert [arm.version for arm in rig.endpoint().arms] == [V1], "the end of the experiment moved a route that was not its own"


def test_answers_of_gateways_that_lag_or_err_are_told_apart_from_exposures():
    rig = ExperimentRig(seed=10)
    before = rig.generation()
    id = rig.start()
    rig.callers_ask(300, MANY)
    exposed = [r for r in rig.log if getattr(r, "exposure", None)]
    laggard = msgspec.structs.replace(exposed[0], id="late", generation=before, exposure=None, version=V1, role="live")
    wrong = V1 if exposed[1].version == V2 else V2
    rig.log += [laggard, msgspec.structs.replace(exposed[1], id="wrong", version=wrong)]
    rig.log += [msgspec.structs.replace(exposed[2], id="named", routed=False), exposed[3]]
    rig.look()
    readout = rig.readout(id)
    counts = readout.counts
    assert (counts.answers, counts.outdated, counts.misassigned, counts.duplicates) == (300, 1, 1, 1)
    assert "does not run this experiment" in readout.hidden, "one answer in 300 by the wrong arm is no small matter"


# By what right ----------------------------------------------------------------------------------------------------------


def test_a_plan_keeps_its_name_and_faults_are_told_all_at_once():
    rig = ExperimentRig()
    digest = rig.plan_experiment(V2, V3, shares=(30, 20), segments=(column("region", 3),), covariate=column("loyalty", 3))
    plan = rig.journal.get(KIND_EXPERIMENT_PLAN, digest, ExperimentPlan)
    assert (plan.digest, plan.shares, plan.versions) == (digest, (0.5, 0.3, 0.2), (V1, V2, V3))
    with pytest.raises(InvalidInput) as error:
        rig.plan_experiment(
            V1, shares=(100.0,), traffic=0.005, primary=Primary(metric="score", effect=0.0), guardrails=(), horizon_us=100 * DAY_US
        )
    wrong = {fault.where for fault in error.value.faults}
    assert wrong == {"variants", "traffic", "primary.effect", "guardrails", "times"}


@pytest.mark.parametrize("obstacle", ["pinned", "frozen", "stale", "old", "twice"])
def test_a_start_is_refused_when_something_stands_against_it(obstacle):
    rig = ExperimentRig()
    planned = rig.plan_experiment()
    start = StartExperiment(plan=planned, owner_team=TEAM)
    where = {"environment": ENV, "endpoint": NAME, "owner_team": TEAM, "reason": "drill"}
    if obstacle == "pinned":
        rig.write(ALICE, Pin(**where))
    elif obstacle == "frozen":
        rig.write(ALICE, FreezeReleases(**where))
    elif obstacle == "stale":
        rig.run(rig.release(V3, strategy="blue_green", stages=None, watch_us=0), 4, requests=200)
    elif obstacle == "old":
        rig.clock.advance(31 * DAY_US)
    else:
        rig.write(ALICE, start)
    said = refused(rig, start)
    expected = {"pinned": "pinned", "frozen": "frozen: drill", "stale": "stale", "old": "30 days", "twice": "runs once"}[obstacle]
    assert expected in said


def test_while_the_endpoint_is_pinned_only_a_person_ends_it():
    rig = ExperimentRig(seed=5)
    id = rig.start()
    rig.write(ALICE, Pin(environment=ENV, endpoint=NAME, owner_team=TEAM, reason="hands off"))
    for _ in range(3):
        rig.callers_ask(200, Crowd(callers=4_000, fails=lambda v: float(v == V2)))
        (seen,) = rig.look()
    assert rig.experiment(id).running
    assert "pinned" in seen.reason
    rig.write(ALICE, StopExperiment(experiment=id, owner_team=TEAM, reason="it fails"))
    assert rig.experiment(id).outcome == "stopped"


def test_evidence_cannot_be_made_up_by_people_and_a_winner_is_a_variant():
    everyone = Actor(subject="ann", roles=("engineer", "approver", "operator", "auditor", "admin"), teams=(TEAM,))
    assert not Policy().decide(everyone, ConcludeExperiment.action, "experiment/x", TEAM, {}).allowed
    assert Policy().decide(PLATFORM, ConcludeExperiment.action, "experiment/x", TEAM, {}).allowed
    rig = ExperimentRig()
    id = rig.start()
    with pytest.raises(InvalidInput):
        rig.write(PLATFORM, ConcludeExperiment(experiment=id, owner_team=TEAM, outcome="winner", winner=V1, reason="no variant"))


SHOWN = {
    "signed": True,
    "owner": True,
    "runbook": True,
    "card_missing": [],
    "lineage_missing": [],
    "incidents_open": 0,
    "alerts_open": 0,
    "error_budget_left_ppm": 1_000_000,
    "excepted": [],
}


def started_under_policy(tier: str, gates: str, approvers: tuple[str, ...], starter: str = "ann", **evidence: object) -> str:
    """What the shipped policy says to the start of an experiment with a version of this tier and these gates."""
    facts = (
        SHOWN
        | evidence
        | {
            "tier": tier,
            "gates": gates,
            "approvals_valid": len(approvers),
            "frozen": False,
            "author": "ann",
            "unattended": False,
        }
    )
    decision = Policy().decide(Actor(subject=starter, roles=("engineer",), teams=(TEAM,)), "Experiment.Start", "x/y", TEAM, facts)
    return "" if decision.allowed else ", ".join(decision.policy_ids)


def test_an_experiment_needs_what_a_release_needs_before_callers_meet_its_variants():
    assert started_under_policy("low", "pass", ("bob",)) == ""
    assert started_under_policy("high", "pass", ("bob", "carol")) == ""
    assert "experiment-approved" in started_under_policy("high", "pass", ("bob",))
    assert "experiment-approved" in started_under_policy("low", "pass", ())
    assert "experiment-gates-passed" in started_under_policy("low", "inconclusive", ("bob",))
    assert started_under_policy("low", "pass", ("bob",), signed=False) == "evidence-signed"
    assert started_under_policy("low", "pass", ("bob",), card_missing=["limitations"]) == ""
    assert started_under_policy("high", "pass", ("bob", "carol"), card_missing=["limitations"]) == "evidence-card"


def test_what_one_variant_lacks_the_experiment_lacks():
    rig = ExperimentRig()
    broken = ObserveBundle(
        bundle=version(3).bundle, envelope=version(3).envelope, signed=False, card_missing=("limitations",), lineage_missing=()
    )
    rig.write(PLATFORM, broken)
    found = []
    for versions in ((V2,), (V2, V3)):
        plan = rig.plan_experiment(*versions)
        facts = experiment_facts(StartExperiment(plan=plan, owner_team=TEAM), Looking(rig.journal, ALICE, 0))
        found.append((facts["signed"], facts["card_missing"], facts["gates"]))
    assert found == [(True, [], "pass"), (False, ["limitations"], "pass")]


def test_callers_meet_new_versions_only_in_the_teams_hours_and_by_the_teams_way():
    rig = ExperimentRig()
    planned = rig.plan_experiment()
    closed = Calendar(zone="UTC", openings=(Opening(opens="01:00", closes="02:00"),))
    rules = TeamRules(team=TEAM, environments=(Environment(name=ENV, calendar=closed),))
    rig.write(ALICE, DeclareTeamRules(rules=rules, reason="at night"))
    assert "nothing starts now" in refused(rig, StartExperiment(plan=planned, owner_team=TEAM))
    by_stage = TeamRules(team=TEAM, environments=(Environment(name="stage"), Environment(name=ENV, demands="live")))
    rig.write(ALICE, DeclareTeamRules(rules=by_stage, reason="by way of stage"))
    assert "stage" in refused(rig, StartExperiment(plan=planned, owner_team=TEAM))
    rig.write(ALICE, DeclareTeamRules(rules=TeamRules(team=TEAM), reason="as before"))
    assert rig.write(ALICE, StartExperiment(plan=planned, owner_team=TEAM))["experiment"]


def test_an_approval_is_of_exactly_one_plan_by_another_person():
    rig = ExperimentRig()
    planned = rig.plan_experiment()
    with pytest.raises(Forbidden, match="author"):
        rig.write(ALICE, ApproveExperiment(plan=planned, owner_team=TEAM))
    with pytest.raises(Forbidden, match="person"):
        rig.write(Actor(subject="bot", kind="service"), ApproveExperiment(plan=planned, owner_team=TEAM))
    rig.write(BOB, ApproveExperiment(plan=planned, owner_team=TEAM))
    id = rig.write(ALICE, StartExperiment(plan=planned, owner_team=TEAM))["experiment"]
    assert rig.experiment(id).started_by == "alice"
    with pytest.raises(Conflict):
        rig.write(BOB, ApproveExperiment(plan=planned, owner_team=TEAM))


# Whatever happens -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("die_after", [0, 1, 2, 3])
def test_a_controller_that_dies_is_continued_by_the_next_with_the_same_result(die_after):
    whole, broken = ExperimentRig(seed=11), ExperimentRig(seed=11)
    crowd = Crowd(callers=4_000, gain=better)
    ids = [rig.start(segments=(REGION,)) for rig in (whole, broken)]
    for hour in range(12):
        for rig in (whole, broken):
            rig.callers_ask(400, crowd)
        whole.look()
        if hour >= die_after:
            broken.experiments = ExperimentController(broken.journal, ENV, broken.report)
        broken.look()
    one, two = (rig.experiment(id) for rig, id in zip((whole, broken), ids, strict=True))
    assert (one.state, one.outcome, one.ended_us, one.report) == (two.state, two.outcome, two.ended_us, two.report)
    assert one.state == "ended"


def test_a_report_that_cannot_be_made_yet_is_made_by_a_later_look():
    rig = ExperimentRig(seed=12)
    id = rig.start()
    rig.callers_ask(100)
    rig.write(ALICE, StopExperiment(experiment=id, owner_team=TEAM, reason="enough"))
    assert rig.endpoint().experiment is None, "the route must not wait for the report"

    def broken(plan, experiment):
        raise Conflict("the store is away")

    rig.experiments = ExperimentController(rig.journal, ENV, broken)
    rig.look()
    assert rig.experiment(id).state == "concluding"
    rig.experiments = ExperimentController(rig.journal, ENV, rig.report)
    rig.look()
    assert rig.experiment(id).state == "ended"


def test_an_experiment_that_starts_while_another_runs_is_counted_from_its_own_start():
    rig = ExperimentRig(seed=13)
    other = second_endpoint(rig)
    first = rig.start()
    rig.callers_ask(200)
    rig.look()
    second = rig.start(endpoint=other)
    rig.callers_ask(200)
    rig.callers_ask(150, endpoint=other)
    rig.look()
    assert (rig.readout(first).counts.answers, rig.readout(second).counts.answers) == (400, 150)


def test_the_endpoint_of_an_experiment_is_a_route_that_can_be_published():
    rig = ExperimentRig()
    rig.start(V2, V3, shares=(100 / 3, 100 / 3), traffic=33.33)
    endpoint = rig.endpoint()
    assert msgspec.json.decode(msgspec.json.encode(endpoint), type=Endpoint) == endpoint
    assert sum(arm.weight for arm in endpoint.arms) == pytest.approx(100.0)
    assert CLICK.unlabelled == 0.0


def test_two_controllers_on_one_ledger_end_an_experiment_once():
    rig = ExperimentRig(seed=1)
    id = rig.start()
    second = ExperimentController(rig.journal, ENV, rig.report)
    for _ in range(12):
        rig.callers_ask(400, Crowd(callers=4_000, gain=better))
        rig.look()
        second.tick(rig.observations, rig.clock.now_us())
    ended = rig.experiment(id)
    assert [entry.event for entry in ended.log] == ["start", "winner", "proposed", "report"]
