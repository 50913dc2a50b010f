"""Are the values right? Cell by cell against DuckDB's ASOF JOIN, a slow reference and the peer.

Run as ``python -m benchmarks.features.oracles FOLDER``.
"""

import json
import sys
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
from benchmarks.features.inputs import VIEWS, WIDE

from leverframe.core.clock import HOUR_US
from leverframe.core.feature import FeatureView

REFERENCE_QUESTIONS = 1_500


def differ(a: pl.Series, b: pl.Series) -> int:
    """Cells that are not the same number, nor both missing."""
    ours, theirs = (s.cast(pl.Float64).fill_null(np.nan).to_numpy() for s in (a, b))
    return int((~((ours == theirs) | (np.isnan(ours) & np.isnan(theirs)))).sum())


def against_duckdb(folder: Path, ours: pl.DataFrame) -> tuple[int, int]:
    """Cells compared and cells that differ, over all questions. None of these sources corrects, so arrival order is event order."""
    cells = different = 0
    connection = duckdb.connect()
    connection.execute(f"CREATE VIEW asked AS SELECT * REPLACE (epoch_us(asked_at) AS asked_at) FROM '{folder / 'questions.parquet'}'")
    for view in VIEWS:
        key, names = view.entity[0], [f'"{f}"' for f in view.features]
        alive = f"event_us > asked_at - {view.ttl_us}" if view.ttl_us else "true"
        wanted = ", ".join(f"CASE WHEN {alive} THEN {name} END AS {name}" for name in names)
        rows = (
            f"SELECT * REPLACE (epoch_us(event_us) AS event_us, epoch_us(arrival_us) AS arrival_us) FROM '{folder / view.source}.parquet'"
        )
        oracle = connection.execute(
            f"WITH rows AS ({rows}) SELECT {wanted} FROM asked ASOF LEFT JOIN rows "
            f"ON asked.{key} = rows.{key} AND asked.asked_at >= rows.arrival_us ORDER BY asked.row"
        ).fetchnumpy()
        cells += sum(len(column) for column in oracle.values())
        found = {name: pl.Series(np.ma.filled(column.astype(np.float64), np.nan)) for name, column in oracle.items()}
        different += sum(differ(ours[f"{view.name}.{f}"], found[f]) for f in view.features)
    return cells, different


def against_reference(folder: Path, ours: pl.DataFrame) -> tuple[int, int]:
    """The definition, word by word, for some questions: of all rows of the key that had happened and arrived, the newest event."""
    chosen = np.sort(np.random.default_rng(9).choice(ours.height, REFERENCE_QUESTIONS, replace=False))
    cells = different = 0
    for view in VIEWS:
        rows = pl.read_parquet(folder / f"{view.source}.parquet")
        event, arrival = (rows[at].cast(pl.Int64).to_numpy() for at in ("event_us", "arrival_us"))
        keys, values = rows[view.entity[0]].to_numpy(), rows.select(view.features).fill_null(np.nan).to_numpy()
        for number in chosen:
            asked_us, key = int(ours["asked_at"].cast(pl.Int64)[int(number)]), ours[view.entity[0]][int(number)]
            expected = _newest(view, event, arrival, keys, values, key, asked_us)
            got = ours.row(int(number), named=True)
            for feature, value in zip(view.features, expected, strict=True):
                mine = got[f"{view.name}.{feature}"]
                different += not (mine == value or (mine is None and np.isnan(value)))
                cells += 1
    return cells, different


def _newest(view: FeatureView, event, arrival, keys, values, key, asked_us):  # type: ignore[no-untyped-def]
    known = np.flatnonzero((keys == key) & (event <= asked_us) & (arrival <= asked_us)) if key is not None else []
    nothing = np.full(len(view.features), np.nan)
    if not len(known):
        return nothing
    newest = max(known, key=lambda i: (event[i], arrival[i], i))
    return nothing if view.ttl_us and event[newest] <= asked_us - view.ttl_us else values[newest]


def against_feast(folder: Path, ours: pl.DataFrame) -> tuple[int, int]:
    """The same training set from the peer; a row that only one side has differs whole."""
    theirs = pl.read_parquet(folder / "feast_training.parquet").with_columns(pl.col("row").cast(pl.UInt32))
    both = ours.join(theirs, on="row", how="full", coalesce=True)
    columns = [(f"{view.name}.{feature}", f"{view.name}__{feature}") for view in VIEWS for feature in view.features]
    return both.height * len(columns), sum(differ(both[a], both[b]) for a, b in columns)


def feast_leaks(folder: Path) -> tuple[int, int]:
    """Questions that the peer, configured as documented, answers with a row that arrived later, and of these with a correction.

    A first report arrives an hour after its event, so at most an hour after the question; a correction three hours later still.
    """
    theirs = pl.read_parquet(folder / "feast_corrections.parquet")
    asked_us = pl.col("event_timestamp").cast(pl.Datetime("us", "UTC")).cast(pl.Int64)
    later_us = pl.col("corrected__known_us") - asked_us
    return theirs.filter(later_us > 0).height, theirs.filter(later_us > HOUR_US).height


def online_differ(folder: Path, peer: str) -> int:
    """Cells that differ between the two online stores' answers for the same entities."""
    ours, theirs = pl.read_parquet(folder / "ours_online.parquet"), pl.read_parquet(folder / f"{peer}.parquet")
    both = ours.join(theirs, on="entity", how="full", coalesce=True, suffix="_feast")
    return sum(differ(both[feature], both[f"{feature}_feast"]) for feature in WIDE.features)


def main(folder: Path, what: str) -> None:
    """Compare and write ``oracles.json``, or ``oracles_online.json`` for what the online stores answered."""
    if what == "online":
        peers = [peer for peer in ("feast_sqlite", "feast_redis") if (folder / f"{peer}.parquet").exists()]
        (folder / "oracles_online.json").write_text(json.dumps({f"{peer}_differ": online_differ(folder, peer) for peer in peers}))
        return
    ours = pl.read_parquet(folder / "ours_training.parquet")
    (cells, different), (few, few_different) = against_duckdb(folder, ours), against_reference(folder, ours)
    figures = {"duckdb_cells": cells, "duckdb_differ": different, "reference_cells": few, "reference_differ": few_different}
    if (folder / "feast_training.parquet").exists():
        cells, different = against_feast(folder, ours)
        figures |= {"feast_cells": cells, "feast_differ": different}
    if (folder / "feast_corrections.parquet").exists():
        figures["feast_leaks"], figures["feast_corrections"] = feast_leaks(folder)
    (folder / "oracles.json").write_text(json.dumps(figures))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "")
