"""A dataset's contract and newest rows, as every use case asks for them."""

import polars as pl

from leverframe.apps.platform.parts import Parts
from leverframe.core.dataset import Snapshot
from leverframe.core.errors import NotFound
from leverframe.data.commands import KIND_CONTRACT, KIND_DATASET, KIND_SNAPSHOT, Dataset
from leverframe.data.contract.contracts import Contract
from leverframe.data.snapshots.snapshots import read_snapshot


def contract_of(parts: Parts, dataset: str) -> Contract:
    """The contract in force for ``dataset``.

    Raises
    ------
    NotFound: no contract names this dataset; nothing unchecked is ever taken in.
    """
    found = next((c for c in parts.ledger.find(KIND_CONTRACT, Contract) if c.dataset == dataset), None)
    if found is None:
        raise NotFound("no contract is in force for this dataset", where=dataset[:120], next_step="lever data contracts apply <file>")
    return found


def latest_snapshot(parts: Parts, dataset: str) -> Snapshot | None:
    """The newest snapshot of ``dataset``, if there is one."""
    pointer = parts.ledger.get(KIND_DATASET, dataset, Dataset)
    return parts.ledger.get(KIND_SNAPSHOT, f"{dataset}/{pointer.snapshot}", Snapshot) if pointer else None


def latest_rows(parts: Parts, dataset: str) -> tuple[Snapshot, pl.LazyFrame]:
    """The newest snapshot of ``dataset`` and its rows.

    Raises
    ------
    NotFound: nothing was ingested yet.
    """
    snapshot = latest_snapshot(parts, dataset)
    if snapshot is None:
        raise NotFound("nothing was ingested yet", where=dataset, next_step=f"lever data ingest {dataset} <file>")
    return snapshot, read_snapshot(parts.artifacts, snapshot)


def referenced_rows(parts: Parts, contract: Contract) -> dict[str, pl.LazyFrame]:
    """The newest rows of each dataset that ``contract`` refers to, where there are any; another team's too: a key may point to its rows."""
    found = {name: latest_snapshot(parts.whole, name) for name in contract.referenced}
    return {name: read_snapshot(parts.artifacts, snapshot) for name, snapshot in found.items() if snapshot is not None}
