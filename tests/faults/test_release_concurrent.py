"""P21 (in process): concurrent promotions have one winner, on the real ledger."""

import threading
from pathlib import Path

from tests.release.harness import ALICE, ENV, NAME, REGISTER, TEAM, Register, Rig, version

from leverframe.core.errors import LeverframeError
from leverframe.core.route import Endpoint
from leverframe.governance.ledger.memory import AllowEverything
from leverframe.governance.ledger.store import Ledger
from leverframe.release.commands import HANDLERS, ApplyPlan, PlanRelease
from leverframe.release.control.controller import Controller
from leverframe.release.records import KIND_ENDPOINT, KIND_GENERATION, KIND_RELEASE, Generation, Release


def _ledger_rig(tmp_path: Path) -> Rig:
    rig = Rig(initial=False)
    rig.journal = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}", rig.clock, AllowEverything(), (*HANDLERS, REGISTER))
    rig.controller = Controller(rig.journal, ENV)
    for number in (1, 2, 3):
        rig.write(ALICE, Register(record=version(number)))
    rig.release("flight-delay@v1", strategy="initial")
    rig.tick()
    return rig


def test_one_of_many_plans_applied_at_once_wins(tmp_path: Path) -> None:
    rig = _ledger_rig(tmp_path)
    plans = [rig.plan(f"flight-delay@v{2 + index % 2}", note=str(index)) for index in range(12)]
    outcomes: list[str] = []
    barrier = threading.Barrier(len(plans))

    def promote(plan: str) -> None:
        barrier.wait()
        try:
            rig.journal.write(ALICE, ApplyPlan(plan=plan, owner_team=TEAM), key=f"apply {plan}")
            outcomes.append("won")
        except LeverframeError as refused:
            outcomes.append(refused.code)

    threads = [threading.Thread(target=promote, args=(plan,)) for plan in plans]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["conflict"] * 11 + ["won"]
    active = [release for release in rig.journal.find(KIND_RELEASE, Release) if release.active]
    assert len(active) == 1
    rig.journal.close()


def test_two_controllers_on_one_ledger_step_once(tmp_path: Path) -> None:
    rig = _ledger_rig(tmp_path)
    id = rig.release("flight-delay@v2")
    other = Controller(rig.journal, ENV)
    for _ in range(24 * 5):
        rig.serve()
        rig.tick()
        other.tick(rig.observations, rig.clock.now_us())
        if not rig.state(id).active:
            break
    done = rig.state(id)
    assert [entry.event for entry in done.log] == ["apply", "proven", "proven", "watched"]
    generations = rig.journal.history(KIND_GENERATION, ENV, Generation)
    assert [revision.record.value for revision in generations] == list(range(1, len(generations) + 1)), "no lost update of the counter"
    routes = rig.journal.history(KIND_ENDPOINT, f"{ENV}/{NAME}", Endpoint)
    assert len(routes) == len(generations)
    rig.journal.close()


def test_plan_numbers_are_not_given_twice(tmp_path: Path) -> None:
    rig = _ledger_rig(tmp_path)
    command = PlanRelease(environment=ENV, endpoint=NAME, version="flight-delay@v2", owner_team=TEAM)
    ids: list[str] = []
    threads = [
        threading.Thread(target=lambda n=n: ids.append(rig.journal.write(ALICE, command, key=f"plan {n}").result["release"]))
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(ids)) == 8
    rig.journal.close()
