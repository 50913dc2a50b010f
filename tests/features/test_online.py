"""Entity keys: one byte form, no two entities alike, nothing stored under a missing one."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leverframe.core.errors import InvalidInput
from leverframe.features.online.online import MISSING_KEY, entity_key, entity_keys

part = st.one_of(st.text(max_size=8), st.text(alphabet="\x1b\x1fehnu", max_size=4))


@given(st.lists(part, min_size=2, max_size=2), st.lists(part, min_size=2, max_size=2))
def test_two_entities_never_share_a_key(one: list[str], other: list[str]) -> None:
    assert (entity_key(one) == entity_key(other)) == (one == other)
    assert entity_key(one) != MISSING_KEY


@given(part)
def test_a_single_key_is_never_the_missing_one(text: str) -> None:
    assert entity_key([text]) != MISSING_KEY


def test_the_same_entity_has_one_key_whatever_carries_it() -> None:
    """Requests bring bytes, numpy strings and int64; sources bring str and int."""
    assert {entity_key([v]) for v in ("7", b"7", np.str_("7"), np.bytes_(b"7"), 7, np.int64(7), np.uint8(7))} == {b"7"}


def test_missing_parts_make_a_missing_key() -> None:
    assert entity_keys([["JFK", None, "LGA"], ["AA", "AA", float("nan")]]) == [b"JFK\x1fAA", MISSING_KEY, MISSING_KEY]


def test_long_keys_are_hashed_within_what_a_store_can_hold() -> None:
    keys = {entity_key(["x" * 300]), entity_key(["x" * 301])}
    assert len(keys) == 2
    assert {len(k) for k in keys} == {34}


def test_a_float_is_no_key() -> None:
    with pytest.raises(InvalidInput, match="float"):
        entity_key([1.5])


def test_the_read_path_does_not_load_polars() -> None:
    """Gateways import these files; Polars would cost them 80 MB and a quarter of a second at start."""
    imports = "import sys, leverframe.features.online.online_lmdb, leverframe.features.online.online_redis"
    code = f"{imports}; print({{'polars', 'pandas'}} & {{*sys.modules}})"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "set()"


@given(
    st.lists(st.one_of(st.text(max_size=5), st.sampled_from(["JFK", "\x1f", "a\x1bb", "", "x" * 256, "é" * 129]), st.none(), st.integers()))
)
def test_keys_of_a_column_are_the_keys_of_its_values(column):
    """Columns of plain text are keyed all at once."""
    assert entity_keys([column]) == [entity_key([value]) for value in column]
