"""Routes of batch tables: which output readers see, plans to switch it, the way back. Batches are scored by ``lever table``, never here."""

from typing import Annotated

import msgspec

from leverframe.apps.control.route import Call, Route
from leverframe.apps.control.routes_release import Approve, Nothing
from leverframe.apps.platform.views.tables import TablePlanView, TableView
from leverframe.core.digest import check_digest
from leverframe.release.tables.records import BatchTable


class TableRollback(msgspec.Struct, frozen=True, kw_only=True):
    """Why, and ``to`` which earlier output (empty: the one before)."""

    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]
    to: Annotated[str, msgspec.Meta(max_length=80)] = ""


def _approve(call: Call) -> TablePlanView:
    digest = check_digest(call.path["digest"])
    return call.platform.tables.approve(call.actor, call.path["table"], digest, note=call.body.note, key=call.key)


def _switch(call: Call) -> TableView:
    return call.platform.tables.switch(call.actor, call.path["table"], check_digest(call.path["digest"]), key=call.key)


def _rollback(call: Call) -> TableView:
    asked: TableRollback = call.body
    to = check_digest(asked.to) if asked.to else ""
    return call.platform.tables.rollback(call.actor, call.path["table"], reason=asked.reason, to=to, key=call.key)


ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/api/v1/tables",
        permission="Release.Read",
        run=lambda call: call.platform.tables.tables(),
        gives=tuple[BatchTable, ...],
        summary="Batch tables, and which output readers of each see",
    ),
    Route(
        method="GET",
        path="/api/v1/tables/{table}",
        permission="Release.Read",
        resource="batch_table/{table}",
        run=lambda call: call.platform.tables.table(call.path["table"]),
        gives=TableView,
        summary="One table: its pointer with the output's digest, who changed it when and why, and its plans",
    ),
    Route(
        method="GET",
        path="/api/v1/tables/{table}/rows",
        permission="Data.Read",
        resource="batch_table/{table}",
        run=lambda call: call.platform.tables.rows(call.actor, call.path["table"]),
        gives=bytes,
        media_type="application/octet-stream",
        summary="What readers of the table see, as a Parquet file",
    ),
    Route(
        method="POST",
        path="/api/v1/tables/{table}/plans/{digest}/approve",
        permission="Release.Approve",
        run=_approve,
        takes=Approve,
        gives=TablePlanView,
        example={"note": "the shift is what the new weather feed does"},
        summary="Approve exactly this switch",
    ),
    Route(
        method="POST",
        path="/api/v1/tables/{table}/plans/{digest}/switch",
        permission="Release.Apply",
        run=_switch,
        takes=Nothing,
        gives=TableView,
        example={},
        summary="Let readers see what was compared and approved",
    ),
    Route(
        method="POST",
        path="/api/v1/tables/{table}/rollback",
        permission="Release.Rollback",
        run=_rollback,
        takes=TableRollback,
        gives=TableView,
        example={"reason": "the morning report looks wrong"},
        summary="Let readers see again what they saw before",
    ),
)
