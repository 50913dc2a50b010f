"""Keys as numbers: by hashes as by comparing keys, and no trust in hashes."""

import resource
import shutil
import subprocess
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leverframe.features.rows import numbering, numbering_c
from leverframe.features.rows.arrow_texts import texts_of
from leverframe.features.rows.libraries import library_path
from leverframe.features.rows.numbering import UNKNOWN, distinct_keys, key_codes


def build(folder: Path, *flags: str) -> Path:
    """The library beside a copy of the source; returns the copy."""
    source = folder / "numbering.c"
    source.write_bytes(numbering_c.SOURCE.read_bytes())
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))))
    always = ("-std=gnu11", "-O2", "-fPIC", "-shared", "-Wall", "-Wextra", "-Werror")
    subprocess.run([compiler, *always, *flags, "-o", library_path(source), source], check=True, timeout=60)
    return source


@pytest.fixture(scope="module", autouse=True)
def compiled(tmp_path_factory: pytest.TempPathFactory) -> None:
    """From the very source, whatever was installed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(numbering_c, "SOURCE", build(tmp_path_factory.mktemp("numbering")))
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
    keys = pl.DataFrame({"k": range(500)})
    monkeypatch.setattr(numbering_c, "_hashes", lambda rows: crowd(rows.height).astype(np.uint64))
    assert numbering_c.distinct_by_hash(keys) is None
    known, codes = distinct_keys(keys)
    assert known["k"].gather(codes).to_list() == keys["k"].to_list()
    assert key_codes(pl.DataFrame({"k": [7, 500]}), known).tolist() == [7, UNKNOWN]


ALIKE = [text for size in range(16) for text in ("a" * size, "a" * size + "\0", "a" * size + "b", "\0" * size)]
"""Around the lengths at which a text leaves its view, and with what a view is filled up with."""
LONG = [f"a long key with one beginning, {i:04d}" for i in range(300)]


@pytest.mark.parametrize("far", [64, 1])
def test_texts_are_told_apart_byte_by_byte_in_chunks_and_slices(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, far: int) -> None:
    """A text that is taken for another reads another entity's history. With one place to look, keys collide, and joins number them."""
    monkeypatch.setattr(numbering_c, "SOURCE", build(tmp_path, f"-DFAR={far}"))
    numbering_c._calls.cache_clear()
    rng = np.random.default_rng(2)
    some = pl.Series("k", [*ALIKE, *LONG, *ALIKE]).sample(fraction=1.0, shuffle=True, seed=1)
    chunks = pl.concat([pl.Series("k", ["before"]).append(some), pl.Series("k", LONG)], rechunk=False)[1:].to_frame()
    known, codes = distinct_keys(chunks)
    assert known["k"].to_list() == sorted({*ALIKE, *LONG})
    assert known["k"].gather(codes).to_list() == chunks["k"].to_list()
    assert (numbering_c.distinct_by_hash(chunks) is None) == (far == 1)
    asked = [None if i % 7 == 0 else text + "!" if i % 5 == 0 else text for i, text in enumerate(rng.permutation([*ALIKE, *LONG]).tolist())]
    questions = pl.concat([pl.Series("k", asked[:100]), pl.Series("k", asked[100:])], rechunk=False)[3:].to_frame()
    expected = [known["k"].index_of(text) if text in {*ALIKE, *LONG} else UNKNOWN for text in asked[3:]]
    assert key_codes(questions, known).tolist() == expected
    numbering_c._calls.cache_clear()


def test_what_polars_hands_over_is_let_go_of() -> None:
    """A column that was never let go of would stay in memory with every training set."""
    column = pl.Series("k", LONG)
    with texts_of(column) as held:
        assert [texts.rows for texts in held] == [300]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for turn in range(40):
        with texts_of(pl.Series("k", [f"{turn} {'x' * 100} {i}" for i in range(20_000)])) as held:
            assert held is not None
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 40_000
    with texts_of(pl.Series("n", [1, 2])) as none:
        assert none is None


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
