"""The part of the client for plans, releases, endpoints and their levers."""

from leverframe.apps.client.paths import path_of
from leverframe.apps.platform import views
from leverframe.apps.transport import Transport
from leverframe.release.records import Review


class ReleaseClient:
    """Plans, releases, endpoints and their levers."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def plan(self, request: views.PlanRequest, *, key: str | None = None) -> views.PlanView:
        """Compute a plan; nothing runs yet."""
        return self._transport.send("POST", path_of("plans"), views.PlanView, request, key=key)

    def plan_of(self, digest: str) -> views.PlanView:
        """The plan called ``digest``."""
        return self._transport.get(path_of("plans", digest), views.PlanView)

    def plans(self) -> tuple[views.PlanView, ...]:
        """Every plan."""
        return self._transport.get(path_of("plans"), tuple[views.PlanView, ...])

    def approve(self, digest: str, note: str = "", *, key: str | None = None) -> views.PlanView:
        """Approve exactly the plan called ``digest``."""
        return self._transport.send("POST", path_of("plans", digest, "approve"), views.PlanView, {"note": note}, key=key)

    def withdraw(self, digest: str, note: str = "", *, key: str | None = None) -> views.PlanView:
        """Take one's own approval back."""
        return self._transport.send("POST", path_of("plans", digest, "withdraw"), views.PlanView, {"note": note}, key=key)

    def apply(self, digest: str, *, break_glass: str = "", key: str | None = None) -> views.ReleaseView:
        """Run the approved plan; ``break_glass`` is an operator's reason for not waiting, which is reviewed afterwards."""
        return self._transport.send("POST", path_of("plans", digest, "apply"), views.ReleaseView, {"break_glass": break_glass}, key=key)

    def reviews(self) -> tuple[Review, ...]:
        """Releases started by breaking the glass."""
        return self._transport.get(path_of("reviews"), tuple[Review, ...])

    def review(self, release_id: str, finding: str, *, key: str | None = None) -> Review:
        """Close a review with what was found."""
        return self._transport.send("POST", path_of("releases", release_id, "review"), Review, {"finding": finding}, key=key)

    def get(self, release_id: str) -> views.ReleaseView:
        """One release with its stage log."""
        return self._transport.get(path_of("releases", release_id), views.ReleaseView)

    def list(self, endpoint: str = "") -> tuple[views.ReleaseView, ...]:
        """All releases (to ``endpoint``)."""
        return self._transport.get(path_of("releases"), tuple[views.ReleaseView, ...], endpoint=endpoint or None)

    def endpoints(self) -> tuple[views.EndpointView, ...]:
        """Every endpoint, desired and running."""
        return self._transport.get(path_of("endpoints"), tuple[views.EndpointView, ...])

    def rollback(self, environment: str, endpoint: str, reason: str, *, key: str | None = None) -> views.EndpointView:
        """Point the route back at the version that was live before."""
        path = path_of("endpoints", environment, endpoint, "rollback")
        return self._transport.send("POST", path, views.EndpointView, {"reason": reason}, key=key)

    def operate(
        self,
        environment: str,
        endpoint: str,
        lever: str,
        argument: str = "",
        reason: str = "",
        *,
        for_us: int = 0,
        key: str | None = None,
    ) -> views.EndpointView:
        """Pull an operator's lever (pin, kill, disable-feature, freeze, abort, …), for some time (0: until somebody puts it back)."""
        path = path_of("endpoints", environment, endpoint, "levers", lever)
        return self._transport.send("POST", path, views.EndpointView, {"argument": argument, "reason": reason, "for_us": for_us}, key=key)

    def history(
        self, environment: str, endpoint: str, at_us: int | None = None, known_us: int | None = None
    ) -> tuple[views.HistoryEntry, ...]:
        """What was live (at ``at_us``, as known at ``known_us``) and why."""
        path = path_of("endpoints", environment, endpoint, "history")
        return self._transport.get(path, tuple[views.HistoryEntry, ...], at_us=at_us, known_us=known_us)

    def correct_history(
        self, environment: str, endpoint: str, request: views.CorrectionRequest, *, key: str | None = None
    ) -> tuple[views.HistoryEntry, ...]:
        """Tell later what really answered in a time that has passed."""
        path = path_of("endpoints", environment, endpoint, "history")
        return self._transport.send("POST", path, tuple[views.HistoryEntry, ...], request, key=key)
