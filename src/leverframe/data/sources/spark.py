"""Rows of a Spark table, in batches; moments cross over as microseconds UTC, whatever zone the driver lives in."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import islice
from typing import TYPE_CHECKING, Any

import polars as pl

from leverframe.core.errors import InvalidInput, LimitExceeded, NotFound, Unavailable
from leverframe.data.sources.registered import Source

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    Lends = Callable[[], AbstractContextManager[SparkSession]]

BATCH_ROWS = 50_000
ROWS_MAX = 20_000_000


class SparkRows:
    """One reading of a table, whole; parameters as :class:`.postgresql.PostgresRows`, and ``lend``, which gives a session meanwhile."""

    def __init__(self, source: Source, lend: "Lends", columns: Sequence[str], *, since: str = "", again: bool = True) -> None:
        self._source, self._lend, self._columns = source, lend, columns
        self._since, self._again = since, again
        self.reached, self.done = since, True

    def batches(self) -> Iterator[pl.DataFrame]:
        """The new rows.

        Raises
        ------
        NotFound: no such table, or none of its columns.  Unavailable: Spark gave up.
        """
        with self._lend() as session:
            yield from self._read(session)

    def _read(self, session: "SparkSession") -> Iterator[pl.DataFrame]:
        from pyspark.errors import AnalysisException, PySparkException
        from pyspark.sql import functions as f

        where = f"source {self._source.name}"
        try:
            table = session.table(self._source.table)
            moments = {name for name, kind in table.dtypes if kind in ("timestamp", "timestamp_ntz")}
            names = [name for name in self._columns if name in table.columns]
            if not names:
                raise NotFound("the source has none of the contract's columns", where=where, expected=", ".join(self._columns[:8]))
            if self._source.watermark:
                table = self._newer(table, moments)
            chosen = [f.unix_micros(f.col(n).cast("timestamp")).alias(n) if n in moments else f.col(n) for n in names]
            rows = iter(table.select(*chosen).toLocalIterator())
            rows_total = 0
            while batch := list(islice(rows, BATCH_ROWS)):
                rows_total += len(batch)
                if rows_total > ROWS_MAX:
                    raise LimitExceeded("too many rows at once", where=where, expected=f"at most {ROWS_MAX:,}")
                yield _frame(names, batch, moments)
        except AnalysisException as error:
            raise NotFound("Spark knows no such table or column", where=where, got=error.getCondition() or "") from error
        except PySparkException as error:
            raise Unavailable("Spark did not answer as it should", where=where, got=type(error).__name__) from error

    def _newer(self, table: Any, moments: set[str]) -> Any:
        """The rows beyond the watermark, and how far they reach, from one look at the table."""
        from pyspark.sql import functions as f

        mark = self._source.watermark
        if mark not in table.columns:
            raise NotFound("the source has no such watermark column", where=f"source {self._source.name}", expected=mark)
        kind = dict(table.dtypes)[mark]
        if mark not in moments and kind not in ("int", "bigint", "date", "string"):
            expected = "a whole number, a date, a moment or text"
            raise InvalidInput("cannot be a watermark", where=f"source {self._source.name}", expected=expected, got=kind)
        value = f.unix_micros(f.col(mark).cast("timestamp")) if mark in moments else f.col(mark)
        newest = table.agg(f.max(value).cast("string").alias("newest")).first()["newest"]
        if newest is not None:
            self.reached = str(newest)
            table = table.where(value <= f.lit(newest).cast("bigint" if mark in moments else kind))
        if self._since:
            since = f.lit(self._since).cast("bigint" if mark in moments else kind)
            table = table.where(value >= since if self._again else value > since)
        return table


def _frame(names: Sequence[str], rows: Sequence[Any], moments: set[str]) -> pl.DataFrame:
    series = []
    for name, values in zip(names, zip(*rows, strict=True), strict=True):
        plain = [
            None if v is None else v if isinstance(v, (int, float, bool, str)) or type(v).__name__ == "date" else str(v) for v in values
        ]
        column = pl.Series(name, plain, strict=False)
        series.append(column.cast(pl.Datetime("us")) if name in moments else column)
    return pl.DataFrame(series)
