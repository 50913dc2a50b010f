"""The part of the client for webhooks."""

from collections.abc import Sequence
from typing import Any

from leverframe.apps.client.paths import path_of
from leverframe.apps.platform import views
from leverframe.apps.transport import Transport


class WebhooksClient:
    """Who is told of what happens."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def webhooks(self) -> tuple[views.WebhookView, ...]:
        """Every webhook, how its deliveries go, and its dead letters."""
        return self._transport.get(path_of("webhooks"), tuple[views.WebhookView, ...])

    def add(self, name: str, url: str, types: Sequence[str] = (), *, key: str | None = None) -> views.WebhookView:
        """Tell ``url`` of events of ``types`` (none: the usual ones) from now on."""
        body: dict[str, Any] = {"name": name, "url": url}
        if types:
            body["types"] = list(types)
        return self._transport.send("POST", path_of("webhooks"), views.WebhookView, body, key=key)

    def remove(self, name: str, *, key: str | None = None) -> dict[str, Any]:
        """Tell nobody there any more."""
        return self._transport.send("DELETE", path_of("webhooks", name), dict[str, Any], key=key)

    def retry(self, name: str, *, key: str | None = None) -> dict[str, Any]:
        """Try dead letters again."""
        return self._transport.send("POST", path_of("webhooks", name, "retry"), dict[str, Any], key=key)
