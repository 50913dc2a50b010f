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


class FakeExceptions:
    def __init__(self, calls: "Calls", access: "FakeAccess") -> None:
        self._calls, self._access = calls, access

    def _one(self, digest: str, rule: str, reason: str = "being written", *, withdrawn: bool = False) -> views.ExceptionView:
        return views.ExceptionView(
            plan=digest,
            release="prod.flight-delay.0003",
            rule=rule,
            granter="ben",
            reason=reason,
            at_us=records.NOW_US,
            expires_us=records.NOW_US + 86_400_000_000,
            in_force=not withdrawn,
            withdrawn=withdrawn,
        )

    def list(self, digest: str = "") -> tuple[views.ExceptionView, ...]:
        return (self._one(digest or records.digest("plan3"), "evidence-runbook"),)

    def grant(self, actor: Actor, digest: str, request: views.ExceptionRequest, *, key: str) -> views.ExceptionView:
        self._calls.write(self._access, actor, "Release.Except", key, digest, request)
        return self._one(digest, request.rule, request.reason)

    def withdraw(self, actor: Actor, digest: str, rule: str, *, key: str) -> views.ExceptionView:
        self._calls.write(self._access, actor, "Release.Except", key, digest, rule)
        return self._one(digest, rule, withdrawn=True)


class FakeRegistries:
    def __init__(self, calls: "Calls", access: "FakeAccess") -> None:
        self._calls, self._access = calls, access

    def one(self, name: str) -> views.RegistryView:
        followed = views.FollowedView(
            number=3, version="delays@v4", evaluated="delays@v5", plan=records.digest("plan3"), failure="", at_us=records.NOW_US
        )
        return views.RegistryView(
            name=name,
            host="https://mlflow.example.com/…",
            source="delays",
            model="delays",
            team="flights",
            environment="prod",
            endpoint="delays",
            watch="",
            alias="champion",
            by="olga",
            at_us=records.NOW_US,
            followed=(followed,),
            alias_number=2,
            alias_version="delays@v3",
        )

    def list(self) -> tuple[views.RegistryView, ...]:
        return (self.one("mlflow"),)

    def add(self, actor: Actor, request: views.RegistryRequest, *, key: str) -> views.RegistryView:
        self._calls.write(self._access, actor, "Registries.Manage", key, request)
        return self.one(request.name)

    def look(self, actor: Actor, name: str, *, key: str) -> views.RegistryView:
        self._calls.write(self._access, actor, "Registries.Manage", key, name)
        return self.one(name)

    def remove(self, actor: Actor, name: str, *, key: str) -> dict[str, object]:
        self._calls.write(self._access, actor, "Registries.Manage", key, name)
        return {"registry": name}
