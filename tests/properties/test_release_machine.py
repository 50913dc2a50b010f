"""Plans, approvals, routes, lines, levers, hours, two environments, two control planes, crashes and clock jumps in any order: the
invariants of a release hold after every step."""

import math

import msgspec
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.release.harness import ALICE, ENV, NAME, SHORT, TEAM, Register, Rig, version

from leverframe.core.actor import PLATFORM
from leverframe.core.clock import DAY_US, HOUR_US
from leverframe.core.command import Command
from leverframe.core.descent import MadeFrom
from leverframe.core.errors import Conflict, Forbidden, InvalidInput, NotFound, Refused
from leverframe.core.route import Endpoint, check_endpoint
from leverframe.release.commands import (
    AbortRelease,
    AdvanceRelease,
    ApplyPlan,
    CompleteRelease,
    DeclareTeamRules,
    FreezeReleases,
    KeepRelease,
    Kill,
    LiftRollbackLimit,
    PauseRelease,
    Pin,
    PlanRelease,
    ResumeRelease,
    Rollback,
    SetFallback,
    UnfreezeReleases,
    Unkill,
    Unpin,
)
from leverframe.release.control.controller import Controller
from leverframe.release.machine import ACTIVE
from leverframe.release.plans.plan import KIND_PLAN, ReleasePlan
from leverframe.release.plans.team_rules import Environment, TeamRules
from leverframe.release.plans.windows import Calendar, Opening, closed_because
from leverframe.release.records import KIND_ENDPOINT, KIND_QUEUE, KIND_RELEASE, Queue, Release
from leverframe.release.rollout.standing import began, standing

AT = {"environment": ENV, "endpoint": NAME, "owner_team": TEAM, "reason": "drill"}
SEEN: set[str] = set()
"""Events the explored histories went through; see the last test."""

STAGE = "stage"
OFFICE = Calendar(
    zone="Europe/Vienna", openings=(Opening(weekdays=("mon", "tue", "wed", "thu", "fri", "sat"), opens="06:00", closes="18:00"),)
)
RULES = (
    TeamRules(team=TEAM),
    TeamRules(team=TEAM, environments=(Environment(name=STAGE), Environment(name=ENV, demands="live"))),
    TeamRules(
        team=TEAM, environments=(Environment(name=STAGE), Environment(name=ENV, demands="nothing", calendar=OFFICE)), rollbacks_max=9
    ),
)
"""What a team may declare while releases are under way."""

CHILD = "cost"
CHILDREN = ("cost@v2", "cost@v3")
VERSIONS = ("flight-delay@v1", "flight-delay@v2", "flight-delay@v3")


class ReleaseMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.rig = self.make_rig()
        self.other = Controller(self.rig.journal, ENV)
        self.in_stage = Controller(self.rig.journal, STAGE)
        for number in (1, 2, 3):
            parent = (MadeFrom(version=f"{NAME}@v{number}"),) if number > 1 else msgspec.UNSET
            digest = f"sha256:{70 + number:064x}"
            child = msgspec.structs.replace(version(number), model=CHILD, bundle=digest, envelope=digest, made_from=parent)
            self.rig.write(ALICE, Register(record=child))
        self.a_child(f"{CHILD}@v1", "initial", "roll_back")
        self.rig.tick()
        self.rig.write(ALICE, SetFallback(last_good=True, **AT))
        self.was_live: set[str] = set()
        self.plans: list[str] = []
        self.generation = self.rig.generation()
        self.route = self.rig.endpoint()

    def make_rig(self) -> Rig:
        """The control plane that histories are made on."""
        return Rig()

    def attempt(self, command: Command, *, platform: bool = False) -> None:
        """A refusal is a fine answer; what matters is what is true afterwards."""
        try:
            self.rig.write(PLATFORM if platform else ALICE, command)
        except (Refused, Conflict, NotFound, InvalidInput, Forbidden):
            return

    def releases(self, environment: str = ENV) -> list[Release]:
        return self.rig.journal.find(KIND_RELEASE, Release, prefix=f"{environment}.{NAME}.")

    def children(self) -> list[Release]:
        return self.rig.journal.find(KIND_RELEASE, Release, prefix=f"{ENV}.{CHILD}.")

    def plan_of(self, release: Release) -> ReleasePlan:
        plan = self.rig.journal.get(KIND_PLAN, release.plan, ReleasePlan)
        assert plan is not None
        return plan

    def current(self) -> Release:
        return self.rig.state(self.rig.endpoint().release)

    @rule(
        version=st.sampled_from(VERSIONS),
        strategy=st.sampled_from(["shadow_canary", "blue_green"]),
        when_busy=st.sampled_from(["refuse", "supersede", "queue", "follow"]),
        dependants=st.sampled_from([None, "roll_back", "flag"]),
        now=st.booleans(),
    )
    def plan(self, version: str, strategy: str, when_busy: str, dependants: str | None, now: bool) -> None:
        fields = {} if when_busy == "refuse" else {when_busy: True}
        if strategy == "blue_green":
            fields["watch_us"] = 6 * HOUR_US
        try:
            stages = SHORT if strategy == "shadow_canary" else None
            self.plans.append(self.rig.plan(version, strategy=strategy, stages=stages, dependants=dependants, **fields))
        except (InvalidInput, Refused):
            return
        if now:
            self.attempt(ApplyPlan(plan=self.plans[-1], owner_team=TEAM))

    @precondition(lambda self: self.plans)
    @rule(data=st.data())
    def apply_any(self, data: st.DataObject) -> None:
        self.attempt(ApplyPlan(plan=data.draw(st.sampled_from(self.plans)), owner_team=TEAM))

    @rule(hours=st.sampled_from([1, 30]), labels=st.booleans())
    def hours_of_traffic(self, hours: int, labels: bool) -> None:
        self.traffic(hours, labels)

    def traffic(self, hours: int, labels: bool) -> None:
        for _ in range(hours):
            self.rig.serve(labels=labels)
            self.rig.tick()

    @rule(version=st.sampled_from(VERSIONS), dependants=st.sampled_from(["roll_back", "flag"]))
    def a_quiet_release(self, version: str, dependants: str) -> None:
        """Plan, apply and serve without anyone interfering, so that histories get past the first stage."""
        self.plan(version, "shadow_canary", "refuse", dependants, True)
        self.traffic(30, True)

    @rule(version=st.sampled_from(VERSIONS), dependants=st.sampled_from(["roll_back", "flag"]))
    def a_quiet_switch(self, version: str, dependants: str) -> None:
        """The same at once, to its end, so that releases come to stand on releases."""
        self.plan(version, "blue_green", "refuse", dependants, True)
        self.traffic(8, False)

    @rule(versions=st.permutations(VERSIONS), dependants=st.sampled_from(["roll_back", "flag"]))
    def a_tower_that_falls(self, versions: list[str], dependants: str) -> None:
        """One release on top of the other, and then the lower one is taken back."""
        low, high = [each for each in versions if self.rig.endpoint().live and each != self.rig.endpoint().live.version][:2]
        self.a_quiet_switch(low, dependants)
        below = self.current()
        self.a_quiet_switch(high, dependants)
        self.attempt(Rollback(**AT, release=below.id))

    @rule(version=st.sampled_from(CHILDREN), strategy=st.sampled_from(["blue_green"]), dependants=st.sampled_from(["roll_back", "flag"]))
    def a_child(self, version: str, strategy: str, dependants: str) -> None:
        """A release at another endpoint, of a version that was made from the one of the same number here."""
        more = {"strategy": strategy, "dependants": dependants, "supersede": strategy != "initial"}
        command = PlanRelease(environment=ENV, endpoint=CHILD, version=version, owner_team=TEAM, watch_us=0, **more)
        try:
            plan = self.rig.write(ALICE, command)["plan"]
        except (InvalidInput, Refused):
            return
        self.attempt(ApplyPlan(plan=plan, owner_team=TEAM))
        release = self.children()[-1]
        if release.state == "watching":
            self.attempt(CompleteRelease(release=release.id, stage=0, owner_team=TEAM, reason="watched"), platform=True)

    @rule(number=st.sampled_from([2, 3]), dependants=st.sampled_from(["roll_back", "flag"]))
    def a_family_that_falls(self, number: int, dependants: str) -> None:
        """A version, then what was made from it, and then the version is taken back."""
        self.a_quiet_switch(f"{NAME}@v{number}", "roll_back")
        parent = self.current()
        self.a_child(f"{CHILD}@v{number}", "blue_green", dependants)
        self.attempt(Rollback(**AT, release=parent.id))

    @rule(version=st.sampled_from(VERSIONS))
    def one_behind_the_other(self, version: str) -> None:
        """A second release waits in line while the first one runs."""
        self.plan(version, "shadow_canary", "refuse", None, True)
        for other in VERSIONS:
            self.plan(other, "shadow_canary", "queue", None, True)
        self.traffic(3, True)

    @rule(version=st.sampled_from(VERSIONS))
    def a_bad_release(self, version: str) -> None:
        """Harm in the first hours."""
        self.plan(version, "shadow_canary", "supersede", None, True)
        self.traffic_with_a_bad_candidate()

    @rule(version=st.sampled_from(VERSIONS), strategy=st.sampled_from(["initial", "blue_green"]))
    def below(self, version: str, strategy: str) -> None:
        """A release in the environment below, which has no traffic of its own here."""
        command = PlanRelease(environment=STAGE, endpoint=NAME, version=version, owner_team=TEAM, strategy=strategy)
        try:
            plan = self.rig.write(ALICE, command)["plan"]
        except (InvalidInput, Refused):
            return
        self.attempt(ApplyPlan(plan=plan, owner_team=TEAM))
        self.in_stage.tick(lambda _: (), self.rig.clock.now_us())

    @rule(rules=st.sampled_from(RULES))
    def declare(self, rules: TeamRules) -> None:
        self.attempt(DeclareTeamRules(rules=rules, reason="drill"))

    @rule()
    def the_other_control_plane_looks(self) -> None:
        """A second worker on the same ledger; what both decide is done once."""
        self.other.tick(self.rig.observations, self.rig.clock.now_us())

    @rule(data=st.data(), environment=st.sampled_from([ENV, ENV, STAGE]))
    def take_back_any(self, data: st.DataObject, environment: str) -> None:
        """A person takes back a release of any age, and with it what stands on it."""
        found = self.releases(environment)
        if found:
            release = data.draw(st.sampled_from(found))
            self.attempt(Rollback(**{**AT, "environment": environment}, release=release.id))

    @rule(command=st.sampled_from([LiftRollbackLimit, KeepRelease]))
    def a_person_looks(self, command: type[Command]) -> None:
        if command is LiftRollbackLimit:
            self.attempt(LiftRollbackLimit(**AT))
        for release in self.releases():
            if command is KeepRelease and release.flagged:
                self.attempt(KeepRelease(release=release.id, owner_team=TEAM, reason="looked"))

    @rule()
    def traffic_with_a_bad_candidate(self) -> None:
        candidate = self.current().candidate
        for _ in range(3):
            active = self.current().active
            self.rig.serve(score=lambda version, score, bad=active: 0.95 if bad and version == candidate else score)
            self.rig.tick()

    @rule(jump_us=st.sampled_from([HOUR_US, -HOUR_US, 400 * DAY_US, -400 * DAY_US]))
    def clock_jump(self, jump_us: int) -> None:
        self.rig.clock.advance(jump_us)
        self.rig.tick()

    @rule()
    def crash(self) -> None:
        self.rig.controller = Controller(self.rig.journal, ENV)

    @rule(command=st.sampled_from([Pin, Kill, FreezeReleases, Rollback, Unpin, Unkill, UnfreezeReleases]), back=st.booleans())
    def lever(self, command: type[Command], back: bool) -> None:
        self.attempt(command(**AT))
        opposite = {Pin: Unpin, Kill: Unkill, FreezeReleases: UnfreezeReleases}.get(command)
        if back and opposite:
            self.attempt(opposite(**AT))

    @precondition(lambda self: self.current().active)
    @rule(commands=st.sampled_from([(PauseRelease,), (PauseRelease, ResumeRelease), (ResumeRelease,), (AbortRelease,)]))
    def operate(self, commands: tuple[type[Command], ...]) -> None:
        for command in commands:
            self.attempt(command(release=self.current().id, owner_team=TEAM, reason="drill"))

    @rule(stage=st.integers(min_value=0, max_value=3), command=st.sampled_from([AdvanceRelease, CompleteRelease]))
    def push_without_evidence(self, stage: int, command: type[Command]) -> None:
        before = self.current()
        self.attempt(command(release=before.id, stage=stage, owner_team=TEAM, reason="please"), platform=True)
        assert self.current().stage == before.stage

    @invariant()
    def one_live_version_and_weights_of_100(self) -> None:
        for endpoint in self.rig.journal.find(KIND_ENDPOINT, Endpoint):
            assert check_endpoint(endpoint).live is not None
            assert [arm.role for arm in endpoint.arms].count("live") == 1

    @invariant()
    def who_waits_is_in_line_and_nobody_else(self) -> None:
        queue = self.rig.journal.get(KIND_QUEUE, f"{ENV}/{NAME}", Queue)
        line = [each.release for each in queue.waiting] if queue else []
        assert sorted(line) == sorted(release.id for release in self.releases() if release.state == "planned")

    @invariant()
    def nothing_started_or_climbed_in_a_closed_hour_of_its_plan(self) -> None:
        for release in self.releases():
            calendar = self.plan_of(release).calendar
            for entry in release.log:
                if calendar and entry.event in ("apply", "proven"):
                    SEEN.add("hours")
                    assert closed_because(calendar, entry.at_us) == ""

    @invariant()
    def what_was_taken_back_is_in_charge_of_nothing(self) -> None:
        for environment in (ENV, STAGE):
            owner = self.rig.journal.get(KIND_ENDPOINT, f"{environment}/{NAME}", Endpoint)
            for release in self.releases(environment):
                if owner is not None and release.state == "rolled_back" and owner.release == release.id:
                    assert len(owner.arms) == 1

    @invariant()
    def what_stands_in_was_live_is_not_live_and_was_not_taken_back(self) -> None:
        endpoint = self.rig.endpoint()
        live, good = endpoint.live, endpoint.fallback.last_good
        assert live is not None
        self.was_live.add(live.version)
        if good is None:
            return
        SEEN.add("last good")
        assert good.version != live.version
        assert good.version in self.was_live
        decided = {"watching", "completed", "rolled_back", "aborted"}
        # One that ended in line never began: nobody met its version, and it says nothing about it.
        met = sorted((release for release in self.releases() if math.isfinite(began(release))), key=began)
        states = [r.state for r in met if r.candidate == good.version and r.state in decided]
        assert states[-1] in ("watching", "completed")

    @invariant()
    def at_most_one_release_under_way_and_it_owns_the_route(self) -> None:
        assert len([release for release in self.releases(STAGE) if release.state in ACTIVE]) <= 1
        active = [release for release in self.releases() if release.state in ACTIVE]
        assert len(active) <= 1
        if active:
            assert self.rig.endpoint().release == active[0].id
            assert active[0].candidate in [arm.version for arm in self.rig.endpoint().arms]
        else:
            assert len(self.rig.endpoint().arms) == 1, "without a release under way one version answers everyone"

    @invariant()
    def nobody_stands_on_what_was_made_from_a_version_taken_back_after_it_unless_a_person_was_told(self) -> None:
        endpoint = self.rig.journal.get(KIND_ENDPOINT, f"{ENV}/{CHILD}", Endpoint)
        if endpoint is None:
            return
        live = [r for r in self.children() if r.candidate in CHILDREN and (r.active or r.state == "completed")]
        for parent in (release for release in self.releases() if live and release.state == "rolled_back"):
            known = self.rig.journal.history(KIND_RELEASE, parent.id, Release)
            gone = next(revision.seq for revision in known if revision.record and revision.record.state == "rolled_back")
            started = next(revision.seq for revision in known if revision.record and revision.record.state != "planned")
            for child in live:
                begun = self.rig.journal.history(KIND_RELEASE, child.id, Release)[0].seq
                if child.candidate == parent.candidate.replace(NAME, CHILD) and started < begun < gone:
                    SEEN.add("child flagged")
                    told = any(entry.event == "flagged" and entry.cause for entry in child.log)
                    assert told or child not in standing(self.rig.journal, ENV, endpoint)
        for child in self.children():
            if child.log[-1].cause and child.state == "rolled_back":
                SEEN.add("child taken back")
                assert child.candidate not in [arm.version for arm in endpoint.arms] or endpoint.release != child.id

    @invariant()
    def every_climb_rests_on_verdicts_that_all_pass(self) -> None:
        for release in (*self.releases(), *self.releases(STAGE)):
            for entry in release.log:
                SEEN.add(entry.event)
                if entry.event == "proven":
                    assert entry.verdicts
                    assert all(verdict.answer == "pass" for verdict in entry.verdicts)

    @invariant()
    def no_route_changes_without_a_new_generation(self) -> None:
        generation, route = self.rig.generation(), self.rig.endpoint()
        assert generation >= self.generation
        assert route == self.route or generation > self.generation
        self.generation, self.route = generation, route

    def teardown(self) -> None:
        """Every state that any record was ever in was put there by an entry of the audit chain."""
        entries = {entry.seq: entry for entry in self.rig.journal.audit(limit=100_000)}
        releases = (*self.releases(), *self.releases(STAGE))
        for kind, id, type in (
            *((KIND_ENDPOINT, f"{environment}/{NAME}", Endpoint) for environment in (ENV, STAGE)),
            *((KIND_RELEASE, release.id, Release) for release in (*releases, *self.children())),
        ):
            for revision in self.rig.journal.history(kind, id, type):
                entry = entries[revision.seq]
                assert (entry.actor, entry.action) == (revision.actor, revision.action)
                assert entry.action.startswith("Release.")


ReleaseMachine.TestCase.settings = settings(
    max_examples=20, stateful_step_count=40, deadline=None, derandomize=True, phases=(Phase.explicit, Phase.generate)
)
TestReleaseMachine = ReleaseMachine.TestCase


def test_the_histories_explored_above_went_everywhere() -> None:
    """Invariants over histories in which nothing happens would prove nothing."""
    assert {"apply", "proven", "harm", "watched", "last good", "queue", "undermined", "flagged", "hours", "rollback"} <= SEEN, SEEN
    assert {"child taken back", "child flagged"} <= SEEN, SEEN
    assert SEEN & {"pause", "abort", "supersede"}
