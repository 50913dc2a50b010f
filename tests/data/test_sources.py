"""Bytes become rows within bounds; hostile bytes become an error that names the fault."""

import contextlib
import io
import random
import signal
import subprocess
import sys
import time

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leverframe.core.errors import InvalidInput, LeverframeError, LimitExceeded
from leverframe.data.sources.files import Limits, read_rows
from leverframe.data.sources.parquet_footer import declared_size


def parquet(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


def test_each_format_gives_its_rows() -> None:
    frame = pl.DataFrame({"a": [1, 2], "b": ["x", None]})
    assert read_rows(parquet(frame), "parquet").equals(frame)
    assert read_rows(b"a,b\n1,x\n2,\n", "csv").rows() == [("1", "x"), ("2", None)]
    assert read_rows(b'\xef\xbb\xbfa,b\r\n1,"x,\ny"\r\n', "csv").rows() == [("1", "x,\ny")]
    assert read_rows(b'{"a":1,"b":"x"}\n\n{"a":2}\n', "jsonl").equals(frame)


def test_mixed_json_values_show_up_as_text_not_as_a_guess() -> None:
    frame = read_rows(b'{"a":1,"b":true,"c":1}\n{"a":"far","b":false,"c":1.5}\n{"c":99999999999999999999}', "jsonl")
    assert frame["a"].to_list() == ["1", "far", None]
    assert frame["b"].to_list() == [True, False, None]
    assert frame["c"].to_list() == ["1", "1.5", "1e+20"] or frame["c"].dtype == pl.String


@pytest.mark.parametrize(
    ("data", "format", "kind", "says"),
    [
        (b"a,b\n1,2,3\n", "csv", InvalidInput, "CSV cannot be read"),
        (b"a,a\n1,2\n", "csv", InvalidInput, "column names"),
        (b"a,\n1,2\n", "csv", InvalidInput, "column names"),
        (b"", "csv", InvalidInput, "no columns"),
        (b"a,b\n1,\xff\n", "csv", InvalidInput, "line 2"),
        ("a,b\n1,2\n".encode("utf-16"), "csv", InvalidInput, "UTF-16"),
        (b"a\n\x00\n", "csv", InvalidInput, "NUL"),
        (b",".join(b"c%d" % i for i in range(100_000)) + b"\n", "csv", LimitExceeded, "columns"),
        (b"x" * 1_500_000, "csv", LimitExceeded, "header line"),
        (b"[1]\n", "jsonl", InvalidInput, "line 1"),
        (b'{"a":1}\n{"a":[1]}\n', "jsonl", InvalidInput, "line 2"),
        (b"[" * 200_000, "jsonl", InvalidInput, "line 1"),
        (b'{"a":' + b'{"a":' * 100_000, "jsonl", InvalidInput, "line 1"),
        (b"junk", "parquet", InvalidInput, "not a Parquet file"),
        (b"PAR1" + b"\0" * 30 + b"PAR1", "parquet", InvalidInput, "footer"),
        (b"PAR1" + b"\x19" * 30 + b"\x1e\0\0\0PAR1", "parquet", InvalidInput, "footer"),
        (b"a", "pickle", InvalidInput, "unknown file format"),
    ],
)
def test_a_bad_file_is_refused_with_the_reason(data: bytes, format: str, kind: type[LeverframeError], says: str) -> None:
    with pytest.raises(kind) as refused:
        read_rows(data, format)
    assert says in str(refused.value)


def test_a_million_columns_are_cheap_to_refuse() -> None:
    data = b",".join([b"c"] * 1_000_000) + b"\n" + b",".join([b"1"] * 1_000_000) + b"\n"
    started = time.perf_counter()
    with pytest.raises(LimitExceeded):
        read_rows(data, "csv")
    assert time.perf_counter() - started < 0.5


def test_a_parquet_bomb_is_refused_by_its_footer_before_a_page_is_opened() -> None:
    bomb = parquet(pl.DataFrame({"a": ["z" * 60_000_000]}))
    assert len(bomb) < 20_000
    assert declared_size(bomb).uncompressed_bytes > 60_000_000
    with pytest.raises(LimitExceeded, match="once decompressed"):
        read_rows(bomb, "parquet", Limits(uncompressed_bytes_max=50_000_000))
    assert read_rows(bomb, "parquet", Limits(uncompressed_bytes_max=70_000_000)).height == 1, "without the bound it would be read"


def test_every_bound_is_kept() -> None:
    data = b"a,b\n" + b"1,2\n" * 10
    for limits in (Limits(bytes_max=20), Limits(rows_max=9), Limits(columns_max=1), Limits(cells_max=19)):
        with pytest.raises(LimitExceeded):
            read_rows(data, "csv", limits)
        with pytest.raises(LimitExceeded):
            read_rows(b'{"a":1,"b":2}\n' * 10, "jsonl", limits)
    assert read_rows(data, "csv", Limits(rows_max=10, columns_max=2)).height == 10


def test_an_error_never_shows_a_value_of_the_file() -> None:
    with pytest.raises(InvalidInput) as refused:
        read_rows(b"a,b\nsecret-1,2,3\n", "csv")
    assert "secret" not in str(refused.value.to_dict())


def damaged(seed: int) -> bytes:
    good = bytearray(parquet(pl.DataFrame({"a": [1, 2, 3], "b": ["x", "y", None]})))
    chance = random.Random(seed)
    for _ in range(chance.randint(1, 4)):
        good[chance.randrange(len(good))] = chance.randrange(256)
    return bytes(good)


ABORTS = 1216
"""The seed of a file that makes the reader abort its whole process."""


def test_without_a_process_of_its_own_a_damaged_file_takes_the_reader_down() -> None:
    """Negative control of the next test."""
    alone = "import io, sys, polars as pl; pl.read_parquet(io.BytesIO(sys.stdin.buffer.read()))"
    done = subprocess.run([sys.executable, "-c", alone], input=damaged(ABORTS), capture_output=True, check=False)
    assert done.returncode == -signal.SIGABRT


@pytest.mark.parametrize("seed", [ABORTS, *range(6)])
def test_damaged_parquet_is_read_or_refused_but_never_crashes(seed: int) -> None:
    with contextlib.suppress(LeverframeError):
        read_rows(damaged(seed), "parquet")


@pytest.mark.slow
def test_many_damaged_parquet_files_never_crash() -> None:
    for seed in range(12, 300):
        with contextlib.suppress(LeverframeError):
            read_rows(damaged(seed), "parquet")


@settings(max_examples=300, deadline=None)
@given(footer=st.binary(min_size=1, max_size=200))
def test_any_footer_is_measured_or_refused(footer: bytes) -> None:
    data = b"PAR1" + footer + len(footer).to_bytes(4, "little") + b"PAR1"
    with contextlib.suppress(InvalidInput):
        assert declared_size(data).rows >= -(2**63)
