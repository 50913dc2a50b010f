"""What the ledger knows of versions made again: asked for by whom, and what came of it. A version has one attempt at a time."""

from typing import Any, ClassVar, Literal

import msgspec

from leverframe.core.clock import DAY_US
from leverframe.core.command import Command, Handles, Transaction
from leverframe.core.errors import Conflict, NotFound
from leverframe.core.model import ModelVersion, version_id_of
from leverframe.training.commands import KIND_MODEL_VERSION

KIND_REPRODUCTION = "reproduction"

ATTEMPT_US_MAX = DAY_US
"""An attempt that said nothing for so long is given up when another is asked for: its job may have been lost with a worker's database."""

Outcome = Literal["identical", "differs", "rows_deleted", "failed"]


class ReproductionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The newest attempt to make ``version`` again; earlier ones stay in its history.

    ``identical``: training set, fitted and exported model have the same bytes. ``differs``: from the same rows other bytes came;
    ``differences`` name which, ``changes`` what changed around it. ``rows_deleted``: rows it was trained on were deleted for good, by the
    deletions that ``deleted`` names, so its bytes cannot come again. ``proven`` is what holds all the same.
    """

    id: str
    version: str
    model: str
    asked_by: str
    asked_at_us: int
    status: Literal["running", "identical", "differs", "rows_deleted", "failed"] = "running"
    differences: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    proven: tuple[str, ...] = ()
    failure: str = ""
    finished_at_us: int | None = None


class _OfVersion(Command, frozen=True, kw_only=True):
    """About one version; ``owning_team`` is its model's."""

    action: ClassVar[str] = "Training.Run"

    reproduction_id: str
    version: str
    owning_team: str

    def resource(self) -> str:
        """``model/<name>``."""
        return f"model/{self.version.partition('@')[0]}"

    def team(self) -> str:
        """The owning team."""
        return self.owning_team


class StartReproduction(_OfVersion, frozen=True, kw_only=True):
    """Ask for a version to be made again from its lineage."""


class FinishReproduction(_OfVersion, frozen=True, kw_only=True):
    """Say what came of it."""

    outcome: Outcome
    differences: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    proven: tuple[str, ...] = ()
    failure: str = ""


def start_reproduction(command: StartReproduction, tx: Transaction) -> dict[str, Any]:
    """Put the attempt.

    Raises
    ------
    NotFound: no such version.    Conflict: another attempt is under way, since less than a day.
    """
    id = version_id_of(command.version)
    version = tx.get(KIND_MODEL_VERSION, id, ModelVersion)
    if version is None:
        raise NotFound("no such model version", where=command.version[:120], next_step="lever models list")
    held = tx.get(KIND_REPRODUCTION, id, ReproductionRecord)
    if held is not None and held.status == "running" and tx.now_us - held.asked_at_us < ATTEMPT_US_MAX:
        raise Conflict("this version is being made again already", where=command.version, got=f"{held.id}, asked for by {held.asked_by}")
    record = ReproductionRecord(
        id=command.reproduction_id, version=version.name, model=version.model, asked_by=tx.actor.subject, asked_at_us=tx.now_us
    )
    tx.put(KIND_REPRODUCTION, id, record)
    return {"reproduction": record.id}


def finish_reproduction(command: FinishReproduction, tx: Transaction) -> dict[str, Any]:
    """Put what came of it.

    Raises
    ------
    Conflict: it is over.
    """
    id = version_id_of(command.version)
    held = tx.get(KIND_REPRODUCTION, id, ReproductionRecord)
    if held is None or held.id != command.reproduction_id or held.status != "running":
        raise Conflict("this attempt is over", where=command.version, got=held.status if held is not None else "none")
    done = msgspec.structs.replace(
        held,
        status=command.outcome,
        differences=command.differences,
        changes=command.changes,
        deleted=command.deleted,
        proven=command.proven,
        failure=command.failure,
        finished_at_us=tx.now_us,
    )
    tx.put(KIND_REPRODUCTION, id, done)
    return {"outcome": command.outcome}


HANDLERS: tuple[Handles, ...] = (
    Handles(command=StartReproduction, run=start_reproduction),
    Handles(command=FinishReproduction, run=finish_reproduction),
)
