"""CSV that no spreadsheet takes for formulas.

A cell that begins with ``=``, ``+``, ``-``, ``@``, a tab or a carriage return is run by spreadsheets. In a text column such a cell gets a
leading apostrophe, which shows it as text; numbers are written as numbers. Source: OWASP, "CSV Injection".
"""

import polars as pl

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def csv_bytes(rows: pl.DataFrame) -> bytes:
    """``rows`` as CSV (UTF-8, header line), text cells neutralised, names too.

    >>> csv_bytes(pl.DataFrame({"a": ["=1+1", "x"], "b": [-1, 2]}))
    b"a,b\\n'=1+1,-1\\nx,2\\n"
    """
    begins = r"^[=+\-@\t\r]"
    texts = [name for name, kind in rows.schema.items() if kind == pl.String]
    safe = rows.with_columns(
        pl.when(pl.col(name).str.contains(begins)).then(pl.concat_str(pl.lit("'"), pl.col(name))).otherwise(pl.col(name)).alias(name)
        for name in texts
    )
    safe = safe.rename({name: f"'{name}" for name in rows.columns if name.startswith(FORMULA_STARTS)})
    return safe.write_csv().encode()
