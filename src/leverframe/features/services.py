"""Entities and feature services in the ledger: what makes one valid, and the commands that declare them."""

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from leverframe.core.command import Command, Handles, Transaction
from leverframe.core.errors import Conflict, Fault, InvalidInput, SchemaMismatch
from leverframe.core.feature import FeatureView
from leverframe.core.feature_service import KIND_SERVICE, Entity, FeatureService, service_version
from leverframe.core.model import ModelSpec
from leverframe.features.commands import KIND_VIEW
from leverframe.features.declared.breaking import refuse_breaks, service_breaks

KIND_ENTITY = "entity"
FEATURES_MAX = 2_000
KEYS_MAX = 8
_KIND_MODEL = "model"
"""The training room's kind of declared models; read here to name who would break."""
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_COLUMN = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,126}")


class ApplyEntity(Command, frozen=True, kw_only=True):
    """Declare an entity, or replace its declaration."""

    action: ClassVar[str] = "Features.Apply"

    entity: Entity

    def resource(self) -> str:
        """``entity/<name>``."""
        return f"entity/{self.entity.name}"

    def team(self) -> str:
        """The owning team."""
        return self.entity.team


class ApplyService(Command, frozen=True, kw_only=True):
    """Declare a feature service, or replace its declaration; ``allow_breaking``: also when a model loses a column by it."""

    action: ClassVar[str] = "Features.Apply"

    service: FeatureService
    allow_breaking: bool = False

    def resource(self) -> str:
        """``feature_service/<name>``."""
        return f"feature_service/{self.service.name}"

    def team(self) -> str:
        """The owning team."""
        return self.service.team


def check_entity(entity: Entity) -> Entity:
    """Return ``entity`` if it can be declared.

    Raises
    ------
    InvalidInput: with every fault.
    """
    faults = _word_faults(entity.name, entity.team)
    names = [key.name for key in entity.keys]
    if not 0 < len(names) <= KEYS_MAX:
        faults.append(Fault(where="keys", what="number out of range", expected=f"1 to {KEYS_MAX}", got=str(len(names))))
    faults += [Fault(where="keys", what="named twice", got=name) for name in dict.fromkeys(names) if names.count(name) > 1]
    faults += [Fault(where="keys", what="not a column name", got=name) for name in names if not _COLUMN.fullmatch(name)]
    _refuse(faults, f"entity {entity.name}")
    return entity


def check_service(service: FeatureService, views: Sequence[FeatureView]) -> FeatureService:
    """Return ``service`` if every feature it selects is declared, under names that differ.

    Raises
    ------
    InvalidInput: with every fault; unknown views and features with the closest that there is.
    """
    known = {view.name: view.features for view in views}
    faults = _word_faults(service.name, service.team)
    if not 0 < len(service.features) <= FEATURES_MAX:
        faults.append(Fault(where="features", what="number out of range", expected=f"1 to {FEATURES_MAX}", got=str(len(service.features))))
    columns = [f.column for f in service.features]
    faults += [Fault(where="features", what="two share a name: rename one", got=c) for c in dict.fromkeys(columns) if columns.count(c) > 1]
    for served in service.features:
        if served.view not in known:
            faults.append(Fault(where=served.column, what="no such feature view", expected=_closest(served.view, known), got=served.view))
        elif served.feature not in known[served.view]:
            expected = _closest(served.feature, known[served.view])
            faults.append(Fault(where=served.column, what=f"no such feature of {served.view}", expected=expected, got=served.feature))
        if not _COLUMN.fullmatch(served.column):
            faults.append(Fault(where="features", what="not a column name", expected="letters, digits, underscores", got=served.column))
    _refuse(faults, f"service {service.name}")
    return service


def check_keys(entities: Sequence[Entity], column: str, type: str, where: str) -> None:
    """Return when ``column`` is no declared entity's key, or has the type that was declared.

    Raises
    ------
    SchemaMismatch: it has another.
    """
    for entity in entities:
        for key in entity.keys:
            if key.name == column and key.type != type:
                raise SchemaMismatch(
                    f"the key of entity {entity.name!r} has another type there",
                    where=f"{where}.{column}",
                    expected=key.type,
                    got=type,
                    next_step=f"correct the declaration of entity {entity.name}, or the type of {column} in the contract",
                )


def _closest(name: str, names: Sequence[str] | Mapping[str, object]) -> str:
    return ", ".join(difflib.get_close_matches(name, names, n=1)) or ", ".join(list(names)[:10])


def _word_faults(name: str, team: str) -> list[Fault]:
    faults = []
    if not _NAME.fullmatch(name):
        faults.append(Fault(where="name", what="not a name", expected="lower-case letters, digits, underscores; up to 63", got=name))
    if not team:
        faults.append(Fault(where="team", what="must be stated", expected="the owning team"))
    return faults


def _refuse(faults: list[Fault], where: str) -> None:
    if faults:
        raise InvalidInput(
            f"{len(faults)} fault(s): " + "; ".join(f"{f.where}: {f.what} ({f.got})" if f.got else f"{f.where}: {f.what}" for f in faults),
            where=where,
            next_step="correct the declaration and run: lever apply PROJECT_DIR",
            faults=faults,
        )


def apply_entity(command: ApplyEntity, tx: Transaction) -> dict[str, str]:
    """Put the checked declaration.

    Raises
    ------
    InvalidInput: with every fault.    Conflict: the entity belongs to another team.
    """
    check_entity(command.entity)
    held = tx.get(KIND_ENTITY, command.entity.name, Entity)
    _same_team(held.team if held else command.entity.team, command.entity.team, f"entity {command.entity.name}")
    tx.put(KIND_ENTITY, command.entity.name, command.entity)
    return {"entity": command.entity.name}


def apply_service(command: ApplyService, tx: Transaction) -> dict[str, str]:
    """Put the checked declaration; returns its name and version.

    Raises
    ------
    InvalidInput: with every fault.    Conflict: the service belongs to another team.    Refused: a model would lose a column.
    """
    service = check_service(command.service, tx.find(KIND_VIEW, FeatureView))
    held = tx.get(KIND_SERVICE, service.name, FeatureService)
    _same_team(held.team if held else service.team, service.team, f"service {service.name}")
    if not command.allow_breaking:
        refuse_breaks(service_breaks(held, service, tx.find(_KIND_MODEL, ModelSpec)), f"service {service.name}")
    tx.put(KIND_SERVICE, service.name, service)
    return {"service": service.name, "version": service_version(service)}


def _service_facts(command: ApplyService, tx: Transaction) -> Mapping[str, Any]:
    held = tx.get(KIND_SERVICE, command.service.name, FeatureService)
    return {
        "exists": held is not None,
        "has_owner": bool(command.service.owner),
        "breaking": bool(service_breaks(held, command.service, tx.find(_KIND_MODEL, ModelSpec))),
    }


def _same_team(held: str, new: str, where: str) -> None:
    # The policy asked about the team named in the command, so a declaration can only be changed by its present owners.
    if held != new:
        raise Conflict("it belongs to another team", where=where, expected=held, got=new)


HANDLERS: tuple[Handles, ...] = (
    Handles(command=ApplyEntity, run=apply_entity),
    Handles(command=ApplyService, run=apply_service, facts=_service_facts),
)
"""Entities and services; views have theirs in ``features.commands``."""
