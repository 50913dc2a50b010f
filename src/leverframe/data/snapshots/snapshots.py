"""Snapshots: checked rows as immutable, content-addressed Parquet. The same rows under the same contract have the same name."""

import io
from collections.abc import Sequence
from typing import Any, Protocol

import polars as pl
from msgspec import UNSET

from leverframe.core.clock import iso_from_us
from leverframe.core.dataset import ContractReport, Snapshot, SnapshotPart
from leverframe.core.digest import Digest, canonical_json, digest_bytes
from leverframe.core.errors import Integrity, Refused
from leverframe.data.contract.column_types import type_named
from leverframe.data.contract.contracts import Contract
from leverframe.data.personal import stored_columns
from leverframe.data.snapshots.croissant import describe_snapshot
from leverframe.data.snapshots.manifest import manifest_bytes, read_manifest

ROW_GROUP_ROWS = 131_072


class Blobs(Protocol):
    """A content-addressed store of bytes."""

    def put(self, data: bytes) -> Digest:
        """Keep ``data``; returns its digest."""
        ...

    def get(self, digest: Digest) -> bytes:
        """The bytes called ``digest``."""
        ...


def parquet_bytes(frame: pl.DataFrame) -> bytes:
    """One byte form for the same rows in the same order: fixed row groups, compression and statistics, no chunk boundaries."""
    buffer = io.BytesIO()
    frame.rechunk().write_parquet(
        buffer, compression="zstd", compression_level=3, statistics=True, row_group_size=ROW_GROUP_ROWS, data_page_size=1 << 20
    )
    return buffer.getvalue()


def canonical_rows(rows: pl.DataFrame, contract: Contract) -> pl.DataFrame:
    """Stored columns in contract order, rows by primary key (by all columns when there is none)."""
    names = [column.name for column in stored_columns(contract)]
    return rows.select(names).sort(list(contract.primary_key) or names, nulls_last=True, maintain_order=True)


def put_part(rows: pl.DataFrame, contract: Contract, blobs: Blobs) -> SnapshotPart:
    """Keep some rows as one blob. ``rows`` are checked and treated."""
    data = parquet_bytes(canonical_rows(rows, contract))
    return SnapshotPart(digest=blobs.put(data), rows=rows.height, bytes=len(data))


def take_snapshot(rows: pl.DataFrame, contract: Contract, report: ContractReport, *, dataset: str, blobs: Blobs, now_us: int) -> Snapshot:
    """Keep checked rows for good, as one part.

    Parameters
    ----------
    rows: the rows that passed, in contract types and treated (``personal.treat``).
    report: what the check found; stored beside the rows.

    Returns
    -------
    Snapshot: its ``digest`` names the Parquet blob, ``description_digest`` a Croissant (JSON-LD) description of it.

    Raises
    ------
    Refused: the report does not accept the file.
    """
    _accepted(report, dataset)
    part = put_part(rows, contract, blobs)
    return seal([part], event_span(rows, contract), contract, report, dataset=dataset, blobs=blobs, now_us=now_us)


def seal(
    parts: Sequence[SnapshotPart],
    span_us: tuple[int | None, int | None],
    contract: Contract,
    report: ContractReport,
    *,
    dataset: str,
    blobs: Blobs,
    now_us: int,
    base: Snapshot | None = None,
) -> Snapshot:
    """One snapshot of ``parts`` that are kept already: named after its only part, or after the manifest of all.

    Parameters
    ----------
    span_us: first and last event time of the rows, microseconds.
    base: the snapshot whose rows are among them.

    Raises
    ------
    Refused: the report does not accept the rows.
    """
    _accepted(report, dataset)
    columns = {column.name: column.physical_type for column in stored_columns(contract)}
    digest = parts[0].digest if len(parts) == 1 else blobs.put(manifest_bytes(contract.digest, list(columns.items()), parts))
    description = describe_snapshot(contract, dataset=dataset, digest=digest, parts=parts, created=iso_from_us(now_us))
    return Snapshot(
        dataset=dataset,
        digest=digest,
        rows=sum(part.rows for part in parts),
        bytes=sum(part.bytes for part in parts),
        columns=columns,
        contract=contract.name,
        contract_version=contract.version,
        contract_digest=contract.digest,
        report_digest=blobs.put(canonical_json(report)),
        created_at_us=now_us,
        event_time_min_us=span_us[0],
        event_time_max_us=span_us[1],
        description_digest=blobs.put(canonical_json(description)),
        parts=tuple(parts) if len(parts) > 1 else (),
        made_by=base.made_by if base is not None else UNSET,
    )


def _accepted(report: ContractReport, dataset: str) -> None:
    if not report.accepted:
        raise Refused("only rows that keep their contract become a snapshot", where=dataset, next_step=f"lever data reports {dataset}")


def event_column(contract: Contract) -> str | None:
    """The column that says when a row's event was: the one that freshness is promised on, or the first timestamp."""
    moments = [c.name for c in contract.columns if c.logical_type == "timestamp" and c.treatment == "keep"]
    return contract.freshness.column if contract.freshness and contract.freshness.column in moments else next(iter(moments), None)


def event_span(rows: pl.DataFrame, contract: Contract) -> tuple[int | None, int | None]:
    """First and last moment by the column that freshness is promised on, or by the first timestamp; microseconds."""
    name = event_column(contract)
    if name is None or rows.height == 0:
        return None, None
    low, high = rows.select(pl.col(name).cast(pl.Int64).min().alias("low"), pl.col(name).cast(pl.Int64).max().alias("high")).row(0)
    return low, high


def read_snapshot(blobs: Blobs, snapshot: Snapshot) -> pl.LazyFrame:
    """The rows of ``snapshot``, part after part: the compressed parts are held, and only the columns a query names are decoded.

    Raises
    ------
    Integrity: the stored bytes are not what their name says.    Refused: rows of it were deleted for good since.
    """
    if snapshot.erased is not None:
        raise erased(snapshot)
    held: list[Any] = [io.BytesIO(part_bytes(blobs, part, snapshot.dataset)) for part in snapshot.blobs]
    if not snapshot.parts:
        return pl.scan_parquet(held)
    listed = read_manifest(blobs.get(snapshot.digest), snapshot.digest)
    if listed.parts != snapshot.parts:
        raise Integrity("the record names other parts than the manifest", where=f"{snapshot.dataset}/{snapshot.digest}")
    # Parts from before a column was added to the contract lack it. The manifest has the contract's order; a record's mapping has none.
    schema = {name: type_named(physical) for name, physical in listed.columns}
    return pl.scan_parquet(held, schema=schema, missing_columns="insert")


def part_bytes(blobs: Blobs, part: SnapshotPart, dataset: str) -> bytes:
    """The Parquet of one part, if it is what its name says.

    Raises
    ------
    Integrity: it is not.
    """
    data = blobs.get(part.digest)
    if digest_bytes(data) != part.digest:
        raise Integrity("snapshot bytes are damaged", where=f"{dataset}/{part.digest}", next_step="restore the artifact store")
    return data


def erased(snapshot: Snapshot) -> Refused:
    """Why a snapshot can no longer be read: whoever was trained on it was trained on rows since deleted."""
    gone = snapshot.erased
    assert gone is not None
    left = gone.replaced_by or "nothing is left of it"
    return Refused(
        f"{gone.rows} of its {snapshot.rows} rows were deleted for good by {gone.id} at {iso_from_us(gone.erased_at_us)}",
        where=f"snapshot {snapshot.dataset}/{snapshot.digest}",
        expected="a snapshot that is whole",
        got=f"one whose remaining rows are {left}",
        next_step=f"use the remaining rows: lever data export {snapshot.dataset} --snapshot {gone.replaced_by}"
        if gone.replaced_by
        else f"lever data snapshots {snapshot.dataset}",
    )
