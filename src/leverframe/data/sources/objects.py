"""Files below an allowed location of an object store: those that were not read yet, one batch each."""

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Protocol, TypeVar

import polars as pl

from leverframe.core.errors import InvalidInput, LimitExceeded
from leverframe.data.sources.files import Limits, read_rows

OBJECTS_MAX = 5_000
"""So many objects of a source are remembered as read; then older ones have to be moved away."""
PATTERN_CHARACTERS_MAX = 300
_ENDINGS = {"parquet": "parquet", "pq": "parquet", "csv": "csv", "jsonl": "jsonl", "ndjson": "jsonl"}


class Stamped(Protocol):
    """An object as it was listed."""

    @property
    def name(self) -> str:
        """Its name below the location."""
        ...

    @property
    def size(self) -> int:
        """Bytes."""
        ...

    @property
    def mark(self) -> str:
        """Changes whenever it is written."""
        ...


S = TypeVar("S", bound=Stamped, contravariant=True)


class Objects(Protocol[S]):
    """Somebody else's objects."""

    def read(self, stamp: S, bytes_max: int) -> bytes:
        """The bytes, if the object is what was listed; otherwise Conflict."""
        ...


def check_pattern(pattern: str) -> None:
    """Raise InvalidInput unless this can be a pattern of object names."""
    if not pattern or len(pattern) > PATTERN_CHARACTERS_MAX or not pattern.isprintable():
        raise InvalidInput(
            "not a pattern of object names", where="pattern", expected="for example 2026-05/*.parquet", got=repr(pattern[:60])
        )


def unread(stamps: Sequence[S], pattern: str, known: dict[str, str]) -> list[S]:
    """The objects that match ``pattern`` and are not ``known`` (name to mark), by name.

    Raises
    ------
    InvalidInput: no usable pattern, or an object whose ending says no format.  LimitExceeded: too many.
    """
    check_pattern(pattern)
    new = [each for each in stamps if fnmatchcase(each.name, pattern) and known.get(each.name) != f"{each.size}/{each.mark}"]
    if len(new) + len(known) > OBJECTS_MAX:
        step = "move objects that were read elsewhere, and read the source with --full"
        raise LimitExceeded("too many objects", where="source", expected=f"at most {OBJECTS_MAX:,}", got=str(len(new)), next_step=step)
    for each in new:
        format_of(each.name)
    return new


def format_of(name: str) -> str:
    """The format that an object's ending says.

    >>> format_of("a/day-1.ndjson")
    'jsonl'
    """
    ending = name.rpartition(".")[2].lower()
    if ending not in _ENDINGS:
        raise InvalidInput("the name says no format", where=name[:200], expected=f"an ending of {', '.join(_ENDINGS)}", got=ending[:20])
    return _ENDINGS[ending]


def batches(store: Objects[S], new: Sequence[S], limits: Limits | None = None) -> Iterator[pl.DataFrame]:
    """The rows of each object.

    Raises
    ------
    InvalidInput: one cannot be read; it is named.  Conflict: one changed under the reader.
    """
    limits = limits or Limits()
    for each in new:
        data = store.read(each, limits.bytes_max)
        try:
            yield read_rows(data, format_of(each.name), limits)
        except InvalidInput as fault:
            raise type(fault)(
                f"an object cannot be read: {fault.what}", where=each.name, expected=fault.expected, next_step="correct the object"
            ) from fault
