"""History, exceptions and registries of a platform without rooms."""

from typing import TYPE_CHECKING

from tests.apps import fake_records as records

from leverframe.apps.platform import views
from leverframe.core.actor import Actor

if TYPE_CHECKING:
    from tests.apps.fake_platform import Calls, FakeAccess


class FakeHistory:
    def __init__(self, calls: "Calls", access: "FakeAccess") -> None:
        self._calls, self._access = calls, access

    def of(self, environment: str, endpoint: str, at_us: int | None = None, known_us: int | None = None) -> tuple[views.HistoryEntry, ...]:
        entry = views.HistoryEntry(
            from_us=records.NOW_US - 3_600_000_000,
            to_us=None,
            version="flight-delay@v2",
            arms=("flight-delay@v2 live 95 %", "flight-delay@v3 canary 5 %"),
            release="rel-0004",
            actor="platform",
            action="Release.Advance",
            reason="shadow answers agree",
            approvals=("bo", "ana"),
            seq=55,
        )
        return (entry,) * (1 if at_us else 2)

    def correct(
        self, actor: Actor, environment: str, endpoint: str, request: views.CorrectionRequest, *, key: str
    ) -> tuple[views.HistoryEntry, ...]:
        self._calls.write(self._access, actor, "Release.Operate", key, environment, endpoint, request)
        return self.of(environment, endpoint)
