"""Rows of a PostgreSQL table or declared query, in one read-only transaction, in batches, from a watermark on. Owner of psycopg.

Every batch comes from one snapshot of the database (REPEATABLE READ), so rows that change meanwhile are seen as they were at the start.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import polars as pl
import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from leverframe.core.errors import InvalidInput, LimitExceeded, NotFound, Unavailable
from leverframe.data.sources.registered import Source

BATCH_ROWS = 50_000
ROWS_MAX = 100_000_000
CONNECT_S = 5
STATEMENT_MS = 600_000
_PLAIN = (int, float, bool, str, type(None))


class PostgresRows:
    """One reading of a source.

    Parameters
    ----------
    password: of the user that ``location`` names; empty for none.
    columns: what is asked for; others are never read.
    since: the watermark's value (as text) that was reached before; empty: from the beginning.
    again: read rows at ``since`` once more, because several may share it; the dataset's key keeps them once.
    upto: read no row beyond this value of the watermark (as text); empty: the newest there is at the start, which ``upto`` says then.
    rows_max: end after so many rows, where the watermark next changes; 0: never. Without a watermark a table is read whole.
    """

    def __init__(
        self,
        source: Source,
        password: str,
        columns: Sequence[str],
        *,
        since: str = "",
        again: bool = True,
        upto: str = "",
        rows_max: int = 0,
    ) -> None:
        self._source, self._password, self._columns = source, password, columns
        self._since, self._again, self._rows_max = since, again, rows_max
        self.upto, self.reached, self.done = upto, since, False

    def batches(self) -> Iterator[pl.DataFrame]:
        """The new rows; ``reached`` says how far they go once the last batch was taken, ``done`` whether that is all there is.

        Raises
        ------
        NotFound: no such table or column.  Unavailable: no database, or it gave up.  InvalidInput: the query is none.
        """
        with self._transaction() as connection:
            relation = self._relation()
            there = self._there(connection, relation)
            names = [name for name in self._columns if name in there]
            statement, given = self._statement(connection, relation, names)
            rows_total, last = 0, None
            with connection.cursor(name="leverframe") as cursor:
                cursor.itersize = BATCH_ROWS
                cursor.execute(statement, given)
                while rows := cursor.fetchmany(BATCH_ROWS):
                    if self._source.watermark and self._rows_max and rows_total >= self._rows_max:
                        same = next((place for place, row in enumerate(rows) if row[-1] != last), len(rows))
                        if same < len(rows):
                            if same:
                                yield _frame(names, rows[:same])
                            self.reached = str(last)
                            return
                    rows_total, last = rows_total + len(rows), rows[-1][-1]
                    if rows_total > ROWS_MAX:
                        raise LimitExceeded("too many rows at once", where=self._name, expected=f"at most {ROWS_MAX:,}")
                    yield _frame(names, rows)
            self.reached, self.done = self.upto or self._since, True

    @property
    def _name(self) -> str:
        return f"source {self._source.name}"

    @contextmanager
    def _transaction(self) -> Iterator["psycopg.Connection[Any]"]:
        try:
            with psycopg.connect(self._conninfo()) as connection:
                connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
                connection.read_only = True
                connection.execute(sql.SQL("SET LOCAL statement_timeout = {}").format(sql.Literal(STATEMENT_MS)))
                connection.execute("SET LOCAL TimeZone = 'UTC'")
                yield connection
        except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn) as error:
            raise NotFound(
                "no such table or column", where=self._name, got=type(error).__name__, next_step="lever data sources list"
            ) from error
        except (psycopg.errors.SyntaxError, psycopg.errors.ReadOnlySqlTransaction) as error:
            raise InvalidInput(
                "the declared query cannot be run", where=self._name, expected="one SELECT", got=type(error).__name__
            ) from error
        except psycopg.Error as error:
            # The driver's own words may quote values or the connection's address.
            step = "check that the database runs, and the source's user, secret and rights"
            raise Unavailable(
                "PostgreSQL did not answer as it should", where=self._name, got=type(error).__name__, next_step=step
            ) from error

    def _conninfo(self) -> str:
        parts = urlsplit(self._source.location)
        known: dict[str, Any] = {"connect_timeout": CONNECT_S, "application_name": "leverframe", "client_encoding": "UTF8"}
        if self._password:
            known["password"] = self._password
        return make_conninfo(parts.geturl(), **known)

    def _relation(self) -> sql.Composed:
        if self._source.query:
            # The query was declared by the team, is on record, and runs read-only with the rights of the source's own user.
            return sql.SQL("({}) AS declared").format(sql.SQL(self._source.query))
        return sql.SQL("{}").format(sql.Identifier(*self._source.table.split(".")))

    def _there(self, connection: "psycopg.Connection[Any]", relation: sql.Composed) -> dict[str, str]:
        """The relation's columns with their types' names."""
        cursor = connection.execute(sql.SQL("SELECT * FROM {} LIMIT 0").format(relation))
        names = {}
        for column in cursor.description or ():
            kind = connection.execute("SELECT format_type(%s, NULL)", (column.type_code,)).fetchone()
            names[column.name] = str(kind[0]) if kind else "text"
        return names

    def _statement(
        self, connection: "psycopg.Connection[Any]", relation: sql.Composed, names: Sequence[str]
    ) -> tuple[sql.Composed, tuple[str, ...]]:
        """The query, whose last column is the watermark as text where there is one, and its parameters; sets ``upto``."""
        chosen = sql.SQL(", ").join(map(sql.Identifier, names))
        if not names:
            raise NotFound("the source has none of the contract's columns", where=self._name, expected=", ".join(self._columns[:8]))
        if not self._source.watermark:
            return sql.SQL("SELECT {} FROM {}").format(chosen, relation), ()
        mark = sql.Identifier(self._source.watermark)
        kind = self._there(connection, relation).get(self._source.watermark)
        if kind is None:
            raise NotFound("the source has no such watermark column", where=self._name, expected=self._source.watermark)
        if not self.upto:
            newest = connection.execute(sql.SQL("SELECT max({})::text FROM {}").format(mark, relation)).fetchone()
            self.upto = str(newest[0]) if newest and newest[0] is not None else ""
        bounds = [("<=", self.upto), (">=" if self._again else ">", self._since)]
        held = [
            sql.SQL("{} {} CAST(%s AS {})").format(mark, sql.SQL(sign), sql.SQL(kind))  # the server's own name of the type
            for sign, value in bounds
            if value
        ]
        where = sql.SQL(" WHERE ").format() + sql.SQL(" AND ").join(held) if held else sql.SQL("").format()
        query = sql.SQL("SELECT {}, {}::text FROM {}{} ORDER BY {}").format(chosen, mark, relation, where, mark)
        return query, tuple(value for _, value in bounds if value)


def _frame(names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> pl.DataFrame:
    """Rows as a frame: numbers, truth values, text and moments as they are, everything else as text; columns beyond ``names`` left out."""
    columns = list(zip(*rows, strict=True))[: len(names)]
    return pl.DataFrame([pl.Series(name, _plain(values), strict=False) for name, values in zip(names, columns, strict=True)])


def _plain(values: Sequence[Any]) -> list[Any]:
    first = next((value for value in values if value is not None), None)
    if isinstance(first, datetime):
        return [value.astimezone(UTC).replace(tzinfo=None) if value is not None and value.tzinfo else value for value in values]
    if isinstance(first, _PLAIN) or type(first).__name__ == "date":
        return list(values)
    return [None if value is None else str(value) for value in values]
