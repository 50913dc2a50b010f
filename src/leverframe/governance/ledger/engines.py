"""The two databases a ledger lives in, each set so that acknowledged means committed and synced.

SQLite: WAL, synchronous=FULL, explicit ``BEGIN IMMEDIATE`` for writers, who queue beside the file over all processes (``turns``).
PostgreSQL: an advisory transaction lock taken first serialises writers over all processes; every wait has a bound.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from leverframe.core.errors import Conflict, InvalidInput, LeverframeError, Unavailable
from leverframe.governance.durable_files import make_folder, unavailable
from leverframe.governance.ledger.answering import bound_answers
from leverframe.governance.ledger.turns import Turns

BUSY_MS_MAX = 5_000
"""How long a writer waits for another before it is told so."""

STATEMENT_MS_MAX = 10_000
"""How long PostgreSQL works on one statement. Its answer is waited for a little longer (``answering``)."""
CONNECT_S_MAX = 5
POOL_CONNECTIONS_MAX = 16
CHAIN_LOCK = 0x6C65_7665_7231
"""The advisory lock that stands for the end of the audit chain (ASCII ``lever1``)."""

_WRITING = "leverframe_writing"


def open_engine(url: str) -> Engine:
    """An engine for ``sqlite:///<file>`` or ``postgresql://…``; nothing is connected yet.

    Raises
    ------
    InvalidInput: another database.  Unavailable: the SQLite file's folder cannot be made.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise InvalidInput("not a database url", where="ledger url", expected="sqlite:///<file> or postgresql://…") from error
    backend = parsed.get_backend_name()
    if backend == "sqlite" and parsed.database and parsed.database != ":memory:":
        return _sqlite(parsed.database)
    if backend == "postgresql":
        return _postgresql(parsed.set(drivername="postgresql+psycopg"))
    raise InvalidInput(
        "not a database a ledger can live in", where="ledger url", expected="sqlite:///<file> or postgresql://…", got=backend
    )


def _sqlite(file: str) -> Engine:
    try:
        make_folder(Path(file).absolute().parent)
    except OSError as error:
        raise unavailable(error, "ledger folder") from error
    engine = create_engine(
        f"sqlite:///{file}", pool_size=POOL_CONNECTIONS_MAX, max_overflow=0, pool_timeout=BUSY_MS_MAX / 1000, connect_args={"timeout": 0}
    )

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _: Any) -> None:
        # The driver must not begin transactions by its own rules: `_begin` below does, explicitly.
        connection.isolation_level = None
        for pragma in (f"busy_timeout={BUSY_MS_MAX}", "journal_mode=WAL", "synchronous=FULL", "trusted_schema=OFF"):
            connection.execute(f"PRAGMA {pragma}").fetchall()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get(_WRITING) else "BEGIN")

    return engine


def _postgresql(url: Any) -> Engine:
    settings = {
        "statement_timeout": STATEMENT_MS_MAX,
        "lock_timeout": BUSY_MS_MAX,
        "idle_in_transaction_session_timeout": STATEMENT_MS_MAX,
        "synchronous_commit": "on",
    }
    engine = create_engine(
        url,
        pool_size=POOL_CONNECTIONS_MAX,
        max_overflow=0,
        pool_timeout=BUSY_MS_MAX / 1000,
        pool_pre_ping=True,
        connect_args={"connect_timeout": CONNECT_S_MAX, "options": " ".join(f"-c {name}={value}" for name, value in settings.items())},
    )
    bound_answers(engine)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        if connection.get_execution_options().get(_WRITING):
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({CHAIN_LOCK})").all()

    return engine


class Sessions:
    """Transactions on one engine: any number of readers, one writer, and every driver error in the project's words."""

    def __init__(self, url: str) -> None:
        self.engine = open_engine(url)
        # Waiting writers of this process queue here, instead of polling the database's lock; then for their turn among processes.
        self._writer = threading.Lock()
        self._turns = Turns(Path(str(self.engine.url.database))) if self.engine.dialect.name == "sqlite" else None

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A read transaction: one consistent view.

        Raises
        ------
        Unavailable: the database does not answer.
        """
        try:
            with self.engine.begin() as connection:
                yield connection
        except (SQLAlchemyError, PoolTimeout) as error:
            raise _unavailable(error, "nothing was asked to change") from error

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """A read transaction for many statements that must all see the same moment.

        Raises
        ------
        Unavailable: the database does not answer.
        """
        isolation = {"isolation_level": "REPEATABLE READ"} if self.engine.dialect.name == "postgresql" else {}
        try:
            with self.engine.connect().execution_options(**isolation) as connection, connection.begin():
                yield connection
        except (SQLAlchemyError, PoolTimeout) as error:
            raise _unavailable(error, "nothing was asked to change") from error

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """The write transaction: committed and synced when the block is left normally, gone when it is left by an exception.

        Raises
        ------
        Unavailable: the message says whether nothing was changed, or whether the outcome is unknown (a failed commit).
        Conflict: another writer put the same row first.
        """
        with self._alone(), self._connected() as connection:
            transaction = self._begun(connection)
            try:
                yield connection
            except LeverframeError:
                transaction.rollback()
                raise
            except IntegrityError as error:
                transaction.rollback()
                raise Conflict("someone else wrote this first; nothing was changed", where="ledger", next_step="repeat") from error
            except SQLAlchemyError as error:
                transaction.rollback()
                raise _unavailable(error, "nothing was changed") from error
            except BaseException:
                transaction.rollback()
                raise
            try:
                transaction.commit()
            except SQLAlchemyError as error:
                connection.invalidate()
                raise _unavailable(error, "the outcome of this write is unknown: repeat it with the same key to find out") from error

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """The one writer of this process and, on SQLite, of this machine."""
        until_s = time.monotonic() + BUSY_MS_MAX / 1000
        if not self._writer.acquire(timeout=BUSY_MS_MAX / 1000):
            raise Unavailable("other writers are ahead; nothing was changed", where="ledger", next_step="try again with the same key")
        with ExitStack() as stack:
            stack.callback(self._writer.release)
            if self._turns is not None:
                stack.enter_context(self._turns.taken(until_s))
            yield

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        try:
            connection = self.engine.connect().execution_options(**{_WRITING: True})
        except (SQLAlchemyError, PoolTimeout) as error:
            raise _unavailable(error, "nothing was changed") from error
        with connection:
            yield connection

    def _begun(self, connection: Connection) -> Any:
        try:
            return connection.begin()
        except SQLAlchemyError as error:
            raise _unavailable(error, "nothing was changed") from error

    def close(self) -> None:
        """Let go of all connections."""
        self.engine.dispose()
        if self._turns is not None:
            self._turns.close()


def _unavailable(error: Exception, outcome: str) -> Unavailable:
    cause = str(error.orig).splitlines()[0] if isinstance(error, DBAPIError) and error.orig else type(error).__name__
    return Unavailable(f"the ledger database failed ({cause[:200]}); {outcome}", where="ledger", next_step=_fix(cause))


def _fix(cause: str) -> str:
    lowered = cause.lower()
    if "disk is full" in lowered or "no space" in lowered:
        return "free space on the ledger's disk; then repeat with the same key"
    if "readonly" in lowered or "read-only" in lowered:
        return "make the ledger's file or server writable; then repeat with the same key"
    if "locked" in lowered or "timeout" in lowered:
        return "another process holds the ledger; repeat with the same key"
    return "check that the ledger database runs and can be reached (`lever doctor`); then repeat with the same key"
