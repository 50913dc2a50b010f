"""Snapshots: checked rows as immutable, content-addressed Parquet. The same rows under the same contract have the same name."""

import io
from typing import Protocol

import polars as pl

from leverframe.core.clock import iso_from_us
from leverframe.core.dataset import ContractReport, Snapshot
from leverframe.core.digest import Digest, canonical_json, digest_bytes
from leverframe.core.errors import Integrity, Refused
from leverframe.data.contracts import Contract
from leverframe.data.croissant import describe_snapshot

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
    """Contract columns in contract order, rows by primary key (by all columns when there is none)."""
    names = [column.name for column in contract.columns]
    return rows.select(names).sort(list(contract.primary_key) or names, nulls_last=True, maintain_order=True)


def take_snapshot(rows: pl.DataFrame, contract: Contract, report: ContractReport, *, dataset: str, blobs: Blobs, now_us: int) -> Snapshot:
    """Keep checked rows for good.

    Parameters
    ----------
    rows: the rows that passed, in contract types (``Checked.good_rows``).
    report: what the check found; stored beside the rows.

    Returns
    -------
    Snapshot: its ``digest`` names the Parquet blob, ``description_digest`` a Croissant (JSON-LD) description of it.

    Raises
    ------
    Refused: the report does not accept the file.
    """
    if not report.accepted:
        raise Refused("only rows that keep their contract become a snapshot", where=dataset, next_step=f"lever data check {dataset}")
    data = parquet_bytes(canonical_rows(rows, contract))
    digest = blobs.put(data)
    event_min, event_max = _event_span(rows, contract)
    description = describe_snapshot(contract, dataset=dataset, digest=digest, size=len(data), created=iso_from_us(now_us))
    return Snapshot(
        dataset=dataset,
        digest=digest,
        rows=rows.height,
        bytes=len(data),
        columns={column.name: column.physical_type for column in contract.columns},
        contract=contract.name,
        contract_version=contract.version,
        contract_digest=contract.digest,
        report_digest=blobs.put(canonical_json(report)),
        created_at_us=now_us,
        event_time_min_us=event_min,
        event_time_max_us=event_max,
        description_digest=blobs.put(canonical_json(description)),
    )


def _event_span(rows: pl.DataFrame, contract: Contract) -> tuple[int | None, int | None]:
    """First and last moment by the column that freshness is promised on, or by the first timestamp."""
    moments = [column.name for column in contract.columns if column.logical_type == "timestamp"]
    name = contract.freshness.column if contract.freshness else (moments[0] if moments else None)
    if name is None or rows.height == 0:
        return None, None
    low, high = rows.select(pl.col(name).cast(pl.Int64).min().alias("low"), pl.col(name).cast(pl.Int64).max().alias("high")).row(0)
    return low, high


def read_snapshot(blobs: Blobs, snapshot: Snapshot) -> pl.LazyFrame:
    """The rows of ``snapshot``.

    Raises
    ------
    Integrity: the stored bytes are not what their name says.
    """
    data = blobs.get(snapshot.digest)
    if digest_bytes(data) != snapshot.digest:
        raise Integrity("snapshot bytes are damaged", where=f"{snapshot.dataset}/{snapshot.digest}", next_step="restore the artifact store")
    return pl.read_parquet(io.BytesIO(data)).lazy()
