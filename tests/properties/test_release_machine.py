"""Plans, approvals, routes, levers, crashes and clock jumps in any order: the invariants of a release hold after every step."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.release.harness import ALICE, ENV, NAME, SHORT, TEAM, Rig

from leverframe.core.actor import PLATFORM
from leverframe.core.clock import DAY_US, HOUR_US
from leverframe.core.command import Command
from leverframe.core.errors import Conflict, Forbidden, InvalidInput, NotFound, Refused
from leverframe.core.route import check_endpoint
from leverframe.release.commands import (
    AbortRelease,
    AdvanceRelease,
    ApplyPlan,
    CompleteRelease,
    FreezeReleases,
    Kill,
    PauseRelease,
    Pin,
    ResumeRelease,
    Rollback,
    SetFallback,
    UnfreezeReleases,
    Unkill,
    Unpin,
)
from leverframe.release.control.controller import Controller
from leverframe.release.machine import ACTIVE
from leverframe.release.records import KIND_RELEASE, Release

AT = {"environment": ENV, "endpoint": NAME, "owner_team": TEAM, "reason": "drill"}
SEEN: set[str] = set()
"""Events the explored histories went through; see the last test."""

VERSIONS = ("flight-delay@v1", "flight-delay@v2", "flight-delay@v3")


class ReleaseMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.rig = Rig()
        self.rig.write(ALICE, SetFallback(last_good=True, **AT))
        self.was_live: set[str] = set()
        self.plans: list[str] = []
        self.generation = self.rig.generation()
        self.route = self.rig.endpoint()

    def attempt(self, command: Command, *, platform: bool = False) -> None:
        """A refusal is a fine answer; what matters is what is true afterwards."""
        try:
            self.rig.write(PLATFORM if platform else ALICE, command)
        except (Refused, Conflict, NotFound, InvalidInput, Forbidden):
            return

    def releases(self) -> list[Release]:
        return self.rig.journal.find(KIND_RELEASE, Release)

    def current(self) -> Release:
        return self.rig.state(self.rig.endpoint().release)

    @rule(
        version=st.sampled_from(VERSIONS),
        strategy=st.sampled_from(["shadow_canary", "blue_green"]),
        supersede=st.booleans(),
        now=st.booleans(),
    )
    def plan(self, version: str, strategy: str, supersede: bool, now: bool) -> None:
        try:
            stages = SHORT if strategy == "shadow_canary" else None
            self.plans.append(self.rig.plan(version, strategy=strategy, stages=stages, supersede=supersede))
        except InvalidInput:
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

    @rule(version=st.sampled_from(VERSIONS))
    def a_quiet_release(self, version: str) -> None:
        """Plan, apply and serve without anyone interfering, so that histories get past the first stage."""
        self.plan(version, "shadow_canary", False, True)
        self.traffic(30, True)

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
        endpoint = check_endpoint(self.rig.endpoint())
        assert endpoint.live is not None

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
        states = [
            r.state
            for r in sorted(self.releases(), key=lambda r: r.log[0].generation)
            if r.candidate == good.version and r.state in decided
        ]
        assert states[-1] in ("watching", "completed")

    @invariant()
    def at_most_one_release_under_way_and_it_owns_the_route(self) -> None:
        active = [release for release in self.releases() if release.state in ACTIVE]
        assert len(active) <= 1
        if active:
            assert self.rig.endpoint().release == active[0].id
            assert active[0].candidate in [arm.version for arm in self.rig.endpoint().arms]
        else:
            assert len(self.rig.endpoint().arms) == 1, "without a release under way one version answers everyone"

    @invariant()
    def every_climb_rests_on_verdicts_that_all_pass(self) -> None:
        for release in self.releases():
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


ReleaseMachine.TestCase.settings = settings(max_examples=20, stateful_step_count=40, deadline=None, derandomize=True)
TestReleaseMachine = ReleaseMachine.TestCase


def test_the_histories_explored_above_went_everywhere() -> None:
    """Invariants over histories in which nothing happens would prove nothing."""
    assert {"apply", "proven", "harm", "watched", "last good"} <= SEEN
    assert SEEN & {"pause", "abort", "rollback", "supersede"}
