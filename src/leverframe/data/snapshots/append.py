"""New rows beside those a snapshot has: what was delivered before is dropped, what contradicts it is refused, old blobs are shared."""

from collections.abc import Sequence
from typing import NamedTuple

import polars as pl

from leverframe.core.dataset import Snapshot, SnapshotPart
from leverframe.core.errors import Refused
from leverframe.data.contract.contracts import Contract
from leverframe.data.personal import stored_columns
from leverframe.data.snapshots.manifest import PARTS_MAX
from leverframe.data.snapshots.snapshots import Blobs, put_part, read_snapshot

PART_ROWS_MAX = 1_000_000
"""Neighbouring parts are joined up to this many rows."""


class Split(NamedTuple):
    """``fresh`` rows, how many were ``again`` (there already, equal) and how many ``changed`` (there already under the key, different)."""

    fresh: pl.DataFrame
    again: int
    changed: int


def check_appendable(base: Snapshot, contract: Contract) -> None:
    """Raise Refused unless rows of ``contract`` can stand beside those of ``base``: columns may have been added, nothing else."""
    now = {column.name: column.physical_type for column in stored_columns(contract)}
    differs = [name for name, physical in base.columns.items() if now.get(name) != physical]
    if differs:
        raise Refused(
            "rows of this contract cannot be added to those of an older one",
            where=f"dataset {base.dataset}",
            expected=f"the columns of contract {base.contract_version}",
            got=f"{', '.join(differs[:5])} removed or of another type in {contract.version}",
            next_step=f"offer all rows at once: lever data ingest {base.dataset} FILE",
        )


def split_known(rows: pl.DataFrame, stored: pl.LazyFrame, contract: Contract) -> Split:
    """Which of ``rows`` (checked and treated) are new to ``stored``, by primary key; without a key all are.

    At most as many stored rows are held as are offered.
    """
    key = list(contract.primary_key)
    if not key or rows.height == 0:
        return Split(rows, 0, 0)
    names = [column.name for column in stored_columns(contract)]
    there = set(stored.collect_schema())
    added = [pl.lit(None, dtype=rows.schema[name]).alias(name) for name in names if name not in there]
    held = stored.join(rows.lazy().select(key), on=key, how="semi", nulls_equal=True).with_columns(added).select(names).collect()
    if held.height == 0:
        return Split(rows, 0, 0)
    fresh = rows.join(held, on=key, how="anti", nulls_equal=True)
    changed = rows.join(held, on=key, how="semi", nulls_equal=True).join(held, on=names, how="anti", nulls_equal=True).height
    return Split(fresh, rows.height - fresh.height - changed, changed)


def joined(parts: Sequence[SnapshotPart], base: Snapshot, contract: Contract, blobs: Blobs) -> list[SnapshotPart]:
    """``parts``, or fewer when there are too many: small neighbours are rewritten as one, at most once in 256 appends."""
    if len(parts) <= PARTS_MAX:
        return list(parts)
    runs: list[list[SnapshotPart]] = []
    for part in parts:
        if runs and sum(each.rows for each in runs[-1]) + part.rows <= PART_ROWS_MAX:
            runs[-1].append(part)
        else:
            runs.append([part])
    return [run[0] if len(run) == 1 else put_part(_rows(run, base, contract, blobs), contract, blobs) for run in runs]


def _rows(run: Sequence[SnapshotPart], base: Snapshot, contract: Contract, blobs: Blobs) -> pl.DataFrame:
    columns = {column.name: column.physical_type for column in stored_columns(contract)}
    frames = []
    for part in run:
        alone = Snapshot(
            dataset=base.dataset,
            digest=part.digest,
            rows=part.rows,
            bytes=part.bytes,
            columns=columns,
            contract=base.contract,
            contract_version=base.contract_version,
            contract_digest=base.contract_digest,
            report_digest=base.report_digest,
            created_at_us=base.created_at_us,
        )
        frames.append(read_snapshot(blobs, alone))
    return pl.concat(frames, how="diagonal").collect()
