"""What can be asked of registered sources: declare one, take one back."""

from typing import Any, ClassVar

from leverframe.core.command import Command, Handles, Transaction
from leverframe.core.errors import NotFound, Refused
from leverframe.data.sources.registered import KIND_SOURCE, Source, check_source


class DeclareSource(Command, frozen=True, kw_only=True):
    """Rows may be fetched from ``source`` from now on. Whether the operator allows the place is asked before, and at every reading."""

    action: ClassVar[str] = "Data.DeclareSource"
    source: Source

    def resource(self) -> str:
        """``source/<name>``."""
        return f"source/{self.source.name}"

    def team(self) -> str:
        """The source's team."""
        return self.source.team


class RemoveSource(Command, frozen=True, kw_only=True):
    """Nothing is fetched from source ``name`` any more. ``owner_team`` is its team."""

    action: ClassVar[str] = "Data.DeclareSource"
    name: str
    owner_team: str

    def resource(self) -> str:
        """``source/<name>``."""
        return f"source/{self.name}"

    def team(self) -> str:
        """The source's team."""
        return self.owner_team


def declare_source(command: DeclareSource, tx: Transaction) -> dict[str, Any]:
    """Store the declaration.

    Raises
    ------
    InvalidInput: it has faults.  Refused: the name is another team's.
    """
    check_source(command.source)
    held = tx.get(KIND_SOURCE, command.source.name, Source)
    if held is not None and held.team != command.source.team:
        raise Refused("the source belongs to another team", where=f"source {held.name}", expected=held.team, got=command.source.team)
    tx.put(KIND_SOURCE, command.source.name, command.source)
    return {"source": command.source.name}


def remove_source(command: RemoveSource, tx: Transaction) -> dict[str, Any]:
    """End the declaration; how far it was read stays on record.

    Raises
    ------
    NotFound: no such source.  Refused: it is another team's.
    """
    held = tx.get(KIND_SOURCE, command.name, Source)
    if held is None:
        raise NotFound("no such source", where=command.name[:100], next_step="lever data sources list")
    if held.team != command.owner_team:
        raise Refused("the source belongs to another team", where=f"source {held.name}", expected=held.team, got=command.owner_team)
    tx.delete(KIND_SOURCE, command.name)
    return {"source": command.name}


HANDLERS: tuple[Handles, ...] = (
    Handles(command=DeclareSource, run=declare_source),
    Handles(command=RemoveSource, run=remove_source),
)
