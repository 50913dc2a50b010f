"""Brings a database to the schema this program knows, in one transaction: a kill at any statement leaves the old schema, and the next
open starts over."""

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, inspect, text

from leverframe.core.errors import Unavailable
from leverframe.governance.ledger.engines import Sessions
from leverframe.governance.ledger.schema import HEAD_REVISION

_FOLDER = Path(__file__).parent / "migrations"
_VERSION_TABLE = "ledger_version"


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


def is_current(connection: Connection) -> bool:
    """Whether a ledger is there, with the schema that this program knows."""
    return _revision(connection) == HEAD_REVISION


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table(_VERSION_TABLE):
        return None
    rows = connection.execute(text("SELECT version_num FROM ledger_version")).all()
    return str(rows[0][0]) if rows else None


def _upgrade(connection: Connection) -> None:
    # Alembic is slow to import and only needed here.
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    scripts = ScriptDirectory.from_config(config)

    def steps(revision: Any, _: Any) -> Any:
        return scripts._upgrade_revs("head", revision)

    with EnvironmentContext(config, scripts, fn=steps) as environment:
        # The caller's transaction is the only one: Alembic must neither begin nor commit.
        environment.configure(connection=connection, transactional_ddl=False, version_table=_VERSION_TABLE)
        environment.run_migrations()
