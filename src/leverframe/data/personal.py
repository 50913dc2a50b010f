"""What is stored of personal columns: a keyed hash, a mask, nothing, or the value where the contract says keep (decision 0027).

Rules are checked on the values as offered; what is kept afterwards went through here, quarantined rows included.
"""

from collections.abc import Mapping
from typing import Protocol

import polars as pl

from leverframe.core.errors import Refused
from leverframe.data.contract.column_types import polars_type
from leverframe.data.contract.contracts import Column, Contract

MASK = "***"
HASH_BYTES = 16
"""128 bits: among a thousand million persons two share a hash with a chance of about 1e-21."""
_INT64_BITS = 63


class Pseudonymous(Protocol):
    """Keyed hashes of one installation."""

    def of(self, value: str) -> bytes:
        """The hash (32 bytes) of ``value``."""
        ...

    def subject(self, value: str) -> str:
        """The name under which the ledger knows the person that ``value`` identifies."""
        ...


def has_personal(contract: Contract) -> bool:
    """Whether any column of ``contract`` is personal or treated."""
    return any(column.personal or column.treatment != "keep" for column in contract.columns)


def stored_columns(contract: Contract) -> tuple[Column, ...]:
    """The columns a snapshot has: all but the dropped."""
    return tuple(column for column in contract.columns if column.treatment != "drop")


def treat(rows: pl.DataFrame, contract: Contract, pseudonyms: Pseudonymous | None) -> pl.DataFrame:
    """``rows`` with every column as it may be stored; a column that is absent stays absent.

    Raises
    ------
    Refused: a column must be hashed and there is no key to hash with.
    """
    for column in contract.columns:
        if column.name not in rows.columns or column.treatment == "keep":
            continue
        if column.treatment == "drop":
            rows = rows.drop(column.name)
        elif column.treatment == "mask":
            rows = rows.with_columns(_masked(rows[column.name]))
        else:
            rows = rows.with_columns(hashed(rows[column.name], column, pseudonyms))
    return rows


def offered_as_stored(offered: pl.DataFrame, rows: pl.DataFrame, contract: Contract, pseudonyms: Pseudonymous | None) -> pl.DataFrame:
    """``offered`` rows as they may be set aside: as they came, but personal columns treated and no unagreed column.

    Parameters
    ----------
    rows: the same rows in the promised types, not treated.
    """
    if not has_personal(contract):
        return offered
    treated = treat(rows, contract, pseudonyms)
    plain = [c.name for c in contract.columns if c.treatment == "keep" and c.name in offered.columns]
    others = [c.name for c in contract.columns if c.treatment not in ("keep", "drop") and c.name in offered.columns]
    return offered.select(plain).with_columns(treated.select(others)) if plain else treated.select(others)


def hashed(values: pl.Series, column: Column, pseudonyms: Pseudonymous | None) -> pl.Series:
    """``values`` as stored for a column whose treatment is hash; each different value is hashed once."""
    different = values.unique().drop_nulls()
    if pseudonyms is None and different.len():
        raise Refused("there is no key to hash a personal column with", where=f"column {column.name}", next_step="lever doctor")
    tokens = [token(text, column, pseudonyms) for text in different.cast(pl.String).to_list()] if pseudonyms is not None else []
    stored = pl.Int64 if column.physical_type == "int64" and values.dtype != pl.String else pl.String
    known = pl.Series(tokens, dtype=pl.Int64 if column.physical_type == "int64" else pl.String).cast(stored)
    return values.replace_strict(different, known, default=None, return_dtype=stored).alias(values.name)


def token(text: str, column: Column, pseudonyms: Pseudonymous) -> str | int:
    """What is stored in place of one value, given as text."""
    digest = pseudonyms.of(text)
    if column.physical_type == "int64":
        return int.from_bytes(digest[:8], "big") >> (64 - _INT64_BITS)
    return digest[:HASH_BYTES].hex()


def _masked(values: pl.Series) -> pl.Series:
    """Text becomes a mask, anything else a missing value."""
    if values.dtype == pl.String:
        return values.to_frame().select(pl.when(pl.col(values.name).is_not_null()).then(pl.lit(MASK)).alias(values.name)).to_series()
    return pl.repeat(None, values.len(), dtype=values.dtype, eager=True).alias(values.name)


def as_offered(
    parents: Mapping[str, pl.LazyFrame], rows: pl.DataFrame, contract: Contract, pseudonyms: Pseudonymous | None
) -> dict[str, pl.LazyFrame]:
    """``parents`` (stored rows that references point to) with hashed key columns turned back into those offered values they stand for.

    A reference is checked on the values as offered; the parent only has hashes, so offered values are hashed and looked up.
    """
    turned = dict(parents)
    for column in contract.columns:
        dataset, _, name = column.references.rpartition(".")
        if column.treatment != "hash" or dataset not in turned or column.name not in rows.columns:
            continue
        parent = parents[dataset]
        if name not in parent.collect_schema():
            continue
        offered = rows[column.name].unique().drop_nulls().cast(polars_type(column), strict=False).drop_nulls()
        stored = parent.select(pl.col(name).unique()).collect().to_series()
        known = offered.filter(hashed(offered, column, pseudonyms).cast(pl.String).is_in(stored.cast(pl.String).implode()))
        others = turned[dataset].drop(name).collect()
        turned[dataset] = pl.concat([others, known.alias(name).to_frame()], how="horizontal_extend").lazy()
    return turned
