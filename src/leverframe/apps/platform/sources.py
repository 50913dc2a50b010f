"""Registered sources: declared within what the operator allows; :mod:`.fetching` reads them."""

from leverframe.apps.platform.parts import Parts
from leverframe.core.actor import Actor
from leverframe.core.errors import NotFound
from leverframe.data.commands_sources import DeclareSource, RemoveSource
from leverframe.data.sources.registered import KIND_SOURCE, Source, check_allowed, check_source


class Sources:
    """Sources of a team."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def declare(self, actor: Actor, source: Source, *, key: str) -> Source:
        """Register a source.

        Raises
        ------
        InvalidInput: a faulty declaration.  Refused: the operator's settings do not allow the place.
        """
        check_source(source)
        check_allowed(source, self._parts.settings.sources_allowed.split())
        self._parts.ledger.write(actor, DeclareSource(source=source), key=key)
        return source

    def remove(self, actor: Actor, name: str, *, key: str) -> Source:
        """Take a source back; how far it was read stays on record."""
        held = self.source(name)
        self._parts.ledger.write(actor, RemoveSource(name=name, owner_team=held.team), key=key)
        return held

    def sources(self) -> tuple[Source, ...]:
        """Every registered source, by name."""
        return tuple(self._parts.ledger.find(KIND_SOURCE, Source))

    def source(self, name: str) -> Source:
        """One source.

        Raises
        ------
        NotFound: none of that name.
        """
        found = self._parts.ledger.get(KIND_SOURCE, name[:120], Source) if name else None
        if found is None:
            raise NotFound("no such source", where=name[:120], next_step="lever data sources list")
        return found
