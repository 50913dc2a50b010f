"""Registered sources opened for reading: what is new in one, cut into pieces, and the rows of each piece."""

import os
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import msgspec
import polars as pl

from leverframe.apps.platform.parts import Parts
from leverframe.core.errors import Unavailable
from leverframe.data.sources.fetch_jobs import FetchOrder
from leverframe.data.sources.objects import batches, unread
from leverframe.data.sources.registered import Source, check_allowed
from leverframe.governance.stored_objects import ForeignObjects, Stamp

PIECE_ROWS = 500_000
"""About so many rows of a table with a watermark are one piece: what a worker that dies has to read again."""
PIECE_BYTES = 64 * 1024 * 1024
PIECE_OBJECTS = 100
"""Small objects are read so many bytes, or so many objects, at a time."""


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """Which rows of a table: from the watermark ``since`` (``again``: those at it too) up to ``upto``."""

    since: str = ""
    again: bool = True
    upto: str = ""
    done: bool = False


class SourceReader:
    """Reads one source for one order, within what the operator allows at that moment."""

    def __init__(self, parts: Parts, order: FetchOrder, columns: Sequence[str]) -> None:
        self._parts, self._order, self._columns = parts, order, columns
        check_allowed(order.source, parts.settings.sources_allowed.split())

    def new_objects(self) -> list[list[Stamp]]:
        """Objects that were not read yet, by piece."""
        pieces: list[list[Stamp]] = []
        size = 0
        for stamp in unread(self._objects().stamps(), self._order.pattern or "*", self._order.held.objects):
            if not pieces or size + stamp.size > PIECE_BYTES or len(pieces[-1]) >= PIECE_OBJECTS:
                pieces.append([])
                size = 0
            pieces[-1].append(stamp)
            size += stamp.size
        return pieces

    def object_rows(self, stamps: Sequence[Stamp]) -> Iterator[pl.DataFrame]:
        """The rows of listed objects; see :func:`.objects.batches`."""
        return batches(self._objects(), stamps)

    def table_rows(self, span: Span) -> "TableRows":
        """The rows of a table from the beginning of ``span`` on, as far as one piece goes."""
        return TableRows(self._rows(span))

    def _rows(self, span: Span) -> Any:
        source = self._order.source
        if source.kind == "postgresql":
            from leverframe.data.sources.postgresql import PostgresRows

            where = {"since": span.since, "again": span.again, "upto": span.upto, "rows_max": PIECE_ROWS}
            return PostgresRows(source, secret_of(source), self._columns, **where)  # type: ignore[arg-type]
        from leverframe.apps.spark_session import spark_for
        from leverframe.data.sources.spark import SparkRows

        lend = partial(spark_for, self._parts.settings.spark_master, self._parts.settings.home)
        return SparkRows(source, lend, self._columns, since=span.since, again=span.again)

    def _objects(self) -> ForeignObjects:
        source = self._order.source
        options: dict[str, Any] = {}
        if source.endpoint:
            options |= {"endpoint": source.endpoint, "client_options": {"allow_http": source.endpoint.startswith("http://")}}
        if source.region:
            options["region"] = source.region
        if source.secret:
            name, _, secret = secret_of(source).partition(":")
            options |= {"access_key_id": name, "secret_access_key": secret}
        return ForeignObjects(source.location, options)


class TableRows:
    """One piece of a table; ``after`` says where the next begins, once all batches were taken."""

    def __init__(self, rows: Any) -> None:
        self._rows = rows

    def batches(self) -> Iterator[pl.DataFrame]:
        """The piece's rows."""
        return self._rows.batches()  # type: ignore[no-any-return]

    @property
    def after(self) -> Span:
        """The rows beyond this piece: everything at its last watermark was taken."""
        rows = self._rows
        return Span(since=rows.reached, again=False, upto=getattr(rows, "upto", ""), done=rows.done)


def secret_of(source: Source) -> str:
    """The secret that the declaration names; the ledger has only the name.

    Raises
    ------
    Unavailable: it is not set where the job runs.
    """
    if not source.secret:
        return ""
    value = os.environ.get(source.secret)
    if value is None:
        step = f"set {source.secret} where the worker runs"
        raise Unavailable("the source's secret is not set", where=f"source {source.name}", expected=source.secret, next_step=step)
    return value
