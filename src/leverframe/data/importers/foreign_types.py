"""The names that other tools have for types, as a contract's."""

import re

from leverframe.data.contract.contracts import LogicalType

Typed = tuple[LogicalType, str]
_KNOWN: tuple[tuple[str, Typed], ...] = (
    (r"int8|byte|tinyint|bytetype", ("integer", "int8")),
    (r"int16|smallint|short|shorttype|uint8", ("integer", "int16")),
    (r"int32|integertype|uint16", ("integer", "int32")),
    (r"int64|int|integer|bigint|biginteger|long|longtype|smallinteger|uint32|uint64", ("integer", "int64")),
    (r"float32|floattype|real", ("number", "float32")),
    (r"float64|float|double|doubletype|double_precision|numeric|decimal(128)?|decimaltype|number", ("number", "float64")),
    (r"str|string|stringtype|object|object_|utf8|text|varchar|char|nvarchar|categorical|category|enum|unicode", ("string", "string")),
    (r"bool|boolean|booleantype|bool_", ("boolean", "boolean")),
    (r"date|datetype|date32", ("date", "date")),
    (r"datetime|datetime64|timestamp|timestamptype|timestamp_ntz|timestamptz|datetime_", ("timestamp", "timestamp[us]")),
)
UNSIGNED = re.compile(r"(?i)^uint(8|16|32|64)$")


def foreign_type(text: str) -> Typed | None:
    """The type that holds what another tool calls ``text``; None where a contract has none.

    >>> foreign_type("Datetime(time_unit='us', time_zone=None)"), foreign_type("BIGINT"), foreign_type("List(Int64)")
    (('timestamp', 'timestamp[us]'), ('integer', 'int64'), None)
    """
    name = re.sub(r"[(\[].*$", "", text.strip(), flags=re.DOTALL).lower()
    return next((typed for pattern, typed in _KNOWN if re.fullmatch(pattern, name)), None)
