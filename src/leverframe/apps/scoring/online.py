"""Scores of a finished batch in the online store, by id: all of them in one transaction, so that a reader sees the old or the new ones."""

from pathlib import Path

import numpy as np
import polars as pl

from leverframe.apps.scoring.files import CODE
from leverframe.core.schema import ViewBinding
from leverframe.features.online.online import EntityRows, OnlineStore, ViewMeta, entity_keys
from leverframe.serving.batch.output import Manifest

SCORES_VERSION = "scores/1"
"""The view version of every batch's scores: whoever reads them need not know which job made them."""


def scores_binding(view: str, id_field: str, output: str) -> ViewBinding:
    """How the scores are read again."""
    return ViewBinding(view=view, view_version=SCORES_VERSION, entity_fields=(id_field,), features=(output,))


def put_online(manifest: Manifest, folder: Path, store: OnlineStore, *, view: str, output: str, now_us: int) -> int:
    """Replace what the store holds of ``view`` by the scored rows of a finished job; returns how many. Doing it again changes nothing.

    A row without a score is not there: a reader finds no value, as for an id nobody scored.

    Raises
    ------
    Unavailable: the store cannot be written; it keeps the old scores.
    """
    asked = manifest.asked
    columns = [asked.id_column, output]
    rows = pl.concat(pl.read_parquet(folder / part.file, columns=[*columns, CODE]) for part in manifest.parts).filter(pl.col(CODE) == "")
    moment_us = asked.moment_us or now_us
    moments = np.full(rows.height, moment_us, dtype=np.int64)
    entities = EntityRows(
        keys=entity_keys([rows[asked.id_column].to_list()]),
        event_us=moments,
        arrival_us=moments,
        values=rows[output].to_numpy().reshape(-1, 1),
    )
    meta = ViewMeta(
        view=view,
        view_version=SCORES_VERSION,
        features=(output,),
        watermark_us=moment_us,
        newest_event_us=moment_us,
        newest_arrival_us=moment_us,
    )
    store.write(entities, meta, replace=True)
    return rows.height
