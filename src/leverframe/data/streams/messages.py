"""From the messages of a stream to a table: what cannot be read and what the contract does not name are told apart from rows."""

from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple

import msgspec
import polars as pl

from leverframe.data.contract.contracts import Contract
from leverframe.data.sources.files import json_series

MESSAGES_MAX = 10_000
"""Messages of one batch."""
MESSAGE_CHARACTERS_MAX = 512 * 1024
"""A longer message is set aside unread."""
COLUMNS_A_ROW_MAX = 1_000
STRANGE_MAX = 20
"""Columns that the contract does not name, kept by name."""
ID_BYTES = 8

_row = msgspec.json.Decoder(dict[str, str | int | float | bool | None]).decode


class StreamMessage(msgspec.Struct, frozen=True, array_like=True):
    """One message: its place (``partition:place``), its id (empty: none) and its text; ``why`` says why it is no text, if it is none."""

    place: str
    id: str
    text: str
    why: str = ""


class Unread(NamedTuple):
    """A message that is no row: its number in the batch, and the rule it breaks."""

    number: int
    rule: str


class Table(NamedTuple):
    """``rows`` has every column of the contract (null where no row brings it); ``numbers`` the place in the batch of each.

    ``strange``: columns the contract does not name. ``repeated``: messages whose id stood before them.
    """

    rows: pl.DataFrame
    numbers: list[int]
    unread: list[Unread]
    strange: tuple[str, ...]
    repeated: int


def id_hash(id: str) -> bytes:
    """Eight bytes for an id: among a hundred thousand, two are mistaken for one with a chance of 3e-10."""
    return blake2b(id.encode("utf-8", "surrogatepass"), digest_size=ID_BYTES).digest()


def table_of(messages: Sequence[StreamMessage], contract: Contract, seen: set[bytes], *, set_strange_aside: bool) -> Table:
    """The rows in ``messages``.

    Parameters
    ----------
    seen: ids that stood before; those of this batch are added. Empty and unused where rows have a primary key.
    set_strange_aside: a row with a value in a column that the contract does not name is no row.
    """
    by_id = not contract.primary_key
    names = [column.name for column in contract.columns]
    known = frozenset(names)
    columns: dict[str, list[str | int | float | bool | None]] = {name: [] for name in names}
    numbers: list[int] = []
    unread: list[Unread] = []
    strange: dict[str, None] = {}
    repeated = 0
    for number, message in enumerate(messages):
        if by_id and message.id:
            hashed = id_hash(message.id)
            if hashed in seen:
                repeated += 1
                continue
            seen.add(hashed)
        values, rule = _read(message)
        others = [name for name, value in values.items() if value is not None and name not in known]
        for other in others:
            if len(strange) < STRANGE_MAX:
                strange[other[:80]] = None
        if not rule and others and set_strange_aside:
            rule = "unexpected"
        if rule:
            unread.append(Unread(number, rule))
            continue
        numbers.append(number)
        for name in names:
            columns[name].append(values.get(name))
    rows = pl.DataFrame([json_series(name, values) for name, values in columns.items()])
    return Table(rows, numbers, unread, tuple(strange), repeated)


def _read(message: StreamMessage) -> tuple[dict[str, str | int | float | bool | None], str]:
    """The message's values, and the rule it breaks if it has none."""
    if message.why:
        return {}, f"readable: {message.why[:100]}"
    if len(message.text) > MESSAGE_CHARACTERS_MAX:
        return {}, "readable: longer than a message may be"
    try:
        values = _row(message.text)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return {}, "readable: not one flat JSON object of text, numbers, true, false or null"
    if len(values) > COLUMNS_A_ROW_MAX:
        return {}, "readable: more columns than a row may have"
    return values, ""
