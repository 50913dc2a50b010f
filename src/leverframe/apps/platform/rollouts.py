"""Use cases of one release by its name: hold it, let it go on, end it, take it back with what rests on it, keep it in spite of a flag."""

from leverframe.apps.platform.known import known_release
from leverframe.apps.platform.parts import Parts
from leverframe.apps.platform.release import Releases
from leverframe.apps.platform.views import ReleaseView
from leverframe.core.actor import Actor
from leverframe.core.command import Command
from leverframe.release.rollout.back import KeepRelease, Rollback
from leverframe.release.rollout.rollout import AbortRelease, PauseRelease, ResumeRelease


class Rollouts:
    """Every change of a route is published before the answer."""

    def __init__(self, parts: Parts, releases: Releases) -> None:
        self._parts = parts
        self._releases = releases

    def pause(self, actor: Actor, release_id: str, reason: str, *, key: str) -> ReleaseView:
        """Hold it at its weight; harm still takes it back."""
        release = known_release(self._parts.ledger, release_id)
        return self._write(actor, PauseRelease(release=release.id, owner_team=release.team, reason=reason), key, release_id)

    def resume(self, actor: Actor, release_id: str, reason: str, *, key: str) -> ReleaseView:
        """Let it be judged again; it still has to prove itself."""
        release = known_release(self._parts.ledger, release_id)
        return self._write(actor, ResumeRelease(release=release.id, owner_team=release.team, reason=reason), key, release_id)

    def abort(self, actor: Actor, release_id: str, reason: str, *, key: str) -> ReleaseView:
        """End it: the champion answers everyone; one that waits in line leaves it."""
        release = known_release(self._parts.ledger, release_id)
        return self._write(actor, AbortRelease(release=release.id, owner_team=release.team, reason=reason), key, release_id)

    def rollback(self, actor: Actor, release_id: str, reason: str, *, key: str) -> ReleaseView:
        """Take it back, also long after it completed, with what was promoted on top of it (or flag that, as its plan says)."""
        release = known_release(self._parts.ledger, release_id)
        command = Rollback(
            environment=release.environment, endpoint=release.endpoint, release=release.id, reason=reason, owner_team=release.team
        )
        return self._write(actor, command, key, release_id)

    def keep(self, actor: Actor, release_id: str, reason: str, *, key: str) -> ReleaseView:
        """Take its flag away: somebody has looked, and it stays."""
        release = known_release(self._parts.ledger, release_id)
        return self._write(actor, KeepRelease(release=release.id, owner_team=release.team, reason=reason), key, release_id)

    def _write(self, actor: Actor, command: Command, key: str, release_id: str) -> ReleaseView:
        self._parts.ledger.write(actor, command, key=key)
        self._parts.publisher.publish()
        return self._releases.release(release_id)
