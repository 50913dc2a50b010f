"""The part of the client for exceptions from rules."""

from leverframe.apps.client.paths import path_of
from leverframe.apps.platform import views
from leverframe.apps.transport import Transport


class ExceptionsClient:
    """Exceptions from rules that plans must meet."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def grant(self, digest: str, rule: str, reason: str, *, days: float = 3.0, key: str | None = None) -> views.ExceptionView:
        """Let exactly the plan called ``digest`` run although it does not meet ``rule``, for ``days`` (at most 14)."""
        request = views.ExceptionRequest(rule=rule, reason=reason, days=days)
        return self._transport.send("POST", path_of("plans", digest, "exceptions"), views.ExceptionView, request, key=key)

    def withdraw(self, digest: str, rule: str, *, key: str | None = None) -> views.ExceptionView:
        """End an exception now."""
        return self._transport.send("DELETE", path_of("plans", digest, "exceptions", rule), views.ExceptionView, key=key)

    def list(self) -> tuple[views.ExceptionView, ...]:
        """Every exception that was granted, in force or not."""
        return self._transport.get(path_of("exceptions"), tuple[views.ExceptionView, ...])
