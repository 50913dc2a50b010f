"""Commands that take values out of the online store. Recorded first, then done: doing it again changes nothing."""

from typing import ClassVar

from leverframe.core.command import Command, Handles, Transaction
from leverframe.core.digest import Digest
from leverframe.core.errors import NotFound
from leverframe.core.feature import FeatureView
from leverframe.features.commands import KIND_VIEW


class _OfView(Command, frozen=True, kw_only=True):
    """About one view."""

    view: str
    owning_team: str = ""

    def resource(self) -> str:
        """``view/<name>``."""
        return f"view/{self.view}"

    def team(self) -> str:
        """The owning team."""
        return self.owning_team


class ForgetEntity(_OfView, frozen=True, kw_only=True):
    """Take an entity out of every version; ``subject`` is a keyed hash of its key, never the key."""

    action: ClassVar[str] = "Features.Forget"
    subject: str


class DropVersion(_OfView, frozen=True, kw_only=True):
    """Take a version that no routed model reads out of the online store."""

    action: ClassVar[str] = "Features.Materialize"
    view_version: Digest


def _known(command: _OfView, tx: Transaction) -> dict[str, str]:
    """Nothing but the entry in the audit chain; the store is changed once that is there.

    Raises
    ------
    NotFound: no such view.
    """
    if tx.get(KIND_VIEW, command.view, FeatureView) is None:
        raise NotFound("no such feature view", where=command.view[:120], next_step="lever features list")
    return {"view": command.view}


HANDLERS: tuple[Handles, ...] = (Handles(command=ForgetEntity, run=_known), Handles(command=DropVersion, run=_known))
