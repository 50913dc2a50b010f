"""The types a contract can promise, as Polars knows them, and how offered values become them without losing anything."""

import math
from collections.abc import Mapping

import polars as pl

from leverframe.data.contract.contracts import Column

_CANONICAL: Mapping[str, pl.DataType] = {
    "string": pl.String(),
    "boolean": pl.Boolean(),
    "int8": pl.Int8(),
    "int16": pl.Int16(),
    "int32": pl.Int32(),
    "int64": pl.Int64(),
    "float32": pl.Float32(),
    "float64": pl.Float64(),
    "date": pl.Date(),
    "timestamp[us]": pl.Datetime("us"),
}
_SYNONYMS: Mapping[str, str] = {
    "varchar": "string",
    "text": "string",
    "utf8": "string",
    "bool": "boolean",
    "smallint": "int16",
    "int": "int32",
    "integer": "int32",
    "bigint": "int64",
    "long": "int64",
    "real": "float32",
    "float": "float32",
    "double": "float64",
    "timestamp": "timestamp[us]",
}
_INTEGERS = frozenset({"int8", "int16", "int32", "int64"})
_FLOATS = frozenset({"float32", "float64"})
_DAY_CHARACTERS = len("2013-03-10")
_MOMENT = r"^\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}(\.|[+-]|$)"
PATTERN_CHARACTERS_MAX = 1_000

PHYSICAL_OF_LOGICAL: Mapping[str, frozenset[str]] = {
    "string": frozenset({"string"}),
    "boolean": frozenset({"boolean"}),
    "integer": _INTEGERS,
    "number": _FLOATS | _INTEGERS,
    "date": frozenset({"date"}),
    "timestamp": frozenset({"timestamp[us]", "int64"}),
}
"""Which physical types can hold a logical type; a ``timestamp`` in an ``int64`` is microseconds since 1970-01-01 UTC."""

DEFAULT_PHYSICAL: Mapping[str, str] = {
    "string": "string",
    "boolean": "boolean",
    "integer": "int64",
    "number": "float64",
    "date": "date",
    "timestamp": "timestamp[us]",
}


def canonical_physical_type(text: str) -> str | None:
    """The canonical name of a physical type, or None when there is no such type.

    >>> canonical_physical_type("BIGINT"), canonical_physical_type("blob")
    ('int64', None)
    """
    name = text.strip().lower()
    name = _SYNONYMS.get(name, name)
    return name if name in _CANONICAL else None


def polars_type(column: Column) -> pl.DataType:
    """The Polars type that holds ``column``."""
    return _CANONICAL[column.physical_type]


def type_named(physical: str) -> pl.DataType:
    """The Polars type of a canonical physical name."""
    return _CANONICAL[physical]


def typed(column: Column, raw: pl.Expr, offered: pl.DataType) -> pl.Expr:
    """The values of ``raw`` (of type ``offered``) in the promised type; null where a value does not fit (or is missing).

    Text is parsed (ISO 8601 for dates and moments), numbers are widened, a whole number in a float column becomes an integer; nothing is
    rounded, cut or wrapped around, and not-a-number or an infinity never counts as a number.
    """
    promised = polars_type(column)
    if offered == promised and not promised.is_float():
        return raw
    if offered.is_nested() or offered in (pl.Binary, pl.Object, pl.Null):
        return pl.lit(None, dtype=promised)
    if offered in (pl.String, pl.Categorical, pl.Enum):
        return _parsed(raw.cast(pl.String), column, promised)
    if promised.is_integer():
        return _whole(raw, column, offered, promised)
    if promised.is_float() and offered.is_numeric():
        number = raw.cast(promised, strict=False)
        return pl.when(number.is_finite()).then(number)
    if isinstance(promised, pl.Datetime) and offered.is_temporal() and offered != pl.Time and offered != pl.Duration:
        return _naive_utc(raw, offered)
    return pl.lit(None, dtype=promised)


def _parsed(text: pl.Expr, column: Column, promised: pl.DataType) -> pl.Expr:
    if promised == pl.String:
        return text
    if promised == pl.Boolean:
        return text.str.to_lowercase().replace_strict({"true": True, "false": False}, default=None, return_dtype=pl.Boolean)
    if promised == pl.Date:
        return pl.when(text.str.len_bytes() == _DAY_CHARACTERS).then(text).str.to_date("%Y-%m-%d", strict=False)
    if isinstance(promised, pl.Datetime):
        return _moment(text)
    number = text.cast(promised, strict=False)
    if promised.is_float():
        return pl.when(number.is_finite()).then(number)
    return pl.coalesce(number, _moment(text).dt.epoch("us")) if column.logical_type == "timestamp" else number


def _moment(text: pl.Expr) -> pl.Expr:
    """ISO 8601 with or without a zone (none means UTC) as a naive UTC datetime."""
    plain = text.str.replace("Z$", "+00:00").str.replace("T", " ", literal=True)
    plain = pl.when(plain.str.contains(_MOMENT)).then(plain)  # the parser alone would also take 2013-3-1 1:2:3
    zoned = pl.when(plain.str.contains(r"[+-]\d{2}:\d{2}$")).then(plain).otherwise(plain + "+00:00")
    return zoned.str.to_datetime("%Y-%m-%d %H:%M:%S%.f%:z", time_unit="us", time_zone="UTC", strict=False).dt.replace_time_zone(None)


def _whole(raw: pl.Expr, column: Column, offered: pl.DataType, promised: pl.DataType) -> pl.Expr:
    if column.logical_type == "timestamp" and isinstance(offered, pl.Datetime):
        return _naive_utc(raw, offered).dt.epoch("us")
    if offered.is_integer():
        return raw.cast(promised, strict=False)
    if offered.is_float() or offered.is_decimal():
        whole = raw.cast(promised, strict=False)
        return pl.when(whole.cast(pl.Float64) == raw.cast(pl.Float64)).then(whole)
    return pl.lit(None, dtype=promised)


def _naive_utc(raw: pl.Expr, offered: pl.DataType) -> pl.Expr:
    if isinstance(offered, pl.Datetime) and offered.time_zone:
        raw = raw.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    return raw.cast(pl.Datetime("us"))


def describe(column: Column) -> str:
    """The promised type in words, for a report.

    >>> describe(Column(name="a", logical_type="number", physical_type="float64"))
    'number (float64)'
    """
    return f"{column.logical_type} ({column.physical_type})"


def is_plain_number(value: object) -> bool:
    """Whether ``value`` can be a limit: a finite int or float, not a boolean."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def is_pattern(value: object) -> bool:
    """Whether ``value`` is a regular expression of the engine that will run it (linear time, no back-references)."""
    if not isinstance(value, str) or len(value) > PATTERN_CHARACTERS_MAX:
        return False
    try:
        pl.select(pl.lit("").str.contains(value, strict=True))
    except pl.exceptions.ComputeError:
        return False
    return True
