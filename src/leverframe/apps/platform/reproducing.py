"""Use cases of making a version again: asked for by people, carried out by a worker, answered in words that hold."""

import msgspec

from leverframe.apps.platform.parts import Parts
from leverframe.core.actor import Actor
from leverframe.core.digest import digest_bytes
from leverframe.core.errors import NotFound, Refused
from leverframe.core.model import IMPORTED, ModelSpec, version_id_of
from leverframe.release.planning.planning import get_version
from leverframe.training.commands import KIND_MODEL
from leverframe.training.reproduction_commands import KIND_REPRODUCTION, ReproductionRecord, StartReproduction

WORKFLOW = "reproduce"
ID_DIGITS = 12


class ReproductionRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What the worker is handed."""

    id: str
    version: str
    owning_team: str


class Reproducing:
    """Versions made again."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def start(self, actor: Actor, name: str, *, key: str) -> ReproductionRecord:
        """Ask for version ``name`` to be made again; one that is being made again already is joined.

        Raises
        ------
        NotFound: no such version.    Refused: it was not trained here.    Integrity: its bundle is damaged.
        """
        parts = self._parts
        id = version_id_of(name)
        version = get_version(parts.ledger, name)
        if version.run_id == IMPORTED:
            step = "make it again where it was trained, and import what comes of it"
            raise Refused("it was trained elsewhere: what decided its bytes is not known here", where=name, next_step=step)
        spec = parts.ledger.get(KIND_MODEL, version.model, ModelSpec)
        team = spec.team if spec is not None else ""
        held = parts.ledger.get(KIND_REPRODUCTION, id, ReproductionRecord)
        asked = f"rep-{digest_bytes(f'{actor.subject}/{key}'.encode())[7:][:ID_DIGITS]}"
        if held is not None and (held.status == "running" or held.id == asked):
            asked = held.id
        else:
            command = StartReproduction(reproduction_id=asked, version=name, owning_team=team)
            parts.ledger.write(actor, command, key=key)
        # A crash here leaves an attempt that nobody works on; asking again hands it over.
        request = ReproductionRequest(id=asked, version=name, owning_team=team)
        parts.queue.enqueue(WORKFLOW, asked, msgspec.json.encode(request).decode())
        return self.newest(name)

    def newest(self, name: str) -> ReproductionRecord:
        """The newest attempt.

        Raises
        ------
        NotFound: it was never made again.
        """
        found = self._parts.ledger.get(KIND_REPRODUCTION, version_id_of(name), ReproductionRecord)
        if found is None:
            raise NotFound("this version was never made again", where=name[:120], next_step=f"lever reproduce {name[:80]}")
        return found
