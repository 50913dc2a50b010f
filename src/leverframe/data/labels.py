"""Labels that arrive late: what was known at a moment, and nothing more."""

from dataclasses import dataclass

import polars as pl

from leverframe.core.errors import Fault, SchemaMismatch

LABEL_COLUMNS = ("id", "label", "known_at_us")


@dataclass(frozen=True, kw_only=True)
class KnownLabels:
    """Labels as of ``at_us``.

    ``rows`` has one row an id (``id``, ``label``, ``known_at_us``), sorted by id. ``waiting`` ids have no label yet. ``repeated``
    rows said what an earlier row of their id had said; ``contradicted`` ids changed their label, and the latest one known counts.
    """

    rows: pl.DataFrame
    at_us: int
    waiting: int
    repeated: int
    contradicted: int


def known_labels(labels: pl.LazyFrame | pl.DataFrame, at_us: int) -> KnownLabels:
    """Which labels were known at ``at_us``.

    Parameters
    ----------
    labels: rows with ``id``, ``label`` (null or NaN: never known, for instance a cancelled flight) and ``known_at_us``, in any order
        and with repetitions.
    at_us: the moment of asking; a label known exactly then counts.

    Notes
    -----
    Of labels that became known at the same moment and disagree, the larger counts, so that the order of rows never matters.

    Raises
    ------
    SchemaMismatch: a column is absent.

    >>> rows = pl.DataFrame({"id": ["a", "a", "b"], "label": [0.0, 1.0, 1.0], "known_at_us": [1, 2, 9]})
    >>> known = known_labels(rows, 5)
    >>> known.rows.rows(), known.waiting, known.contradicted
    ([('a', 1.0, 2)], 1, 1)
    """
    offered = labels.lazy()
    absent = [name for name in LABEL_COLUMNS if name not in offered.collect_schema()]
    if absent:
        faults = [Fault(where=name, what="column is absent") for name in absent]
        raise SchemaMismatch("labels lack columns", where="labels", expected=", ".join(LABEL_COLUMNS), faults=faults)
    label = pl.col("label").cast(pl.Float64)
    timed = offered.select("id", pl.when(label.is_finite()).then(label).alias("label"), "known_at_us").collect()
    seen = timed.filter(pl.col("label").is_not_null() & (pl.col("known_at_us") <= at_us))
    one_each = (
        seen.sort("id", "known_at_us", "label")
        .group_by("id", maintain_order=True)
        .agg(pl.col("label").last(), pl.col("known_at_us").last(), pl.col("label").n_unique().alias("distinct"), pl.len().alias("times"))
    )
    return KnownLabels(
        rows=one_each.select(*LABEL_COLUMNS),
        at_us=at_us,
        waiting=timed["id"].n_unique() - one_each.height,
        repeated=int((one_each["times"] - one_each["distinct"]).sum()),
        contradicted=int((one_each["distinct"] > 1).sum()),
    )
