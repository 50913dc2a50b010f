"""Rows as they come: the entities they are about are brought to now in the online store, within the request that delivered them.

Only what the rows can have changed is computed again, from the same rows as a materialisation would read and by the same timeline, so that
both end in the same values. The store's watermark stays: other entities have not been looked at.
"""

import msgspec
import polars as pl

from leverframe.core.errors import Conflict, Unavailable
from leverframe.core.feature import FeatureView
from leverframe.core.schema import ViewBinding
from leverframe.features.declared.definitions import check_view, view_version
from leverframe.features.materialization.materialize import ATTEMPTS_MAX
from leverframe.features.materialization.slices import Partition, compute, entity_rows, over_held
from leverframe.features.online.online import OnlineStore
from leverframe.features.rows.source_rows import entity_key_type, moment


def push_rows(view: FeatureView, fresh: pl.DataFrame, source: pl.LazyFrame, store: OnlineStore, now_us: int) -> int | None:
    """Bring the entities of ``fresh`` to their values as of ``now_us``; doing it again changes nothing.

    Parameters
    ----------
    fresh: source rows that are new.    source: all rows of the source, ``fresh`` among them; read for windowed views only.

    Returns
    -------
    How many entities were written; None when the store holds nothing of this version, which a materialisation must begin.

    Raises
    ------
    InvalidInput: the view does not fit the rows.    Unavailable: the store cannot be written, or is written by others without end.
    """
    version = view_version(view)
    if view.transform:
        # Which of its rows come of the new ones is known to the transform alone: all are prepared again.
        rows = source
    else:
        check_view(view, dict(fresh.schema))
        rows = _of_the_same_entities(view, fresh, source) if view.aggregates else fresh.lazy()
    for _ in range(ATTEMPTS_MAX):
        revision, held = store.revision(view.name, version), store.meta(view.name, version)
        if held is None:
            return None
        found = compute(
            view, rows, Partition(name="push", from_us=held.watermark_us if view.transform else _known_from(view, fresh) - 1, to_us=now_us)
        )
        new = entity_rows(view, found.latest)
        binding = ViewBinding(view=view.name, view_version=version, entity_fields=view.entity, features=view.features)
        there = store.read(binding, new.keys, now_us)
        new = over_held(view, new, there.event_us.tolist(), there.arrival_us.tolist())
        meta = msgspec.structs.replace(
            held,
            newest_event_us=max(held.newest_event_us, found.newest_us[0]),
            newest_arrival_us=max(held.newest_arrival_us, found.newest_us[1]),
        )
        try:
            store.write(new, meta, after=revision)
        except Conflict:
            continue
        return len(new.keys)
    raise Unavailable("other writers change this view without end", where=view.name, next_step="push the rows again")


def _of_the_same_entities(view: FeatureView, fresh: pl.DataFrame, source: pl.LazyFrame) -> pl.LazyFrame:
    schema = source.collect_schema()
    keys = [pl.col(name).cast(entity_key_type(schema[name])) for name in view.entity]
    wanted = fresh.lazy().select(pl.col(name).cast(entity_key_type(fresh.schema[name])) for name in view.entity).unique()
    return source.join(wanted, left_on=keys, right_on=list(view.entity), how="semi", maintain_order="left")


def _known_from(view: FeatureView, fresh: pl.DataFrame) -> int:
    """The first moment at which any of the rows is known."""
    event, arrival = (moment(name, fresh.schema[name]) for name in (view.event_time, view.arrival_time))
    first = fresh.select(pl.max_horizontal(event, arrival).min()).item()
    return 0 if first is None else int(first)
