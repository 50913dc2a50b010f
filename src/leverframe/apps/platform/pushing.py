"""Rows as they come: checked, kept as part of the source's newest snapshot, and in the online store when the request returns."""

import io
from functools import partial
from typing import Any

import msgspec
import polars as pl

from leverframe.apps.platform.bound_views import held_definitions
from leverframe.apps.platform.datasets import contract_of, latest_rows
from leverframe.apps.platform.deliveries import deliver
from leverframe.apps.platform.parts import Parts
from leverframe.apps.platform.views import PushView
from leverframe.core.actor import Actor
from leverframe.core.dataset import ContractReport, Snapshot
from leverframe.core.digest import Digest, digest_bytes, digest_record
from leverframe.core.errors import Conflict, ContractViolation, Fault, LimitExceeded, NotFound, SchemaMismatch
from leverframe.core.feature import FeatureView
from leverframe.data.commands import KIND_DATASET, KIND_SNAPSHOT, Dataset
from leverframe.data.contract.contracts import Contract
from leverframe.data.intake.ingest import failed_rules, take_file
from leverframe.data.snapshots.snapshots import part_bytes
from leverframe.features.commands import KIND_VIEW
from leverframe.features.materialization.push import push_rows

ROWS_MAX = 10_000
"""Rows of one push: it is answered when they can be read back."""
DELIVERIES_MAX = 10
"""Pushes to one source come one after the other; one that always finds another first is given up after this many."""


class Pushing:
    """Streaming push."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def push(self, actor: Actor, name: str, rows: tuple[dict[str, Any], ...], *, key: str) -> PushView:
        """Take rows for the source of view ``name`` in: afterwards every view of that source answers with them.

        A row that was delivered before counts once; late and out-of-order rows land where they belong.

        Raises
        ------
        NotFound: no such view.    SchemaMismatch: columns that the contract does not name: nothing was taken in, old values stay.
        ContractViolation: rows break the contract; likewise.    LimitExceeded: more than ``ROWS_MAX`` rows.
        """
        parts = self._parts
        view = parts.ledger.get(KIND_VIEW, name, FeatureView)
        if view is None:
            raise NotFound("no such feature view", where=name[:120], next_step="lever features list")
        if len(rows) > ROWS_MAX:
            raise LimitExceeded("too many rows in one push", where="rows", expected=f"at most {ROWS_MAX:,}", got=f"{len(rows):,}")
        contract = contract_of(parts, view.source)
        _check_columns(contract, rows)
        snapshot = self._delivered(actor, view.source, rows, key)
        written = self.apply(view.source, self._added(snapshot))
        return PushView(source=view.source, snapshot=snapshot.digest, rows=len(rows), views=written)

    def _delivered(self, actor: Actor, source: str, rows: tuple[dict[str, Any], ...], key: str) -> Snapshot:
        body = b"\n".join(map(msgspec.json.encode, rows))
        delivery = digest_record([actor.subject, key, source, "push", digest_bytes(body)])
        for attempt in range(DELIVERIES_MAX):
            try:
                offer = partial(take_file, data=body, format="jsonl")
                done = deliver(self._parts, actor, source, offer, delivery=delivery, append=True, key=f"{key}/{attempt}")
            except Conflict:
                if attempt == DELIVERIES_MAX - 1:
                    raise
                continue
            if done.snapshot is None:
                raise _broken(source, done.report)
            return done.snapshot
        raise AssertionError("the loop above returns or raises")

    def _added(self, snapshot: Snapshot) -> pl.DataFrame:
        """The rows that ``snapshot`` has beyond the one before it."""
        parts = self._parts
        order = [r.record.snapshot for r in parts.ledger.history(KIND_DATASET, snapshot.dataset, Dataset) if r.record is not None]
        earlier = order[: order.index(snapshot.digest)] if snapshot.digest in order else []
        before = next((digest for digest in reversed(earlier) if digest != snapshot.digest), "")
        held = parts.ledger.get(KIND_SNAPSHOT, f"{snapshot.dataset}/{before}", Snapshot) if before else None
        return rows_of(parts, snapshot, {part.digest for part in held.blobs} if held is not None else set())

    def apply(self, source: str, fresh: pl.DataFrame) -> dict[str, int]:
        """Bring the entities of ``fresh`` to now in every view of ``source`` that the store holds; entities written by view."""
        written: dict[str, int] = {}
        if fresh.is_empty():
            return written
        _, rows = latest_rows(self._parts, source)
        now_us = self._parts.clock.now_us()
        for view in self._parts.ledger.find(KIND_VIEW, FeatureView):
            if view.source != source:
                continue
            for version in held_definitions(self._parts, view.name):
                written[view.name] = push_rows(version, fresh, rows, self._parts.online, now_us) or 0
        return written


def rows_of(parts: Parts, snapshot: Snapshot, known: set[Digest]) -> pl.DataFrame:
    """The rows of ``snapshot`` in parts other than ``known``."""
    new = [part for part in snapshot.blobs if part.digest not in known]
    frames = [pl.read_parquet(io.BytesIO(part_bytes(parts.artifacts, part, snapshot.dataset))) for part in new]
    return pl.concat(frames, how="diagonal") if frames else pl.DataFrame()


def _check_columns(contract: Contract, rows: tuple[dict[str, Any], ...]) -> None:
    """Return when every row has only columns of the contract: a feed whose schema changed must not lose columns in silence."""
    known = {column.name for column in contract.columns}
    strange = {name: number for number, row in reversed(list(enumerate(rows))) for name in row if name not in known}
    if strange:
        faults = [
            Fault(where=f"row {number}", what="a column the contract does not name", got=name[:80]) for name, number in strange.items()
        ]
        raise SchemaMismatch(
            "the rows have columns that the source's contract does not name; nothing was taken in",
            where=f"source {contract.dataset}",
            expected=", ".join(sorted(known)),
            got=", ".join(sorted(name[:80] for name in strange)),
            next_step="add them to the contract (lever data contracts apply), or leave them out",
            faults=faults[:100],
        )


def _broken(source: str, report: ContractReport) -> ContractViolation:
    faults = [Fault(where=r.column, what=r.rule, expected=r.expected) for r in report.results if not r.passed and r.severity == "refuse"]
    return ContractViolation(
        "the rows break their contract; nothing was taken in: " + "; ".join(failed_rules(report)[:3]),
        where=f"source {source}",
        next_step=f"lever data reports {source}",
        faults=faults,
    )
