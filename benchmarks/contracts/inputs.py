"""The same rows and the same 120 rules for every side: 1,000,000 rows of 50 columns, once clean and once with faults.

The rules are plain records (``rules.json``), so that each side builds its own form of them from one source.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

ROWS = 1_000_000
SEED = 20130101
FAULTS_SHARE = 0.001
KINDS = ("ab", "cd", "ef", "gh", "ij", "kl")
FLOATS, WHOLE, TEXTS, CODES = 18, 12, 10, 4


def rules() -> list[dict[str, Any]]:
    """120 rules: presence 48, least 22, most 22, few values 12, pattern 6, length 6, alone 2, two columns in order 2."""
    names = [name for name in columns() if name not in ("f16", "f17")]
    listed: list[dict[str, Any]] = [{"rule": "required", "column": name} for name in names]
    ranged = [*(f"f{i:02}" for i in (*range(10), 13, 14)), *(f"i{i:02}" for i in range(10))]
    listed += [{"rule": "minimum", "column": name, "limit": 0} for name in ranged]
    listed += [{"rule": "maximum", "column": name, "limit": 1000} for name in ranged]
    few = [*(f"s{i:02}" for i in range(TEXTS)), "i10", "i11"]
    listed += [{"rule": "enumeration", "column": n, "values": list(KINDS) if n[0] == "s" else list(range(8))} for n in few]
    listed += [{"rule": "pattern", "column": name, "pattern": r"^[A-Z]{2}[0-9]{4}$"} for name in patterned()]
    listed += [{"rule": "length_max", "column": name, "limit": 6} for name in patterned()]
    listed += [{"rule": "unique", "column": name} for name in ("id", "ticket")]
    listed += [{"rule": "ordered", "column": a, "other": b} for a, b in (("t0", "t1"), ("f10", "f11"))]
    assert len(listed) == 120, len(listed)
    return listed


def patterned() -> list[str]:
    """The columns of codes."""
    return [*(f"c{i}" for i in range(CODES)), "ticket2", "ticket3"]


def columns() -> list[str]:
    """All 50 names."""
    names = ["id", "ticket", "t0", "t1", "ticket2", "ticket3"]
    names += [f"f{i:02}" for i in range(FLOATS)] + [f"i{i:02}" for i in range(WHOLE)]
    return names + [f"s{i:02}" for i in range(TEXTS)] + [f"c{i}" for i in range(CODES)]


def table(rows: int = ROWS) -> pl.DataFrame:
    """Rows that keep every rule; one in twenty values of two columns is missing."""
    rng = np.random.default_rng(SEED)
    codes = np.char.add(rng.choice(["AB", "CD", "XY", "QQ"], 50_000), np.char.zfill(rng.integers(0, 10_000, 50_000).astype("U4"), 4))
    start = rng.integers(0, 10**9, rows)
    data: dict[str, Any] = {
        "id": np.arange(rows),
        "ticket": rng.permutation(rows) + 10**12,
        "t0": start,
        "t1": start + rng.integers(0, 1000, rows),
        "ticket2": rng.choice(codes, rows),
        "ticket3": rng.choice(codes, rows),
    }
    data |= {f"f{i:02}": rng.random(rows) * 1000 for i in range(FLOATS)}
    data["f11"] = data["f10"] + rng.random(rows)
    data |= {f"i{i:02}": rng.integers(0, 1001, rows) if i < 10 else rng.integers(0, 8, rows) for i in range(WHOLE)}
    data |= {f"s{i:02}": rng.choice(KINDS, rows) for i in range(TEXTS)}
    data |= {f"c{i}": rng.choice(codes, rows) for i in range(CODES)}
    frame = pl.DataFrame(data).select(columns())
    missing = pl.Series(rng.random(rows) < 0.05)
    return frame.with_columns([pl.when(missing).then(None).otherwise(pl.col(name)).alias(name) for name in ("f16", "f17")])


def spoiled(frame: pl.DataFrame) -> pl.DataFrame:
    """One value in a thousand is bad, in one column of each kind of rule."""
    rng = np.random.default_rng(SEED + 1)

    def some() -> pl.Series:
        return pl.Series(rng.random(frame.height) < FAULTS_SHARE)

    def put(name: str, value: Any) -> pl.Expr:
        return pl.when(some()).then(pl.lit(value)).otherwise(pl.col(name)).alias(name)

    return frame.with_columns(
        put("f00", -1.0),
        put("f01", 1000.5),
        put("i00", -1),
        put("i01", 1001),
        put("f12", None),
        put("s00", "zz"),
        put("i10", 99),
        put("c0", "AB12"),
        put("c1", "AB123456"),
        put("ticket", 10**12),
        put("t1", -1),
    )


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    clean = table()
    clean.write_parquet(folder / "clean.parquet")
    spoiled(clean).write_parquet(folder / "faulty.parquet")
    (folder / "rules.json").write_text(json.dumps(rules()))
