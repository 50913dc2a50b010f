"""Routes of a dataset's past: snapshots, retention, deletion of persons."""

import msgspec

from leverframe.apps.control.route import Call, Route
from leverframe.apps.platform.views.keeping import ForgetRequest, RetentionRequest, RetentionView, SnapshotView, VerifiedView
from leverframe.data.retention.commands_erasure import ErasureRecord
from leverframe.data.retention.retention import Retention


class ExportQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``format`` parquet or csv; rows ``as_of_us`` (microseconds since 1970) or of one ``snapshot``; neither: the newest."""

    format: str = "parquet"
    as_of_us: int | None = None
    snapshot: str = ""


def _export(call: Call) -> bytes:
    query = call.query
    return call.platform.keeping.export(call.path["dataset"], format=query.format, as_of_us=query.as_of_us, snapshot=query.snapshot)


def _forget(call: Call) -> ErasureRecord:
    asked: ForgetRequest = call.body
    return call.platform.erasing.ask(call.actor, call.path["dataset"], asked.column, asked.value, reason=asked.reason, key=call.key)


def _retention(call: Call) -> Retention:
    asked: RetentionRequest = call.body
    policy = Retention(dataset=call.path["dataset"], keep_last=asked.keep_last, keep_days=asked.keep_days)
    return call.platform.keeping.set_retention(call.actor, policy, key=call.key)


ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/api/v1/datasets/{dataset}/snapshots",
        permission="Data.Read",
        resource="dataset/{dataset}",
        run=lambda call: call.platform.keeping.snapshots(call.path["dataset"]),
        gives=tuple[SnapshotView, ...],
        summary="A dataset's snapshots, newest first, with what uses each",
    ),
    Route(
        method="GET",
        path="/api/v1/datasets/{dataset}/snapshots/{digest}/verify",
        permission="Data.Read",
        resource="dataset/{dataset}",
        run=lambda call: call.platform.keeping.verify(call.path["dataset"], call.path["digest"]),
        gives=VerifiedView,
        summary="Each part of a snapshot against its name",
    ),
    Route(
        method="GET",
        path="/api/v1/datasets/{dataset}/rows",
        permission="Data.Export",
        resource="dataset/{dataset}",
        run=_export,
        query=ExportQuery,
        gives=bytes,
        media_type="application/octet-stream",
        summary="Rows as they are now, were at a moment or are in a snapshot, as a file",
    ),
    Route(
        method="GET",
        path="/api/v1/datasets/{dataset}/retention",
        permission="Data.Read",
        resource="dataset/{dataset}",
        run=lambda call: call.platform.keeping.plan_retention(call.path["dataset"]),
        gives=RetentionView,
        summary="Which snapshots would go now, and what keeps the others",
    ),
    Route(
        method="POST",
        path="/api/v1/datasets/{dataset}/retention",
        permission="Data.Retain",
        run=_retention,
        takes=RetentionRequest,
        example={"keep_last": 3},
        gives=Retention,
        summary="Say how long a dataset's snapshots are kept",
    ),
    Route(
        method="POST",
        path="/api/v1/datasets/{dataset}/retention/apply",
        permission="Data.Retain",
        run=lambda call: call.platform.keeping.apply_retention(call.actor, call.path["dataset"], key=call.key),
        gives=RetentionView,
        summary="Let go now what the policy lets go",
    ),
    Route(
        method="POST",
        path="/api/v1/datasets/{dataset}/forget",
        permission="Data.Forget",
        run=_forget,
        takes=ForgetRequest,
        example={"column": "rider", "value": "ann", "reason": "she asked"},
        gives=ErasureRecord,
        summary="Delete a person's rows, in every snapshot and every dataset that references them",
    ),
    Route(
        method="GET",
        path="/api/v1/erasures",
        permission="Data.Read",
        run=lambda call: call.platform.erasing.records(),
        gives=tuple[ErasureRecord, ...],
        summary="Every deletion of a person: who asked, why, and what it did",
    ),
    Route(
        method="GET",
        path="/api/v1/erasures/{erasure}",
        permission="Data.Read",
        run=lambda call: call.platform.erasing.record(call.path["erasure"]),
        gives=ErasureRecord,
        summary="How far one deletion is",
    ),
)
