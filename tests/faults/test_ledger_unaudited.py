"""P26: when the audit entry cannot be written, nothing changes; and every failure of the database says whether anything was changed.

Negative control: rows and entry in two transactions leave a change without an entry.
"""

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from tests.governance.levers import ALICE, HANDLERS, KIND_LEVER, AddToLever, Lever, SetLever

from leverframe.core.clock import ManualClock
from leverframe.core.errors import Conflict, InvalidInput, Unavailable
from leverframe.governance.ledger import engines
from leverframe.governance.ledger import rows as sql
from leverframe.governance.ledger.buffer import Row
from leverframe.governance.ledger.memory import AllowEverything
from leverframe.governance.ledger.store import Ledger

BEFORE = [Lever(name="a", position=1)]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def ledger(file: Path) -> Iterator[Ledger]:
    opened = Ledger(f"sqlite:///{file}", ManualClock(0), AllowEverything(), HANDLERS)
    opened.write(ALICE, AddToLever(name="a"), key="1")
    yield opened
    opened.close()


def on_sqlite(file: Path, statement: str) -> None:
    connection = sqlite3.connect(file)
    connection.execute(statement)
    connection.commit()
    connection.close()


def refused(ledger: Ledger) -> Unavailable:
    with pytest.raises(Unavailable) as caught:
        ledger.write(ALICE, AddToLever(name="a"), key="2")
    assert caught.value.next_step
    return caught.value


def unchanged_then_recovers(ledger: Ledger) -> None:
    assert ledger.find(KIND_LEVER, Lever) == BEFORE
    assert ledger.entries_total() == 1


def test_a_failing_audit_table_changes_nothing(ledger: Ledger, file: Path) -> None:
    on_sqlite(file, "CREATE TRIGGER sick BEFORE INSERT ON audit BEGIN SELECT RAISE(FAIL, 'disk I/O error'); END")
    with pytest.raises(Conflict, match="nothing was changed"):
        ledger.write(ALICE, AddToLever(name="a"), key="2")
    unchanged_then_recovers(ledger)
    on_sqlite(file, "DROP TRIGGER sick")
    assert ledger.write(ALICE, AddToLever(name="a"), key="2").result == 2


def test_control_two_transactions_leave_an_unaudited_change(ledger: Ledger, file: Path) -> None:
    on_sqlite(file, "CREATE TRIGGER sick BEFORE INSERT ON audit BEGIN SELECT RAISE(FAIL, 'disk I/O error'); END")
    row = Row(kind=KIND_LEVER, id="a", revision=2, body=b'{"name":"a","position":2}', from_us=0, from_seq=2)
    with ledger._sessions.writing() as connection:
        sql.append_rows(connection, [row])
    assert ledger.find(KIND_LEVER, Lever) != BEFORE
    assert ledger.entries_total() == 1


def test_a_full_disk_changes_nothing_and_names_the_fix(ledger: Ledger) -> None:
    """P4 for the ledger: SQLite's page limit gives the very error a full disk gives."""
    engines_pages = ledger._sessions.engine
    with engines_pages.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}").all()
    with pytest.raises(Unavailable) as caught:
        ledger.write(ALICE, SetLever(name="a", position=9, note="x" * 200_000), key="2")
    assert "full" in caught.value.what
    assert "nothing was changed" in caught.value.what
    assert "free space" in caught.value.next_step
    unchanged_then_recovers(ledger)
    with engines_pages.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count=1000000").all()
    assert ledger.write(ALICE, SetLever(name="a", position=9, note="x" * 200_000), key="2").seq == 2


def test_another_process_holding_the_lock_is_said_in_time(ledger: Ledger, file: Path) -> None:
    with ledger._sessions.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout=50").all()
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    error = refused(ledger)
    assert "nothing was changed" in error.what
    assert ledger.find(KIND_LEVER, Lever) == BEFORE, "readers do not wait for writers"
    other.execute("ROLLBACK")
    other.close()
    assert ledger.write(ALICE, AddToLever(name="a"), key="2").seq == 2


def test_writers_of_one_process_queue_with_a_bound(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "BUSY_MS_MAX", 20)
    entered, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with ledger._sessions.writing():
            entered.set()
            leave.wait(10)

    holder = threading.Thread(target=hold)
    holder.start()
    entered.wait(10)
    assert "other writers are ahead; nothing was changed" in refused(ledger).what
    leave.set()
    holder.join()


def test_postgresql_failing_at_the_entry_changes_nothing(postgresql_url: str) -> None:
    ledger = Ledger(postgresql_url, ManualClock(0), AllowEverything(), HANDLERS)
    ledger.write(ALICE, AddToLever(name="a"), key="1")
    sick = "CREATE FUNCTION sick() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no space left on device'; END $$"
    with psycopg.connect(postgresql_url, autocommit=True) as connection:
        connection.execute(sick)
        connection.execute("CREATE TRIGGER sick BEFORE INSERT ON audit FOR EACH ROW EXECUTE FUNCTION sick()")
    error = refused(ledger)
    assert "nothing was changed" in error.what
    assert "free space" in error.next_step
    unchanged_then_recovers(ledger)
    ledger.close()


def test_a_failed_commit_is_called_unknown(postgresql_url: str) -> None:
    """The one moment when nobody can say: the sentence must not claim either outcome, and repeating with the key settles it."""
    ledger = Ledger(postgresql_url, ManualClock(0), AllowEverything(), HANDLERS)
    ledger.write(ALICE, AddToLever(name="a"), key="1")
    sick = "CREATE FUNCTION sick() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'at commit'; END $$"
    with psycopg.connect(postgresql_url, autocommit=True) as connection:
        connection.execute(sick)
        deferred = "CREATE CONSTRAINT TRIGGER sick AFTER INSERT ON audit DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION sick()"
        connection.execute(deferred)
    error = refused(ledger)
    assert "the outcome of this write is unknown" in error.what
    assert "same key" in error.next_step
    with psycopg.connect(postgresql_url, autocommit=True) as connection:
        connection.execute("DROP TRIGGER sick ON audit")
    assert ledger.write(ALICE, AddToLever(name="a"), key="2").result == 2
    ledger.close()


def test_a_dead_postgresql_connection_is_replaced(postgresql_url: str) -> None:
    """P35, the small part: a server that dropped its connections is used again as soon as it is back."""
    ledger = Ledger(postgresql_url, ManualClock(0), AllowEverything(), HANDLERS)
    ledger.write(ALICE, AddToLever(name="a"), key="1")
    with psycopg.connect(postgresql_url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    assert ledger.write(ALICE, AddToLever(name="a"), key="2").result == 2
    ledger.close()


def test_a_database_that_is_not_there_says_so_without_the_password() -> None:
    with pytest.raises(Unavailable) as caught:
        Ledger("postgresql://lever:hunter2secret@127.0.0.1:1/ledger", ManualClock(0), AllowEverything(), HANDLERS)
    assert "hunter2secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["", "nonsense", "mysql://x/y", "sqlite://", "sqlite:///:memory:"])
def test_only_durable_known_databases_open(url: str) -> None:
    with pytest.raises(InvalidInput):
        Ledger(url, ManualClock(0), AllowEverything(), HANDLERS)


def test_a_ledger_of_a_newer_program_is_left_alone(ledger: Ledger, file: Path) -> None:
    on_sqlite(file, "UPDATE ledger_version SET version_num = '9999'")
    with pytest.raises(Unavailable, match="newer program"):
        Ledger(f"sqlite:///{file}", ManualClock(0), AllowEverything(), HANDLERS)


def test_durability_is_on(ledger: Ledger) -> None:
    """Would be wrong if an acknowledged write could still be only in memory: WAL without synchronous=FULL loses it with the power."""
    with ledger._sessions.reading() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2
