"""Contracts checked where they are written: a file, or a folder of files, against rows beside it. No server is asked."""

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from leverframe.core.dataset import ContractReport
from leverframe.core.errors import InvalidInput, LeverframeError, NotFound
from leverframe.data.checks.checks import check
from leverframe.data.checks.checks_scan import check_scan
from leverframe.data.contract.contract_file import read_contract
from leverframe.data.contract.contracts import Contract
from leverframe.data.sources.files import read_rows

FILES_MAX = 1_000
SAMPLES = {".parquet": "parquet", ".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}


def contract_files(place: Path) -> list[Path]:
    """The contract files at ``place``: itself, or every YAML file in it and below.

    Raises
    ------
    NotFound: there is none.    InvalidInput: there are more than 1,000.
    """
    found = [place] if place.is_file() else sorted(p for p in place.rglob("*.y*ml") if p.is_file()) if place.is_dir() else []
    if not found:
        raise NotFound("no contract here", where=str(place), expected="an ODCS file, or a folder of them (*.yaml)")
    if len(found) > FILES_MAX:
        raise InvalidInput("too many files", where=str(place), expected=f"at most {FILES_MAX}", got=str(len(found)))
    return found


def load_contract(path: Path) -> Contract:
    """The contract in a file.

    Raises
    ------
    InvalidInput, LimitExceeded: it is none; the error names the file and every fault.    NotFound: it cannot be read.
    """
    try:
        return read_contract(path.read_bytes())
    except LeverframeError as error:
        error.add_note(f"in {path}")
        raise
    except OSError as error:
        raise NotFound("this file cannot be read", where=str(path), got=error.strerror or "") from error


def sample_of(against: Path, contract: Contract) -> Path:
    """The rows to check ``contract`` against: the file itself, or the one in a folder that is named after the dataset.

    Raises
    ------
    NotFound: there is none.
    """
    if against.is_file():
        return against
    found = next((p for ending in SAMPLES if (p := against / f"{contract.dataset}{ending}").is_file()), None)
    if found is None:
        expected = f"a file, or a folder with {contract.dataset}.parquet, .csv or .jsonl"
        raise NotFound("no rows to check against", where=str(against), expected=expected)
    return found


def check_sample(contract: Contract, sample: Path, parents: Mapping[str, Path], now_us: int) -> ContractReport:
    """The report of ``sample`` under ``contract``. Parquet is streamed, whatever its size.

    Parameters
    ----------
    parents: files of the datasets that references point to, by dataset.
    now_us: the moment of the check.
    """
    held = {name: open_rows(path) for name, path in parents.items()}
    rows = open_rows(sample)
    if sample.suffix.lower() == ".parquet":
        try:
            return check_scan(rows, contract, now_us, held)
        except pl.exceptions.PolarsError as error:
            raise InvalidInput("Parquet file cannot be read", where=str(sample), got=type(error).__name__) from error
    return check(rows, contract, now_us, held).report


def open_rows(path: Path) -> pl.LazyFrame:
    """The rows of a file on this machine, by its ending.

    Raises
    ------
    InvalidInput: no ending that says what it is, or not what the ending says.    NotFound: it cannot be read.
    """
    format = SAMPLES.get(path.suffix.lower(), "")
    if not format:
        raise InvalidInput("unknown file format", where=str(path), expected=", ".join(SAMPLES), got=path.suffix[:20])
    if not path.is_file():
        raise NotFound("this file cannot be read", where=str(path))
    if format == "parquet":
        try:
            scan = pl.scan_parquet(path)
            scan.collect_schema()
        except (pl.exceptions.PolarsError, OSError) as error:
            raise InvalidInput("Parquet file cannot be read", where=str(path), got=type(error).__name__) from error
        return scan
    return read_rows(path.read_bytes(), format).lazy()
