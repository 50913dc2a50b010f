"""One suite for every journal: in memory, on SQLite, on PostgreSQL. What a room may rely on, wherever it runs."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest
from tests.governance.levers import (
    ALICE,
    BOB,
    HANDLERS,
    KIND_LEVER,
    MALLORY,
    AddToLever,
    EngineersOnly,
    Lever,
    RemoveLever,
    SetLever,
    SetRoute,
    set_lever,
)

from leverframe.core.clock import ManualClock
from leverframe.core.command import Command, Handles
from leverframe.core.digest import digest_record
from leverframe.core.errors import Conflict, Forbidden, InvalidInput, LeverframeError, NotFound, Refused
from leverframe.governance.ledger.chain import GENESIS, entry_hash
from leverframe.governance.ledger.memory import MemoryJournal
from leverframe.governance.ledger.store import Ledger

Journal = MemoryJournal | Ledger


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1_000)


@pytest.fixture
def policy() -> EngineersOnly:
    return EngineersOnly()


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def journal(request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock, policy: EngineersOnly) -> Iterator[Journal]:
    opened: Journal
    if request.param == "memory":
        opened = MemoryJournal(clock, policy, HANDLERS)
    elif request.param == "sqlite":
        opened = Ledger(f"sqlite:///{tmp_path}/ledger.db", clock, policy, HANDLERS)
    else:
        opened = Ledger(request.getfixturevalue("postgresql_url"), clock, policy, HANDLERS)
    yield opened
    opened.close()


def state(journal: Journal) -> tuple[int, list[Lever]]:
    return journal.entries_total(), journal.find(KIND_LEVER, Lever)


def test_a_write_changes_the_record_and_makes_one_entry(journal: Journal) -> None:
    receipt = journal.write(ALICE, SetLever(name="a", position=3), key="k1")
    assert (receipt.seq, receipt.result, receipt.replayed) == (1, {"position": 3, "at_us": 1_000}, False)
    assert journal.get(KIND_LEVER, "a", Lever) == Lever(name="a", position=3)
    [entry] = journal.audit()
    assert (entry.seq, entry.at_us, entry.actor, entry.roles) == (1, 1_000, "alice", ("engineer",))
    assert (entry.action, entry.resource, entry.team, entry.key, entry.command) == ("Levers.Set", "lever/a", "signals", "k1", "SetLever")
    assert msgspec.json.decode(entry.body) == {"name": "a", "position": 3, "note": ""}
    assert entry.policy_ids == ("engineers-only",)
    assert entry.prev == GENESIS
    assert entry.hash == entry_hash(entry) == receipt.hash
    [change] = entry.changes
    assert (change.kind, change.id, change.revision, change.digest) == (KIND_LEVER, "a", 1, digest_record(Lever(name="a", position=3)))


def test_the_same_key_and_command_again_is_the_first_receipt(journal: Journal) -> None:
    first = journal.write(ALICE, AddToLever(name="a"), key="k")
    again = journal.write(ALICE, AddToLever(name="a"), key="k")
    assert again == msgspec.structs.replace(first, replayed=True)
    assert state(journal) == (1, [Lever(name="a", position=1)])


def test_the_same_key_for_another_command_is_a_conflict(journal: Journal) -> None:
    journal.write(ALICE, AddToLever(name="a"), key="k")
    for other in (AddToLever(name="a", by=2), SetLever(name="a", position=1)):
        with pytest.raises(Conflict):
            journal.write(ALICE, other, key="k")
    assert state(journal) == (1, [Lever(name="a", position=1)])


def test_several_commands_are_one_transaction_and_an_entry_each(journal: Journal) -> None:
    """A project that is applied by halves would leave models that take features nobody declares."""
    receipts = journal.write_all(
        ALICE, [(AddToLever(name="a"), "1"), (AddToLever(name="a", by=2), "2"), (SetLever(name="b", position=9), "3")]
    )
    assert [receipt.seq for receipt in receipts] == [1, 2, 3]
    assert state(journal) == (3, [Lever(name="a", position=3), Lever(name="b", position=9)]), "the second saw what the first did"
    entries = journal.audit()
    assert [entry.prev for entry in entries[1:]] == [entry.hash for entry in entries[:-1]]
    assert [entry.changes[0].revision for entry in entries] == [1, 2, 1]
    again = journal.write_all(ALICE, [(AddToLever(name="a"), "1"), (SetLever(name="c", position=1), "4")])
    assert [receipt.replayed for receipt in again] == [True, False]
    assert journal.write_all(ALICE, []) == ()
    assert journal.entries_total() == 4


def test_of_several_commands_one_that_fails_leaves_nothing_of_the_others(journal: Journal) -> None:
    journal.write(ALICE, SetLever(name="a", position=1), key="0")
    before = state(journal)
    for last, key, error in (
        (RemoveLever(name="nowhere"), "3", NotFound),
        (SetLever(name="a", position=7), "0", Conflict),
        (SetLever(name="a", position=7), "", InvalidInput),
        (SetLever(name="b", position=2), "1", Conflict),  # the key of the first of the same batch
    ):
        with pytest.raises(error):
            journal.write_all(ALICE, [(SetLever(name="a", position=5), "1"), (SetLever(name="new", position=5), "2"), (last, key)])
        assert state(journal) == before
        assert journal.history(KIND_LEVER, "new", Lever) == []
    with pytest.raises(Forbidden):
        journal.write_all(MALLORY, [(SetLever(name="a", position=5), "1")])
    assert state(journal) == before
    journal.write_all(ALICE, [(SetLever(name="a", position=5), "1"), (SetLever(name="new", position=5), "2")])
    assert journal.entries_total() == 3, "keys of what failed are free"


def test_keys_belong_to_their_actor(journal: Journal) -> None:
    """Would be wrong if one person's retry key could swallow, or reveal, another person's command."""
    journal.write(ALICE, AddToLever(name="a"), key="k")
    assert not journal.write(BOB, AddToLever(name="a"), key="k").replayed
    assert state(journal) == (2, [Lever(name="a", position=2)])


def test_a_denied_command_changes_nothing_and_says_which_policy(journal: Journal) -> None:
    with pytest.raises(Forbidden, match="only engineers move levers") as caught:
        journal.write(MALLORY, SetLever(name="a", position=3), key="k")
    assert "engineers-only" in caught.value.expected
    assert state(journal) == (0, [])


def test_the_policy_decides_on_facts_from_current_rows(journal: Journal, policy: EngineersOnly) -> None:
    journal.write(ALICE, SetLever(name="a", position=1), key="1")
    journal.write(ALICE, SetLever(name="a", position=2), key="2")
    assert policy.facts == [{"exists": False}, {"exists": True}]


def test_a_refused_handler_leaves_no_trace(journal: Journal) -> None:
    with pytest.raises(Refused):
        journal.write(ALICE, SetRoute(positions={"a": 1, "stuck": 1, "z": 1}), key="k")
    assert state(journal) == (0, [])
    assert journal.write(ALICE, SetRoute(positions={"a": 1, "z": 2}), key="k").result == ["a", "z"]


def test_a_handler_that_crashes_leaves_no_trace(journal: Journal) -> None:
    with pytest.raises(AttributeError):
        journal.write(ALICE, msgspec.structs.replace(SetRoute(positions={}), positions=None), key="k")  # type: ignore[arg-type]
    assert state(journal) == (0, [])
    journal.write(ALICE, SetLever(name="a", position=1), key="k2")
    assert state(journal) == (1, [Lever(name="a", position=1)])


def test_removing_ends_the_record_and_keeps_its_history(journal: Journal, clock: ManualClock) -> None:
    journal.write(ALICE, SetLever(name="a", position=1), key="1")
    clock.set(2_000)
    journal.write(BOB, RemoveLever(name="a"), key="2")
    clock.set(3_000)
    journal.write(ALICE, SetLever(name="a", position=9), key="3")
    history = journal.history(KIND_LEVER, "a", Lever)
    assert [(r.record.position if r.record else None, r.from_us, r.to_us, r.seq, r.actor, r.action) for r in history] == [
        (1, 1_000, 2_000, 1, "alice", "Levers.Set"),
        (None, 2_000, 3_000, 2, "bob", "Levers.Remove"),
        (9, 3_000, None, 3, "alice", "Levers.Set"),
    ]
    assert [journal.get(KIND_LEVER, "a", Lever, at_us=t) for t in (999, 2_500)] == [None, None]
    assert journal.find(KIND_LEVER, Lever, at_us=2_500) == []


def test_removing_what_is_not_there_is_not_found(journal: Journal) -> None:
    with pytest.raises(NotFound):
        journal.write(ALICE, RemoveLever(name="ghost"), key="k")
    assert state(journal) == (0, [])


def test_the_past_is_readable(journal: Journal, clock: ManualClock) -> None:
    for n, at_us in enumerate((1_000, 2_000, 3_000)):
        clock.set(at_us)
        journal.write(ALICE, SetLever(name="a", position=n), key=f"a{n}")
        journal.write(ALICE, SetLever(name=f"b{n}", position=n), key=f"b{n}")
    positions = []
    for at_us in (999, 1_000, 1_999, 2_000, 9_999):
        lever = journal.get(KIND_LEVER, "a", Lever, at_us=at_us)
        positions.append(lever.position if lever else None)
    assert positions == [None, 0, 0, 1, 2]
    assert [lever.name for lever in journal.find(KIND_LEVER, Lever, at_us=2_000)] == ["a", "b0", "b1"]
    assert [lever.name for lever in journal.find(KIND_LEVER, Lever, prefix="b", at_us=2_000)] == ["b0", "b1"]


def test_a_clock_that_goes_back_takes_over_from_its_date_on(journal: Journal, clock: ManualClock) -> None:
    """Newest-written wins at every moment from its date on; the order written stays in the history."""
    for n, at_us in enumerate((100, 200, 50)):
        clock.set(at_us)
        journal.write(ALICE, SetLever(name="a", position=n), key=f"{n}")
    live = {t: journal.get(KIND_LEVER, "a", Lever, at_us=t) for t in (49, 50, 100, 150, 250)}
    assert {t: lever.position if lever else None for t, lever in live.items()} == {49: None, 50: 2, 100: 2, 150: 2, 250: 2}
    assert [lever.position for lever in journal.find(KIND_LEVER, Lever, at_us=150)] == [2]
    assert [(r.seq, r.from_us, r.to_us) for r in journal.history(KIND_LEVER, "a", Lever)] == [(1, 100, 200), (2, 200, 200), (3, 50, None)]
    clock.set(75)
    journal.write(ALICE, SetLever(name="a", position=3), key="3")
    live = {t: journal.get(KIND_LEVER, "a", Lever, at_us=t) for t in (60, 80, 300)}
    assert {t: lever.position if lever else None for t, lever in live.items()} == {60: 2, 80: 3, 300: 3}


def test_two_writes_at_one_moment_leave_the_later_one_live(journal: Journal) -> None:
    journal.write(ALICE, SetLever(name="a", position=1), key="1")
    journal.write(ALICE, SetLever(name="a", position=2), key="2")
    lever = journal.get(KIND_LEVER, "a", Lever, at_us=1_000)
    assert lever is not None
    assert lever.position == 2


def test_find_is_by_prefix_in_code_point_order(journal: Journal) -> None:
    names = ["prod/a", "prod/A", "prod/b_c", "prod/b%c", "prod", "pro", "prodx", "Prod/a", "prod/é"]
    for name in names:
        journal.write(ALICE, SetLever(name=name, position=1), key=name)
    assert [lever.name for lever in journal.find(KIND_LEVER, Lever)] == sorted(names)
    assert [lever.name for lever in journal.find(KIND_LEVER, Lever, prefix="prod/")] == [
        "prod/A",
        "prod/a",
        "prod/b%c",
        "prod/b_c",
        "prod/é",
    ]
    assert [lever.name for lever in journal.find(KIND_LEVER, Lever, prefix="prod/b_")] == ["prod/b_c"]
    assert journal.find(KIND_LEVER, Lever, prefix="nothing") == []


def test_the_audit_reads_both_ways_in_pages(journal: Journal) -> None:
    for n in range(5):
        journal.write(ALICE, AddToLever(name="a"), key=f"{n}")
    assert [e.seq for e in journal.audit(limit=2)] == [1, 2]
    assert [e.seq for e in journal.audit(after=2, limit=2)] == [3, 4]
    assert [e.seq for e in journal.audit(limit=2, newest_first=True)] == [5, 4]
    assert [e.seq for e in journal.audit(after=4, limit=10, newest_first=True)] == [3, 2, 1]
    assert journal.audit(after=5) == []
    entries = journal.audit()
    assert [e.prev for e in entries[1:]] == [e.hash for e in entries[:-1]]


@pytest.mark.parametrize("key", ["", "x" * 201, "line\nbreak"])
def test_a_key_must_be_usable(journal: Journal, key: str) -> None:
    with pytest.raises(InvalidInput):
        journal.write(ALICE, SetLever(name="a", position=1), key=key)


def test_a_record_that_could_not_be_read_back_is_refused(clock: ManualClock, tmp_path: Path) -> None:
    class Scored(msgspec.Struct, frozen=True):
        score: float

    class PutScore(Command, frozen=True, kw_only=True):
        action: ClassVar[str] = "Levers.Set"

        def resource(self) -> str:
            return "score/1"

    handles = Handles(command=PutScore, run=lambda _, tx: tx.put("score", "1", Scored(float("nan"))))
    for journal in (
        MemoryJournal(clock, EngineersOnly(), [handles]),
        Ledger(f"sqlite:///{tmp_path}/l.db", clock, EngineersOnly(), [handles]),
    ):
        with pytest.raises(InvalidInput, match="read back"):
            journal.write(ALICE, PutScore(), key="k")
        assert journal.entries_total() == 0


def test_text_of_every_script_survives(journal: Journal) -> None:
    note = "žluťoučký 信号 🚦 ' \" \\ \t %s ${x} {{y}} \u2028"
    journal.write(ALICE, SetLever(name="a", position=1, note=note), key="k")
    assert journal.get(KIND_LEVER, "a", Lever) == Lever(name="a", position=1, note=note)


def test_concurrent_writers_lose_nothing(journal: Journal) -> None:
    """Would be wrong if two writers ever read the same state: 8 threads add 1 to one lever, 10 times each, with each key sent twice."""
    errors: list[LeverframeError] = []

    def add(worker: int) -> None:
        for n in range(20):
            try:
                journal.write(ALICE, AddToLever(name="a"), key=f"{worker}/{n // 2}")
            except LeverframeError as error:
                errors.append(error)

    threads = [threading.Thread(target=add, args=(worker,)) for worker in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert state(journal) == (80, [Lever(name="a", position=80)])
    assert [e.seq for e in journal.audit(limit=1_000)] == list(range(1, 81))


def _command(**attributes: Any) -> type[Command]:
    return type("Strange", (Command,), {"__annotations__": {}, **attributes})


@pytest.mark.parametrize(
    ("commands", "sentence"),
    [
        ([_command(resource=lambda _: "x/1")], "declares no action"),
        ([_command(action="Do")], "declares no action"),
        ([_command(action="Levers.Set")], "does not say what resource"),
        ([SetLever, SetLever], "registered twice"),
    ],
)
def test_a_command_that_could_slip_through_stops_the_start(
    commands: list[type[Command]], sentence: str, clock: ManualClock, tmp_path: Path
) -> None:
    handlers = [Handles(command=command, run=set_lever) for command in commands]
    with pytest.raises(TypeError, match=sentence):
        MemoryJournal(clock, EngineersOnly(), handlers)
    with pytest.raises(TypeError, match=sentence):
        Ledger(f"sqlite:///{tmp_path}/ledger.db", clock, EngineersOnly(), handlers)


def test_an_unregistered_command_is_a_programmers_fault(journal: Journal) -> None:
    with pytest.raises(TypeError, match="no handler"):
        journal.write(ALICE, _command(action="Levers.Set", resource=lambda _: "x/1")(), key="k")
    assert journal.entries_total() == 0
