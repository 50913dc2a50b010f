"""New rows beside those a snapshot has: what was delivered before is dropped, what contradicts it is refused, old blobs are shared."""

import io
from collections.abc import Sequence
from typing import Any, NamedTuple

import polars as pl

from leverframe.core.dataset import Snapshot, SnapshotPart
from leverframe.core.errors import Refused
from leverframe.data.contract.column_types import type_named
from leverframe.data.contract.contracts import Contract
from leverframe.data.personal import stored_columns
from leverframe.data.snapshots.manifest import PARTS_MAX
from leverframe.data.snapshots.snapshots import Blobs, part_bytes, put_part, read_snapshot

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


def put_gathered(fresh: pl.DataFrame, held: Sequence[SnapshotPart], base: Snapshot, contract: Contract, blobs: Blobs) -> list[SnapshotPart]:
    """``held`` and one part more with the ``fresh`` rows, joined as in a binary counter, so that many small appends leave few parts.

    Parts at the end that are not larger than what comes after them go into the new one, up to ``PART_ROWS_MAX`` rows: of n appends of
    equal size about log2(n) parts remain beside the full ones, and a row is written again log2(n) times at most. Exactly one blob is
    written, so that no rows lie where no snapshot names them.
    """
    kept, run, rows = list(held), list[SnapshotPart](), fresh.height
    while kept and kept[-1].rows <= rows and kept[-1].rows + rows <= PART_ROWS_MAX:
        run.insert(0, kept.pop())
        rows += run[0].rows
    whole = pl.concat([_rows(run, base, contract, blobs), fresh], how="diagonal") if run else fresh
    return joined([*kept, put_part(whole, contract, blobs)], base, contract, blobs)


def newest_rows(base: Snapshot, rows_max: int, blobs: Blobs) -> pl.LazyFrame:
    """The rows of the last parts of ``base`` that hold ``rows_max`` rows together, and at least one part."""
    run: list[SnapshotPart] = []
    for part in reversed(base.blobs):
        if run and sum(each.rows for each in run) >= rows_max:
            break
        run.append(part)
    held: list[Any] = [io.BytesIO(part_bytes(blobs, part, base.dataset)) for part in run]
    schema = {name: type_named(physical) for name, physical in base.columns.items()}
    return pl.scan_parquet(held, schema=schema, missing_columns="insert")


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
