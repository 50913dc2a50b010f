"""The part of the client for registered sources."""

from leverframe.apps.client.paths import path_of
from leverframe.apps.platform.views.sources import FetchRequest
from leverframe.apps.transport import Transport
from leverframe.data.sources.fetch_jobs import FetchJob
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

    def fetch(
        self, dataset: str, source: str, *, pattern: str = "", full: bool = False, take_over: bool = False, key: str | None = None
    ) -> FetchJob:
        """Start a durable job that fetches what is new in a source (``full``: all of it, in the place of what is there)."""
        body = FetchRequest(source=source, pattern=pattern, full=full, take_over=take_over)
        return self._transport.send("POST", path_of("datasets", dataset, "fetch"), FetchJob, body, key=key)

    def fetches(self, dataset: str = "") -> tuple[FetchJob, ...]:
        """Fetches (into ``dataset``), newest first."""
        return self._transport.get(path_of("fetches"), tuple[FetchJob, ...], dataset=dataset or None)

    def fetch_job(self, job_id: str) -> FetchJob:
        """One fetch: how far it is, or how it ended."""
        return self._transport.get(path_of("fetches", job_id), FetchJob)
