"""Great Expectations' own verdicts on the tables of ``imported``. Runs in an environment of its own."""

import json
import sys
from pathlib import Path

import great_expectations as gx
import pandas as pd


def judged(result):
    """Whether a critical expectation fails, whether any does, and the rows they name."""
    failed = [item for item in result.results if not item.success]
    for item in result.results:
        if item.exception_info.get("raised_exception"):
            raise RuntimeError(str(item.exception_info)[:300])
    critical = [item for item in failed if str(item.expectation_config.severity).rpartition(".")[2].lower() == "critical"]
    named = sum(int(item.result.get("unexpected_count") or 0) for item in failed)
    return {"accepted": not critical, "silent": not failed, "failing_rows": named}


def main(folder):
    """Leave ``great_expectations_verdicts.json``."""
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    said = json.loads((folder / "orders.gx.json").read_text())
    suite = gx.ExpectationSuite(name=said["name"], expectations=said["expectations"])
    found = {}
    for number, name in enumerate(json.loads((folder / "tables.json").read_text())):
        asset = context.data_sources.add_pandas(f"orders {number}").add_dataframe_asset(name="orders")
        frame = pd.read_parquet(folder / f"orders_{number}.parquet")
        batch = asset.add_batch_definition_whole_dataframe("whole").get_batch(batch_parameters={"dataframe": frame})
        found[name] = judged(batch.validate(suite, result_format="BASIC"))
    (folder / "great_expectations_verdicts.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
