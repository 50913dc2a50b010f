"""Pandera's side, on its Polars backend. Runs in an environment of its own."""

import json
import statistics
import sys
import time
from pathlib import Path

import pandera.polars as pa
import polars as pl
from pandera.errors import SchemaErrors

REPEATS = 3
TYPES = {pl.Int64(): int, pl.Float64(): float, pl.String(): str}


def schema_of(rules, schema):
    """The rules as a pandera schema; each check carries its rule's name."""
    checks = {name: [] for name in schema}
    nullable = dict.fromkeys(schema, True)
    unique = dict.fromkeys(schema, False)
    whole = []
    for item in rules:
        rule, name = item["rule"], item["column"]
        if rule == "required":
            nullable[name] = False
        elif rule == "unique":
            unique[name] = True
        elif rule == "minimum":
            checks[name].append(pa.Check.ge(item["limit"], name="minimum"))
        elif rule == "maximum":
            checks[name].append(pa.Check.le(item["limit"], name="maximum"))
        elif rule == "enumeration":
            checks[name].append(pa.Check.isin(item["values"], name="enumeration"))
        elif rule == "pattern":
            checks[name].append(pa.Check.str_matches(item["pattern"], name="pattern"))
        elif rule == "length_max":
            checks[name].append(pa.Check.str_length(max_value=item["limit"], name="length_max"))
        else:
            other = item["other"]
            ordered = pa.Check(lambda data, a=name, b=other: data.lazyframe.select(pl.col(a) <= pl.col(b)), name=f"ordered {name}")
            whole.append(ordered)
    columns = {
        name: pa.Column(TYPES[dtype], checks=checks[name], nullable=nullable[name], unique=unique[name]) for name, dtype in schema.items()
    }
    return pa.DataFrameSchema(columns, checks=whole)


def failing(error):
    """Failing rows by rule and column. A repeated value counts each time but the first, as everywhere in this benchmark."""
    found = {}
    for item in error.schema_errors:
        name = getattr(item.check, "name", None) or str(item.check)
        cases = item.failure_cases
        count = cases.height if hasattr(cases, "height") else 1
        column = getattr(item.schema, "name", None)
        if "unique" in name:
            values = cases.to_series(0)
            found[f"unique {column}"] = values.len() - values.n_unique()
        elif name.startswith("ordered"):
            found[name] = count
        else:
            found[f"{'required' if 'null' in name else name} {column}"] = count
    return found


def main(folder):
    """Measure and leave ``pandera.json``."""
    rules = json.loads((folder / "rules.json").read_text())
    result = {"version": pa.__dict__.get("__version__") or __import__("pandera").__version__}
    for name in ("clean", "faulty"):
        frame = pl.read_parquet(folder / f"{name}.parquet")
        schema = schema_of(rules, frame.schema)
        times, processor = [], []
        found = {}
        for _ in range(REPEATS):
            started, spent = time.perf_counter(), time.process_time()
            try:
                schema.validate(frame, lazy=True)
            except SchemaErrors as error:
                found = failing(error)
            times.append(time.perf_counter() - started)
            processor.append(time.process_time() - spent)
        result[f"{name}_s"] = statistics.median(times)
        result[f"{name}_cpu_s"] = statistics.median(processor)
        result[f"{name}_failing"] = found
    (folder / "pandera.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
