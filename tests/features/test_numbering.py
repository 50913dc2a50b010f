"""Keys as numbers: by hashes as by comparing keys, and no trust in hashes."""

import shutil
import subprocess

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leverframe.features.rows import numbering, numbering_c
from leverframe.features.rows.libraries import library_path
from leverframe.features.rows.numbering import UNKNOWN, distinct_keys, key_codes


@pytest.fixture(scope="module", autouse=True)
def compiled(tmp_path_factory: pytest.TempPathFactory) -> None:
    """From the very source, whatever was installed."""
    source = tmp_path_factory.mktemp("numbering") / "numbering.c"
    source.write_bytes(numbering_c.SOURCE.read_bytes())
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))))
    flags = ("-std=gnu11", "-O2", "-fPIC", "-shared", "-Wall", "-Wextra", "-Werror")
    subprocess.run([compiler, *flags, "-o", library_path(source), source], check=True, timeout=60)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(numbering_c, "SOURCE", source)
        numbering_c._calls.cache_clear()
        assert numbering_c._calls() is not None
        yield
    numbering_c._calls.cache_clear()


texts = st.one_of(st.none(), st.sampled_from(["", "A", "B", "a longer key than fits a view of twelve bytes"]))
rows_lists = st.lists(st.tuples(texts, st.one_of(st.none(), st.integers(-2, 2))), max_size=30)


def keys_of(rows: list[tuple[str | None, int | None]], columns: list[str]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema={"text": pl.String, "number": pl.Int64}, orient="row").select(columns)


@given(rows_lists, rows_lists, st.sampled_from([["text"], ["number"], ["text", "number"]]))
@settings(max_examples=150, deadline=None, derandomize=True)
def test_by_hashes_as_by_comparing_keys(
    rows: list[tuple[str | None, int | None]], asked: list[tuple[str | None, int | None]], columns: list[str]
) -> None:
    """A key with another's number would read another entity's history; a null is nobody's key."""
    there = keys_of(rows, columns).drop_nulls()
    known, codes = distinct_keys(there)
    assert known.equals(there.unique().sort(columns))
    assert codes.tolist() == [known.rows().index(row) for row in there.rows()]
    questions = keys_of(asked, columns)
    expected = [known.rows().index(row) if row in known.rows() else UNKNOWN for row in questions.rows()]
    assert key_codes(questions, known).tolist() == expected


def test_more_keys_than_the_first_table_holds_are_numbered_in_a_larger_one() -> None:
    keys = pl.DataFrame({"k": np.random.default_rng(3).permutation(60_000)})
    found = numbering_c.distinct_by_hash(keys)
    assert found is not None
    assert found[0]["k"].to_list() == list(range(60_000))
    assert found[1].tolist() == keys["k"].to_list()


@pytest.mark.parametrize(
    "crowd", [lambda n: np.zeros(n), lambda n: np.arange(n) % 2, lambda n: np.arange(n) << 60], ids=["one", "two", "near"]
)
def test_keys_made_to_collide_are_told_apart_all_the_same(monkeypatch: pytest.MonkeyPatch, crowd) -> None:
    """Who can choose keys can choose their hashes: such keys may cost time, never take another's place."""
    keys = pl.DataFrame({"k": [f"key {i}" for i in range(500)]})
    monkeypatch.setattr(numbering_c, "_hashes", lambda rows: crowd(rows.height).astype(np.uint64))
    assert numbering_c.distinct_by_hash(keys) is None
    known, codes = distinct_keys(keys)
    assert known["k"].gather(codes).to_list() == keys["k"].to_list()
    assert key_codes(pl.DataFrame({"k": ["key 7", "key 500"]}), known).tolist() == [known["k"].to_list().index("key 7"), UNKNOWN]


def test_without_a_compiler_the_numbers_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = keys_of([("B", 1), ("A", 2), ("B", 1), ("A", 1)], ["text", "number"])
    expected = distinct_keys(rows)
    monkeypatch.setattr(numbering_c, "INTERFACE", -1)
    numbering_c._calls.cache_clear()
    assert numbering_c.distinct_by_hash(rows) is None
    known, codes = numbering.distinct_keys(rows)
    numbering_c._calls.cache_clear()
    assert known.equals(expected[0])
    assert codes.tolist() == expected[1].tolist() == [2, 1, 2, 0]
