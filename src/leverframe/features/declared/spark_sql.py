"""Row expressions carried over from the SQL that Polars reads to Spark's, so that both give the same value.

sqlglot reads the text; every kind of node that may be carried has its rendering here, and anything else is refused by name. Where the
two engines differ (division by zero, rounding, logarithms outside their domain, NaN among the greatest), Polars' answer is spelled out.

Functions whose last bit is up to the machine's mathematics library (``exp``, ``ln``, ``pow``, angles) may differ in that last bit.
"""

from collections.abc import Callable
from typing import Any

import sqlglot
from sqlglot import exp

from leverframe.core.errors import Fault, InvalidInput

_DIALECT = "duckdb"
"""The closest grammar that sqlglot has to Polars' SQL."""
_WHOLE_FROM = "4503599627370496D"
"""2⁵²: floats from here on have no fraction."""
_NUMBER_TYPES = {
    exp.DataType.Type.DOUBLE: "DOUBLE",
    exp.DataType.Type.FLOAT: "DOUBLE",
    exp.DataType.Type.BIGINT: "BIGINT",
    exp.DataType.Type.INT: "INT",
    exp.DataType.Type.SMALLINT: "SMALLINT",
    exp.DataType.Type.BOOLEAN: "BOOLEAN",
}


_PARTS = frozenset(
    {
        "this", "expression", "expressions", "true", "false", "ifs", "default", "is_string", "low", "high", "to", "start", "length", "safe",
        "coalesce", "replacement", "substr", "ignore_nulls", "negate", "table", "decimals",
    }
)  # fmt: skip
"""What of a node a rendering looks at, or says nothing new; a node with anything else set is refused."""


class CannotCarry(Exception):
    """A node of the expression that has no equal in Spark; its text is the reason."""


def carry_faults(sql: str, where: str) -> list[Fault]:
    """What keeps ``sql`` from being carried to Spark; an empty list when nothing does.

    >>> carry_faults("coalesce(gust, wind) * 2", "w.gust")
    []
    >>> carry_faults("trim(note) = 'x'", "w.note")[0].got
    'TRIM(note)'
    """
    try:
        _carried(sql)
    except CannotCarry as reason:
        return [
            Fault(where=where, what="Spark cannot compute this SQL as Polars does", expected="row functions carried over", got=str(reason))
        ]
    return []


def spark_sql(sql: str, where: str) -> str:
    """``sql`` in Spark's dialect.

    Raises
    ------
    InvalidInput: it cannot be carried over.

    >>> spark_sql("x > 1.5 AND name LIKE 'a%'", "w.x")
    "((`x` > 1.5D) AND (`name` LIKE 'a%'))"
    """
    try:
        return _carried(sql)
    except CannotCarry as reason:
        raise InvalidInput(
            "Spark cannot compute this SQL as Polars does",
            where=where,
            got=str(reason),
            next_step="use functions both have, compute the column in the source, or use --engine polars",
        ) from reason


def _carried(sql: str) -> str:
    try:
        tree = sqlglot.parse_one(sql, dialect=_DIALECT)
    except sqlglot.errors.SqlglotError as error:
        raise CannotCarry(str(error).splitlines()[0][:120]) from error
    return _render(tree)


def _render(node: Any) -> str:
    render = _RENDER.get(type(node))
    # A part that no rendering looks at (``SYMMETRIC``, say) would be dropped in silence.
    unseen = render is not None and any(value and part not in _PARTS for part, value in node.args.items())
    if render is None or unseen:
        raise CannotCarry(node.sql(dialect=_DIALECT)[:120] if isinstance(node, exp.Expression) else str(node)[:120])
    return render(node)


def _double(node: Any) -> str:
    return f"CAST({_render(node)} AS DOUBLE)"


def _all(nodes: list[Any]) -> str:
    return ", ".join(map(_render, nodes))


def _column(node: exp.Column) -> str:
    if node.table:
        raise CannotCarry(node.sql(dialect=_DIALECT))
    return "`" + node.name.replace("`", "``") + "`"


def _literal(node: exp.Literal) -> str:
    text = str(node.this)
    if node.is_string:
        if "\\" in text:
            raise CannotCarry("a backslash, which Spark reads as an escape")
        return "'" + text.replace("'", "\\'") + "'"
    return text + "D" if any(c in text for c in ".eE") else text


def _binary(operator: str) -> Callable[[Any], str]:
    return lambda node: f"({_render(node.this)} {operator} {_render(node.expression)})"


def _divide(node: exp.Div) -> str:
    """In floats, as IEEE says: zero divides into infinities, and zero by zero into NaN."""
    above, below = _double(node.this), _double(node.expression)
    return f"(CASE WHEN {below} = 0D THEN {above} * double('Infinity') ELSE {above} / {below} END)"


def _function(name: str) -> Callable[[Any], str]:
    """A function of one number, in floats."""
    return lambda node: f"{name}({_double(node.this)})"


def _to_whole(name: str) -> Callable[[Any], str]:
    """Spark's floor and ceil give integers, which neither NaN nor large numbers fit."""

    def render(node: Any) -> str:
        if node.args.get("decimals") or node.args.get("to"):
            raise CannotCarry(node.sql(dialect=_DIALECT))
        x = _double(node.this)
        return f"(CASE WHEN isnan({x}) OR abs({x}) >= {_WHOLE_FROM} THEN {x} ELSE CAST({name}({x}) AS DOUBLE) END)"

    return render


def _round(node: exp.Round) -> str:
    if node.args.get("decimals"):
        raise CannotCarry("round(x, digits): the engines round binary fractions differently; round(x) is carried")
    return f"rint({_double(node.this)})"


def _logarithm(function: str, x: str, at_zero: str = "0D") -> str:
    """Spark gives null where the logarithm has no finite value."""
    below = f"CASE WHEN {x} = {at_zero} THEN double('-Infinity') WHEN {x} < {at_zero} THEN double('NaN') ELSE {function}({x}) END"
    return f"({below})"


def _log(node: exp.Log) -> str:
    base = node.this.this if isinstance(node.this, exp.Literal) else ""
    if node.args.get("expression") is None or base not in ("2", "10"):
        raise CannotCarry("log with a base of its own; ln, log2, log10 and log1p are carried")
    return _logarithm(f"log{base}", _double(node.expression))


def _anonymous(node: exp.Anonymous) -> str:
    if str(node.this).lower() != "log1p" or len(node.expressions) != 1:
        raise CannotCarry(node.sql(dialect=_DIALECT)[:120])
    return _logarithm("log1p", _double(node.expressions[0]), "-1D")


def _outermost(name: str) -> Callable[[Any], str]:
    """Polars passes over NaN as over null; to Spark it is the greatest number."""

    def render(node: Any) -> str:
        values = ", ".join(f"nullif({_double(n)}, double('NaN'))" for n in (node.this, *node.expressions))
        return f"{name}({values})"

    return render


def _case(node: exp.Case) -> str:
    subject = f" {_render(node.this)}" if node.this is not None else ""
    branches = "".join(f" WHEN {_render(i.this)} THEN {_render(i.args['true'])}" for i in node.args["ifs"])
    default = node.args.get("default")
    return f"(CASE{subject}{branches}{f' ELSE {_render(default)}' if default is not None else ''} END)"


def _if(node: exp.If) -> str:
    otherwise = node.args.get("false")
    return f"(CASE WHEN {_render(node.this)} THEN {_render(node.args['true'])}{f' ELSE {_render(otherwise)}' if otherwise else ''} END)"


def _cast(node: exp.Cast) -> str:
    kind = _NUMBER_TYPES.get(node.to.this)
    if kind is None:
        raise CannotCarry(f"a cast to {node.to.sql(dialect=_DIALECT)}")
    return f"{'try_cast' if isinstance(node, exp.TryCast) else 'CAST'}({_render(node.this)} AS {kind})"


def _like(operator: str) -> Callable[[Any], str]:
    def render(node: Any) -> str:
        if not isinstance(node.expression, exp.Literal):
            raise CannotCarry("a pattern that is not a text")
        # sqlglot reads NOT LIKE as one node.
        told = f"NOT {operator}" if node.args.get("negate") else operator
        return f"({_render(node.this)} {told} {_render(node.expression)})"

    return render


def _length_from(node: Any) -> str:
    """Counts in ``left``, ``right`` and ``substr`` are carried when they are written down, and not negative."""
    if not (isinstance(node, exp.Literal) and not node.is_string and node.this.isdigit()):
        raise CannotCarry("a length or place that is not a plain number")
    return str(node.this)


def _substring(node: exp.Substring) -> str:
    start, length = node.args.get("start"), node.args.get("length")
    if start is None or _length_from(start) == "0":
        raise CannotCarry("substr from place 0; places count from 1")
    return f"substring({_render(node.this)}, {_length_from(start)}{f', {_length_from(length)}' if length is not None else ''})"


def _concat(node: exp.Concat) -> str:
    """Polars passes over nulls; so does concat_ws."""
    return f"concat_ws('', {_all(node.expressions)})"


_RENDER: dict[type, Callable[[Any], str]] = {
    exp.Column: _column,
    exp.Literal: _literal,
    exp.Boolean: lambda node: "true" if node.this else "false",
    exp.Null: lambda node: "NULL",
    exp.Paren: lambda node: f"({_render(node.this)})",
    exp.Neg: lambda node: f"(-{_render(node.this)})",
    exp.Not: lambda node: f"(NOT {_render(node.this)})",
    **{
        kind: _binary(operator)
        for kind, operator in (
            (exp.Add, "+"), (exp.Sub, "-"), (exp.Mul, "*"), (exp.EQ, "="), (exp.NEQ, "<>"), (exp.LT, "<"), (exp.LTE, "<="), (exp.GT, ">"),
            (exp.GTE, ">="), (exp.And, "AND"), (exp.Or, "OR"), (exp.Is, "IS"), (exp.DPipe, "||"), (exp.NullSafeEQ, "<=>"),
        )
    },
    exp.Div: _divide,
    exp.Mod: lambda node: f"try_mod({_render(node.this)}, {_render(node.expression)})",
    exp.Between: lambda node: f"({_render(node.this)} BETWEEN {_render(node.args['low'])} AND {_render(node.args['high'])})",
    exp.In: lambda node: f"({_render(node.this)} IN ({_all(node.expressions)}))",
    exp.NullSafeNEQ: lambda node: f"(NOT ({_render(node.this)} <=> {_render(node.expression)}))",
    exp.Case: _case,
    exp.If: _if,
    exp.Cast: _cast,
    exp.TryCast: _cast,
    exp.Coalesce: lambda node: f"coalesce({_all([node.this, *node.expressions])})",
    exp.Nullif: lambda node: f"nullif({_render(node.this)}, {_render(node.expression)})",
    exp.Greatest: _outermost("greatest"),
    exp.Least: _outermost("least"),
    exp.Abs: lambda node: f"abs({_render(node.this)})",
    exp.Sign: _function("signum"),
    exp.Sqrt: _function("sqrt"),
    exp.Exp: _function("exp"),
    exp.Pow: lambda node: f"power({_double(node.this)}, {_double(node.expression)})",
    exp.Ln: lambda node: _logarithm("ln", _double(node.this)),
    exp.Log: _log,
    exp.Anonymous: _anonymous,
    exp.Floor: _to_whole("floor"),
    exp.Ceil: _to_whole("ceil"),
    exp.Round: _round,
    **{
        kind: _function(name)
        for kind, name in (
            (exp.Sin, "sin"), (exp.Cos, "cos"), (exp.Tan, "tan"), (exp.Asin, "asin"), (exp.Acos, "acos"), (exp.Atan, "atan"),
            (exp.Degrees, "degrees"), (exp.Radians, "radians"),
        )
    },
    exp.Atan2: lambda node: f"atan2({_double(node.this)}, {_double(node.expression)})",
    exp.Lower: lambda node: f"lower({_render(node.this)})",
    exp.Upper: lambda node: f"upper({_render(node.this)})",
    exp.Length: lambda node: f"char_length({_render(node.this)})",
    exp.Left: lambda node: f"left({_render(node.this)}, {_length_from(node.expression)})",
    exp.Right: lambda node: f"right({_render(node.this)}, {_length_from(node.expression)})",
    exp.Substring: _substring,
    exp.Concat: _concat,
    exp.Replace: lambda node: f"replace({_all([node.this, node.expression, node.args['replacement']])})",
    exp.StartsWith: lambda node: f"startswith({_render(node.this)}, {_render(node.expression)})",
    exp.EndsWith: lambda node: f"endswith({_render(node.this)}, {_render(node.expression)})",
    # A place in a missing text is 0 in Polars, not missing.
    exp.StrPosition: lambda node: f"coalesce(instr({_render(node.this)}, {_render(node.args['substr'])}), 0)",
    exp.Like: _like("LIKE"),
    exp.ILike: _like("ILIKE"),
}  # fmt: skip
