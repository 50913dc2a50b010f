"""Batch materialisation: the view's values as of a moment go to the online store, old or new, never half.

Whoever writes has computed from a state that was read; the store takes it only while that state still holds (``write(after=…)``), and the
work is done again from the newer state otherwise. So of two materialisers one is first and the other continues from there.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from leverframe.core.errors import Conflict, InvalidInput
from leverframe.core.feature import FeatureView
from leverframe.core.schema import ViewBinding
from leverframe.features.declared.definitions import view_version
from leverframe.features.materialization.slices import Partition, Slice, compute, entity_rows, over_held, put_together
from leverframe.features.online.online import NEVER_US, OnlineStore, ViewMeta

ATTEMPTS_MAX = 5
"""A write that always finds another one before it is given up after this many."""


@dataclass(frozen=True)
class Materialized:
    """What one materialisation wrote: how many entities, and the moment up to which the store is now complete."""

    view: str
    view_version: str
    entities: int
    watermark_us: int
    incremental: bool


def materialize(view: FeatureView, source: pl.LazyFrame, store: OnlineStore, to_us: int, *, full: bool = False) -> Materialized:
    """Bring ``store`` to the view's values as of ``to_us`` and make this version of the view the active one.

    Only entities that changed since the store's watermark are written; doing it again changes nothing. Rows that were delivered
    with an arrival time *before* the watermark are found by ``full`` alone, which rewrites the version in one transaction.

    Raises
    ------
    InvalidInput: ``to_us`` lies before the store's watermark (only ``full`` can go back), or the view does not fit the source.
    Conflict: others write this version without end.    Unavailable: the store cannot be written; it keeps its old state.
    """
    for attempt in range(ATTEMPTS_MAX):
        held = None if full else store.meta(view.name, view_version(view))
        since_us = NEVER_US if held is None else held.watermark_us
        check_forward(view, since_us, to_us)
        part = compute(view, source, Partition(name="all", from_us=since_us, to_us=to_us))
        try:
            return write_slices(view, [part], store, to_us, since_us=since_us)
        except Conflict:
            if attempt == ATTEMPTS_MAX - 1:
                raise
    raise AssertionError("the loop above returns or raises")


def check_forward(view: FeatureView, since_us: int, to_us: int) -> None:
    """Return when a store that is complete up to ``since_us`` can be brought forward to ``to_us``.

    Raises
    ------
    InvalidInput: it is further already.
    """
    if to_us < since_us:
        raise InvalidInput(
            "the online store is already further than that",
            where=view.name,
            expected=f"a moment from {since_us} on",
            got=str(to_us),
            next_step=f"lever features materialize {view.name} --full",
        )


def write_slices(
    view: FeatureView,
    slices: Sequence[Slice],
    store: OnlineStore,
    to_us: int,
    *,
    since_us: int,
    activate: bool = True,
    revision: int | None = None,
) -> Materialized:
    """Write computed slices in one transaction, then make the version the active one.

    Parameters
    ----------
    slices: in order of time; together everything that changed in ``(since_us, to_us]``, or everything there is for ``NEVER_US``, which
        replaces what the version holds.
    activate: False leaves the active version as it is.
    revision: the version's revision when the caller last made sure that it may write; None: now.

    Raises
    ------
    Conflict: the store is not complete up to ``since_us`` (any more), or another writer came between; nothing was changed.
    """
    version = view_version(view)
    revision = store.revision(view.name, version) if revision is None else revision
    held = store.meta(view.name, version)
    replace = since_us == NEVER_US
    if not replace and (held is None or held.watermark_us < since_us or to_us < held.watermark_us):
        got = "nothing" if held is None else str(held.watermark_us)
        raise Conflict("the online store was changed meanwhile", where=view.name, expected=f"complete up to {since_us} at least", got=got)
    rows = entity_rows(view, put_together(view, [part.latest for part in slices]))
    if not replace:
        binding = ViewBinding(view=view.name, view_version=version, entity_fields=view.entity, features=view.features)
        there = store.read(binding, rows.keys, to_us)
        rows = over_held(view, rows, there.event_us.tolist(), there.arrival_us.tolist())
    newest = [part.newest_us for part in slices]
    if held is not None and not replace:
        newest.append((held.newest_event_us, held.newest_arrival_us))
    meta = ViewMeta(
        view=view.name,
        view_version=version,
        features=view.features,
        watermark_us=to_us,
        newest_event_us=max((event for event, _ in newest), default=NEVER_US),
        newest_arrival_us=max((arrival for _, arrival in newest), default=NEVER_US),
    )
    store.write(rows, meta, replace=replace, after=revision)
    if activate:
        store.activate(view.name, version)
    return Materialized(view=view.name, view_version=version, entities=len(rows.keys), watermark_us=to_us, incremental=not replace)
