"""A ledger moved between databases row by row: out of any of them into a SQLite file, as a backup keeps it, and back into any.

Read in one snapshot and written in one transaction, some rows at a time. Nothing is added or dated anew: the audit chain is the same chain.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy import Connection, func, insert, select

from leverframe.core.errors import Integrity, NotFound, Refused, Unavailable
from leverframe.governance.ledger.copies import read_only, verify_connection
from leverframe.governance.ledger.engines import Sessions
from leverframe.governance.ledger.migrate import is_current, migrate
from leverframe.governance.ledger.schema import audit, checkpoint, record
from leverframe.governance.ledger.turns import SUFFIXES
from leverframe.governance.ledger.verify import AuditReport
from leverframe.governance.signing import TrustStore

BATCH_ROWS = 500
"""Rows in memory at once; a record has at most 4 MiB, and usually a thousandth of that."""


def write_file(url: str, path: Path) -> None:
    """The ledger at ``url`` as a new SQLite file at ``path``, as of one moment; whoever writes meanwhile is not held up.

    Raises
    ------
    NotFound: no ledger of this version there.  Unavailable: the database does not answer, or the disk is full.
    """
    source, target = Sessions(url), Sessions(f"sqlite:///{path}")
    try:
        with source.snapshot() as reading:
            if not is_current(reading):
                step = "check LEVER_DATABASE_URL; a ledger of an older version is brought up to date by `lever up`"
                raise NotFound("no ledger of this version in the database", where="ledger", next_step=step)
            migrate(target)
            with target.writing() as writing:
                _pour(reading, writing)
    finally:
        source.close()
        target.close()
    try:
        with closing(sqlite3.connect(path)) as connection:
            # One file, which is read without anything being written beside it.
            connection.execute("PRAGMA journal_mode=DELETE").fetchall()
    except sqlite3.Error as error:
        raise Unavailable("the copied ledger cannot be closed", where=path.name, got=str(error)[:200]) from error
    for suffix in SUFFIXES:
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def fill_database(path: Path, url: str, trust: TrustStore, entries: int, chain: str) -> None:
    """Put the ledger of the SQLite file at ``path`` into the empty database at ``url``, in one transaction.

    Parameters
    ----------
    entries, chain: the last entry's number and hash. A database that holds exactly this chain already is left as it is.

    Raises
    ------
    Refused: another ledger is in the database.  Integrity: what was put there is not that chain; nothing is there then.
    Unavailable: the database does not answer.
    """
    sessions = Sessions(url)
    try:
        migrate(sessions)
        with read_only(path) as reading, sessions.writing() as writing:
            held = writing.execute(select(func.count()).select_from(audit)).scalar_one()
            if not held:
                _pour(reading, writing)
            report = verify_connection(writing, trust, ())
            if not report.ok or (report.entries, report.hash) != (entries, chain):
                raise _other(held, report, chain)
    finally:
        sessions.close()


def _other(held: int, report: AuditReport, chain: str) -> Refused | Integrity:
    if held:
        step = "restore into a database that is empty"
        return Refused("a ledger is in this database already", where="ledger", expected="none", got=f"{held:,} entries", next_step=step)
    return Integrity("what was put into the database is not the ledger of the backup", where="ledger", expected=chain, got=report.what)


def _pour(reading: Connection, writing: Connection) -> None:
    """Every row of every table, in the order of its key."""
    streaming = reading.execution_options(yield_per=BATCH_ROWS)
    for table in (audit, record, checkpoint):
        for rows in streaming.execute(select(table).order_by(*table.primary_key.columns)).mappings().partitions():
            writing.execute(insert(table), [dict(row) for row in rows])
