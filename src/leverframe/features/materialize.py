"""Batch materialisation: the timeline as of a moment goes to the online store, old or new, never half."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from leverframe.core.errors import InvalidInput
from leverframe.core.feature import FeatureView
from leverframe.features.definitions import ARRIVAL, EVENT, VALID_FROM, view_version
from leverframe.features.online import NEVER_US, EntityRows, OnlineStore, ViewMeta, entity_keys
from leverframe.features.timeline import timeline


@dataclass(frozen=True)
class Materialized:
    """What one materialisation wrote: how many entities, and the moment up to which the store is now complete."""

    view: str
    view_version: str
    entities: int
    watermark_us: int
    incremental: bool


def entity_rows(view: FeatureView, latest: pl.DataFrame) -> EntityRows:
    """Timeline rows (at most one an entity) in the online store's form."""
    return EntityRows(
        keys=entity_keys([latest[key].to_list() for key in view.entity]),
        event_us=latest[EVENT].to_numpy(),
        arrival_us=latest[ARRIVAL].to_numpy(),
        values=latest.select(pl.col(view.features).fill_null(np.nan)).to_numpy().reshape(latest.height, len(view.features)),
    )


def materialize(view: FeatureView, source: pl.LazyFrame, store: OnlineStore, to_us: int, *, full: bool = False) -> Materialized:
    """Bring ``store`` to the view's values as of ``to_us`` and make this version of the view the active one.

    Only entities that changed since the store's watermark are written; doing it again changes nothing. Rows that were delivered
    with an arrival time *before* the watermark are found by ``full`` alone, which rewrites the version in one transaction.

    Raises
    ------
    InvalidInput: ``to_us`` lies before the store's watermark (only ``full`` can go back), or the view does not fit the source.
    Unavailable: the store cannot be written; it keeps its old state.
    """
    version = view_version(view)
    held = None if full else store.meta(view.name, version)
    if held is not None and to_us < held.watermark_us:
        raise InvalidInput(
            "the online store is already further than that",
            where=view.name,
            expected=f"a moment from {held.watermark_us} on",
            got=str(to_us),
            next_step=f"lever features materialize {view.name} --full",
        )
    known = timeline(view, source).filter(pl.col(VALID_FROM) <= to_us)
    if held is not None:
        known = known.filter(pl.col(VALID_FROM) > held.watermark_us)
    latest = known.unique(list(view.entity), keep="last", maintain_order=True)
    newest = known.select(pl.col(EVENT, ARRIVAL).max())
    meta = ViewMeta(
        view=view.name,
        view_version=version,
        features=view.features,
        watermark_us=to_us,
        newest_event_us=_newest(newest[EVENT][0], held.newest_event_us if held else NEVER_US),
        newest_arrival_us=_newest(newest[ARRIVAL][0], held.newest_arrival_us if held else NEVER_US),
    )
    store.write(entity_rows(view, latest), meta, replace=held is None)
    store.activate(view.name, version)
    return Materialized(view=view.name, view_version=version, entities=latest.height, watermark_us=to_us, incremental=held is not None)


def _newest(found: int | None, held: int) -> int:
    return held if found is None else max(held, found)
