"""Contracts checked over Spark's rows: Parquet that its executors see, or tables of its catalog. No server is asked."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from leverframe.apps.spark_session import spark_for
from leverframe.core.dataset import ContractReport
from leverframe.core.errors import InvalidInput
from leverframe.data.contract.contracts import Contract


def check_on_spark(
    contracts: Sequence[Contract], against: Path, parents: Mapping[str, Path], now_us: int, *, master: str, home: Path
) -> Iterator[ContractReport]:
    """The report of each contract, in order; the same as of the same rows in memory, and no personal value leaves the cluster.

    Parameters
    ----------
    against: Parquet (a file or a folder of parts), a table of the catalog, or a folder with ``<dataset>.parquet`` for each contract.
    parents: Parquet or tables that references point to, by dataset; those beside ``against`` are found.
    master: see :func:`.spark_session.open_spark`.

    Raises
    ------
    NotFound: Spark knows no such file or table.  InvalidInput: no Parquet, or one table for several contracts.
    Unavailable: Spark is not installed or gave up.
    """
    places = {contract.dataset: _place(against, contract, alone=len(contracts) == 1) for contract in contracts}
    known = {**places, **{name: str(place) for name, place in parents.items()}}
    with spark_for(master, home) as session:
        from leverframe.data.checks.checks_spark import check_places

        for contract in contracts:
            yield check_places(session, contract, places[contract.dataset], known, now_us)


def _place(against: Path, contract: Contract, *, alone: bool) -> str:
    inside = against / f"{contract.dataset}.parquet"
    if inside.exists():
        return str(inside)
    if not alone:
        expected = f"a folder with {contract.dataset}.parquet"
        raise InvalidInput("several contracts and no folder with rows of each", where=str(against), expected=expected)
    if against.is_file() and against.suffix.lower() != ".parquet":
        raise InvalidInput("unknown file format", where=str(against), expected="Parquet, or a table", got=against.suffix[:20])
    return str(against)
