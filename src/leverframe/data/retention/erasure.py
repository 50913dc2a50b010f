"""Rows of one person taken out of a snapshot: the parts that hold them are rewritten, all others stay the blobs they are (decision 0027).

The person is known by a keyed hash only; every different key found is hashed and compared.
"""

import io
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec
import polars as pl

from leverframe.core.dataset import ContractReport, Snapshot, SnapshotPart
from leverframe.core.digest import Digest
from leverframe.data.contract.contracts import Column, Contract
from leverframe.data.personal import HASH_BYTES, Pseudonymous
from leverframe.data.snapshots.snapshots import Blobs, event_span, parquet_bytes, part_bytes, read_snapshot, seal

_BASIS_BYTES = 8


class Rewritten(NamedTuple):
    """``snapshot`` is what remains (None: nothing), ``gone`` the parts it replaces, ``rows`` how many went."""

    snapshot: Snapshot | None
    gone: tuple[Digest, ...]
    rows: int


class Searched:
    """What one search of a dataset has done to parts, shared by all its snapshots, and the rows it took out."""

    def __init__(self) -> None:
        self.parts: dict[Digest, SnapshotPart | None] = {}
        self.taken: list[pl.DataFrame] = []


def subject_of(value: str, pseudonyms: Pseudonymous) -> str:
    """The name under which a person is deleted, from the key's value as text."""
    return pseudonyms.subject(str(_basis(pseudonyms.of(value))))


def _basis(digest: bytes) -> int:
    """What a 128-bit and a 63-bit pseudonym of one value share."""
    return int.from_bytes(digest[:_BASIS_BYTES], "big") >> 1


def _subject_of_stored(text: str, column: Column, pseudonyms: Pseudonymous) -> str:
    """The same from a value as it is stored in ``column``; empty when it is none of ours."""
    if column.treatment != "hash":
        return subject_of(text, pseudonyms)
    if column.physical_type == "int64":
        return pseudonyms.subject(text)
    try:
        stored = bytes.fromhex(text)
    except ValueError:
        return ""
    return pseudonyms.subject(str(_basis(stored))) if len(stored) == HASH_BYTES else ""


def columns_of_person(contracts: Sequence[Contract], dataset: str, column: str) -> dict[str, tuple[str, ...]]:
    """Where a person's key stands: the named column, and every column that references it, directly or through others; by dataset."""
    found: dict[str, set[str]] = {dataset: {column}}
    grown = True
    while grown:
        grown = False
        for contract in contracts:
            for each in contract.columns:
                target, _, name = each.references.rpartition(".")
                if name in found.get(target, ()) and each.name not in found.get(contract.dataset, ()):
                    found.setdefault(contract.dataset, set()).add(each.name)
                    grown = True
    return {name: tuple(sorted(columns)) for name, columns in sorted(found.items())}


class Person:
    """Recognises the rows of one person.

    Parameters
    ----------
    subject: see :func:`subject_of`.
    columns: the columns, of one dataset, that hold the person's key.
    """

    def __init__(self, subject: str, columns: Sequence[Column], pseudonyms: Pseudonymous) -> None:
        self._subject, self._columns, self._pseudonyms = subject, columns, pseudonyms
        self.column_names = frozenset(column.name for column in columns)

    def keys(self, rows: pl.DataFrame) -> dict[str, pl.Series]:
        """The stored values of the person, by column; only columns that have some."""
        found = {}
        for column in self._columns:
            if column.name not in rows.columns or column.treatment in ("mask", "drop"):
                continue
            different = rows[column.name].unique().drop_nulls()
            own = [_subject_of_stored(text, column, self._pseudonyms) == self._subject for text in different.cast(pl.String).to_list()]
            values = different.filter(pl.Series(own, dtype=pl.Boolean))
            if values.len():
                found[column.name] = values
        return found

    def named_by(self, column: str, text: str) -> bool:
        """Whether ``text`` names the person, as it was offered or as it is stored, where it stands for ``column``."""
        subjects = {subject_of(text, self._pseudonyms)}
        subjects |= {_subject_of_stored(text, each, self._pseudonyms) for each in self._columns if each.name == column}
        return self._subject in subjects


def split(rows: pl.DataFrame, keys: Mapping[str, pl.Series]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """``rows`` that hold none of ``keys``, and those that hold one."""
    if not keys:
        return rows, rows.clear()
    held = pl.any_horizontal([pl.col(name).is_in(values.implode()).fill_null(False) for name, values in keys.items()])
    return rows.filter(~held), rows.filter(held)


def rewrite(snapshot: Snapshot, contract: Contract, person: Person, blobs: Blobs, now_us: int, searched: Searched) -> Rewritten | None:
    """``snapshot`` without the person's rows; None when it holds none.

    Parameters
    ----------
    contract: of the dataset, as it is now; columns that the snapshot has not are left out of its description.
    searched: what the search did before, so that snapshots go on sharing parts; filled here.
    """
    parts: list[SnapshotPart] = []
    gone: list[Digest] = []
    for part in snapshot.blobs:
        if part.digest not in searched.parts:
            rows = pl.read_parquet(io.BytesIO(part_bytes(blobs, part, snapshot.dataset)))
            rest, taken = split(rows, person.keys(rows))
            searched.taken += [taken] if taken.height else []
            searched.parts[part.digest] = _kept(rest, blobs) if taken.height else part
        after = searched.parts[part.digest]
        if after is None or after.digest != part.digest:
            gone.append(part.digest)
        if after is not None:
            parts.append(after)
    if not gone:
        return None
    remains = _sealed(snapshot, contract, parts, blobs, now_us) if parts else None
    return Rewritten(remains, tuple(gone), snapshot.rows - sum(part.rows for part in parts))


def _kept(rows: pl.DataFrame, blobs: Blobs) -> SnapshotPart | None:
    if rows.height == 0:
        return None
    data = parquet_bytes(rows)
    return SnapshotPart(digest=blobs.put(data), rows=rows.height, bytes=len(data))


def _sealed(snapshot: Snapshot, contract: Contract, parts: Sequence[SnapshotPart], blobs: Blobs, now_us: int) -> Snapshot:
    """A snapshot of ``parts`` under the contract version and report of the one it replaces."""
    there = msgspec.structs.replace(contract, columns=tuple(c for c in contract.columns if c.name in snapshot.columns))
    report = ContractReport(
        dataset=snapshot.dataset,
        contract=snapshot.contract,
        contract_version=snapshot.contract_version,
        rows=sum(part.rows for part in parts),
        accepted=True,
        results=(),
        checked_at_us=now_us,
    )
    made = seal(parts, (None, None), there, report, dataset=snapshot.dataset, blobs=blobs, now_us=now_us)
    low, high = event_span(read_snapshot(blobs, made).collect(), there) if snapshot.event_time_min_us is not None else (None, None)
    return msgspec.structs.replace(
        made,
        columns=snapshot.columns,
        contract_version=snapshot.contract_version,
        contract_digest=snapshot.contract_digest,
        report_digest=snapshot.report_digest,
        event_time_min_us=low,
        event_time_max_us=high,
        stream=snapshot.stream,
        made_by=snapshot.made_by,
    )
