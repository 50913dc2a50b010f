"""How far a stream was taken into a dataset. It is moved in the transaction that records the rows, so that neither is lost alone."""

from typing import Literal

import msgspec

from leverframe.core.digest import Digest
from leverframe.core.errors import Fault, InvalidInput

KIND_STREAM = "stream"
NAME_CHARACTERS_MAX = 80
SOURCE_CHARACTERS_MAX = 300
PARTITIONS_MAX = 1_000
PLACE_CHARACTERS_MAX = 60
GAPS_KEPT = 5

Position = dict[str, str]
"""Partition to the place of the last message taken, in the broker's own words (sequence, entry id, offset)."""


class StreamRules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was declared for when the stream's rows change their schema.

    Parameters
    ----------
    new_columns: rows with a column that the contract does not name: the column is dropped (and said), the rows are set aside, or the
        stream waits.
    on_break: a column that is missing or of another type in half of a batch: those rows are set aside and the stream goes on, or nothing
        of the batch is taken and the stream waits.
    push: rows are readable online when their batch was taken.
    """

    new_columns: Literal["ignore", "quarantine", "pause"] = "ignore"
    on_break: Literal["quarantine", "pause"] = "quarantine"
    push: bool = False


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """One stream that is read into a dataset.

    ``source`` is the broker's address as shown (never with credentials). Of ``messages`` taken, ``rows`` are in the dataset,
    ``quarantined`` were set aside, ``repeated`` had been there: they add up. ``late`` rows had an event time before one taken earlier.
    ``gaps`` are messages that the broker had dropped before they were read, newest last. ``ids`` are blobs with the ids of the last
    messages, oldest first; ``fresh`` is the part that has the rows of the last batch.
    """

    dataset: str
    name: str
    source: str
    rules: StreamRules = StreamRules()
    state: Literal["running", "paused"] = "running"
    reason: str = ""
    position: Position = {}
    messages: int = 0
    rows: int = 0
    quarantined: int = 0
    repeated: int = 0
    late: int = 0
    batches: int = 0
    behind: int | None = None
    newest_us: int | None = None
    opened_at_us: int = 0
    taken_at_us: int | None = None
    strange: tuple[str, ...] = ()
    broken: str = ""
    gaps: tuple[str, ...] = ()
    ids: tuple[Digest, ...] = ()
    ids_expired: tuple[Digest, ...] = ()
    fresh: Digest = ""

    @property
    def id(self) -> str:
        """Its name in the ledger."""
        return f"{self.dataset}/{self.name}"


def check_stream(name: str, source: str) -> None:
    """Raise InvalidInput unless a stream may be called ``name`` and shown as read from ``source``."""
    faults = []
    if not name or len(name) > NAME_CHARACTERS_MAX or not all(c.isascii() and (c.isalnum() or c in "._-") for c in name):
        expected = f"1 to {NAME_CHARACTERS_MAX} letters, digits, dots, dashes and underscores"
        faults.append(Fault(where="name", what="not a name of a stream", expected=expected, got=name[:80]))
    if len(source) > SOURCE_CHARACTERS_MAX or not source.isprintable():
        faults.append(Fault(where="source", what="not an address to show", expected=f"at most {SOURCE_CHARACTERS_MAX} characters"))
    if "@" in source:
        faults.append(Fault(where="source", what="an address with credentials", expected="kind://host/name"))
    if faults:
        raise InvalidInput("this stream cannot be declared", where=f"stream {name[:80]}", faults=faults)


def check_position(position: Position, where: str) -> None:
    """Raise InvalidInput unless ``position`` is one."""
    sound = len(position) <= PARTITIONS_MAX and all(
        0 < len(text) <= PLACE_CHARACTERS_MAX and text.isascii() and text.isprintable() for pair in position.items() for text in pair
    )
    if not sound:
        raise InvalidInput("not a position in a stream", where=where, expected=f"at most {PARTITIONS_MAX} partitions, each with its place")
