"""Checked, immutable data: what the data room gives to everyone downstream."""

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from leverframe.core.digest import Digest


class SnapshotPart(msgspec.Struct, frozen=True, kw_only=True):
    """Some of a snapshot's rows: one Parquet blob, shared with every other snapshot that has the same rows in one part."""

    digest: Digest
    rows: int
    bytes: int


class Erasure(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a snapshot some of whose rows were deleted for good (the erasure ``id``): the rest lives on as ``replaced_by``.

    ``parts`` are the digests of the parts that are gone; all others still verify. ``replaced_by`` is empty when nothing is left.
    """

    id: str
    replaced_by: Digest
    parts: tuple[Digest, ...]
    rows: int
    erased_at_us: int


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """An immutable, content-addressed set of rows.

    Without ``parts`` it is one Parquet blob named ``digest``; with parts ``digest`` names the manifest that lists them (decision 0026).
    ``erased`` says that rows were deleted for good: this snapshot can no longer be read, its successor can. ``stream`` names the stream
    whose batch made it (empty: rows that were offered otherwise).
    ``made_by`` are the model versions that predicted some of its rows (unset, and then not written: none is known).
    """

    dataset: str
    digest: Digest
    rows: int
    bytes: int
    columns: dict[str, str]
    contract: str
    contract_version: str
    contract_digest: Digest
    report_digest: Digest
    created_at_us: int
    event_time_min_us: int | None = None
    event_time_max_us: int | None = None
    description_digest: Digest = ""
    parts: tuple[SnapshotPart, ...] = ()
    erased: Erasure | None = None
    stream: str = ""
    made_by: tuple[str, ...] | UnsetType = UNSET

    @property
    def blobs(self) -> tuple[SnapshotPart, ...]:
        """The Parquet blobs that hold the rows, in order."""
        return self.parts or (SnapshotPart(digest=self.digest, rows=self.rows, bytes=self.bytes),)


class RuleResult(msgspec.Struct, frozen=True, kw_only=True):
    """What one contract rule saw.

    ``failing_share`` is failing over checked rows; up to ``share_max`` of them, or ``rows_max`` rows, are tolerated. ``examples`` are
    failing values (of a personal column only the row's number) and ``example_rows`` the rows they stand in: by primary key, or by number
    where there is none or the key is personal.
    """

    rule: str
    column: str
    severity: Literal["refuse", "quarantine", "warn"]
    passed: bool
    failing_rows: int
    checked_rows: int
    expected: str
    examples: tuple[str, ...] = ()
    example_rows: tuple[str, ...] = ()
    failing_share: float = 0.0
    share_max: float = 0.0
    rows_max: int = 0


class ContractReport(msgspec.Struct, frozen=True, kw_only=True):
    """Every rule's result over one offered file; ``accepted`` is false when any ``refuse`` rule failed."""

    dataset: str
    contract: str
    contract_version: str
    rows: int
    accepted: bool
    results: tuple[RuleResult, ...]
    quarantined_rows: int = 0
    checked_at_us: int = 0
