"""Our side: the rules as a contract, checked in memory and as a scan."""

import json
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from leverframe.core.dataset import ContractReport
from leverframe.data.checks.checks import check
from leverframe.data.checks.checks_scan import check_scan
from leverframe.data.contract.contracts import Column, Contract, SqlRule

REPEATS = 5
PHYSICAL = {pl.Int64(): ("integer", "int64"), pl.Float64(): ("number", "float64"), pl.String(): ("string", "string")}


def contract(rules: list[dict[str, Any]], schema: pl.Schema) -> Contract:
    """The contract of the benchmark's rules."""
    facts: dict[str, dict[str, Any]] = {name: {} for name in schema}
    sql = []
    for item in rules:
        name = item["column"]
        if item["rule"] == "ordered":
            sql.append(SqlRule(name=f"{name}_before_{item['other']}", bad_when=f"{name} > {item['other']}"))
        elif item["rule"] in ("required", "unique"):
            facts[name][item["rule"]] = True
        elif item["rule"] == "enumeration":
            facts[name]["enumeration"] = tuple(item["values"])
        else:
            facts[name][item["rule"]] = item.get("pattern", item.get("limit"))
    columns = [
        Column(name=name, logical_type=PHYSICAL[dtype][0], physical_type=PHYSICAL[dtype][1], **facts[name])  # type: ignore[arg-type,index]
        for name, dtype in schema.items()
    ]
    return Contract(name="bench", version="1.0.0", dataset="bench", owner="o", team="t", columns=tuple(columns), sql_rules=tuple(sql))


def failing(report: ContractReport) -> dict[str, int]:
    """Failing rows by rule and column; only of the 120 rules."""
    found = {}
    for result in report.results:
        if result.rule not in ("type", "present"):
            ordered = result.rule.partition("_before_")
            found["ordered " + ordered[0] if ordered[1] else f"{result.rule} {result.column}"] = result.failing_rows
    return found


def timed(run: Callable[[], ContractReport]) -> tuple[float, float, ContractReport]:
    """The median time and processor time of several runs, and the last report."""
    times, processor = [], []
    for _ in range(REPEATS):
        started, spent = time.perf_counter(), time.process_time()
        report = run()
        times.append(time.perf_counter() - started)
        processor.append(time.process_time() - spent)
    return statistics.median(times), statistics.median(processor), report


def of_file(path: Path, rules: list[dict[str, Any]]) -> dict[str, Any]:
    """What one table takes, in memory and as a scan; both give one report."""
    agreed = contract(rules, pl.Schema(pl.read_parquet_schema(path)))
    scan_s, _, streamed = timed(lambda: check_scan(pl.scan_parquet(path), agreed, 0))
    frame = pl.read_parquet(path)
    s, cpu_s, whole = timed(lambda: check(frame, agreed, 0).report)
    if streamed != whole:
        raise SystemExit(f"the scan of {path.name} has another report than its rows in memory")
    return {"scan_s": scan_s, "s": s, "cpu_s": cpu_s, "failing": failing(whole)}


def main(folder: Path) -> None:
    """Measure and leave ``ours.json``."""
    rules = json.loads((folder / "rules.json").read_text())
    result: dict[str, Any] = {}
    for name in ("clean", "faulty"):
        result |= {f"{name}_{fact}": value for fact, value in of_file(folder / f"{name}.parquet", rules).items()}
    result["rss_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    (folder / "ours.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
