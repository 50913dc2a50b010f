"""What the ledger knows of features: which views are declared, and how far each has been materialised."""

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec

from leverframe.core.command import Command, Handles, Transaction
from leverframe.core.digest import Digest
from leverframe.core.errors import Conflict, NotFound
from leverframe.core.feature import FeatureView
from leverframe.core.feature_service import KIND_SERVICE, FeatureService
from leverframe.core.model import ModelSpec
from leverframe.features.declared.breaking import refuse_breaks, view_breaks
from leverframe.features.declared.definitions import check_view, view_version

KIND_VIEW = "view"
KIND_MATERIALIZATION = "materialization"
_KIND_MODEL = "model"
"""The training room's kind of declared models; read here to name who would break."""
_KIND_CONTRACT = "contract"
"""The data room's kind of contracts in force; read here to know whose rows a view is made of."""


class _Contract(msgspec.Struct, frozen=True):
    """As much of a contract as matters here."""

    dataset: str
    team: str = ""


class Materialization(msgspec.Struct, frozen=True, kw_only=True):
    """The last materialisation of a view: which version, complete up to which moment, how many entities were written."""

    view: str
    view_version: Digest
    watermark_us: int
    entities: int
    recorded_at_us: int


class ApplyView(Command, frozen=True, kw_only=True):
    """Declare a feature view, or replace its declaration; ``allow_breaking``: also when a service or model loses a feature by it."""

    action: ClassVar[str] = "Features.Apply"

    view: FeatureView
    owning_team: str = ""
    allow_breaking: bool = False

    def resource(self) -> str:
        """``view/<name>``."""
        return f"view/{self.view.name}"

    def team(self) -> str:
        """The owning team."""
        return self.owning_team


class RecordMaterialization(Command, frozen=True, kw_only=True):
    """Record that a view was brought to a moment in the online store."""

    action: ClassVar[str] = "Features.Materialize"

    view: str
    view_version: Digest
    watermark_us: int
    entities: int
    owning_team: str = ""

    def resource(self) -> str:
        """``view/<name>``."""
        return f"view/{self.view}"

    def team(self) -> str:
        """The owning team."""
        return self.owning_team


def apply_view(command: ApplyView, tx: Transaction) -> dict[str, str]:
    """Put the checked declaration; returns the view's name and version.

    Raises
    ------
    InvalidInput: the declaration has faults (all of them are named).    Refused: a service or a model would lose a feature.
    Conflict: the view is made of another team's rows, and so theirs.
    """
    check_view(command.view)
    held = tx.get(KIND_VIEW, command.view.name, FeatureView)
    owner = next((c.team for c in tx.find(_KIND_CONTRACT, _Contract) if held is not None and c.dataset == held.source), command.owning_team)
    if owner != command.owning_team:
        # The policy asked about the team of the rows that the view is to be made of from now on.
        raise Conflict("the view belongs to another team", where=command.view.name, expected=owner, got=command.owning_team)
    if not command.allow_breaking:
        services, models = tx.find(KIND_SERVICE, FeatureService), tx.find(_KIND_MODEL, ModelSpec)
        refuse_breaks(view_breaks(held, command.view, services, models), f"view {command.view.name}")
    tx.put(KIND_VIEW, command.view.name, command.view)
    return {"view": command.view.name, "view_version": view_version(command.view)}


def apply_view_facts(command: ApplyView, tx: Transaction) -> Mapping[str, Any]:
    """Whether the view exists already and whether its values would change."""
    held = tx.get(KIND_VIEW, command.view.name, FeatureView)
    return {
        "exists": held is not None,
        "values_change": held is not None and view_version(held) != view_version(command.view),
        "has_owner": bool(command.view.owner),
    }


def record_materialization(command: RecordMaterialization, tx: Transaction) -> dict[str, int]:
    """Put the view's newest materialisation.

    Raises
    ------
    NotFound: no such view is declared.    Conflict: another version of it is.
    """
    view = tx.get(KIND_VIEW, command.view, FeatureView)
    if view is None:
        raise NotFound("no such feature view", where=command.view, next_step="lever features apply")
    if view_version(view) != command.view_version:
        raise Conflict(
            "the view was declared anew meanwhile",
            where=command.view,
            expected=view_version(view),
            got=command.view_version,
            next_step=f"lever features materialize {command.view}",
        )
    record = Materialization(
        view=command.view,
        view_version=command.view_version,
        watermark_us=command.watermark_us,
        entities=command.entities,
        recorded_at_us=tx.now_us,
    )
    tx.put(KIND_MATERIALIZATION, command.view, record)
    return {"watermark_us": command.watermark_us}


HANDLERS: tuple[Handles, ...] = (
    Handles(command=ApplyView, run=apply_view, facts=apply_view_facts),
    Handles(command=RecordMaterialization, run=record_materialization),
)
