"""Whatever a suite's file holds, importing it gives a contract that reads back, or an error of ours; never anything else."""

from collections.abc import Callable, Mapping
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from leverframe.core.errors import LeverframeError
from leverframe.data.contract.contract_file import read_contract
from leverframe.data.importers.claims import Suite
from leverframe.data.importers.great_expectations import great_expectations_suite
from leverframe.data.importers.pandera import pandera_suite
from leverframe.data.importers.suite_contract import import_suite

WORDS = ("a", "b", "int64", "^x", "2013-01-01", "(", "1e400", "it's")
INNER = ("min_value", "max_value", "value", "options", "check_name", "$PARAMETER")
LEAF = st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(WORDS)
ANY = st.recursive(LEAF, lambda c: st.lists(c, max_size=3) | st.dictionaries(st.sampled_from(INNER), c, max_size=3), max_leaves=5)

KINDS = (
    *("to_not_be_null", "to_be_unique", "to_be_between", "to_be_in_set", "to_not_be_in_set", "to_match_regex", "to_not_match_regex"),
    *("to_match_regex_list", "to_be_of_type", "to_be_in_type_list"),
)
TYPES = (
    *(f"expect_column_values_{kind}" for kind in KINDS),
    *("expect_column_value_lengths_to_be_between", "expect_compound_columns_to_be_unique", "unexpected_rows_expectation"),
    *("expect_column_pair_values_a_to_be_greater_than_b", "expect_table_row_count_to_be_between", "ExpectTableColumnsToMatchSet"),
)
ASKED = (
    *("column_A", "column_B", "column_list", "column_set", "value_set", "regex", "regex_list", "min_value", "max_value", "value", "mostly"),
    *("strict_min", "strict_max", "type_", "type_list", "match_on", "ignore_row_if", "unexpected_rows_query", "row_condition"),
)
KWARGS = st.dictionaries(st.sampled_from(ASKED), ANY, max_size=6).map(lambda kwargs: {"column": "a", **kwargs}) | ANY
EXPECTATION = st.fixed_dictionaries(
    {"type": st.sampled_from(TYPES) | ANY, "kwargs": KWARGS}, optional={"severity": ANY, "description": ANY}
)
CHECKS = ("in_range", "isin", "notin", "equal_to", "greater_than", "str_matches", "str_startswith", "str_length", "unique_values_eq")
SAID = ("dtype", "nullable", "unique", "regex", "checks", "default", "parsers", "description", "required")
COLUMN = st.dictionaries(st.sampled_from((*CHECKS, *SAID)), ANY, max_size=6) | ANY
COLUMNS = st.dictionaries(st.sampled_from(("a", "b", "c d", "")), COLUMN, max_size=3) | st.lists(COLUMN, max_size=2) | ANY
WHOLE = ("schema_type", "name", "version", "unique", "checks", "strict", "index", "drop_invalid_rows", "description", "parsers")


def reads_back_or_is_refused(reader: Callable[[Mapping[str, Any]], Suite], document: Mapping[str, Any]) -> None:
    try:
        done = import_suite(reader(document), dataset="", team="t", owner="o")
    except LeverframeError:
        return
    assert read_contract(done.text.encode()) == done.contract


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.fixed_dictionaries({"expectations": st.lists(EXPECTATION | ANY, max_size=4) | ANY}, optional={"name": ANY, "meta": ANY}))
def test_any_great_expectations_file(document: dict[str, Any]) -> None:
    reads_back_or_is_refused(great_expectations_suite, document)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.fixed_dictionaries({"columns": COLUMNS}, optional=dict.fromkeys(WHOLE, ANY)))
def test_any_pandera_file(document: dict[str, Any]) -> None:
    reads_back_or_is_refused(pandera_suite, document)
