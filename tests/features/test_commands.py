"""Features in the ledger: what handlers put, refuse, and tell the policy."""

from typing import Any

import msgspec
import pytest

from leverframe.core.actor import PLATFORM, Actor
from leverframe.core.errors import Conflict, InvalidInput, NotFound
from leverframe.core.feature import Expression, FeatureView
from leverframe.features.commands import (
    HANDLERS,
    KIND_MATERIALIZATION,
    KIND_VIEW,
    ApplyView,
    Materialization,
    RecordMaterialization,
    apply_view,
    apply_view_facts,
    record_materialization,
)
from leverframe.features.declared.definitions import view_version

VIEW = FeatureView(
    name="w", source="s", entity=("k",), event_time="e", arrival_time="a", expressions=(Expression(name="v", sql="x"),), owner="ops"
)


class Rows:
    """A transaction over a dictionary."""

    now_us = 7
    actor: Actor = PLATFORM

    def __init__(self) -> None:
        self.held: dict[tuple[str, str], msgspec.Struct] = {}

    def get(self, kind: str, id: str, type: type[Any]) -> Any:
        return self.held.get((kind, id))

    def find(self, kind: str, type: type[Any], prefix: str = "") -> list[Any]:
        return [record for (k, id), record in sorted(self.held.items()) if k == kind and id.startswith(prefix)]

    def put(self, kind: str, id: str, record: msgspec.Struct) -> None:
        self.held[kind, id] = record

    def delete(self, kind: str, id: str) -> None:
        del self.held[kind, id]


def test_a_view_is_recorded_under_its_name_with_its_version_as_result() -> None:
    rows = Rows()
    command = ApplyView(view=VIEW, owning_team="flights")
    assert (command.action, command.resource(), command.team()) == ("Features.Apply", "view/w", "flights")
    assert apply_view_facts(command, rows) == {"exists": False, "values_change": False, "has_owner": True}
    assert apply_view(command, rows) == {"view": "w", "view_version": view_version(VIEW)}
    assert rows.held == {(KIND_VIEW, "w"): VIEW}
    worded = msgspec.structs.replace(VIEW, description="better words", owner="")
    assert apply_view_facts(ApplyView(view=worded), rows) == {"exists": True, "values_change": False, "has_owner": False}
    assert apply_view_facts(ApplyView(view=msgspec.structs.replace(VIEW, ttl_us=1)), rows)["values_change"] is True


def test_a_faulty_view_is_refused_and_nothing_is_put() -> None:
    rows = Rows()
    with pytest.raises(InvalidInput, match="needs an entity"):
        apply_view(ApplyView(view=msgspec.structs.replace(VIEW, entity=())), rows)
    assert rows.held == {}


def test_a_materialization_is_recorded_for_the_declared_version_only() -> None:
    rows = Rows()
    command = RecordMaterialization(view="w", view_version=view_version(VIEW), watermark_us=5, entities=2)
    with pytest.raises(NotFound):
        record_materialization(command, rows)
    apply_view(ApplyView(view=VIEW), rows)
    assert record_materialization(command, rows) == {"watermark_us": 5}
    expected = Materialization(view="w", view_version=view_version(VIEW), watermark_us=5, entities=2, recorded_at_us=7)
    assert rows.held[KIND_MATERIALIZATION, "w"] == expected
    with pytest.raises(Conflict, match="declared anew"):
        record_materialization(msgspec.structs.replace(command, view_version="sha256:old"), rows)


def test_every_command_can_travel_and_has_an_action() -> None:
    for handled in HANDLERS:
        assert handled.command.action.startswith("Features.")
    command = ApplyView(view=VIEW)
    assert msgspec.json.decode(msgspec.json.encode(command), type=ApplyView) == command
