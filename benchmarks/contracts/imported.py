"""Suites that were imported, beside the tools they come from: one good table and one for each kind of fault, who turns which away.

Only what the import carries over is asked of the tool; what it left out, it named.
"""

import json
import sys
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from leverframe.apps.importing_contracts import import_great_expectations, import_pandera
from leverframe.data.checks.checks import check
from leverframe.data.contract.contracts import Contract

SUITES = Path(__file__).parents[2] / "tests" / "data" / "suites"
ROWS, DAY_US = 200, 86_400_000_000
FAULTS: dict[str, dict[str, Any]] = {
    "clean": {},
    "order_id repeated": {"order_id": 8},
    "order_id below": {"order_id": 0},
    "customer missing": {"customer": None},
    "customer short": {"customer": "al"},
    "customer long": {"customer": "a" * 41},
    "customer and moment repeated": {"customer": "anna 1", "placed_at": 2 * DAY_US},
    "status unknown": {"status": "lost"},
    "status missing": {"status": None},
    "amount at the open end": {"amount": 0.0},
    "amount above": {"amount": 10_000.5},
    "amount missing": {"amount": None},
    "discount at the open end": {"discount": 1.0},
    "discount below": {"discount": -0.25},
    "code otherwise": {"code": "1B1234"},
    "code longer": {"code": "AB12345"},
    "code forbidden": {"code": "XX1234"},
    "note without its word": {"note": "well lost"},
    "note with another beginning": {"note": "is kept"},
    "items forbidden": {"items": 0},
    "amount below items": {"amount": 1.0},
    "dear and open": {"amount": 6_000.0, "status": "open"},
}


def table(fault: dict[str, Any], faulty: int) -> pl.DataFrame:
    """Rows that keep everything, ``faulty`` of which have ``fault`` instead."""
    rows = []
    for row in range(ROWS):
        good = {
            "order_id": 7 + row,
            "customer": f"anna {row}",
            "status": ("open", "paid", "sent")[row % 3],
            "amount": 3.0 + row,
            "discount": (row % 10) / 10,
            "code": f"AB{row:04}",
            "note": "well kept",
            "items": 2,
            "placed_at": (1 + row) * DAY_US,
        }
        rows.append({**good, **fault} if 10 <= row < 10 + faulty else good)
    types = {"amount": pl.Float64(), "discount": pl.Float64(), "items": pl.UInt8()}
    frame = pl.DataFrame(rows, schema_overrides=types, infer_schema_length=None)
    return frame.with_columns(pl.col("placed_at").cast(pl.Datetime("us")))


def judged(contract: Contract, frame: pl.DataFrame) -> dict[str, Any]:
    """Whether rows are accepted, whether anything at all is said of them, and how many rows break rules, each rule counted."""
    report = check(frame.select([c.name for c in contract.columns if c.name in frame.columns]), contract, 0).report
    failing = [result for result in report.results if not result.passed]
    return {"accepted": report.accepted, "silent": not failing, "failing_rows": sum(result.failing_rows for result in failing)}


def main(folder: Path, pandera_python: str) -> None:
    """Leave the tables, what is asked of each tool, and our verdicts in ``folder``."""
    who = {"dataset": "orders", "team": "shop", "owner": "ana"}
    tables = {name: table(fault, 1 if "below" in name else 5) for name, fault in FAULTS.items()}
    for number, frame in enumerate(tables.values()):
        frame.write_parquet(folder / f"orders_{number}.parquet")
    of_pandera = import_pandera(str(SUITES / "orders_pandera.py"), python=pandera_python, **who)
    suite = json.loads((SUITES / "orders.gx.json").read_text())
    # Great Expectations runs queries on SQL engines only, and counts columns that no rule names as its own fault.
    unasked = ("unexpected_rows_expectation", "expect_table_columns_to_match_set")
    suite["expectations"] = [item for item in suite["expectations"] if item["type"] not in unasked]
    asked = folder / "orders.gx.json"
    asked.write_text(json.dumps(suite))
    of_gx = import_great_expectations(str(asked), rows=folder / "orders_0.parquet", **who)
    left = {fault.where.split(" ")[0] for fault in of_gx.left if not fault.what.startswith("carried over")}
    suite["expectations"] = [item for index, item in enumerate(suite["expectations"]) if f"expectations.{index}" not in left]
    asked.write_text(json.dumps(suite))
    (folder / "tables.json").write_text(json.dumps(list(tables)))
    verdicts = {
        tool: {name: judged(done.contract, frame) for name, frame in tables.items()}
        for tool, done in (("pandera", of_pandera), ("great_expectations", of_gx))
    }
    (folder / "imported.json").write_bytes(msgspec.json.encode(verdicts))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
