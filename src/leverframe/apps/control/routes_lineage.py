"""Routes of lineage."""

from typing import Annotated

import msgspec

from leverframe.apps.control.route import Call, Route
from leverframe.apps.platform.views import ImpactView, LineageView
from leverframe.core.errors import InvalidInput
from leverframe.core.lineage import Change

COLUMNS_MAX = 100
_MOMENT_MAX = 2**63 - 1
Moment = Annotated[int, msgspec.Meta(ge=0, le=_MOMENT_MAX)]


class LineageQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose lineage (``model/flight-delay``, ``weather.temp``), and when (0: now)."""

    thing: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    at_us: Moment = 0


class ImpactQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which columns (``dataset.column``, with commas between) are to be changed, and how."""

    columns: Annotated[str, msgspec.Meta(min_length=1, max_length=8_000)]
    change: Change = "remove"
    at_us: Moment = 0


def _lineage(call: Call) -> LineageView:
    return call.platform.lineage.of(call.query.thing, call.query.at_us or None)


def _impact(call: Call) -> ImpactView:
    columns = tuple(column.strip() for column in call.query.columns.split(",") if column.strip())
    if not 0 < len(columns) <= COLUMNS_MAX:
        raise InvalidInput("number of columns out of range", where="columns", expected=f"1 to {COLUMNS_MAX}", got=str(len(columns)))
    return call.platform.lineage.impact(columns, call.query.change, call.query.at_us or None)


ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/api/v1/lineage",
        permission="Lineage.Read",
        query=LineageQuery,
        query_example={"thing": "weather.temp"},
        run=_lineage,
        gives=LineageView,
        summary="What a thing is made from and who lives by it, column by column, at any moment",
    ),
    Route(
        method="GET",
        path="/api/v1/lineage/impact",
        permission="Lineage.Read",
        query=ImpactQuery,
        query_example={"columns": "weather.temp", "change": "remove"},
        run=_impact,
        gives=ImpactView,
        summary="What breaks if these columns are removed, renamed or get another type",
    ),
)
