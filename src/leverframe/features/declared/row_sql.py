"""Row-wise SQL: which expressions a feature view may use, and how they are run in Polars.

An expression may look at its own row only. Aggregates, window functions and sub-queries would let a value depend on rows that
were not known at its moment, and table functions would open files, so the text is checked against a list of functions that may
be called, instead of a list of those that may not.
"""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import polars as pl

from leverframe.core.errors import Fault, InvalidInput

EXPRESSION_CHARS_MAX = 4_000

_ARITHMETIC = frozenset(
    {"abs", "ceil", "ceiling", "exp", "floor", "ln", "log", "log10", "log1p", "log2", "mod", "pow", "power", "round", "sign", "sqrt"}
)
_ANGLES = frozenset({"acos", "asin", "atan", "atan2", "cos", "degrees", "radians", "sin", "tan"})
_CHOICE = frozenset({"cast", "coalesce", "greatest", "if", "ifnull", "least", "nullif", "try_cast"})
_TEXT = frozenset(
    {"char_length", "concat", "ends_with", "left", "length", "lower", "ltrim", "replace", "right", "rtrim", "starts_with", "strpos"}
)
_PARTS = frozenset({"date_part", "extract", "substr", "substring", "trim", "upper"})
ROW_FUNCTIONS = _ARITHMETIC | _ANGLES | _CHOICE | _TEXT | _PARTS

_KEYWORDS_BEFORE_PARENTHESIS = frozenset({"and", "or", "not", "in", "then", "else", "when", "case", "between", "like", "ilike", "is"})
_QUERY_WORDS = frozenset({"select", "table", "values", "union", "intersect", "except", "join", "where", "with", "into"})
_FORBIDDEN_WORDS = _QUERY_WORDS | frozenset({"over", "window", "qualify", "group", "having", "order", "limit"})
_TOKEN = re.compile(
    r"""(?P<string>'(?:[^']|'')*')|(?P<quoted>"(?:[^"]|"")*")|(?P<word>[A-Za-z_][A-Za-z0-9_]*)|(?P<number>\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+)"""
    r"""|(?P<symbol><=|>=|<>|!=|\|\||::|[()+\-*/%<>=,])|(?P<space>\s+)"""
)


def row_sql_faults(sql: str, where: str) -> list[Fault]:
    """Everything that keeps ``sql`` from being a row expression; an empty list when it is one.

    >>> row_sql_faults("abs(temp - dewp) * 2", "gap")
    []
    >>> row_sql_faults("avg(temp)", "gap")[0].got
    'avg(...)'
    """
    if not sql.strip() or len(sql) > EXPRESSION_CHARS_MAX:
        return [Fault(where=where, what="not a row expression", expected=f"1 to {EXPRESSION_CHARS_MAX} characters", got=f"{len(sql)}")]
    faults: list[Fault] = []
    calls: list[str] = []
    word = ""
    at = 0
    while at < len(sql):
        token = _TOKEN.match(sql, at)
        if token is None or sql.startswith(("--", "/*"), at):
            return [*faults, Fault(where=where, what="not a row expression: unexpected character", got=sql[at : at + 12])]
        kind, text, at = token.lastgroup, token.group(), token.end()
        if kind == "space":
            continue
        if kind == "symbol" and text == "(":
            if word and word not in ROW_FUNCTIONS and word not in _KEYWORDS_BEFORE_PARENTHESIS:
                faults.append(
                    Fault(
                        where=where, what="only row functions may be called", expected=", ".join(sorted(ROW_FUNCTIONS)), got=f"{word}(...)"
                    )
                )
            calls.append(word)
        elif kind == "symbol" and text == ")":
            if not calls:
                return [*faults, Fault(where=where, what="not a row expression: closing parenthesis without an opening one")]
            calls.pop()
        word = text.lower() if kind == "word" else ""
        if word in _FORBIDDEN_WORDS or (word == "from" and (not calls or calls[-1] not in {"extract", "substring", "trim"})):
            faults.append(Fault(where=where, what="a row expression looks at its own row only", got=text))
    if calls:
        faults.append(Fault(where=where, what="not a row expression: parenthesis not closed"))
    return faults


def select_row_sql(source: pl.LazyFrame, expressions: Mapping[str, str], where: str = "") -> pl.LazyFrame:
    """``source`` with one column added for each expression, rows filtered by ``where``, row order kept.

    Parameters
    ----------
    expressions: output column to SQL over the source's columns; already free of ``row_sql_faults``.

    Raises
    ------
    InvalidInput: Polars cannot resolve an expression against the source's columns.

    >>> select_row_sql(pl.LazyFrame({"x": [1.0, 2.0]}), {"y": "x * 2"}, "x > 1").collect().to_dict(as_series=False)
    {'x': [2.0], 'y': [4.0]}
    """
    columns = "".join(f', ({_in_floats(sql)}) AS "{name}"' for name, sql in expressions.items())
    condition = f" WHERE ({_in_floats(where)})" if where else ""
    query = f"SELECT *{columns} FROM self{condition}"  # noqa: S608  checked by row_sql_faults
    divides = f'"{_NOUGHT}"' in query
    try:
        # Polars' own SQL reader. `pl.sql_expr` would be the natural door, but it cannot resolve `x * 2` without a frame (Polars 2.1).
        selected = (source.with_columns(_noughts()) if divides else source).sql(query)
        selected = selected.drop(_NOUGHT) if divides else selected
        selected.collect_schema()
    except pl.exceptions.PolarsError as error:
        raise InvalidInput(
            "the source cannot answer this SQL",
            where=", ".join(expressions) or where,
            expected="columns " + ", ".join(source.collect_schema().names()),
            got=str(error).splitlines()[0],
        ) from error
    return selected


_NOUGHT = "__nought"


def _noughts() -> pl.Expr:
    """A column of zeros that Polars does not know to be all the same."""
    return (pl.int_range(pl.len()) * 0).cast(pl.Float64).alias(_NOUGHT)


def _in_floats(sql: str) -> str:
    """``sql`` with its literals and divisions such that a row's value depends on that row alone, and is what IEEE arithmetic says.

    ``0.5`` becomes ``0.5e0``: Polars reads the first as a decimal, and a whole number divided by it is cut to six digits. A divisor is
    given a zero: Polars divides by what it knows to be one number through its reciprocal, one ulp beside the quotient, and what it knows
    depends on the other rows.

    >>> print(_in_floats("x / 60.0 > 1 AND name <> '1.5'"))
    x / (60.0e0 + "__nought") > 1 AND name <> '1.5'
    >>> _in_floats("a / -abs(b)::double / (c / 2)")
    'a / (-abs(b)::double + "__nought") / ((c / (2 + "__nought")) + "__nought")'
    """
    tokens = [_Token(t.lastgroup or "", t.group()) for t in _TOKEN.finditer(sql)]
    written: list[str] = []
    closing: dict[int, int] = {}
    for at, token in enumerate(tokens):
        text = token.text
        written.append(text + "e0" if token.kind == "number" and "." in text and "e" not in text.lower() else text)
        if token.text == "/" and token.kind == "symbol":
            begin, end = _operand(tokens, at + 1)
            closing[end] = closing.get(end, 0) + 1
            tokens[begin] = tokens[begin]._replace(opens=tokens[begin].opens + 1)
        if token.opens:
            written[-1] = "(" * token.opens + written[-1]
        written[-1] += f' + "{_NOUGHT}")' * closing.get(at, 0)
    return "".join(written)


class _Token(NamedTuple):
    kind: str
    text: str
    opens: int = 0


def _operand(tokens: Sequence[_Token], at: int) -> tuple[int, int]:
    """The first and the last token of the operand that begins at or after ``at``: signs, then a name, number, call, CASE or parenthesis,
    then casts.
    """
    last = len(tokens) - 1

    def skip(at: int) -> int:
        while at < last and tokens[at].kind == "space":
            at += 1
        return min(at, last)

    begin = at = skip(at)
    while at < last and tokens[at].text in ("-", "+"):
        at = skip(at + 1)
    word = tokens[at].text.lower()
    if word == "case":
        at = _matching(tokens, at, "case", "end")
    elif word == "(" or (tokens[at].kind == "word" and tokens[skip(at + 1)].text == "("):
        at = _matching(tokens, skip(at + 1) if word != "(" else at, "(", ")")
    while skip(at + 1) < last and tokens[skip(at + 1)].text == "::":
        at = skip(skip(at + 1) + 1)
    return begin, min(at, last)


def _matching(tokens: Sequence[_Token], at: int, opening: str, closing: str) -> int:
    depth = 0
    for index in range(at, len(tokens)):
        word = tokens[index].text.lower()
        depth += (word == opening) - (word == closing)
        if not depth:
            return index
    return len(tokens) - 1
