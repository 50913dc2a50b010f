"""Brings a database to the schema this program knows, in one transaction: a kill at any statement leaves the old schema, and the next
open starts over."""

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from leverframe.core.errors import Unavailable
from leverframe.governance.ledger.engines import Sessions
from leverframe.governance.ledger.schema import HEAD_REVISION

_FOLDER = Path(__file__).parent / "migrations"


def migrate(sessions: Sessions) -> None:
    """Run every missing migration; nothing is loaded or locked when none is missing.

    Raises
    ------
    Unavailable: the database was made by a newer program, or does not answer.
    """
    with sessions.reading() as connection:
        if _revision(connection) == HEAD_REVISION:
            return
    with sessions.writing() as connection:
        # Another process may have done it while this one waited for the lock.
        found = _revision(connection)
        if found == HEAD_REVISION:
            return
        if found is not None and found > HEAD_REVISION:
            raise Unavailable(
                "the ledger was written by a newer program",
                where="ledger",
                expected=f"schema {HEAD_REVISION} or older",
                got=f"schema {found}",
                next_step="start the newer program, or restore the backup made before the upgrade",
            )
        _upgrade(connection)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("ledger_version"):
        return None
    rows = connection.execute(text("SELECT version_num FROM ledger_version")).all()
    return str(rows[0][0]) if rows else None


def _upgrade(connection: Connection) -> None:
    # Alembic is slow to import and only needed here.
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(_FOLDER))
    command.upgrade(config, "head")
