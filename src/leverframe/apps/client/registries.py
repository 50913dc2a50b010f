"""The part of the client for registries that other people keep."""

from typing import Any

from leverframe.apps.client.paths import path_of
from leverframe.apps.platform import views
from leverframe.apps.transport import Transport


class RegistriesClient:
    """Registries that are followed."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def add(self, request: views.RegistryRequest, *, key: str | None = None) -> views.RegistryView:
        """Follow a registered model from now on."""
        return self._transport.send("POST", path_of("registries"), views.RegistryView, request, key=key)

    def list(self) -> tuple[views.RegistryView, ...]:
        """Every registry that is followed."""
        return self._transport.get(path_of("registries"), tuple[views.RegistryView, ...])

    def one(self, name: str) -> views.RegistryView:
        """One registry, version by version."""
        return self._transport.get(path_of("registries", name), views.RegistryView)

    def look(self, name: str, *, key: str | None = None) -> views.RegistryView:
        """Try again what failed."""
        return self._transport.send("POST", path_of("registries", name, "look"), views.RegistryView, key=key)

    def remove(self, name: str, *, key: str | None = None) -> dict[str, Any]:
        """Follow it no more."""
        return self._transport.send("DELETE", path_of("registries", name), dict[str, Any], key=key)
