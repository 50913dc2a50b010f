"""PostgreSQL connections that do not wait for ever.

The server bounds its own statements; a server that is stopped, or a network that swallows its answers, bounds nothing, and a socket is
silent as long as its other end is only slow. So each wait for an answer has a bound here, after which the connection is given up.
"""

import time
from typing import Any

from sqlalchemy import Engine, event

ANSWER_S_MAX = 12.0
"""Longest wait for one answer of the server: two seconds more than it gives itself for a statement."""


def bound_answers(engine: Engine, seconds_max: float = ANSWER_S_MAX) -> None:
    """Give every connection of ``engine`` (psycopg) the bound."""
    driver: Any = engine.dialect.loaded_dbapi

    class Answering(driver.Connection):  # type: ignore[misc]  # the driver is SQLAlchemy's to load
        """A connection that is closed when an answer does not come in time."""

        def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
            """As the driver's, within the bound.

            Raises
            ------
            OperationalError: the server did not answer; whether it did what it was asked is not known.
            """
            started = time.monotonic()
            bound = seconds_max if timeout is None else min(timeout, seconds_max)
            try:
                return super().wait(gen, interval=interval, timeout=bound)
            except Exception as error:
                if time.monotonic() - started < bound:
                    raise
                # What is still to come on this connection answers a question that nobody waits for any more.
                self.pgconn.finish()
                raise driver.OperationalError(f"no answer within {bound:g} s") from error

    @event.listens_for(engine, "do_connect")
    def _connect(_dialect: Any, _record: Any, arguments: Any, options: Any) -> Any:
        return Answering.connect(*arguments, **options)
