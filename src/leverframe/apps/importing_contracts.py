"""Suites of pandera and Great Expectations become contracts: read as data, and a Python file under its owner's Python."""

import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from leverframe.apps.contract_check import open_rows
from leverframe.core.errors import InvalidInput, NotFound, Unavailable
from leverframe.data.contract.contract_guess import guessed_type
from leverframe.data.importers import export_pandera
from leverframe.data.importers.claims import Suite
from leverframe.data.importers.foreign_types import Typed
from leverframe.data.importers.great_expectations import great_expectations_suite
from leverframe.data.importers.pandera import pandera_suite
from leverframe.data.importers.plain import read_plain
from leverframe.data.importers.suite_contract import Imported, import_suite

EXPORT_S_MAX = 300
"""A file that takes longer to run is ended, and nothing is imported."""
SAID_CHARS_MAX = 300
LOOKED_AT_ROWS_MAX = 100_000
"""Types that a suite does not say are told from so many rows."""


def import_pandera(file: str, *, python: str, dataset: str, team: str, owner: str, rows: Path | None = None) -> Imported:
    """The contract of a pandera schema: its YAML or JSON, or ``FILE.py[:NAME]`` with one run under ``python``, which has pandera.

    Raises
    ------
    NotFound: no such file.    InvalidInput, LimitExceeded: it holds no schema that a contract can say.
    Unavailable: the Python cannot be run, or takes too long.
    """
    path = file if file.endswith((".py", ".json", ".yaml", ".yml")) else file.rpartition(":")[0]
    if path.endswith(".py"):
        document = read_plain(_exported(file, path, python), json=True)
    else:
        document = read_plain(_bytes(file), json=file.endswith(".json"))
    return _imported(pandera_suite(document), dataset, team, owner, rows)


def import_great_expectations(file: str, *, dataset: str, team: str, owner: str, rows: Path | None = None) -> Imported:
    """The contract of a Great Expectations suite: the JSON of one ``ExpectationSuite``.

    Raises
    ------
    NotFound: no such file.    InvalidInput, LimitExceeded: it holds no suite that a contract can say.
    """
    return _imported(great_expectations_suite(read_plain(_bytes(file), json=True)), dataset, team, owner, rows)


def _imported(suite: Suite, dataset: str, team: str, owner: str, rows: Path | None) -> Imported:
    return import_suite(suite, dataset=dataset, team=team, owner=owner, types=_types_of(rows) if rows is not None else None)


def _types_of(rows: Path) -> Mapping[str, Typed]:
    looked = open_rows(rows).head(LOOKED_AT_ROWS_MAX).collect()
    guesses = {name: guessed_type(looked[name]) for name in looked.columns}
    return {name: guess for name, (guess, values, _) in guesses.items() if values is not None}


def _bytes(file: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise NotFound("this file cannot be read", where=file[:200], got=error.strerror or "") from error


def _exported(script: str, path: str, python: str) -> bytes:
    """What ``export_pandera`` writes of the caller's own file, run as the caller's own program: for a command line, never for a server."""
    if not Path(path).is_file():
        raise NotFound("no such file", where=path[:200])
    with tempfile.TemporaryDirectory(prefix="lever-pandera-") as scratch:
        out = Path(scratch) / "schema.json"
        try:
            done = subprocess.run(  # noqa: S603 (the caller's own file, under the caller's own Python)
                [python, "-I", export_pandera.__file__, script, str(out)],
                capture_output=True,
                text=True,
                errors="replace",
                timeout=EXPORT_S_MAX,
                stdin=subprocess.DEVNULL,
            )
        except OSError as error:
            next_step = "--python /path/to/the/python/with/pandera"
            raise Unavailable("this Python cannot be run", where=python[:120], next_step=next_step) from error
        except subprocess.TimeoutExpired as error:
            raise Unavailable("running the file took too long", where=script[:120], expected=f"at most {EXPORT_S_MAX} s") from error
        if done.returncode or not out.is_file():
            raise InvalidInput(
                "the schema cannot be read",
                where=script[:120],
                expected="a file that defines a DataFrameModel or DataFrameSchema, under a Python with pandera",
                got=next(reversed(done.stderr.strip().splitlines()), f"exit code {done.returncode}")[-SAID_CHARS_MAX:],
                next_step="mend the file, or name the Python that has pandera: --python PATH",
            )
        return out.read_bytes()
