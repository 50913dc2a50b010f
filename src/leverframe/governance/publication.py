"""What the control plane publishes for gateways: a few small named files, each replaced whole.

A reader sees the old bytes or the new ones, never a mixture, also when the writer dies at any step (promise P9).
"""

from collections.abc import Iterator, Mapping
from typing import Any

from leverframe.core.errors import LimitExceeded
from leverframe.governance.objects import check_object_name, open_objects

PUBLISHED_BYTES_MAX = 16 * 1024 * 1024
"""A larger publication is refused: every gateway reads it whole, several times a second."""


class Publication:
    """Named bytes with atomic replacement, in a local folder or an object store.

    >>> board = Publication("memory:///")
    >>> board.publish("routes/prod.json", b"{}"); board.read("routes/prod.json")
    b'{}'
    """

    def __init__(self, url: str, *, options: Mapping[str, Any] | None = None) -> None:
        """``url`` and ``options`` as for :func:`leverframe.governance.objects.open_objects`."""
        self._objects = open_objects(url, options)

    def publish(self, name: str, data: bytes) -> None:
        """Replace ``name`` by ``data``; durable and visible to every reader when this returns.

        Raises
        ------
        InvalidInput: not a plain name.  LimitExceeded: too large.  Unavailable: the old bytes are still published.
        """
        if len(data) > PUBLISHED_BYTES_MAX:
            raise LimitExceeded("too large to publish", where=name, expected=f"at most {PUBLISHED_BYTES_MAX} bytes", got=str(len(data)))
        self._objects.put(check_object_name(name), data)

    def read(self, name: str) -> bytes | None:
        """The bytes published as ``name``, or None when nothing was published yet.

        Raises
        ------
        Unavailable: the place cannot be read now.
        """
        return self._objects.read(check_object_name(name))

    def names(self) -> Iterator[str]:
        """What is published, in no order.

        Raises
        ------
        Unavailable: the place cannot be read now.
        """
        return (name for name, _ in self._objects.sizes())
