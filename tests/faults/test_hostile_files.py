"""P31 for data: files made to hurt are refused with a reason, in bounded memory and processor time, and nothing of them becomes a snapshot.

Each file is read in a process of its own that says what it cost: its memory beyond what it had before, and that of the process in which
Parquet is opened first.
"""

import gzip
import io
import json
import resource
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.apps.data_streams import ANA, CONTRACT, opened

from leverframe.data.commands import KIND_SNAPSHOT
from leverframe.data.sources.files import ZLIB_STARTS

MEGABYTE = 1_000_000
MEMORY_MB_MAX, CPU_S_MAX = 500, 12.0
"""Beyond the file itself. The process in which Parquet is opened first has a limit of its own."""

_READ = """
import json, resource, sys
from pathlib import Path
from leverframe.core.errors import LeverframeError
import leverframe.data.sources.files as files
import polars, msgspec
exec(sys.argv[3])
limits = files.Limits(**json.loads(sys.argv[4]))
data = Path(sys.argv[1]).read_bytes()

def peak_mb():
    # Not ru_maxrss: a process inherits that of the one it was forked from.
    (line,) = [line for line in open("/proc/self/status") if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1000

before, before_mb = resource.getrusage(resource.RUSAGE_SELF), peak_mb()
try:
    frame = files.read_rows(data, sys.argv[2], limits)
    said = {"read": [frame.height, frame.width]}
except LeverframeError as error:
    said = {"code": error.code, "what": error.what, "bytes": len(json.dumps(error.to_dict()))}
here, probe = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
said["memory_mb"] = round(peak_mb() - before_mb, 1)
said["cpu_s"] = here.ru_utime + here.ru_stime - before.ru_utime - before.ru_stime + probe.ru_utime + probe.ru_stime
print(json.dumps(said))
"""


def read(path: Path, format: str, *, prelude: str = "", memory_mb: int = 6_000, **limits: int) -> dict[str, Any]:
    """What became of reading the file, and what it cost; ``died`` when the process did."""

    def bound() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (memory_mb * MEGABYTE, memory_mb * MEGABYTE))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    command = [sys.executable, "-c", _READ, str(path), format, prelude, json.dumps(limits)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, preexec_fn=bound, check=False)
    return json.loads(done.stdout) if done.returncode == 0 else {"died": done.returncode, "says": done.stderr[-300:]}


def refused(path: Path, format: str, **limits: int) -> dict[str, Any]:
    """The same, when it was refused within bounds."""
    said = read(path, format, **limits)
    print(format, path.name, said)
    assert said.get("code") in ("invalid_input", "limit_exceeded"), said
    assert said["memory_mb"] < MEMORY_MB_MAX, said
    assert said["cpu_s"] < CPU_S_MAX, said
    assert said["bytes"] < 20_000, "the refusal is itself a bomb"
    return said


def parquet(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


# Text ---------------------------------------------------------------------------------------------------------------

TEXTS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "a million columns": ("csv", lambda: b",".join([b"c%d" % n for n in range(1_000_000)]) + b"\n"),
    "a million quoted columns": ("csv", lambda: b",".join([b'"c"'] * 240_000) + b"\n"),
    "a line of 200 MB, no newline": ("csv", lambda: b"x" * (200 * MEGABYTE)),
    "a file of newlines": ("csv", lambda: b"a\n" + b"\n" * (40 * MEGABYTE)),
    "quotes that never close, in the header": ("csv", lambda: b'a,"b\n' + b"1,2\n" * 100_000),
    "more fields than names, 100 MB of them": ("csv", lambda: b"a,b\n" + b"," * (100 * MEGABYTE) + b"\n"),
    "UTF-16": ("csv", lambda: ("a,b\n" + "1,2\n" * 1_000_000).encode("utf-16")),
    "Latin-1 in the last line": ("csv", lambda: b"a,b\n" + b"1,2\n" * 5_000_000 + b"\xe9,2\n"),
    "overlong UTF-8": ("csv", lambda: b"a,b\n\xc0\xaf,1\n"),
    "NUL": ("csv", lambda: b"a,b\n1,\x002\n"),
    "control characters in a name": ("csv", lambda: b"a\x1b[31m,b\n1,2\n"),
    "a gzip bomb": ("csv", lambda: gzip.compress(b"a,b\n" + b"1,2\n" * 25_000_000)),
    "a zlib bomb": ("csv", lambda: zlib.compress(b"a,b\n" + b"1,2\n" * 25_000_000, 9)),
    "a gzip bomb of JSON": ("jsonl", lambda: gzip.compress(b'{"a":1}\n' * 12_000_000)),
    "JSON, a million levels": ("jsonl", lambda: b'{"a":' * 150_000),
    "JSON, a list in lists": ("jsonl", lambda: b'{"a":' + b"[" * 900_000),
    "JSON, a line of 200 MB": ("jsonl", lambda: b'{"a":"' + b"x" * (200 * MEGABYTE) + b'"}'),
    "JSON, a number of a million digits": ("jsonl", lambda: b'{"a":' + b"9" * 900_000 + b"}\n"),
    "JSON, a thousand columns after a million rows": (
        "jsonl",
        lambda: b"{}\n" * 1_000_000 + b"{" + b",".join(b'"c%d":1' % n for n in range(1_000)) + b"}\n",
    ),
    "JSON, a column a row": ("jsonl", lambda: b"".join(b'{"c%d":1}\n' % n for n in range(100_000))),
    "JSON, a file of newlines": ("jsonl", lambda: b"\n" * (40 * MEGABYTE)),
}


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * ("200 MB" in name or "100 MB" in name)) for name in TEXTS])
def test_hostile_text_is_refused_within_bounds(tmp_path: Path, name: str) -> None:
    format, made = TEXTS[name]
    path = tmp_path / "file"
    path.write_bytes(made())
    refused(path, format)


@pytest.mark.slow
def test_one_field_of_200_mb_is_read_in_memory_that_follows_the_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"a,b\n" + b"x" * (200 * MEGABYTE) + b",1\n")
    said = read(path, "csv")
    assert said["read"] == [1, 2]
    assert said["memory_mb"] < 1_000, said


def test_quotes_that_never_close_in_a_row_hide_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b'a,b\n1,"2\n' + b"3,4\n" * 1_000_000)
    said = read(path, "csv")
    assert said.get("code") == "invalid_input" or said["read"][0] == 1_000_001, "rows went into one field in silence"


def test_what_looks_like_zlib_is_read_as_the_text_it_is(tmp_path: Path) -> None:
    """``xڀ`` begins a column's name and a stream of zlib alike."""
    path = tmp_path / "file"
    assert "xڀ".encode().startswith(ZLIB_STARTS)
    path.write_bytes("xڀ,b\n1,2\n".encode())
    assert read(path, "csv")["read"] == [1, 2]
    # The negative control: without the mark the reader takes it for compressed.
    assert read(path, "csv", prelude="files.ZLIB_STARTS = ()").get("read") != [1, 2]


@pytest.mark.slow
def test_a_thousand_columns_after_many_rows_are_a_bomb_without_their_bound(tmp_path: Path) -> None:
    """The negative control: five megabytes of text become eight gigabytes of cells."""
    path = tmp_path / "file"
    path.write_bytes(TEXTS["JSON, a thousand columns after a million rows"][1]())
    lifted = read(path, "jsonl", prelude="files.JSON_CELLS_MAX = 10**12", memory_mb=3_000, cells_max=10**12)
    assert "died" in lifted or lifted["memory_mb"] > 1_500, lifted


# Parquet ------------------------------------------------------------------------------------------------------------


def varint(number: int) -> bytes:
    """An unsigned number in Thrift's compact form."""
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


def zigzag(number: int) -> bytes:
    """A number with a sign."""
    return varint(number << 1 if number >= 0 else (-number << 1) - 1)


def with_footer(footer: bytes, body: bytes = b"") -> bytes:
    return b"PAR1" + body + footer + struct.pack("<I", len(footer)) + b"PAR1"


def struct_of(*fields: tuple[int, int, bytes]) -> bytes:
    """A Thrift struct of (id, kind, value) in order of ids."""
    found, last = b"", 0
    for id, kind, value in fields:
        found += bytes([(id - last) << 4 | kind]) + value
        last = id
    return found + b"\0"


def decompressing(values: int, *, said: int) -> bytes:
    """A page of ``values`` zeros, eight bytes each, compressed to almost nothing; the footer says they are ``said``."""
    squeeze = zlib.compressobj(1, wbits=31)
    page = b"".join(squeeze.compress(bytes(8 * MEGABYTE)) for _ in range(values // MEGABYTE)) + squeeze.flush()
    about = struct_of((1, 5, zigzag(values)), (2, 5, zigzag(0)), (3, 5, zigzag(3)), (4, 5, zigzag(3)))
    head = struct_of((1, 5, zigzag(0)), (2, 5, zigzag(8 * values)), (3, 5, zigzag(len(page))), (5, 12, about))
    column = struct_of(
        (1, 5, zigzag(2)),
        (2, 9, b"\x15" + zigzag(0)),
        (3, 9, b"\x18\x01x"),
        (4, 5, zigzag(2)),
        (5, 6, zigzag(said)),
        (6, 6, zigzag(8 * said)),
        (7, 6, zigzag(len(head) + len(page))),
        (9, 6, zigzag(4)),
    )
    group = struct_of((1, 9, b"\x1c" + struct_of((2, 6, zigzag(4)), (3, 12, column))), (2, 6, zigzag(8 * said)), (3, 6, zigzag(said)))
    schema = b"\x2c" + element(b"r", children=1) + element(b"x", type=2, repetition=0)
    footer = struct_of((1, 5, zigzag(2)), (2, 9, schema), (3, 6, zigzag(said)), (4, 9, b"\x1c" + group))
    return with_footer(footer, head + page)


def element(name: bytes, *, children: int = 0, type: int | None = None, repetition: int | None = None) -> bytes:
    """A ``SchemaElement``."""
    fields = (
        (1, 5, None if type is None else zigzag(type)),
        (3, 5, None if repetition is None else zigzag(repetition)),
        (4, 8, varint(len(name)) + name),
        (5, 5, zigzag(children) if children else None),
    )
    return struct_of(*((id, kind, value) for id, kind, value in fields if value is not None))


def nested(depth: int) -> bytes:
    """A file without rows whose only column lies ``depth`` groups deep."""
    elements = [element(b"r", children=1), *[element(b"g", children=1, repetition=1)] * depth, element(b"x", type=1, repetition=1)]
    schema = b"\xfc" + varint(len(elements)) + b"".join(elements)
    return with_footer(b"\x15" + zigzag(2) + b"\x19" + schema + b"\x16" + zigzag(0) + b"\x19\x0c\0")


def repeated_value(rows: int, columns: int) -> bytes:
    values = pl.repeat(7, rows, dtype=pl.Int64, eager=True)
    return parquet(pl.DataFrame({f"c{n}": values for n in range(columns)}))


@pytest.mark.slow
def test_one_value_repeated_300_million_times_is_refused_by_what_it_would_be_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(repeated_value(3_000_000, 100))
    assert path.stat().st_size < 10 * MEGABYTE
    assert refused(path, "parquet")["what"] == "too many bytes once decompressed"


def test_a_page_that_decompresses_beyond_what_the_footer_says_is_stopped(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(decompressing(MEGABYTE, said=MEGABYTE))
    assert read(path, "parquet")["read"] == [MEGABYTE, 1], "a file made so is not even one: the test would prove nothing"
    path.write_bytes(decompressing(150 * MEGABYTE, said=1))
    assert path.stat().st_size < 6 * MEGABYTE
    refused(path, "parquet")
    # The negative control: the same file opened here at once.
    lifted = read(path, "parquet", prelude="files.probe = lambda *_: None")
    assert "died" in lifted or lifted["memory_mb"] > 1_000, lifted


def test_what_the_footer_says_is_refused_before_a_page_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(decompressing(MEGABYTE, said=300 * MEGABYTE))
    assert refused(path, "parquet")["what"] == "too many rows"
    path.write_bytes(decompressing(MEGABYTE, said=19 * MEGABYTE))
    assert refused(path, "parquet", uncompressed_bytes_max=100 * MEGABYTE)["what"] == "too many bytes once decompressed"


def test_columns_nested_without_end_are_refused_and_would_take_the_process_with_them(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for depth in (20, 1_000, 100_000):
        path.write_bytes(nested(depth))
        refused(path, "parquet")
    path.write_bytes(nested(20_000))
    lifted = read(path, "parquet", prelude="import leverframe.data.sources.parquet_footer as f; f.NESTING_MAX = 10**9")
    assert lifted.get("code") == "invalid_input", f"the probe did not catch it: {lifted}"
    alone = "import leverframe.data.sources.parquet_footer as f; f.NESTING_MAX = 10**9; files.probe = lambda *_: None"
    assert "died" in read(path, "parquet", prelude=alone), "without both it is harmless: the test proves nothing"


def test_lists_are_counted_by_their_values(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(parquet(pl.DataFrame({"l": [pl.repeat(0, 20_000_000, eager=True)]})))
    assert path.stat().st_size < MEGABYTE
    refused(path, "parquet", cells_max=10_000_000)
    assert read(path, "parquet", cells_max=30_000_000)["read"] == [1, 1], "the bound is not what refused it"


FOOTERS: dict[str, bytes] = {
    "longer than the file": b"PAR1" + b"\0" * 20 + struct.pack("<I", 2**31) + b"PAR1",
    "of no bytes": b"PAR1" + b"\0" * 20 + struct.pack("<I", 0) + b"PAR1",
    "a list of 2^62 columns": with_footer(b"\x15\x04\x19\xfc" + varint(2**62) + b"\0" * 50),
    "a list of 2^31 row groups": with_footer(b"\x15\x04\x19\x1c" + element(b"r") + b"\x16\x02\x19\xfc" + varint(2**31) + b"\0" * 50),
    "a text of 2^62 bytes": with_footer(b"\x15\x04\x19\x1c\x48" + varint(2**62) + b"a" * 50),
    "a group of 2^31 children": with_footer(b"\x15\x04\x19\x1c" + element(b"r", children=2**31) + b"\x16\x02\x19\x0c\0"),
    "2^62 rows of nothing": with_footer(b"\x15\x04\x19\x1c" + element(b"r") + b"\x16" + zigzag(2**62) + b"\x19\x0c\0"),
    "fewer than no rows": with_footer(b"\x15\x04\x19\x1c" + element(b"r") + b"\x16" + zigzag(-5) + b"\x19\x0c\0"),
    "16 MB of lists in lists": with_footer(b"\x19" * 15_000_000),
    "16 MB of empty structs": with_footer(b"\x15\x04\x19\xfc" + varint(15_000_000) + b"\0" * 15_000_000),
    "a gzip bomb in its place": gzip.compress(b"PAR1" * 10_000_000),
}


@pytest.mark.parametrize("name", FOOTERS)
def test_absurd_footers_are_refused_within_bounds(tmp_path: Path, name: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(FOOTERS[name])
    refused(path, "parquet")


# The whole way in ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("format", "made"),
    [
        ("parquet", lambda: nested(5_000)),
        ("parquet", lambda: FOOTERS["2^62 rows of nothing"]),
        ("csv", lambda: b",".join([b"c"] * 1_000_000) + b"\n"),
        ("csv", lambda: gzip.compress(b"id,miles,ended_at\n")),
        ("jsonl", lambda: b'{"a":' * 50_000),
        ("jsonl", lambda: TEXTS["JSON, a thousand columns after a million rows"][1]()),
    ],
)
def test_nothing_of_a_hostile_file_becomes_a_snapshot(tmp_path: Path, format: str, made: Callable[[], bytes]) -> None:
    platform = opened(tmp_path, CONTRACT)
    became = platform.data.ingest(ANA, "trips", made(), format=format, key="bomb")
    assert not became.accepted
    assert became.report.results[0].rule == "readable"
    assert platform.parts.ledger.find(KIND_SNAPSHOT, object, prefix="trips/") == []
    good = b'{"id":"=cmd|calc!A1","miles":1.0,"ended_at":1}\n'
    assert platform.data.ingest(ANA, "trips", good, format="jsonl", key="good").accepted, "a good file is not taken any more"
    assert b"'=cmd" in platform.keeping.export("trips", format="csv"), "a spreadsheet would run this cell"
    platform.close()
