"""P20, P21, P22, P34 on the real thing: two control planes on one PostgreSQL, in any order and at the same time."""

import random
import threading
import uuid
from collections.abc import Iterator

import psycopg
import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from sqlalchemy import make_url
from tests.properties.test_release_machine import AT, STAGE, ReleaseMachine
from tests.release.harness import ALICE, ENV, NAME, REGISTER, SHORT, TEAM, Register, Rig, version

from leverframe.core.actor import PLATFORM
from leverframe.core.command import Command
from leverframe.core.errors import LeverframeError
from leverframe.core.route import Endpoint, check_endpoint
from leverframe.governance.ledger.memory import AllowEverything
from leverframe.governance.ledger.store import Ledger
from leverframe.release.commands import (
    HANDLERS,
    AbortRelease,
    AdvanceRelease,
    ApplyPlan,
    FreezeReleases,
    LiftRollbackLimit,
    PlanRelease,
    Rollback,
    UnfreezeReleases,
)
from leverframe.release.control.controller import Controller
from leverframe.release.machine import ACTIVE
from leverframe.release.records import KIND_ENDPOINT, KIND_GENERATION, KIND_RELEASE, Generation, Release

pytestmark = pytest.mark.slow

THREADS = 4
COMMANDS_EACH = 60


class TwoPlanes(Rig):
    """A rig whose commands go to either of two ledgers on one database, in turn."""

    def __init__(self, url: str) -> None:
        self.ledgers: list[Ledger] = []
        super().__init__(initial=False, versions=())
        self.ledgers = [Ledger(url, self.clock, AllowEverything(), (*HANDLERS, REGISTER)) for _ in range(2)]
        self.journal = self.ledgers[0]
        self.controller = Controller(self.journal, ENV)
        for number in (1, 2, 3):
            self.write(ALICE, Register(record=version(number)))
        self.release("flight-delay@v1", strategy="initial")
        self.tick()

    def write(self, actor, command: Command, key: str = "") -> dict:
        self.serial += 1
        if not self.ledgers:  # the rig's own beginnings, in memory, which are let go of
            return super().write(actor, command, key)
        return self.ledgers[self.serial % 2].write(actor, command, key=key or f"k{self.serial}").result

    def close(self) -> None:
        for ledger in self.ledgers:
            ledger.close()


@pytest.fixture
def databases(postgresql_server: str) -> Iterator[object]:
    """Makes a fresh database each time it is called; all of them go at the end."""
    made: list[str] = []

    def make() -> str:
        made.append(f"t{uuid.uuid4().hex}")
        with psycopg.connect(postgresql_server, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{made[-1]}"')
        return make_url(postgresql_server).set(database=made[-1]).render_as_string(hide_password=False)

    yield make
    with psycopg.connect(postgresql_server, autocommit=True) as connection:
        for name in made:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def test_the_machine_s_histories_hold_on_two_control_planes(databases) -> None:
    class OnPostgreSQL(ReleaseMachine):
        def make_rig(self) -> Rig:
            self.planes = TwoPlanes(databases())
            return self.planes

        def __init__(self) -> None:
            super().__init__()
            self.other = Controller(self.planes.ledgers[1], ENV)
            self.in_stage = Controller(self.planes.ledgers[1], STAGE)

        def teardown(self) -> None:
            super().teardown()
            self.planes.close()

    how = settings(max_examples=4, stateful_step_count=12, deadline=None, derandomize=True, phases=(Phase.generate,), database=None)
    run_state_machine_as_test(OnPostgreSQL, settings=how)


def _commands(rig: TwoPlanes, ledger: Ledger, chance: random.Random) -> Command | None:
    """Something that somebody might ask for just now."""
    releases = ledger.find(KIND_RELEASE, Release)
    choice = chance.random()
    if choice < 0.45:
        blue = chance.random() < 0.5
        when = chance.choice([{}, {"supersede": True}, {"queue": True}, {"follow": True}])
        return PlanRelease(
            environment=ENV,
            endpoint=NAME,
            version=f"flight-delay@v{chance.randint(1, 3)}",
            owner_team=TEAM,
            strategy="blue_green" if blue else "shadow_canary",
            stages=None if blue else SHORT,
            dependants=chance.choice([None, "flag"]),
            **when,
        )
    if choice < 0.65:
        return Rollback(**AT, release=chance.choice(["", chance.choice(releases).id]))
    if choice < 0.8:
        return AbortRelease(release=chance.choice(releases).id, owner_team=TEAM, reason="drill")
    if choice < 0.9:
        return chance.choice([FreezeReleases, UnfreezeReleases, LiftRollbackLimit])(**AT)
    return AdvanceRelease(release=chance.choice(releases).id, stage=0, owner_team=TEAM, reason="please")


def test_asked_at_the_same_time_nothing_is_ever_done_twice_or_by_halves(databases) -> None:
    rig = TwoPlanes(databases())
    done: list[str] = []
    broken: list[BaseException] = []
    codes: set[str] = set()

    def ask(number: int) -> None:
        chance, ledger = random.Random(number), rig.ledgers[number % 2]
        controller = Controller(ledger, ENV)
        try:
            for step in range(COMMANDS_EACH):
                command = _commands(rig, ledger, chance)
                actor = PLATFORM if isinstance(command, AdvanceRelease) else ALICE
                try:
                    result = ledger.write(actor, command, key=f"{number}/{step}").result
                    if isinstance(command, PlanRelease):
                        ledger.write(ALICE, ApplyPlan(plan=result["plan"], owner_team=TEAM), key=f"{number}/{step}/apply")
                    done.append(type(command).__name__)
                    controller.tick(lambda _: (), rig.clock.now_us())
                except LeverframeError as refused:
                    codes.add(refused.code)
        except BaseException as error:
            broken.append(error)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120.0)
    assert broken == []
    assert {"PlanRelease", "Rollback", "AbortRelease"} <= set(done), "otherwise nothing was tried"
    assert {"conflict", "refused"} <= codes, "nobody was in anybody's way"
    assert "AdvanceRelease" not in done, "a climb without a single verdict"
    _check(rig)
    rig.close()


def _check(rig: TwoPlanes) -> None:
    """The whole past, entry by entry: one live version, weights of 100, one release under way, one generation a route."""
    journal = rig.journal
    routes = journal.history(KIND_ENDPOINT, f"{ENV}/{NAME}", Endpoint)
    generations = [revision.record.value for revision in journal.history(KIND_GENERATION, ENV, Generation)]
    assert generations == list(range(1, len(generations) + 1)), "no update was lost"
    assert len(routes) == len(generations)
    for revision in routes:
        assert check_endpoint(revision.record).live is not None
    changes = sorted(
        (revision.seq, release.id, revision.record.state)
        for release in journal.find(KIND_RELEASE, Release)
        for revision in journal.history(KIND_RELEASE, release.id, Release)
    )
    states: dict[str, str] = {}
    last = 0
    for seq, id, state in [*changes, (1 << 60, "", "")]:
        if seq != last:
            assert sum(each in ACTIVE for each in states.values()) <= 1, f"two releases under way after entry {last}"
        last = seq
        states[id] = state
    owners = {revision.record.release for revision in routes}
    assert owners <= {release.id for release in journal.find(KIND_RELEASE, Release)}
