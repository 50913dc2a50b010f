"""Which columns a predicate of a contract names."""

import polars as pl


def sql_columns(sql: str) -> frozenset[str]:
    """The columns that a row expression names; none where it cannot be read.

    >>> sorted(sql_columns("arr_time > dep_time"))
    ['arr_time', 'dep_time']
    """
    if not sql.strip():
        return frozenset()
    try:
        return frozenset(pl.sql_expr(sql).meta.root_names())
    except pl.exceptions.PolarsError:
        return frozenset()
