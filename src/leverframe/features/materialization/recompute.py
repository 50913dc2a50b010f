"""Entities computed anew after rows of theirs were deleted: what the store held of them goes, and comes again from the remaining rows.

A push never replaces a newer value by an older one; here the newer one may be what was deleted.
"""

from collections.abc import Sequence

import polars as pl

from leverframe.core.errors import Conflict, Unavailable
from leverframe.core.feature import FeatureView
from leverframe.features.declared.definitions import view_version
from leverframe.features.materialization.materialize import ATTEMPTS_MAX
from leverframe.features.materialization.slices import Partition, compute, entity_rows
from leverframe.features.online.online import OnlineStore, entity_keys
from leverframe.features.rows.source_rows import entity_key_type


def recompute(
    definitions: Sequence[FeatureView], taken: pl.DataFrame, source: pl.LazyFrame | None, store: OnlineStore, now_us: int
) -> tuple[int, int]:
    """Bring the entities of ``taken`` to what the remaining rows say of them; doing it again changes nothing.

    Parameters
    ----------
    definitions: the versions of one view that the store holds.    taken: rows that were deleted.
    source: what remains; None: nothing.    now_us: values are as of then.

    Returns
    -------
    From how many (entity, version) pairs values went, and how many have a value again.

    Raises
    ------
    InvalidInput: the view does not fit the rows.    Unavailable: the store cannot be written, or is written by others without end.
    """
    if not definitions or not all(name in taken.columns for name in definitions[0].entity):
        return 0, 0
    entity = list(definitions[0].entity)
    wanted = taken.select(entity).drop_nulls().unique(maintain_order=True)
    keys = entity_keys([wanted[name].to_list() for name in entity])
    gone = sum(store.forget(definitions[0].name, key) for key in keys)
    again = sum(_written(view, wanted, source, store, now_us) for view in definitions) if source is not None else 0
    return gone, again


def _written(view: FeatureView, wanted: pl.DataFrame, source: pl.LazyFrame, store: OnlineStore, now_us: int) -> int:
    version = view_version(view)
    for _ in range(ATTEMPTS_MAX):
        revision, held = store.revision(view.name, version), store.meta(view.name, version)
        if held is None:
            return 0
        found = compute(view, _of(view, wanted, source), Partition(name="recompute", to_us=max(now_us, held.watermark_us))).latest
        # A transform is given all rows, so what comes of it may be about others too.
        same = wanted.select(pl.col(name).cast(found.schema[name]) for name in view.entity)
        rows = entity_rows(view, found.join(same, on=list(view.entity), how="semi", maintain_order="left"))
        try:
            store.write(rows, held, after=revision)
        except Conflict:
            continue
        return len(rows.keys)
    raise Unavailable("other writers change this view without end", where=view.name, next_step=f"lever features materialize {view.name}")


def _of(view: FeatureView, wanted: pl.DataFrame, source: pl.LazyFrame) -> pl.LazyFrame:
    """The source rows of the wanted entities; of a view with a transform all rows."""
    if view.transform:
        return source
    schema = source.collect_schema()
    keys = [pl.col(name).cast(entity_key_type(schema[name])) for name in view.entity]
    right = wanted.lazy().select(pl.col(name).cast(entity_key_type(wanted.schema[name])) for name in view.entity)
    return source.join(right, left_on=keys, right_on=list(view.entity), how="semi", maintain_order="left")
