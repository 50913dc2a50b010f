"""What the data contract costs at the serving door: one row of 20 fields held to its rules, in process, on one core.

There is no peer beside it: none of the serving products this project is compared with checks a contract. The bar is 20 µs a row.
"""

import statistics
import time

import numpy as np
from benchmarks.report import Report

from leverframe.core.schema import FieldRule, InputColumn, RequestField, Signature
from leverframe.serving.protocol.contract import RowContract

FIELDS = 20
ROWS = 20_000
PASSES = 9
ROW_US_MAX = 20.0


def contract(texts: int) -> RowContract:
    """Rules on 20 fields, the first ``texts`` of them texts with an enumeration, the others numbers with two limits; all required."""
    fields = tuple(RequestField(name=f"f{i}", datatype="BYTES" if i < texts else "FP64") for i in range(FIELDS))
    rules = tuple(
        FieldRule(field=field.name, enumeration=tuple("abcdefgh"), length_max=8, required=True)
        if field.datatype == "BYTES"
        else FieldRule(field=field.name, minimum=-10.0, maximum=10.0, required=True)
        for field in fields
    )
    columns = tuple(
        InputColumn(name=field.name, source="request", field=field.name, categories=("a",) if field.datatype == "BYTES" else ())
        for field in fields
    )
    return RowContract(Signature(request=fields, columns=columns, contract="bench 1.0.0", rules=rules))


def row_us(texts: int) -> tuple[float, int]:
    """Median over passes of the time a row takes, µs, and how many rows were found to keep the contract (all of them should)."""
    rng = np.random.default_rng(texts)
    numbers, words = rng.normal(size=(ROWS, FIELDS - texts)).tolist(), rng.choice(list("abcdefgh"), size=(ROWS, texts)).tolist()
    rows = [[*word, *number] for word, number in zip(words, numbers, strict=True)]
    keeps, took, kept = contract(texts).keeps, [], 0
    for _ in range(PASSES):
        begin = time.perf_counter()
        kept = sum(map(keeps, rows))
        took.append((time.perf_counter() - begin) / ROWS * 1e6)
    return statistics.median(took), kept


def main() -> None:
    """Measure and report."""
    report = Report(name="door", packages=("leverframe", "numpy"))
    for texts, words in ((0, "20 numbers"), (5, "15 numbers, 5 texts")):
        us, kept = row_us(texts)
        assert kept == ROWS, "a row that keeps the contract was turned away"
        report.add(f"row check, {words}, all required and bounded", us, "µs", bar=ROW_US_MAX)
    report.write()
