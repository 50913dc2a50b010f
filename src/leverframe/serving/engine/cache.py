"""Answers kept for inputs that came before, for a costly model that declares equal inputs to get equal answers.

The key is the model's whole input, looked-up features included: an answer is never given for features that have changed since.
"""

from collections import OrderedDict

BYTES_MAX = 16 * 1024 * 1024
"""What one model's cache may hold; the inputs that were not asked for longest make room."""
ENTRY_BYTES_MAX = 65_536
"""Larger inputs are not kept."""
_OVERHEAD_BYTES = 200


class AnswerCache:
    """Input bytes to scores.

    >>> cache = AnswerCache()
    >>> cache.put(b"row", [0.5])
    >>> cache.get(b"row"), cache.get(b"other")
    ([0.5], None)
    """

    def __init__(self, bytes_max: int = BYTES_MAX) -> None:
        self._kept: OrderedDict[bytes, list[float]] = OrderedDict()
        self._bytes_max = bytes_max
        self._bytes = 0
        self.hits = 0
        self.misses = 0

    def __len__(self) -> int:
        return len(self._kept)

    def facts(self) -> dict[str, int]:
        """For the health page."""
        return {"kept": len(self._kept), "bytes": self._bytes, "hits": self.hits, "misses": self.misses}

    def get(self, key: bytes) -> list[float] | None:
        """The scores kept for ``key``, if any."""
        scores = self._kept.get(key)
        if scores is None:
            self.misses += 1
            return None
        self.hits += 1
        self._kept.move_to_end(key)
        return scores

    def put(self, key: bytes, scores: list[float]) -> None:
        """Keep ``scores``, letting go of the oldest when there is no room."""
        size = _size(key, scores)
        if size > ENTRY_BYTES_MAX or key in self._kept:
            return
        self._kept[key] = scores
        self._bytes += size
        while self._bytes > self._bytes_max:
            self._bytes -= _size(*self._kept.popitem(last=False))


def _size(key: bytes, scores: list[float]) -> int:
    return len(key) + 32 * len(scores) + _OVERHEAD_BYTES
