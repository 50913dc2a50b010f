"""What the use cases of streams take and answer."""

import msgspec

from leverframe.data.streams.messages import StreamMessage
from leverframe.data.streams.taken import Position, Stream, StreamRules


class OpenStreamRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Read the stream shown as ``source`` (``kind://host/name``, never with credentials) under ``rules``."""

    source: str
    rules: StreamRules = StreamRules()


class StreamBatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The messages between ``after`` and ``upto``. ``behind``: messages the broker has beyond; ``gap``: what it had dropped unread."""

    after: Position
    upto: Position
    messages: tuple[StreamMessage, ...]
    behind: int | None = None
    gap: str = ""


class PauseRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why the stream has to wait."""

    reason: str


class StreamView(msgspec.Struct, frozen=True, kw_only=True):
    """A stream as it stands. ``keyed``: rows are told apart by their primary key, else by message ids where there are any."""

    stream: Stream
    contract_version: str
    keyed: bool

    @property
    def concerns(self) -> tuple[str, ...]:
        """What a person should know of it, worst first, each with the command that helps."""
        stream = self.stream
        lines = [f"waits: {stream.reason}. next: lever data streams resume {stream.dataset} {stream.name}"] if stream.reason else []
        lines += [f"messages were lost: {gap}" for gap in stream.gaps]
        lines += [stream.broken] if stream.broken else []
        lines += [f"columns that the contract does not name: {', '.join(stream.strange)}"] if stream.strange else []
        return tuple(lines)


class StreamTaken(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a batch: the stream after it, and of its messages how many are in the dataset, set aside, or were there before.

    ``again``: it had been taken already, and nothing was done. ``pushed`` says how many entities each view was brought to now.
    """

    stream: Stream
    rows: int = 0
    quarantined: int = 0
    repeated: int = 0
    reasons: tuple[str, ...] = ()
    snapshot: str = ""
    again: bool = False
    pushed: dict[str, int] = {}
