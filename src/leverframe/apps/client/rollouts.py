"""The part of the client for one release by its name: pause, resume, abort, rollback, keep."""

from leverframe.apps.client.paths import path_of
from leverframe.apps.platform import views
from leverframe.apps.platform.views.release import WatchView
from leverframe.apps.transport import Transport


class RolloutsClient:
    """What can be done to one release."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def pause(self, release_id: str, reason: str, *, key: str | None = None) -> views.ReleaseView:
        """Hold it at its weight; harm still takes it back."""
        return self._send(release_id, "pause", reason, key)

    def resume(self, release_id: str, reason: str, *, key: str | None = None) -> views.ReleaseView:
        """Let it be judged again."""
        return self._send(release_id, "resume", reason, key)

    def abort(self, release_id: str, reason: str, *, key: str | None = None) -> views.ReleaseView:
        """End it, or take it out of the line."""
        return self._send(release_id, "abort", reason, key)

    def rollback(self, release_id: str, reason: str, *, key: str | None = None) -> views.ReleaseView:
        """Take it back with what was promoted on top of it."""
        return self._send(release_id, "rollback", reason, key)

    def keep(self, release_id: str, reason: str, *, key: str | None = None) -> views.ReleaseView:
        """Let it stay in spite of its flag."""
        return self._send(release_id, "keep", reason, key)

    def watch(self, release_id: str) -> WatchView:
        """What the release controller saw a moment ago, in plain words."""
        return self._transport.get(path_of("releases", release_id, "watch"), WatchView)

    def _send(self, release_id: str, what: str, reason: str, key: str | None) -> views.ReleaseView:
        return self._transport.send("POST", path_of("releases", release_id, what), views.ReleaseView, {"reason": reason}, key=key)
