"""From SQL text to an expression: sqlglot reads it, and each node becomes a known operation on known kinds, or is refused by name.

Functions are kept as they are written, whatever sqlglot knows of them, and looked up in one closed list.
"""

import difflib
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.dialects.duckdb import DuckDB

from leverframe.core.errors import Fault, InvalidInput
from leverframe.core.expressions import choices
from leverframe.core.expressions.functions import COMPARISONS, FUNCTIONS, OPERATORS
from leverframe.core.expressions.tree import Call, Constant, Expression, Function, Input, Kind, Leaf, Node, Operation
from leverframe.core.schema import RequestField

CHARS_MAX = 4_000
NODES_MAX = 256
"""Operations, inputs and constants of one expression; more is refused when it is declared and when a gateway loads it."""
_COMPARED = {exp.EQ: "=", exp.NEQ: "<>", exp.LT: "<", exp.LTE: "<=", exp.GT: ">", exp.GTE: ">="}
_BINARY = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/", exp.Mod: "%", exp.DPipe: "||"}
_LOGICAL = {exp.And: "and", exp.Or: "or"}
_PARTS = frozenset(
    {"this", "expression", "expressions", "ifs", "default", "true", "false", "low", "high", "to", "table", "is_string", "safe"}
)
"""What of sqlglot's nodes is looked at, or says nothing new; a node with anything else set (``negate``, ``symmetric``, …) is refused."""
_NUMBERS = frozenset({exp.DataType.Type.DOUBLE, exp.DataType.Type.FLOAT})
_WHOLES = frozenset({exp.DataType.Type.BIGINT, exp.DataType.Type.INT, exp.DataType.Type.SMALLINT})


_Base: Any = DuckDB


class _Grammar(_Base):  # type: ignore[misc]  # mypy cannot follow a class inside one
    """The closest grammar that sqlglot has to Polars' SQL, with no function of its own but casts."""

    class Parser(_Base.Parser):  # type: ignore[misc]
        FUNCTIONS: dict[str, Callable[..., Any]] = {}
        FUNCTION_PARSERS = {name: parser for name, parser in _Base.Parser.FUNCTION_PARSERS.items() if name in ("CAST", "TRY_CAST")}


class _Wrong(Exception):
    """What is wrong with an expression, as a fault."""

    def __init__(self, what: str, expected: str = "", got: str = "") -> None:
        self.fault = Fault(where="", what=what, expected=expected[:300], got=got[:80])
        super().__init__(what)


@lru_cache(maxsize=1024)
def expression_inputs(sql: str) -> tuple[Input, ...]:
    """The request fields and features that ``sql`` names, in order of first use; none of a text that cannot be read.

    >>> expression_inputs("distance / origin_delays.mean_2h")
    (Input(name='distance', view=''), Input(name='mean_2h', view='origin_delays'))
    """
    try:
        read = _parsed(sql)
    except _Wrong:
        return ()
    return tuple(dict.fromkeys(Input(column.name, column.table) for column in read.find_all(exp.Column, bfs=False)))


def read_expression(sql: str, fields: Mapping[str, RequestField], where: str, *, categories: bool = False) -> Expression:
    """The expression that ``sql`` is, over request fields by name and features as ``view.feature``.

    Parameters
    ----------
    fields: the request's, by name; that a feature exists is left to whoever knows the views.
    categories: its value is a text that becomes a position in a list, not a number or a truth.

    Raises
    ------
    InvalidInput: it cannot be read, names or calls something unknown, mixes kinds, or is too large.

    >>> read_expression("wind * 2 > 10", {"wind": RequestField(name="wind", datatype="FP64")}, "w").inputs
    (Input(name='wind', view=''),)
    """
    try:
        reader = _Reader(fields)
        root = reader.node(_parsed(sql))
        wanted: tuple[Kind, ...] = ("text",) if categories else ("number", "truth")
        if root.kind not in wanted:
            hint = "; a text needs `categories`, or hash_bucket" if root.kind == "text" else ""
            raise _Wrong(f"the expression gives the wrong kind of value{hint}", " or ".join(wanted), root.kind)
    except _Wrong as wrong:
        fault = Fault(where=where, what=wrong.fault.what, expected=wrong.fault.expected, got=wrong.fault.got)
        raise InvalidInput(
            fault.what,
            where=where,
            expected=fault.expected,
            got=fault.got,
            next_step=f"correct the expression: {sql[:200]}",
            faults=[fault],
        ) from None
    return Expression(sql=sql, inputs=tuple(reader.inputs), root=root)


def _parsed(sql: str) -> Any:
    if not sql.strip() or len(sql) > CHARS_MAX:
        raise _Wrong("not an expression", f"1 to {CHARS_MAX} characters", str(len(sql)))
    try:
        return sqlglot.parse_one(sql, dialect=_Grammar)
    except (sqlglot.errors.SqlglotError, RecursionError) as error:
        raise _Wrong("cannot be read as SQL", "one row expression", str(error).splitlines()[0] if str(error) else "too deep") from None


class _Reader:
    """Makes the tree, and collects inputs as they come."""

    def __init__(self, fields: Mapping[str, RequestField]) -> None:
        self.inputs: dict[Input, int] = {}
        self._fields = fields
        self._nodes = 0

    def node(self, read: Any) -> Node:
        self._nodes += 1
        if self._nodes > NODES_MAX:
            raise _Wrong("the expression is too large", f"at most {NODES_MAX} operations, inputs and constants", "more")
        kind = type(read)
        negated = kind is exp.Like and bool(read.args.get("negate"))
        if any(value and part not in _PARTS for part, value in read.args.items() if not (negated and part == "negate")):
            raise _Wrong("this has no place in an expression", got=read.sql(dialect="duckdb"))
        if kind in _COMPARED:
            return self._call(COMPARISONS[_COMPARED[kind]], self._two(read), _COMPARED[kind])
        if kind in _LOGICAL:
            return self._call((choices.LOGIC[_LOGICAL[kind]],), self._two(read), _LOGICAL[kind])
        if kind in _BINARY:
            return self._call(OPERATORS[_BINARY[kind]].variants, self._two(read), _BINARY[kind])
        if kind not in _READ:
            raise _Wrong(
                "this has no place in an expression", "operators, CASE, casts and the listed functions", read.sql(dialect="duckdb")
            )
        return _READ[kind](self, read)

    def _two(self, read: Any) -> tuple[Node, Node]:
        return self.node(read.this), self.node(read.expression)

    def column(self, read: exp.Column) -> Node:
        read_as = Input(read.name, read.table)
        index = self.inputs.setdefault(read_as, len(self.inputs))
        if read_as.view:
            return Leaf(index, "number")
        field = self._fields.get(read_as.name)
        if field is None:
            close = difflib.get_close_matches(read_as.name, self._fields, n=2)
            raise _Wrong("no such request field (features are view.feature)", ", ".join(close or self._fields), read_as.name)
        if field.width != 1:
            raise _Wrong("an expression reads fields of one value", "width 1", f"{field.name}, width {field.width}")
        return Leaf(index, {"BYTES": "text", "BOOL": "truth"}.get(field.datatype, "number"))  # type: ignore[arg-type]  # a kind

    def literal(self, read: exp.Literal) -> Node:
        if read.is_string:
            return Constant(str(read.this), "text")
        try:
            return Constant(float(read.this), "number")
        except ValueError:
            raise _Wrong("not a number", "digits", str(read.this)) from None

    def case(self, read: exp.Case) -> Node:
        subject = self.node(read.this) if read.this is not None else None
        pairs: list[Node] = []
        for branch in read.args["ifs"]:
            condition = self.node(branch.this)
            if subject is not None:
                condition = self._call(COMPARISONS["="], (subject, condition), "CASE")
            pairs += [condition, self.node(branch.args["true"])]
        otherwise = read.args.get("default")
        return self._chosen(pairs, self.node(otherwise) if otherwise is not None else Constant(None, "nothing"))

    def if_(self, read: exp.If) -> Node:
        otherwise = read.args.get("false")
        last = self.node(otherwise) if otherwise is not None else Constant(None, "nothing")
        return self._chosen([self.node(read.this), self.node(read.args["true"])], last)

    def _chosen(self, pairs: list[Node], otherwise: Node) -> Node:
        kind: Kind = next((node.kind for node in (*pairs[1::2], otherwise) if node.kind != "nothing"), "number")
        return self._call((choices.choice(kind, len(pairs) // 2),), (*pairs, otherwise), "CASE")

    def between(self, read: exp.Between) -> Node:
        value, low, high = self.node(read.this), self.node(read.args["low"]), self.node(read.args["high"])
        above, below = self._call(COMPARISONS[">="], (value, low), "BETWEEN"), self._call(COMPARISONS["<="], (value, high), "BETWEEN")
        return self._call((choices.LOGIC["and"],), (above, below), "BETWEEN")

    def in_(self, read: exp.In) -> Node:
        value, listed = self.node(read.this), [self.node(each) for each in read.expressions]
        kind = value.kind
        if not listed or kind == "nothing" or any(not isinstance(each, Constant) or each.kind != kind for each in listed):
            raise _Wrong("IN takes a list of constants of one kind", f"{kind}s written down", read.sql(dialect="duckdb"))
        return Call(choices.is_in(kind, [each.value for each in listed if isinstance(each, Constant)]), (value,))

    def is_(self, read: exp.Is) -> Node:
        value = self.node(read.this)
        if not isinstance(read.expression, exp.Null):
            raise _Wrong("IS takes NULL only", "IS NULL, IS NOT NULL", read.sql(dialect="duckdb"))
        return Call(choices.is_missing(value.kind), (value,))

    def cast(self, read: exp.Cast) -> Node:
        value, to = self.node(read.this), read.to.this
        if to in _NUMBERS and value.kind == "text" and isinstance(read, exp.TryCast):
            from leverframe.core.expressions.texts import read_number

            return Call(Operation(takes=("text",), gives="number", one=read_number), (value,))
        if to in _NUMBERS | _WHOLES and value.kind in ("number", "truth"):
            number = Call(choices.AS_NUMBER, (value,)) if value.kind == "truth" else value
            return Call(choices.AS_WHOLE, (number,)) if to in _WHOLES and value.kind == "number" else number
        raise _Wrong("no such cast", "numbers and truths to DOUBLE or BIGINT, texts by TRY_CAST to DOUBLE", read.sql(dialect="duckdb"))

    def function(self, read: exp.Anonymous) -> Node:
        name = str(read.this).lower()
        function = FUNCTIONS.get(name)
        if function is None:
            close = difflib.get_close_matches(name, FUNCTIONS, n=3)
            raise _Wrong("no such function", ", ".join(close or sorted(FUNCTIONS)), f"{name}(...)")
        arguments = [self.node(argument) for argument in read.expressions]
        return self._applied(function, arguments)

    def like(self, read: exp.Like) -> Node:
        fits = self._applied(OPERATORS["like"], [self.node(read.this), self.node(read.expression)])
        return self._call((choices.LOGIC["not"],), (fits,), "NOT LIKE") if read.args.get("negate") else fits

    def _applied(self, function: Function, arguments: list[Node]) -> Node:
        if function.make is None:
            return self._call(function.variants, arguments, function.written)
        given = arguments[1:]
        kinds = function.constants[: len(given)]
        fits = len(function.constants) - function.optional <= len(given) <= len(function.constants)
        if not fits or any(not isinstance(c, Constant) or c.kind != kind for c, kind in zip(given, kinds, strict=True)):
            raise _Wrong("what comes after the first value is written down as constants", function.written, f"{len(arguments)} values")
        try:
            operation = function.make(*(constant.value for constant in given if isinstance(constant, Constant)))
        except ValueError as reason:
            raise _Wrong(f"a constant of {function.written} is out of range", str(reason), ", ".join(_said(c) for c in given)) from None
        return self._call((operation,), arguments[:1], function.written)

    def _call(self, variants: Sequence[Operation], arguments: Sequence[Node], said: str) -> Call:
        for operation in variants:
            takes = operation.takes
            if operation.repeats and len(arguments) > len(takes):
                takes += takes[-1:] * (len(arguments) - len(takes))
            fitted = [self._as(node, kind) for node, kind in zip(arguments, takes, strict=False)]
            if len(takes) == len(arguments) and all(node is not None for node in fitted):
                return Call(operation, tuple(node for node in fitted if node is not None))
        expected = " or ".join(dict.fromkeys(", ".join(operation.takes) for operation in variants))
        raise _Wrong(f"{said} takes other values", expected, ", ".join(node.kind for node in arguments) or "none")

    def _as(self, node: Node, kind: Kind) -> Node | None:
        """``node`` where a value of ``kind`` is taken: itself, NULL of that kind, or the digits of an integer field; else None."""
        if node.kind == kind:
            return node
        if node.kind == "nothing":
            return Constant(None, kind)
        if kind == "text" and isinstance(node, Leaf) and node.kind == "number":
            read = list(self.inputs)[node.index]
            field = self._fields.get(read.name) if not read.view else None
            if field is not None and field.datatype.startswith(("INT", "UINT")):
                return Leaf(node.index, "text", digits=True)
        return None


def _said(node: Node) -> str:
    return str(node.value) if isinstance(node, Constant) else node.kind


_READ: dict[type, Callable[[_Reader, Any], Node]] = {
    exp.Column: _Reader.column,
    exp.Literal: _Reader.literal,
    exp.Boolean: lambda reader, read: Constant(bool(read.this), "truth"),
    exp.Null: lambda reader, read: Constant(None, "nothing"),
    exp.Paren: lambda reader, read: reader.node(read.this),
    exp.Neg: lambda reader, read: reader._call(OPERATORS["negative"].variants, (reader.node(read.this),), "-"),
    exp.Not: lambda reader, read: reader._call((choices.LOGIC["not"],), (reader.node(read.this),), "NOT"),
    exp.Case: _Reader.case,
    exp.If: _Reader.if_,
    exp.Between: _Reader.between,
    exp.In: _Reader.in_,
    exp.Is: _Reader.is_,
    exp.Cast: _Reader.cast,
    exp.TryCast: _Reader.cast,
    exp.Like: _Reader.like,
    exp.Anonymous: _Reader.function,
}
