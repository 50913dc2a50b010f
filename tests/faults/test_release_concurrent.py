"""P21: concurrent promotions have one winner, on the real ledger in process, and from fifty clients of a running installation."""

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.release.harness import ALICE, ENV, NAME, REGISTER, TEAM, Register, Rig, version
from tests.whole_program import ENDPOINT, WholeProgram

from leverframe.apps.client import Client
from leverframe.core.errors import LeverframeError
from leverframe.core.route import Endpoint
from leverframe.governance.ledger.memory import AllowEverything
from leverframe.governance.ledger.store import Ledger
from leverframe.release.commands import HANDLERS, ApplyPlan, PlanRelease
from leverframe.release.control.controller import Controller
from leverframe.release.records import KIND_ENDPOINT, KIND_GENERATION, KIND_RELEASE, Generation, Release

CLIENTS = 50


def at_once(asks: Sequence[Callable[[], object]]) -> list[str]:
    """What became of each call when all are made at the same moment: ``done``, or the code of its refusal."""
    barrier = threading.Barrier(len(asks))
    outcomes: list[str] = []

    def ask(call: Callable[[], object]) -> None:
        barrier.wait()
        try:
            call()
            outcomes.append("done")
        except LeverframeError as refused:
            outcomes.append(refused.code)

    threads = [threading.Thread(target=ask, args=(call,)) for call in asks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


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
    outcomes = at_once(
        [lambda plan=plan: rig.journal.write(ALICE, ApplyPlan(plan=plan, owner_team=TEAM), key=f"apply {plan}") for plan in plans]
    )
    assert sorted(outcomes) == ["conflict"] * 11 + ["done"]
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


def test_negative_control_who_looks_first_and_writes_afterwards_is_not_alone(tmp_path: Path) -> None:
    rig = _ledger_rig(tmp_path)
    looked = threading.Barrier(12)
    started: list[int] = []

    def promote(number: int) -> None:
        free = not any(release.active and release.candidate != "flight-delay@v1" for release in rig.journal.find(KIND_RELEASE, Release))
        looked.wait()
        if free:
            started.append(number)

    at_once([lambda number=number: promote(number) for number in range(12)])
    assert len(started) == 12, "whoever decides outside of the write that acts on it is one of many"
    rig.journal.close()


def test_of_fifty_clients_one_promotes_and_one_takes_back(running: WholeProgram) -> None:
    digests = [running.approved_plan("flight-delay@v2", note=f"client {number}") for number in range(CLIENTS)]
    before = running.person("ana").release.endpoints()[0]
    clients = [Client(running.control_url, running.secrets["ana"], gateway_url=running.gateway_url) for _ in range(CLIENTS)]
    try:
        calls = [lambda client=client, digest=digest: client.release.apply(digest) for client, digest in zip(clients, digests, strict=True)]
        assert Counter(at_once(calls)) == {"done": 1, "conflict": CLIENTS - 1}
        ours = {release.plan_digest: release for release in running.person("ana").release.list(ENDPOINT)}
        (winner,) = [ours[digest] for digest in digests if digest in ours and ours[digest].log]
        olgas = [Client(running.control_url, running.secrets["olga"], gateway_url=running.gateway_url) for _ in range(CLIENTS)]
        clients += olgas
        aborts = [lambda client=client: client.release.operate("prod", ENDPOINT, "abort", winner.id, "fifty at once") for client in olgas]
        outcomes = Counter(at_once(aborts))
        assert outcomes["done"] == 1, outcomes
        assert set(outcomes) <= {"done", "conflict", "refused"}
    finally:
        for client in clients:
            client.close()
    after = running.person("ana").release.endpoints()[0]
    assert [entry.event for entry in running.person("ana").release.get(winner.id).log] == ["apply", "abort"]
    assert after.endpoint.live == before.endpoint.live
    assert after.generation_desired == before.generation_desired + 2, "a route write that nobody made, or one that was lost"
    assert running.wait_generation(after.generation_desired)["generation"] == after.generation_desired
    assert running.person("admin").audit.verify().ok
