"""The part of the client for registered sources."""

from leverframe.apps.client.paths import path_of
from leverframe.apps.platform import views
from leverframe.apps.platform.views.sources import FetchRequest
from leverframe.apps.transport import Transport
from leverframe.data.sources.registered import Source


class SourcesClient:
    """Registered sources."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def sources(self) -> tuple[Source, ...]:
        """Every registered source."""
        return self._transport.get(path_of("sources"), tuple[Source, ...])

    def declare(self, source: Source, *, key: str | None = None) -> Source:
        """Register a source, within what the operator's settings allow."""
        return self._transport.send("POST", path_of("sources"), Source, source, key=key)

    def remove(self, name: str, *, key: str | None = None) -> Source:
        """Take a source back."""
        return self._transport.send("DELETE", path_of("sources", name), Source, key=key)

    def fetch(self, dataset: str, source: str, *, pattern: str = "", full: bool = False, key: str | None = None) -> views.IngestView:
        """Fetch what is new in a source (``full``: all of it, in the place of what is there)."""
        body = FetchRequest(source=source, pattern=pattern, full=full)
        return self._transport.send("POST", path_of("datasets", dataset, "fetch"), views.IngestView, body, key=key)
