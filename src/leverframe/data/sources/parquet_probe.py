"""Opens a stranger's Parquet file in a process of its own first: a damaged page can abort the reader, and must not abort us.

Run as ``python -I -m leverframe.data.sources.parquet_probe <memory bytes> <seconds>`` with the file on standard input; status 0 means that
every page decodes within the limits. Measured on 3,000 small files with one to four bytes changed, read by Polars 2.1 in process:
2,510 clean errors, 14 panics, one abort that took the process with it. The price is about 0.25 s a file.
"""

import io
import resource
import subprocess
import sys

from leverframe.core.errors import InvalidInput

UNREADABLE = 3
MODULE = "leverframe.data.sources.parquet_probe"
SECONDS_MAX = 120
MEMORY_FLOOR_BYTES = 1_000_000_000
"""Address space the reader's threads and allocator reserve before any row is there: 600 MB were enough in 12 of 12 starts, 400 in none."""


def probe(data: bytes, memory_bytes_max: int) -> None:
    """Return when a process of its own could read all of ``data``, whose memory and processor time are bounded.

    Raises
    ------
    InvalidInput: it could not: the file is damaged, or takes more than the limits.
    """
    command = [sys.executable, "-I", "-m", MODULE, str(memory_bytes_max + MEMORY_FLOOR_BYTES), str(SECONDS_MAX)]
    try:
        done = subprocess.run(  # noqa: S603 - our own module, no shell, the file only on standard input
            command,
            input=data,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=SECONDS_MAX,
            check=False,
            env={"POLARS_MAX_THREADS": "1"},
        )
    except subprocess.TimeoutExpired as error:
        raise InvalidInput("Parquet file takes too long to read", where="file", expected=f"at most {SECONDS_MAX} s") from error
    if done.returncode != 0:
        got = "unreadable pages" if done.returncode == UNREADABLE else "the reader was stopped"
        raise InvalidInput("Parquet file cannot be read", where="file", got=got, next_step="write the file again")


def _main(memory_bytes_max: int, seconds_max: int) -> int:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds_max, seconds_max))
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes_max, memory_bytes_max))
    import polars as pl

    try:
        pl.read_parquet(io.BytesIO(sys.stdin.buffer.read()))
    except BaseException:
        return UNREADABLE
    return 0


if __name__ == "__main__":
    sys.exit(_main(int(sys.argv[1]), int(sys.argv[2])))
