"""Routes of data."""

from typing import Any, get_args

import msgspec

from leverframe.apps.control.route import UPLOAD_BYTES_MAX, Call, Route
from leverframe.apps.platform.views import ContractCheckView, DatasetView, IngestView
from leverframe.apps.platform.views.contract import ContractDetailView
from leverframe.core.errors import InvalidInput
from leverframe.data.sources.files import Format


class ApplyQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``break_consumers``: everyone whom a breaking change takes something from, by name, with commas between."""

    break_consumers: str = ""


class CheckQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``last_snapshot``: also check the rows of the newest snapshot."""

    last_snapshot: bool = False


class SnapshotQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``format`` of the file offered (parquet, csv or jsonl); ``append``: add its rows to the newest snapshot's.

    ``made_by``: model versions whose predictions are among the rows, with commas between.
    """

    format: str = "parquet"
    append: bool = False
    made_by: str = ""


def _contract(call: Call) -> dict[str, object]:
    named = tuple(name.strip() for name in call.query.break_consumers.split(",") if name.strip())
    return call.platform.data.apply_contract(call.actor, _text(call.body), key=call.key, break_consumers=named)


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as exc:
        raise InvalidInput("a contract is a text file in UTF-8", where="body", got=f"byte {exc.start} is not") from exc


def _check(call: Call) -> ContractCheckView:
    return call.platform.contracts.check(call.actor, _text(call.body), last_snapshot=call.query.last_snapshot)


def _snapshot(call: Call) -> IngestView:
    query = call.query
    if query.format not in get_args(Format):
        expected = " or ".join(get_args(Format))
        raise InvalidInput("not a format that can be ingested", where="format", expected=expected, got=query.format[:40])
    made_by = tuple(name.strip() for name in query.made_by.split(",") if name.strip())
    how: dict[str, Any] = {"format": query.format, "append": query.append, "made_by": made_by}
    return call.platform.data.ingest(call.actor, call.path["dataset"], call.body, key=call.key, **how)


ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/api/v1/datasets",
        permission="Data.Read",
        run=lambda call: call.platform.data.datasets(),
        gives=tuple[DatasetView, ...],
        summary="Every dataset with its contract and newest snapshot",
    ),
    Route(
        method="GET",
        path="/api/v1/datasets/{dataset}",
        permission="Data.Read",
        resource="dataset/{dataset}",
        run=lambda call: call.platform.contract_details.dataset(call.path["dataset"]),
        gives=ContractDetailView,
        summary="A dataset's contract: what it promises, how that fared, who relies on it, how it came to be",
    ),
    Route(
        method="POST",
        path="/api/v1/contracts",
        permission="Data.ApplyContract",
        run=_contract,
        takes=bytes,
        query=ApplyQuery,
        gives=dict[str, Any],
        summary="Put a data contract (ODCS, YAML) in force",
    ),
    Route(
        method="POST",
        path="/api/v1/contracts/check",
        permission="Data.Read",
        run=_check,
        takes=bytes,
        query=CheckQuery,
        gives=ContractCheckView,
        summary="What putting a contract in force would change and break; writes nothing",
    ),
    Route(
        method="POST",
        path="/api/v1/datasets/{dataset}/snapshots",
        permission="Data.Ingest",
        run=_snapshot,
        takes=bytes,
        query=SnapshotQuery,
        gives=IngestView,
        body_bytes_max=UPLOAD_BYTES_MAX,
        summary="Offer a file; it becomes an immutable snapshot, or is quarantined with every fault listed",
    ),
    Route(
        method="GET",
        path="/api/v1/datasets/{dataset}/reports",
        permission="Data.Read",
        resource="dataset/{dataset}",
        run=lambda call: call.platform.data.reports(call.path["dataset"]),
        gives=tuple[IngestView, ...],
        summary="What became of each file offered to a dataset",
    ),
)
