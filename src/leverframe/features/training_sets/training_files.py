"""Training sets larger than memory: questions stream through in parts, each part becomes one Parquet file."""

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from pathlib import Path

import polars as pl

from leverframe.core.errors import Conflict
from leverframe.core.feature import FeatureView
from leverframe.core.training_set_report import ViewMatch
from leverframe.features.training_sets.point_in_time import compile_for, histories, join

ROWS_PER_PART = 1_000_000
"""Bounds memory: a part of 20 features takes about 0.5 GB while it is made, whatever the number of parts."""


@dataclass(frozen=True)
class WrittenTrainingSet:
    """What ``write_training_set`` left in its folder: ``parts`` in the order of the questions, and what each view had for all of them."""

    parts: tuple[Path, ...]
    rows: int
    matches: tuple[ViewMatch, ...]


def write_training_set(
    questions: pl.LazyFrame,
    asked_at: str,
    views: Sequence[tuple[FeatureView, pl.LazyFrame]],
    folder: Path,
    *,
    rows_per_part: int = ROWS_PER_PART,
    progress: Callable[[int], None] = lambda rows: None,
) -> WrittenTrainingSet:
    """``training_set``, written to ``folder`` as ``part-00000.parquet`` and so on. ``pl.scan_parquet(folder)`` reads it back in order.

    The folder appears when the last part is complete: there is never half a training set under its name.

    Parameters
    ----------
    questions: as for ``training_set``, best a scan of Parquet files, which is never in memory as a whole.
    folder: must not exist yet.
    rows_per_part: at most this many questions are in memory at once; the histories of the views are, too.
    progress: told after each part how many rows are done.

    Raises
    ------
    SchemaMismatch, InvalidInput: as ``training_set``.
    Conflict: the folder exists.
    """
    if folder.exists():
        raise Conflict("there is something already", where=str(folder), next_step="name a folder that does not exist, or remove this one")
    compiled = compile_for(questions.collect_schema(), asked_at, histories(views))
    growing = folder.with_name(f".{folder.name}.growing")
    shutil.rmtree(growing, ignore_errors=True)
    growing.mkdir(parents=True)
    names: list[str] = []
    reports: list[tuple[ViewMatch, ...]] = []
    rows = 0
    for part in questions.collect_batches(chunk_size=rows_per_part, maintain_order=True, lazy=True):
        joined = join(part, asked_at, compiled)
        names.append(f"part-{len(names):05d}.parquet")
        joined.frame.write_parquet(growing / names[-1])
        reports.append(joined.matches)
        rows += part.height
        progress(rows)
    if not names:
        joined = join(questions.head(0).collect(), asked_at, compiled)
        names.append("part-00000.parquet")
        joined.frame.write_parquet(growing / names[-1])
        reports.append(joined.matches)
    os.rename(growing, folder)
    totals = tuple(reduce(add, of_view) for of_view in zip(*reports, strict=True))
    return WrittenTrainingSet(parts=tuple(folder / name for name in names), rows=rows, matches=totals)
