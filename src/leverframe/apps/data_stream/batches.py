"""Messages gathered to one batch: by number, by bytes or by time, whichever is met first."""

import base64
from collections.abc import Mapping, Sequence

from leverframe.apps.platform.views.streams import StreamBatch
from leverframe.apps.streaming.feed import Fed
from leverframe.data.streams.messages import MESSAGE_CHARACTERS_MAX, StreamMessage

BATCH_BYTES_MAX = 8 * 1024 * 1024
"""Bytes of the messages of one batch; the message that exceeds it is the last of its batch."""
READ_BYTES = 4 * 1024 * 1024
"""About so many bytes are asked of the broker at once, by the size of the messages that came before."""
READ_MIN, READ_MAX, READ_FIRST = 8, 1_000, 64
KEPT_OF_LONG = 4_096
"""Characters kept of a message that is too long."""


class Gathering:
    """The batch that is being gathered.

    Parameters
    ----------
    after: the position it begins behind.
    rows_max: messages in it, at most.
    every_s: seconds from its first message to its end, at most.
    id_from: ``header:NAME`` or ``key``; empty: what the broker names.
    """

    def __init__(self, after: Mapping[str, str], *, rows_max: int, every_s: float, id_from: str = "") -> None:
        self.after = dict(after)
        self.upto = dict(after)
        self.messages: list[StreamMessage] = []
        self._rows_max, self._every_s, self._id_from = rows_max, every_s, id_from
        self._bytes = 0
        self._began_s = 0.0

    def add(self, found: Sequence[Fed], now_s: float) -> None:
        """Take messages in, in their order."""
        if found and not self.messages:
            self._began_s = now_s
        for each in found:
            self.upto[each.partition] = each.place
            self.messages.append(message_of(each, self._id_from))
            self._bytes += len(each.body)

    def wanted(self) -> int:
        """How many messages to ask for, so that about ``READ_BYTES`` come and the batch is not overfilled."""
        size = self._bytes / len(self.messages) if self.messages else READ_BYTES / READ_FIRST
        fitting = int(READ_BYTES / max(size, 1.0))
        return max(1, min(max(READ_MIN, fitting), READ_MAX, self._rows_max - len(self.messages)))

    def left_s(self, now_s: float, longest_s: float) -> float:
        """How long to wait for more."""
        return longest_s if not self.messages else max(0.001, min(longest_s, self._began_s + self._every_s - now_s))

    def full(self, now_s: float) -> bool:
        """Whether it goes out now."""
        if not self.messages:
            return False
        return len(self.messages) >= self._rows_max or self._bytes >= BATCH_BYTES_MAX or now_s - self._began_s >= self._every_s

    def batch(self, behind: int | None, gap: str) -> StreamBatch:
        """What goes out."""
        return StreamBatch(after=self.after, upto=self.upto, messages=tuple(self.messages), behind=behind, gap=gap)


def message_of(fed: Fed, id_from: str = "") -> StreamMessage:
    """A broker's message as the control plane takes it; what is no text goes in base64 and says so.

    >>> message_of(Fed("0", "7", b"{}", id="a"))
    StreamMessage(place='0:7', id='a', text='{}', why='')
    >>> message_of(Fed("0", "8", b"\\xff")).why
    'not UTF-8 (here in base64)'
    """
    name = fed.id
    if id_from:
        name = fed.key if id_from == "key" else fed.headers.get(id_from.removeprefix("header:"), "")
    place = f"{fed.partition}:{fed.place}"
    body = fed.body
    long = f"longer than {MESSAGE_CHARACTERS_MAX} bytes" if len(body) > MESSAGE_CHARACTERS_MAX else ""
    if long:
        body = body[:KEPT_OF_LONG]
    try:
        return StreamMessage(place, name, body.decode("utf-8", "ignore" if long else "strict"), long)
    except UnicodeDecodeError:
        return StreamMessage(place, name, base64.b64encode(body).decode(), "not UTF-8 (here in base64)")
