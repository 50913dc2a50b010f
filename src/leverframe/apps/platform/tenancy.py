"""What somebody may see of the ledger: what is their teams', what is everybody's, and nothing of another team (decision 0054)."""

import msgspec

from leverframe.apps.platform.owners import OWNERS, PLATFORM_WIDE, Body
from leverframe.core.actor import Actor
from leverframe.data.commands import KIND_CONTRACT
from leverframe.governance.decision import Decides
from leverframe.governance.ledger.chain import AuditEntry
from leverframe.governance.ledger.store import Ledger

ISOLATION = "team-isolation"
"""The policy that keeps teams apart (90-limits.cedar): the one rule that makes a thing unseen instead of forbidden."""

OWNERS_DEPTH_MAX = 6


class _DatasetOwner(msgspec.Struct, frozen=True):
    dataset: str
    team: str = ""


def apart(policy: Decides, actor: Actor, team: str) -> bool:
    """Whether the policies keep ``actor`` away from what belongs to ``team``."""
    return ISOLATION in policy.decide(actor, "Platform.Read", f"team/{team}", team, {}).policy_ids


class TeamSight:
    """Implements :class:`leverframe.governance.ledger.store.Sight` for one actor; it asks the policies once a team and keeps the answer, so
    it lives as long as one request.
    """

    def __init__(self, ledger: Ledger, policy: Decides, actor: Actor, environment: str) -> None:
        self.environment = environment
        self._ledger = ledger.whole
        self._policy = policy
        self._actor = actor
        self._permitted: dict[str, bool] = {PLATFORM_WIDE: True}
        self._known: dict[tuple[str, str], frozenset[str] | None] = {}
        self._datasets: dict[str, frozenset[str]] | None = None
        self._depth = 0

    def record(self, kind: str, id: str, body: bytes) -> bool:
        """Whether the actor may see this state of a record."""
        owner = OWNERS.get(kind)
        if owner is None:
            return False
        return owner.shared or owner.inside or self._any(self._found(kind, id, body))

    def entry(self, entry: AuditEntry) -> bool:
        """Whether the actor may see this entry: a permitted team's own, or in no team's name and with nothing of another's."""
        if entry.team:
            return self._permits(entry.team)  # The ledger let it touch that team's things alone.
        touched = [(change.kind, change.id) for change in entry.changes if change.kind in OWNERS and not OWNERS[change.kind].inside]
        return bool(touched) and all(OWNERS[kind].shared or self._any(self.teams(kind, id)) for kind, id in touched)

    def hides(self, kind: str, id: str) -> bool:
        """Whether there is such a record, and the actor may not know of it."""
        owner = OWNERS.get(kind)
        teams = self.teams(kind, id)
        return owner is not None and not owner.shared and teams is not None and not self._any(teams)

    def teams(self, kind: str, id: str) -> frozenset[str] | None:
        """Whose the record is, by its newest state; None: there is none, or nobody knows."""
        if (kind, id) not in self._known:
            body = self._ledger.newest_body(kind, id)
            self._known[kind, id] = self._unrecorded(kind, id) if body is None else self._found(kind, id, body)
        return self._known[kind, id]

    def dataset_teams(self, dataset: str) -> frozenset[str] | None:
        """The teams of a dataset, by its contract."""
        if self._datasets is None:
            found = self._ledger.find(KIND_CONTRACT, _DatasetOwner)
            self._datasets = {contract.dataset: frozenset((contract.team,)) for contract in found}
        return self._datasets.get(dataset)

    def _unrecorded(self, kind: str, id: str) -> frozenset[str] | None:
        """A dataset is its contract's team's before it has any rows."""
        return self.dataset_teams(id) if kind == "dataset" else None

    def _found(self, kind: str, id: str, body: bytes) -> frozenset[str] | None:
        owner = OWNERS.get(kind)
        if owner is None or self._depth >= OWNERS_DEPTH_MAX:
            return None
        self._depth += 1
        try:
            fields: Body = msgspec.json.decode(body)
            return owner.teams(self, id, fields)
        finally:
            self._depth -= 1

    def _any(self, teams: frozenset[str] | None) -> bool:
        return teams is not None and any(self._permits(team) for team in teams)

    def _permits(self, team: str) -> bool:
        if team not in self._permitted:
            self._permitted[team] = not apart(self._policy, self._actor, team)
        return self._permitted[team]
