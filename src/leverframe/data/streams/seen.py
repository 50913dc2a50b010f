"""The ids of the last messages, as blobs that a stream's record names: they move in the transaction that takes a batch."""

from leverframe.core.digest import Digest
from leverframe.data.snapshots.snapshots import Blobs
from leverframe.data.streams.messages import ID_BYTES, MESSAGES_MAX

IDS_MIN = 100_000
"""A message's id is remembered for so many later ones at least; a repetition that comes later than that is a row."""


class Seen:
    """What is remembered of a stream's message ids.

    Parameters
    ----------
    digests: blobs of ids, oldest first, as the stream's record names them.
    """

    def __init__(self, blobs: Blobs, digests: tuple[Digest, ...]) -> None:
        self._blobs = blobs
        self._digests = digests
        self._held = [_split(blobs.get(digest)) for digest in digests]
        self.ids: set[bytes] = {name for held in self._held for name in held}
        self._before = frozenset(self.ids)

    def window(self) -> tuple[tuple[Digest, ...], tuple[Digest, ...]]:
        """The blobs to name now that ids were added to :attr:`ids`, and those that are not needed any more."""
        new = sorted(self.ids - self._before)
        if not new:
            return self._digests, ()
        digests, sizes = list(self._digests), [len(held) for held in self._held]
        if sizes and sizes[-1] + len(new) <= MESSAGES_MAX:
            new = sorted([*self._held[-1], *new])
            del digests[-1], sizes[-1]
        digests.append(self._blobs.put(b"".join(new)))
        sizes.append(len(new))
        while sum(sizes[1:]) >= IDS_MIN:
            del digests[0], sizes[0]
        kept = tuple(digests)
        return kept, tuple(digest for digest in self._digests if digest not in kept)


def _split(data: bytes) -> list[bytes]:
    return [data[start : start + ID_BYTES] for start in range(0, len(data), ID_BYTES)]
