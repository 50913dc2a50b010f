"""``lever contracts import``: a contract on standard output or in a new file, what it leaves out on standard error, no server asked."""

import json
import sys
from pathlib import Path

import polars as pl
import pytest
from tests.apps.test_cli import lever, platform  # noqa: F401 (fixtures)

from leverframe.apps.cli.exit_codes import OK, UNAVAILABLE, USAGE
from leverframe.data.contract.contract_file import read_contract

SUITES = Path(__file__).parents[1] / "data" / "suites"
WHO = ("--team", "shop", "--owner", "ana")


def test_a_pandera_file_becomes_a_contract_that_draft_could_have_written(lever):  # noqa: F811
    code, out, err = lever("contracts", "import", "pandera", str(SUITES / "orders.pandera.yaml"), *WHO, "--dataset", "Orders 2026")
    assert code == OK
    contract = read_contract(out.encode())
    assert (contract.name, contract.team, contract.owner, contract.version) == ("orders_2026", "shop", "ana", "0.1.0")
    assert "schema: strict: a column the contract does not name is dropped with a warning" in err
    assert "strict" not in out.partition("apiVersion")[2], "standard output holds the contract alone"


def test_a_suite_takes_types_from_rows_and_is_checked_against_them(lever, tmp_path):  # noqa: F811
    rows = tmp_path / "orders.parquet"
    pl.DataFrame(
        {
            "order_id": [1, 2],
            "customer": ["anna", "berta"],
            "status": ["open", "paid"],
            "amount": [5.0, 9.5],
            "code": ["AB1234", "CD0000"],
            "items": [1, 2],
            "placed_at": ["2026-01-01", "2026-01-02"],
        }
    ).with_columns(pl.col("placed_at").str.to_date()).write_parquet(rows)
    out_file = tmp_path / "orders.yaml"
    words = ("contracts", "import", "great-expectations", str(SUITES / "orders.gx.json"), *WHO, "--out", str(out_file))
    code, said, err = lever(*words, "--rows", str(rows))
    assert code == OK
    assert f"lever contracts check {out_file} --against ROWS" in " ".join(said.split())
    assert "guessed" not in err
    columns = {column.name: column.logical_type for column in read_contract(out_file.read_bytes()).columns}
    assert (columns["placed_at"], columns["items"]) == ("date", "integer")
    code, checked, _ = lever("contracts", "check", str(out_file), "--against", str(rows))
    assert code == OK
    assert "kept, 2 rows" in checked
    code, _, err = lever(*words)
    assert code == USAGE
    assert "a new file" in err, "what is there is not replaced"


def test_json_holds_the_contract_and_what_is_left(lever):  # noqa: F811
    code, out, _ = lever("contracts", "import", "great-expectations", str(SUITES / "orders.gx_0_18.json"), *WHO, "--json")
    said = json.loads(out)
    assert code == OK
    assert read_contract(said["contract"].encode()).name == "shop.orders"
    assert {"expect_column_quantile_values_to_be_between"} <= {fault["got"] for fault in said["left"]}


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (("pandera", "nowhere.yaml"), USAGE, "cannot be read"),
        (("pandera", "nowhere.py:Orders"), USAGE, "no such file"),
        (("pandera", str(SUITES / "orders.gx.json")), USAGE, "no pandera schema"),
        (("great-expectations", str(SUITES / "orders.pandera.json")), USAGE, "no Great Expectations suite"),
        (("pandera", str(SUITES / "orders_pandera.py"), "--python", "/nowhere/python"), UNAVAILABLE, "cannot be run"),
        (("pandera", str(SUITES / "orders_pandera.py"), "--python", sys.executable), USAGE, "No module named 'pandera'"),
    ],
)
def test_what_cannot_be_imported_says_why(lever, words, code, why):  # noqa: F811
    got, out, err = lever("contracts", "import", *words, *WHO)
    assert (got, out) == (code, "")
    assert why in " ".join(err.split())
