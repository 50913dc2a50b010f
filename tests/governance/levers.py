"""A tiny room for tests of the ledger: signal levers that can be set, moved together, and taken out."""

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec

from leverframe.core.actor import Actor
from leverframe.core.command import Command, Handles, Transaction
from leverframe.core.errors import Refused
from leverframe.governance.decision import Decision, Fact

KIND_LEVER = "lever"
ALICE = Actor(subject="alice", roles=("engineer",), teams=("signals",))
BOB = Actor(subject="bob", roles=("engineer",), teams=("signals",))
MALLORY = Actor(subject="mallory")


class Lever(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    position: int
    note: str = ""


class SetLever(Command, frozen=True, kw_only=True):
    action: ClassVar[str] = "Levers.Set"
    name: str
    position: int
    note: str = ""

    def resource(self) -> str:
        return f"lever/{self.name}"

    def team(self) -> str:
        return "signals"


class AddToLever(Command, frozen=True, kw_only=True):
    """Not idempotent by itself: a command carried out twice would be seen."""

    action: ClassVar[str] = "Levers.Set"
    name: str
    by: int = 1

    def resource(self) -> str:
        return f"lever/{self.name}"


class RemoveLever(Command, frozen=True, kw_only=True):
    action: ClassVar[str] = "Levers.Remove"
    name: str

    def resource(self) -> str:
        return f"lever/{self.name}"


class SetRoute(Command, frozen=True, kw_only=True):
    """Moves many levers; refused half-way when ``stuck`` is among them."""

    action: ClassVar[str] = "Levers.Route"
    positions: dict[str, int]

    def resource(self) -> str:
        return "route/all"


def set_lever(command: SetLever, tx: Transaction) -> dict[str, Any]:
    tx.put(KIND_LEVER, command.name, Lever(name=command.name, position=command.position, note=command.note))
    return {"position": command.position, "at_us": tx.now_us}


def add_to_lever(command: AddToLever, tx: Transaction) -> int:
    before = tx.get(KIND_LEVER, command.name, Lever)
    position = (before.position if before else 0) + command.by
    tx.put(KIND_LEVER, command.name, Lever(name=command.name, position=position))
    return position


def remove_lever(command: RemoveLever, tx: Transaction) -> None:
    tx.delete(KIND_LEVER, command.name)


def set_route(command: SetRoute, tx: Transaction) -> list[str]:
    for name, position in command.positions.items():
        tx.put(KIND_LEVER, name, Lever(name=name, position=position))
        if name == "stuck":
            raise Refused("the lever does not move", where=name)
    return [lever.name for lever in tx.find(KIND_LEVER, Lever)]


def lever_facts(command: SetLever, tx: Transaction) -> Mapping[str, Any]:
    lever = tx.get(KIND_LEVER, command.name, Lever)
    return {"exists": lever is not None}


class EngineersOnly:
    """Permits engineers; remembers the facts it was given."""

    def __init__(self) -> None:
        self.facts: list[Mapping[str, Fact]] = []

    def decide(self, actor: Actor, action: str, resource: str, team: str, facts: Mapping[str, Fact]) -> Decision:
        self.facts.append(dict(facts))
        if "engineer" in actor.roles:
            return Decision(allowed=True, policy_ids=("engineers-only",), reasons=("engineers move levers",))
        return Decision(allowed=False, policy_ids=("engineers-only",), reasons=("only engineers move levers",))


HANDLERS = (
    Handles(command=SetLever, run=set_lever, facts=lever_facts),
    Handles(command=AddToLever, run=add_to_lever),
    Handles(command=RemoveLever, run=remove_lever),
    Handles(command=SetRoute, run=set_route),
)
