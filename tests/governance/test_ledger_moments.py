"""What was live at T, as known at T': the same on every journal as a plain reading of the whole history, and never by reading all of it."""

import random
from pathlib import Path

import pytest
from sqlalchemy import event
from sqlalchemy.dialects import postgresql, sqlite
from tests.governance.levers import ALICE, HANDLERS, KIND_LEVER, AddToLever, Lever, SetLever

from leverframe.core.clock import ManualClock
from leverframe.governance.ledger import moments
from leverframe.governance.ledger.engines import Sessions
from leverframe.governance.ledger.memory import AllowEverything, MemoryJournal
from leverframe.governance.ledger.rows import SqlRows
from leverframe.governance.ledger.schema import record
from leverframe.governance.ledger.store import Ledger

NAMED = (record.c.kind == KIND_LEVER, record.c.id == "a")


def position(journal: Ledger | MemoryJournal, at_us: int, known_us: int | None) -> int | None:
    found = journal.revision_at(KIND_LEVER, "a", Lever, at_us, known_us=known_us)
    return None if found is None or found.record is None else found.record.position


@pytest.mark.parametrize("store", ["memory", "sqlite", "postgresql"])
@pytest.mark.parametrize("back", [0.0, 0.3])
def test_every_pair_of_moments_is_answered_as_the_history_says(
    store: str, back: float, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Would be wrong if an index were trusted where a clock stood still or went back. ``back``: how often it does."""
    clock, machine, draw = ManualClock(1_000), ManualClock(1_000), random.Random(f"{store} {back}")
    journal: Ledger | MemoryJournal
    if store == "memory":
        machine = clock
        journal = MemoryJournal(clock, AllowEverything(), HANDLERS)
    else:
        url = f"sqlite:///{tmp_path}/l.db" if store == "sqlite" else request.getfixturevalue("postgresql_url")
        journal = Ledger(url, clock, AllowEverything(), HANDLERS, machine_clock=machine)
    written: list[tuple[int, int, int]] = []  # (dated, recorded, position)
    for n in range(60):
        clock.set(clock.now_us() + (draw.choice([0, -70, -15]) if draw.random() < back and store != "memory" else 10))
        machine.set(clock.now_us() if machine is clock else 1_000 + 10 * n)
        journal.write(ALICE, SetLever(name="a", position=n), key=f"{n}")
        journal.write(ALICE, AddToLever(name="b"), key=f"b{n}")
        written.append((clock.now_us(), machine.now_us(), n))
    for at_us in range(900, 1_700, 15):
        for known_us in (None, 999, 1_000, 1_105, 1_300, 1_595):
            fitting = [n for dated, recorded, n in written if dated <= at_us and (known_us is None or recorded <= known_us)]
            assert position(journal, at_us, known_us) == (fitting[-1] if fitting else None), (at_us, known_us)
            if known_us is None:
                lever = journal.get(KIND_LEVER, "a", Lever, at_us=at_us)
                assert (lever.position if lever else None) == (fitting[-1] if fitting else None)
    journal.close()


@pytest.mark.parametrize("known_seq", [None, 70])
def test_every_step_goes_down_an_index(known_seq: int | None, tmp_path: Path) -> None:
    """Would be wrong if "what was live on date X" ever read a record's whole past, or sorted it."""
    ledger = Ledger(f"sqlite:///{tmp_path}/l.db", ManualClock(0), AllowEverything(), HANDLERS)
    queries = (moments.newest_query(NAMED, known_seq), moments.dated_query(NAMED, 5, 9))
    with ledger._sessions.reading() as connection:
        for query in queries:
            text = query.limit(1).compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True})
            plan = " ".join(str(row[-1]) for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}").all())
            assert "SEARCH record USING INDEX" in plan
            assert "SCAN" not in plan
    ledger.close()


def test_a_listing_does_not_pass_over_records_that_ended(tmp_path: Path) -> None:
    """Would be wrong if the thousands of snapshots that a stream leaves in a day slowed down whoever lists those that are kept."""
    ledger = Ledger(f"sqlite:///{tmp_path}/l.db", ManualClock(0), AllowEverything(), HANDLERS)
    with ledger._sessions.writing() as connection:
        asked: list[str] = []
        event.listen(connection, "before_cursor_execute", lambda _c, _cursor, statement, *_rest: asked.append(statement))
        assert SqlRows(connection).current_all("snapshot", "trips/") == []
        values = ("snapshot", "trips/", "trips0")
        plan = " ".join(str(row[-1]) for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {asked[0]}", values).all())
    assert plan == "SEARCH record USING INDEX record_live (kind=? AND id>? AND id<?)"
    ledger.close()


def test_on_postgresql_too(postgresql_url: str) -> None:
    ledger = Ledger(postgresql_url, ManualClock(0), AllowEverything(), HANDLERS)
    with ledger._sessions.writing() as connection:
        connection.exec_driver_sql(
            "INSERT INTO record SELECT 'lever', 'a', n, '{}', n * 10, n * 10 + 10, n, n + 1 FROM generate_series(1, 20000) n"
        )
    with ledger._sessions.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE record")
        for query in (moments.newest_query(NAMED, 70), moments.newest_query(NAMED, None), moments.dated_query(NAMED, 50_000, 19_000)):
            text = query.limit(1).compile(dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True})
            plan = "\n".join(
                str(row[0]) for row in connection.exec_driver_sql(f"EXPLAIN (ANALYZE, BUFFERS) {text}".replace("%", "%%")).all()
            )
            assert "Index Scan" in plan
            assert "-> Sort " not in " ".join(plan.split()), "an incremental sort, of revisions of one date, is all there may be"
            assert "Seq Scan" not in plan
    ledger.close()


def test_a_database_of_the_first_schema_is_brought_up_to_date(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/l.db"
    clock = ManualClock(100)
    ledger = Ledger(url, clock, AllowEverything(), HANDLERS)
    for n in range(5):
        clock.advance(10)
        ledger.write(ALICE, SetLever(name="a", position=n), key=f"{n}")
    ledger.close()
    sessions = Sessions(url)
    with sessions.writing() as connection:
        for index in ("audit_recorded", "record_known", "record_overtaken", "record_live"):
            connection.exec_driver_sql(f"DROP INDEX {index}")
        connection.exec_driver_sql("UPDATE ledger_version SET version_num = '0001'")
    sessions.close()
    again = Ledger(url, clock, AllowEverything(), HANDLERS)
    with again._sessions.reading() as connection:
        found = {row[0] for row in connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'index'").all()}
    assert {"audit_recorded", "record_known", "record_overtaken", "record_live"} <= found
    assert position(again, 125, None) == 1
    again.close()
