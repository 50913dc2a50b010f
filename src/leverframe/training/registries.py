"""Model registries that other people keep, and what became of each version that appeared there.

A followed version is the cursor and the memory at once: each step towards a release is written down under a key made of the registry and
the version's number, so that a killed worker goes on where it was and two workers make one plan.
"""

import re
from typing import Any, ClassVar

import msgspec

from leverframe.core.command import Command, Handles, Transaction
from leverframe.core.errors import Conflict, InvalidInput, LimitExceeded, NotFound
from leverframe.core.model import ModelVersion, version_id_of
from leverframe.training.commands import KIND_MODEL_VERSION

KIND_REGISTRY = "registry"
KIND_FOLLOWED = "followed_version"
KIND_ALIAS = "alias_set"

REGISTRIES_MAX = 100
FAILURE_CHARS_MAX = 1000
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_ALIAS = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,254}")


class Registry(msgspec.Struct, frozen=True, kw_only=True):
    """A registered model at an MLflow server, and the endpoint its versions are released to.

    ``watch``: the alias whose version is followed; empty: every version from the newest of the day it was added on. ``alias`` is set
    back to the version that answers (empty: none is). ``column`` as of importing: which of several scores is the score; -1: all.
    """

    name: str
    url: str
    source: str
    model: str
    team: str
    owner: str
    environment: str
    endpoint: str
    strategy: str = "shadow_canary"
    watch: str = ""
    alias: str = "champion"
    risk_tier: str = "high"
    column: int = -1
    by: str = ""
    at_us: int = 0
    looked_us: int = 0


class Followed(msgspec.Struct, frozen=True, kw_only=True):
    """What became of version ``number`` of a registry: the version made of it, the one that was evaluated, its plan; or why it stopped."""

    registry: str
    number: int
    version: str = ""
    evaluated: str = ""
    plan: str = ""
    failure: str = ""
    at_us: int = 0

    @property
    def candidate(self) -> str:
        """The version that is released: the evaluated one, where there is one."""
        return self.evaluated or self.version


class AliasSet(msgspec.Struct, frozen=True, kw_only=True):
    """The platform pointed ``alias`` at version ``number`` (0: took it away), since ``version`` answers."""

    registry: str
    alias: str
    number: int
    version: str
    at_us: int


class _OnRegistry(Command, frozen=True, kw_only=True):
    name: str
    owner_team: str = ""

    def resource(self) -> str:
        """``registry/<name>``."""
        return f"registry/{self.name}"

    def team(self) -> str:
        """The owning team."""
        return self.owner_team


class AddRegistry(_OnRegistry, frozen=True, kw_only=True):
    """Follow a registered model from now on."""

    action: ClassVar[str] = "Registries.Manage"
    registry: Registry


class RemoveRegistry(_OnRegistry, frozen=True, kw_only=True):
    """Follow it no more; what it led to stays."""

    action: ClassVar[str] = "Registries.Manage"


class LookAtRegistry(_OnRegistry, frozen=True, kw_only=True):
    """Look now, and try again what failed."""

    action: ClassVar[str] = "Registries.Manage"


class NoteFollowed(_OnRegistry, frozen=True, kw_only=True):
    """Write down one step of a followed version; a step that was taken is never taken otherwise.

    ``bundle`` is what the version named here must be: of two workers, the one whose version became another number is refused whole.
    """

    action: ClassVar[str] = "Registries.Follow"
    number: int
    version: str = ""
    evaluated: str = ""
    plan: str = ""
    failure: str = ""
    bundle: str = ""


class NoteAlias(_OnRegistry, frozen=True, kw_only=True):
    """Write down where an alias was pointed to."""

    action: ClassVar[str] = "Registries.Follow"
    alias: str
    number: int
    version: str


def followed_id(registry: str, number: int) -> str:
    """The record id of a followed version; padded, so that ids order as numbers do.

    >>> followed_id("mlflow", 12)
    'mlflow/0000000012'
    """
    return f"{registry}/{number:010d}"


def add_registry(command: AddRegistry, tx: Transaction) -> dict[str, Any]:
    """Put the registry; its address was checked against the operator's list by whoever sends the command, and is again at every look.

    Raises
    ------
    InvalidInput: a name or an alias is none.    Conflict: there is one of this name, or it feeds the endpoint already.
    LimitExceeded: there are too many.
    """
    registry = command.registry
    if not _NAME.fullmatch(command.name) or registry.name != command.name:
        raise InvalidInput("not a name", where="name", expected="lower-case letters, digits, - and _; up to 63", got=command.name[:80])
    for field, alias in (("watch", registry.watch), ("alias", registry.alias)):
        if alias and not _ALIAS.fullmatch(alias):
            raise InvalidInput("not an alias", where=field, expected="letters, digits, - and _", got=alias[:80])
    if registry.watch and registry.watch == registry.alias:
        raise InvalidInput("the alias that is followed cannot be the one that is set back", where="alias", got=registry.alias)
    if registry.team != command.owner_team:
        raise InvalidInput("the registry is another team's", where="team", expected=command.owner_team, got=registry.team)
    held = tx.find(KIND_REGISTRY, Registry)
    if any(each.name == command.name for each in held):
        raise Conflict("there is a registry of this name", where=command.name, next_step=f"lever registry remove {command.name}")
    fed = next((each.name for each in held if (each.environment, each.endpoint) == (registry.environment, registry.endpoint)), "")
    if fed:
        raise Conflict("another registry feeds this endpoint", where=f"{registry.environment}/{registry.endpoint}", got=fed)
    if len(held) >= REGISTRIES_MAX:
        raise LimitExceeded("too many registries", where=command.name, expected=str(REGISTRIES_MAX), next_step="lever registry list")
    tx.put(KIND_REGISTRY, command.name, msgspec.structs.replace(registry, by=tx.actor.subject, at_us=tx.now_us))
    return {"registry": command.name}


def remove_registry(command: RemoveRegistry, tx: Transaction) -> dict[str, Any]:
    """End the record.

    Raises
    ------
    NotFound: there is none.
    """
    _registry(command, tx)
    tx.delete(KIND_REGISTRY, command.name)
    return {"registry": command.name}


def look_at_registry(command: LookAtRegistry, tx: Transaction) -> dict[str, Any]:
    """Clear what failed, and note that somebody asked for a look.

    Raises
    ------
    NotFound: there is none.
    """
    tx.put(KIND_REGISTRY, command.name, msgspec.structs.replace(_registry(command, tx), looked_us=tx.now_us))
    failed = [each for each in tx.find(KIND_FOLLOWED, Followed, prefix=f"{command.name}/") if each.failure]
    for each in failed:
        tx.put(KIND_FOLLOWED, followed_id(each.registry, each.number), msgspec.structs.replace(each, failure=""))
    return {"registry": command.name, "tried_again": len(failed)}


def note_followed(command: NoteFollowed, tx: Transaction) -> dict[str, Any]:
    """Add the step to the version's record.

    Raises
    ------
    NotFound: no such registry.    Conflict: the step was taken with another outcome, or the version is not the bundle it should be.
    """
    _registry(command, tx)
    id = followed_id(command.name, command.number)
    held = tx.get(KIND_FOLLOWED, id, Followed) or Followed(registry=command.name, number=command.number)
    named = command.evaluated or command.version
    version = tx.get(KIND_MODEL_VERSION, version_id_of(named), ModelVersion) if named else None
    if command.bundle and (version is None or version.bundle != command.bundle):
        raise Conflict("another version got this number first", where=id, got=named, next_step="the next look goes on")
    told = {field: getattr(command, field) for field in ("version", "evaluated", "plan", "failure") if getattr(command, field)}
    for field, value in told.items():
        was = getattr(held, field)
        if was not in ("", value):
            raise Conflict(f"this version has its {field} already", where=id, expected=was, got=value)
    tx.put(KIND_FOLLOWED, id, msgspec.structs.replace(held, **told, at_us=tx.now_us))
    return {"registry": command.name, "number": command.number}


def note_alias(command: NoteAlias, tx: Transaction) -> dict[str, Any]:
    """Put where the alias points.

    Raises
    ------
    NotFound: no such registry.
    """
    _registry(command, tx)
    record = AliasSet(registry=command.name, alias=command.alias, number=command.number, version=command.version, at_us=tx.now_us)
    tx.put(KIND_ALIAS, command.name, record)
    return {"registry": command.name, "alias": command.alias, "number": command.number}


def _registry(command: _OnRegistry, tx: Transaction) -> Registry:
    found = tx.get(KIND_REGISTRY, command.name, Registry)
    if found is None:
        raise NotFound("no such registry", where=command.name[:80], next_step="lever registry list")
    if found.team != command.owner_team:
        raise Conflict("the registry belongs to another team", where=command.name, expected=found.team, got=command.owner_team)
    return found


HANDLERS: tuple[Handles, ...] = (
    Handles(command=AddRegistry, run=add_registry),
    Handles(command=RemoveRegistry, run=remove_registry),
    Handles(command=LookAtRegistry, run=look_at_registry),
    Handles(command=NoteFollowed, run=note_followed),
    Handles(command=NoteAlias, run=note_alias),
)
