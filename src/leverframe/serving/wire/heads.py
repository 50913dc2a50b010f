"""Request heads that were parsed and answered before: a keep-alive client sends the same few heads again and again.

The parser starts every message in one state, so the same bytes always parse to the same head: a known head that is followed by exactly the
body it announces needs no parser. Only heads of requests that were answered with 200 are kept, so nobody without a valid token can fill the
memory. What a head may do is asked again whenever the routes have changed.
"""

from leverframe.serving.protocol.message import Head, Request

HEAD_END = b"\r\n\r\n"
HEADS_MAX = 2048
HEAD_BYTES_MAX = 1024
"""Longer heads are parsed each time; so are those of bodies whose size has not been seen before."""
_PARSED_ANEW = (b"expect", b"content-encoding", b"inference-header-content-length")


class Heads:
    """Raw head bytes to what they mean, at most ``HEADS_MAX`` of them, for all connections of a listener.

    A look-up compares secret bytes (the token) only after their keyed hashes agree, so its time tells nothing about tokens.
    """

    def __init__(self) -> None:
        self._known: dict[bytes, Head] = {}
        self.find = self._known.get

    def __len__(self) -> int:
        return len(self._known)

    def remember(self, data: bytes, request: Request) -> None:
        """Keep the head of ``data``: one whole request, parsed as ``request`` and answered with 200.

        Only a plain ``POST`` is kept: its body announced by ``Content-Length``, neither compressed nor binary.
        """
        headers, end = request.headers, data.find(HEAD_END) + len(HEAD_END)
        plain = request.method == b"POST" and data.startswith(b"POST ") and not any(name in headers for name in _PARSED_ANEW)
        announced = headers.get(b"content-length") == b"%d" % len(request.body)
        if not (plain and announced) or end > HEAD_BYTES_MAX or data[end:] != request.body:
            return
        if len(self._known) >= HEADS_MAX:
            self._known.clear()
        self._known[data[:end]] = Head(request.target, headers, len(request.body))
