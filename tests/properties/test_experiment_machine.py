"""Experiments, releases, levers and crashes in any order: a route is always whole, and never decided by two at once."""

from itertools import pairwise

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.release.experiment_rig import ALICE, ENV, NAME, TEAM, Crowd, ExperimentRig

from leverframe.core.actor import PLATFORM
from leverframe.core.clock import DAY_US, HOUR_US
from leverframe.core.command import Command
from leverframe.core.errors import Conflict, Forbidden, InvalidInput, NotFound, Refused
from leverframe.core.route import Endpoint, check_endpoint
from leverframe.release.commands import (
    AbortRelease,
    ApplyPlan,
    FreezeReleases,
    Kill,
    Pin,
    PlanRelease,
    Rollback,
    UnfreezeReleases,
    Unkill,
    Unpin,
)
from leverframe.release.experiments.controller import ExperimentController
from leverframe.release.experiments.plan import KIND_EXPERIMENT_PLAN, ExperimentPlan
from leverframe.release.experiments.planning import StartExperiment
from leverframe.release.experiments.records import KIND_EXPERIMENT, Experiment
from leverframe.release.experiments.running import ConcludeExperiment, StopExperiment
from leverframe.release.records import KIND_ENDPOINT, KIND_RELEASE, Release

ENDPOINTS = (NAME, "arrivals")
VERSIONS = tuple(f"flight-delay@v{n}" for n in (1, 2, 3))
PULLS = {"pin": Pin, "unpin": Unpin, "kill": Kill, "unkill": Unkill, "freeze": FreezeReleases, "unfreeze": UnfreezeReleases}
SEEN: set[str] = set()
"""What the explored histories went through; see the last test."""


class Machine(RuleBasedStateMachine):
    """Whatever is refused changes nothing; whatever is not leaves every route whole."""

    @initialize()
    def begin(self) -> None:
        self.rig = ExperimentRig(seed=1)
        for name in ENDPOINTS[1:]:
            command = PlanRelease(environment=ENV, endpoint=name, version=VERSIONS[0], owner_team=TEAM, strategy="initial")
            self.rig.write(ALICE, ApplyPlan(plan=self.rig.write(ALICE, command)["plan"], owner_team=TEAM))
        self.rig.tick()
        self.planned: list[str] = []

    def attempt(self, command: Command, platform: bool = False) -> dict:
        try:
            return self.rig.write(PLATFORM if platform else ALICE, command) or {}
        except (Refused, Conflict, NotFound, InvalidInput, Forbidden) as refused:
            SEEN.add("one change at a time" if "one change at a time" in refused.sentence() else "refused")
            SEEN.update({"layer is full"} if "% of callers left" in refused.sentence() else ())
            return {}

    def experiments(self) -> list[Experiment]:
        return self.rig.journal.find(KIND_EXPERIMENT, Experiment)

    @rule(
        endpoint=st.sampled_from(ENDPOINTS),
        versions=st.sampled_from([VERSIONS[1:2], VERSIONS[1:], VERSIONS[2:]]),
        layer=st.sampled_from(["", "a", "b"]),
        traffic=st.sampled_from([0.01, 25.0, 50.0, 66.67, 100.0]),
    )
    def plan_and_start(self, endpoint, versions, layer, traffic) -> None:
        live = self.endpoint(endpoint).live
        versions = tuple(version for version in versions if live is not None and version != live.version)
        if not versions:
            return
        self.planned.append(self.rig.plan_experiment(*versions, endpoint=endpoint, layer=layer, traffic=traffic))
        self.attempt(StartExperiment(plan=self.planned[-1], owner_team=TEAM))

    @rule(which=st.integers(0, 20))
    def start_again(self, which) -> None:
        if self.planned:
            self.attempt(StartExperiment(plan=self.planned[which % len(self.planned)], owner_team=TEAM))

    @rule(version=st.sampled_from(VERSIONS[1:]), outcome=st.sampled_from(["winner", "stopped"]))
    def whole(self, version, outcome) -> None:
        """From start to report, whatever stands around it."""
        self.plan_and_start(NAME, (version,), "a", 50.0)
        self.end(0, outcome)
        self.rig.look()

    @rule(which=st.integers(0, 20), outcome=st.sampled_from(["winner", "harm", "futile", "horizon", "stopped"]))
    def end(self, which, outcome) -> None:
        found = self.experiments()
        # Mostly one that runs; now and then one that ended long ago.
        found = [each for each in found if each.running] or found
        if not found:
            return
        one = found[which % len(found)]
        if outcome == "stopped":
            self.attempt(StopExperiment(experiment=one.id, owner_team=TEAM, reason="enough"))
            return
        winner = self.plan(one).versions[-1] if outcome == "winner" else ""
        command = ConcludeExperiment(experiment=one.id, owner_team=TEAM, outcome=outcome, winner=winner, reason="evidence")
        self.attempt(command, platform=True)

    def plan(self, experiment: Experiment) -> ExperimentPlan:
        found = self.rig.journal.get(KIND_EXPERIMENT_PLAN, experiment.plan, ExperimentPlan)
        assert found is not None
        return found

    @rule(endpoint=st.sampled_from(ENDPOINTS), version=st.sampled_from(VERSIONS), strategy=st.sampled_from(["canary", "blue_green"]))
    def release(self, endpoint, version, strategy) -> None:
        live = self.endpoint(endpoint).live
        if live is not None and live.version != version:
            facts = {"environment": ENV, "endpoint": endpoint, "owner_team": TEAM, "watch_us": 0}
            rules = () if strategy == "blue_green" else None
            planned = self.attempt(PlanRelease(version=version, strategy=strategy, rules=rules, **facts))
            if planned:
                self.attempt(ApplyPlan(plan=planned["plan"], owner_team=TEAM))
                self.rig.tick()

    @rule(endpoint=st.sampled_from(ENDPOINTS))
    def abort(self, endpoint) -> None:
        self.attempt(AbortRelease(release=self.endpoint(endpoint).release, owner_team=TEAM, reason="no"))

    @rule(endpoint=st.sampled_from(ENDPOINTS))
    def rollback(self, endpoint) -> None:
        self.attempt(Rollback(environment=ENV, endpoint=endpoint, owner_team=TEAM, reason="back"))

    @rule(endpoint=st.sampled_from(ENDPOINTS), version=st.sampled_from(VERSIONS))
    def cut_short(self, endpoint, version) -> None:
        """Another version comes to be live, an experiment starts on it, and it is rolled back from."""
        self.release(endpoint, version, "blue_green")
        self.plan_and_start(endpoint, VERSIONS, "", 50.0)
        self.rollback(endpoint)
        self.rig.look()

    @rule(endpoint=st.sampled_from(ENDPOINTS), lever=st.sampled_from(sorted(PULLS)))
    def pull(self, endpoint, lever) -> None:
        self.attempt(PULLS[lever](environment=ENV, endpoint=endpoint, owner_team=TEAM, reason="drill"))

    @rule(requests=st.integers(0, 30), hours=st.sampled_from([0, 1, 7]), back=st.booleans(), crash=st.booleans())
    def time_passes(self, requests, hours, back, crash) -> None:
        self.rig.callers_ask(requests, Crowd(), minutes=30)
        self.rig.clock.advance(hours * HOUR_US if not back else -min(hours, 1) * HOUR_US)
        if crash:
            self.rig.experiments = ExperimentController(self.rig.journal, ENV, self.rig.report)
        self.rig.look()
        self.rig.tick()

    @rule()
    def days_pass(self) -> None:
        self.rig.clock.advance(5 * DAY_US)
        self.rig.look()

    def endpoint(self, name: str) -> Endpoint:
        found = self.rig.journal.get(KIND_ENDPOINT, f"{ENV}/{name}", Endpoint)
        assert found is not None
        return found

    @invariant()
    def every_route_is_whole_and_decided_by_one(self) -> None:
        if not hasattr(self, "planned"):
            return
        running = {each.id: each for each in self.experiments() if each.running}
        for name in ENDPOINTS:
            endpoint = check_endpoint(self.endpoint(name))
            release = self.rig.journal.get(KIND_RELEASE, endpoint.release, Release)
            if endpoint.experiment is None:
                continue
            assert release is None or not release.active, "a release and an experiment decide one route"
            owner = running.get(endpoint.experiment.experiment)
            assert owner is not None, "the route is of an experiment that does not run"
            assert owner.endpoint == name
            assert owner.assignment == endpoint.experiment
            assert [arm.version for arm in endpoint.arms] == list(self.plan(owner).versions)

    @invariant()
    def nobody_is_in_two_experiments_of_a_layer(self) -> None:
        if not hasattr(self, "planned"):
            return
        running = sorted((e.layer, e.assignment.low, e.assignment.high) for e in self.experiments() if e.running and e.layer)
        for (layer, _, high), (other, low, _) in pairwise(running):
            assert layer != other or high <= low

    @invariant()
    def what_ended_stays_ended_and_has_a_reason(self) -> None:
        if not hasattr(self, "planned"):
            return
        for each in self.experiments():
            assert each.running == (each.outcome == "")
            assert (each.state == "ended") == bool(each.report)
            assert each.running or each.log[1].reason
            SEEN.add(each.outcome or "running")
            SEEN.update(entry.event for entry in each.log)


Machine.TestCase.settings = settings(
    max_examples=40,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
TestExperimentMachine = Machine.TestCase


def test_the_histories_went_everywhere() -> None:
    """Runs last: without this the invariants could be of histories in which nothing happened."""
    assert {"running", "winner", "proposed", "stopped", "report", "refused", "one change at a time"} <= SEEN
    assert len(SEEN & {"harm", "futile", "horizon", "interrupted", "layer is full"}) >= 3
