"""Great Expectations' side, on pandas, the fastest of its supported backends for rows in memory. Runs in an environment of its own."""

import json
import statistics
import sys
import time
from pathlib import Path

import great_expectations as gx
import great_expectations.expectations as gxe
import pandas as pd

REPEATS = 2


def suite_of(rules):
    """The rules as an expectation suite."""
    suite = gx.ExpectationSuite(name="bench")
    for item in rules:
        rule, name = item["rule"], item["column"]
        meta = {"rule": f"{rule} {name}"}
        if rule == "required":
            suite.add_expectation(gxe.ExpectColumnValuesToNotBeNull(column=name, meta=meta))
        elif rule == "unique":
            suite.add_expectation(gxe.ExpectColumnValuesToBeUnique(column=name, meta=meta))
        elif rule == "minimum":
            suite.add_expectation(gxe.ExpectColumnValuesToBeBetween(column=name, min_value=item["limit"], meta=meta))
        elif rule == "maximum":
            suite.add_expectation(gxe.ExpectColumnValuesToBeBetween(column=name, max_value=item["limit"], meta=meta))
        elif rule == "enumeration":
            suite.add_expectation(gxe.ExpectColumnValuesToBeInSet(column=name, value_set=item["values"], meta=meta))
        elif rule == "pattern":
            suite.add_expectation(gxe.ExpectColumnValuesToMatchRegex(column=name, regex=item["pattern"], meta=meta))
        elif rule == "length_max":
            suite.add_expectation(gxe.ExpectColumnValueLengthsToBeBetween(column=name, max_value=item["limit"], meta=meta))
        else:
            pair = {"column_A": item["other"], "column_B": name, "or_equal": True}
            suite.add_expectation(gxe.ExpectColumnPairValuesAToBeGreaterThanB(**pair, meta=meta))
    return suite


def failing(result, frame):
    """Failing rows by rule and column; of repeated values it counts every one, and we all but the first."""
    found = {}
    for item in result.results:
        count = item.result.get("unexpected_count", 0)
        if item.exception_info.get("raised_exception"):
            raise RuntimeError(str(item.exception_info)[:300])
        rule = item.expectation_config.meta["rule"]
        if count and rule.startswith("unique "):
            count = int(frame[rule.removeprefix("unique ")].duplicated().sum())
        if count:
            found[rule] = int(count)
    return found


def batch_of(context, frame, name):
    """A batch of rows held in memory."""
    asset = context.data_sources.add_pandas(name).add_dataframe_asset(name="bench")
    return asset.add_batch_definition_whole_dataframe("whole").get_batch(batch_parameters={"dataframe": frame})


def main(folder):
    """Measure and leave ``great_expectations.json``."""
    rules = json.loads((folder / "rules.json").read_text())
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    result = {"version": gx.__version__}
    suite = suite_of(rules)
    for name in ("clean", "faulty"):
        frame = pd.read_parquet(folder / f"{name}.parquet")
        batch = batch_of(context, frame, name)
        times, processor = [], []
        for _ in range(REPEATS):
            started, spent = time.perf_counter(), time.process_time()
            done = batch.validate(suite, result_format={"result_format": "BASIC", "partial_unexpected_count": 3})
            times.append(time.perf_counter() - started)
            processor.append(time.process_time() - spent)
        result[f"{name}_s"] = statistics.median(times)
        result[f"{name}_cpu_s"] = statistics.median(processor)
        result[f"{name}_failing"] = failing(done, frame)
    (folder / "great_expectations.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
