"""Registered sources: declared within what the operator allows, read from where the last reading ended.

The rows and how far they reach are recorded in one transaction: a crash between loses neither, and reads nothing twice for good.
"""

import os
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from typing import Any

import polars as pl

from leverframe.apps.platform.datasets import contract_of, latest_snapshot
from leverframe.apps.platform.deliveries import deliver
from leverframe.apps.platform.parts import Parts
from leverframe.apps.platform.views import IngestView
from leverframe.core.actor import Actor
from leverframe.core.dataset import ContractReport
from leverframe.core.digest import digest_record
from leverframe.core.errors import NotFound, Refused, Unavailable
from leverframe.data.commands_sources import DeclareSource, RemoveSource
from leverframe.data.contract.contracts import Contract
from leverframe.data.intake.intake import Ingested, Intake
from leverframe.data.snapshots.source_marks import KIND_MARK, SourceMark
from leverframe.data.sources.objects import batches, unread
from leverframe.data.sources.registered import KIND_SOURCE, Source, check_allowed, check_source
from leverframe.governance.decision import require
from leverframe.governance.stored_objects import ForeignObjects

Reading = tuple[Iterator[pl.DataFrame], Callable[[], SourceMark]]
"""Batches, and how far they reach once all were taken."""


class Sources:
    """Sources of a team."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def declare(self, actor: Actor, source: Source, *, key: str) -> Source:
        """Register a source.

        Raises
        ------
        InvalidInput: a faulty declaration.  Refused: the operator's settings do not allow the place.
        """
        check_source(source)
        check_allowed(source, self._parts.settings.sources_allowed.split())
        self._parts.ledger.write(actor, DeclareSource(source=source), key=key)
        return source

    def remove(self, actor: Actor, name: str, *, key: str) -> Source:
        """Take a source back; how far it was read stays on record."""
        held = self.source(name)
        self._parts.ledger.write(actor, RemoveSource(name=name, owner_team=held.team), key=key)
        return held

    def sources(self) -> tuple[Source, ...]:
        """Every registered source, by name."""
        return tuple(self._parts.ledger.find(KIND_SOURCE, Source))

    def source(self, name: str) -> Source:
        """One source.

        Raises
        ------
        NotFound: none of that name.
        """
        found = self._parts.ledger.get(KIND_SOURCE, name[:120], Source) if name else None
        if found is None:
            raise NotFound("no such source", where=name[:120], next_step="lever data sources list")
        return found

    def ingest(self, actor: Actor, dataset: str, name: str, *, pattern: str = "", full: bool = False, key: str) -> IngestView:
        """Fetch the rows of source ``name`` that are new to ``dataset``; with ``full`` all of them, in the place of what is there.

        Parameters
        ----------
        pattern: which objects of an object store, by name below its location, for instance ``2026-05/*.parquet``.

        Raises
        ------
        NotFound: no such source, table or contract.  Refused: another team's source, or a place that is not allowed any more.
        Conflict: the source changed under the reader; nothing was taken.  Unavailable: it does not answer.
        """
        source, contract = self.source(name), contract_of(self._parts, dataset)
        require(self._parts.policy, actor, "Data.Ingest", f"dataset/{dataset}", contract.team, {})
        if source.team != contract.team:
            raise Refused("the source belongs to another team", where=f"source {name}", expected=contract.team, got=source.team)
        check_allowed(source, self._parts.settings.sources_allowed.split())
        held = None if full else self._parts.ledger.get(KIND_MARK, f"{dataset}/{name}", SourceMark)
        found, mark = self._reading(source, contract, held or SourceMark(source=name, dataset=dataset), pattern)
        first = next(found, None)
        if first is None and latest_snapshot(self._parts, dataset) is not None:
            return self._nothing_new(contract)
        offer: Callable[[Intake], Ingested] = partial(Intake.take, batches=chain([first] if first is not None else [], found))
        delivery = digest_record([actor.subject, key, dataset, name, pattern, full])
        return deliver(self._parts, actor, dataset, offer, delivery=delivery, append=not full, key=key, mark=mark)

    def _reading(self, source: Source, contract: Contract, held: SourceMark, pattern: str) -> Reading:
        if source.kind == "objects":
            return self._objects(source, held, pattern)
        columns = [column.name for column in contract.columns]
        again = bool(contract.primary_key)
        rows: Any
        if source.kind == "postgresql":
            from leverframe.data.sources.postgresql import PostgresRows

            rows = PostgresRows(source, self._secret(source), columns, since=held.position, again=again)
        else:
            from leverframe.apps.spark_session import open_spark
            from leverframe.data.sources.spark import SparkRows

            session = open_spark(self._parts.settings.spark_master, self._parts.settings.home)
            rows = SparkRows(source, session, columns, since=held.position, again=again)
        return rows.batches(), lambda: SourceMark(source=held.source, dataset=held.dataset, position=rows.reached)

    def _objects(self, source: Source, held: SourceMark, pattern: str) -> Reading:
        store = ForeignObjects(source.location, self._options(source))
        new = unread(store.stamps(), pattern or "*", held.objects)
        read = {**held.objects, **{stamp.name: f"{stamp.size}/{stamp.mark}" for stamp in new}}
        return batches(store, new), lambda: SourceMark(source=held.source, dataset=held.dataset, objects=read)

    def _options(self, source: Source) -> dict[str, Any]:
        options: dict[str, Any] = {}
        if source.endpoint:
            options |= {"endpoint": source.endpoint, "client_options": {"allow_http": source.endpoint.startswith("http://")}}
        if source.region:
            options["region"] = source.region
        if source.secret:
            name, _, secret = self._secret(source).partition(":")
            options |= {"access_key_id": name, "secret_access_key": secret}
        return options

    @staticmethod
    def _secret(source: Source) -> str:
        """The secret that the declaration names; the ledger has only the name."""
        if not source.secret:
            return ""
        value = os.environ.get(source.secret)
        if value is None:
            step = f"set {source.secret} where the control plane runs"
            raise Unavailable("the source's secret is not set", where=f"source {source.name}", expected=source.secret, next_step=step)
        return value

    def _nothing_new(self, contract: Contract) -> IngestView:
        report = ContractReport(
            dataset=contract.dataset,
            contract=contract.name,
            contract_version=contract.version,
            rows=0,
            accepted=True,
            results=(),
            checked_at_us=self._parts.clock.now_us(),
        )
        return IngestView(dataset=contract.dataset, accepted=True, report=report, snapshot=latest_snapshot(self._parts, contract.dataset))
