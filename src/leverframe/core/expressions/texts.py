"""Texts: code points as Python and Polars count them; everything row by row, as texts have no arrays of their own."""

import operator
import re
from collections.abc import Callable
from hashlib import blake2b
from typing import Any

from leverframe.core.expressions.tree import Function, Kind, Operation

TEXT_CHARS_MAX = 65_536
"""Characters of a text that an operation makes; a longer one is missing. Only ``replace`` and chains of texts can make texts grow."""
BUCKETS_MAX = 2**31
CROSSED_BY = "|"
_NUMBER = re.compile(r"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|inf(?:inity)?|nan)", re.ASCII | re.IGNORECASE)


def hash_bucket(text: str, buckets: int) -> float:
    """The bucket, 0 to ``buckets`` - 1: the first 8 bytes of BLAKE2b-64 of the UTF-8 text as a little-endian number, modulo ``buckets``.

    The same in every process, version and language. Source: RFC 7693 with an output of 8 bytes, no key, no salt.

    >>> hash_bucket("JFK", 1000), hash_bucket("", 1000)
    (468.0, 756.0)
    """
    return float(int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little") % buckets)


def like(pattern: str) -> Callable[[str], bool]:
    """Whether a text fits ``pattern``: ``%`` is any run of characters, ``_`` any one character. Time grows with text × pattern at most.

    >>> [like("a%_c")(text) for text in ("abc", "ac", "a-bc", "abcd")]
    [True, False, True, False]
    """
    first, *runs = pattern.split("%")

    def here(text: str, part: str, at: int) -> bool:
        return all(wanted in ("_", found) for wanted, found in zip(part, text[at : at + len(part)], strict=True))

    def fits(text: str) -> bool:
        if len(text) < len(first) or not here(text, first, 0) or (not runs and len(text) != len(first)):
            return False
        at = len(first)
        for part in runs[:-1]:
            # The earliest place is as good as any later one: what follows has the more room.
            places = (place for place in range(at, len(text) - len(part) + 1) if here(text, part, place))
            found = next(places, -1)
            if found < 0:
                return False
            at = found + len(part)
        last = runs[-1] if runs else ""
        return not runs or (len(text) - len(last) >= at and here(text, last, len(text) - len(last)))

    return fits


def _replace(text: str, old: str, new: str) -> str | None:
    grown = len(text) + (len(new) - len(old)) * text.count(old) if old else len(text) + len(new) * (len(text) + 1)
    return text.replace(old, new) if grown <= TEXT_CHARS_MAX else None


def _joined(*texts: str | None) -> str | None:
    made = "".join(text for text in texts if text is not None)
    return made if len(made) <= TEXT_CHARS_MAX else None


def _chained(a: str, b: str) -> str | None:
    return a + b if len(a) + len(b) <= TEXT_CHARS_MAX else None


def _crossed(*texts: str) -> str | None:
    made = CROSSED_BY.join(texts)
    return made if len(made) <= TEXT_CHARS_MAX else None


def read_number(text: str) -> float | None:
    """The decimal number that ``text`` is, without blanks or separators; None when it is none.

    >>> read_number("-1.5e3"), read_number("1_000"), read_number(" 1")
    (-1500.0, None, None)
    """
    return float(text) if _NUMBER.fullmatch(text) else None


def _places(value: float, least: int) -> int:
    if value != int(value) or value < least:
        raise ValueError(f"a whole number from {least} on")
    return int(value)


def _text_and_counts(one: Callable[..., Any]) -> Callable[..., Operation]:
    """An operation on a text and counts that are written down."""

    def make(*counts: float) -> Operation:
        return Operation(takes=("text",), gives="text", one=one(*(_places(count, 0) for count in counts)))

    return make


def _left(count: int) -> Callable[[str], str]:
    return lambda text: text[:count]


def _right(count: int) -> Callable[[str], str]:
    return lambda text: text[len(text) - min(count, len(text)) :]


def _substring(start: int, length: int = TEXT_CHARS_MAX) -> Callable[[str], str]:
    if start < 1:
        raise ValueError("places count from 1")
    return lambda text: text[start - 1 : start - 1 + length]


def _bucketed(buckets: float) -> Operation:
    count = _places(buckets, 1)
    if count > BUCKETS_MAX:
        raise ValueError(f"at most {BUCKETS_MAX} buckets")
    return Operation(takes=("text",), gives="number", one=lambda text: hash_bucket(text, count))


def _texts(one: Callable[..., Any], takes: int, gives: Kind = "text") -> tuple[Operation, ...]:
    kind: Kind = "text"
    return (Operation(takes=(kind,) * takes, gives=gives, one=one),)


COMPARISONS: dict[str, Operation] = {
    name: Operation(takes=("text", "text"), gives="truth", one=one)
    for name, one in (
        ("=", operator.eq), ("<>", operator.ne), ("<", operator.lt), ("<=", operator.le), (">", operator.gt), (">=", operator.ge),
    )
}  # fmt: skip
"""Of texts, by code points."""

OPERATORS: dict[str, Function] = {
    "||": Function("a || b", "one text after the other; missing when one is", _texts(_chained, 2)),
    "like": Function(
        "a LIKE 'pattern'",
        "% stands for any run of characters, _ for one",
        constants=("text",),
        make=lambda pattern: Operation(takes=("text",), gives="truth", one=like(pattern)),
    ),
}

FUNCTIONS: dict[str, Function] = {
    "length": Function("length(s)", "characters", _texts(lambda text: float(len(text)), 1, "number")),
    "lower": Function("lower(s)", "in small letters", _texts(str.lower, 1)),
    "upper": Function("upper(s)", "in capitals", _texts(str.upper, 1)),
    "left": Function("left(s, n)", "the first n characters", constants=("number",), make=_text_and_counts(_left)),
    "right": Function("right(s, n)", "the last n characters", constants=("number",), make=_text_and_counts(_right)),
    "substr": Function(
        "substr(s, start, n)",
        "n characters (or the rest) from place start on; the first is 1",
        constants=("number", "number"),
        optional=1,
        make=_text_and_counts(_substring),
    ),
    "replace": Function("replace(s, old, new)", "every old becomes new", _texts(_replace, 3)),
    "starts_with": Function("starts_with(s, part)", "whether s begins so", _texts(str.startswith, 2, "truth")),
    "ends_with": Function("ends_with(s, part)", "whether s ends so", _texts(str.endswith, 2, "truth")),
    "concat": Function(
        "concat(a, b, …)",
        "the texts that are there, one after the other",
        (Operation(takes=("text",), gives="text", one=_joined, strict=False, repeats=True),),
    ),
    "feature_cross": Function(
        "feature_cross(a, b, …)",
        f"a category of several: the texts with {CROSSED_BY} between them; missing when one is",
        (Operation(takes=("text",), gives="text", one=_crossed, repeats=True),),
    ),
    "hash_bucket": Function(
        "hash_bucket(s, n)", "0 to n - 1: BLAKE2b-64 of the UTF-8 text, little-endian, modulo n", constants=("number",), make=_bucketed
    ),
}
FUNCTIONS |= {"char_length": FUNCTIONS["length"], "substring": FUNCTIONS["substr"]}
