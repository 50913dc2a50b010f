"""What the ledger knows of serving: which batches were scored, by whom, with which version, from which bytes."""

from typing import ClassVar

import msgspec

from leverframe.core.command import Command, Handles, Transaction
from leverframe.core.digest import Digest, check_digest
from leverframe.core.errors import Conflict, NotFound

KIND_SCORING = "scoring"


class Scoring(msgspec.Struct, frozen=True, kw_only=True):
    """One batch. ``rows_scored`` and ``codes`` (rows without a score, by reason) are known once it is finished.

    ``online_view`` is where its scores went in the online store, if they did.
    """

    job: Digest
    version: str
    bundle: Digest
    inputs: tuple[Digest, ...]
    rows: int
    started_by: str
    started_at_us: int
    finished_at_us: int = 0
    rows_scored: int = 0
    codes: dict[str, int] = {}
    manifest: Digest = ""
    online_view: str = ""


class StartScoring(Command, frozen=True, kw_only=True):
    """Score a batch: recorded, and so permitted, before the first row is read."""

    action: ClassVar[str] = "Serving.Score"

    job: Digest
    version: str
    bundle: Digest
    inputs: tuple[Digest, ...]
    rows: int
    owning_team: str = ""

    def resource(self) -> str:
        """``scoring/<job>``."""
        return f"{KIND_SCORING}/{self.job}"

    def team(self) -> str:
        """The team that owns the model."""
        return self.owning_team


class FinishScoring(Command, frozen=True, kw_only=True):
    """Record what became of a batch."""

    action: ClassVar[str] = "Serving.Score"

    job: Digest
    manifest: Digest
    rows_scored: int
    codes: dict[str, int]
    online_view: str = ""
    owning_team: str = ""

    def resource(self) -> str:
        """``scoring/<job>``."""
        return f"{KIND_SCORING}/{self.job}"

    def team(self) -> str:
        """The team that owns the model."""
        return self.owning_team


def start_scoring(command: StartScoring, tx: Transaction) -> dict[str, str]:
    """Put the record, unless the job is known: scoring the same again is the same batch.

    Raises
    ------
    InvalidInput: the job's name is no digest.
    """
    if tx.get(KIND_SCORING, check_digest(command.job), Scoring) is None:
        scoring = Scoring(
            job=command.job,
            version=command.version,
            bundle=command.bundle,
            inputs=command.inputs,
            rows=command.rows,
            started_by=tx.actor.subject,
            started_at_us=tx.now_us,
        )
        tx.put(KIND_SCORING, command.job, scoring)
    return {"job": command.job}


def finish_scoring(command: FinishScoring, tx: Transaction) -> dict[str, str]:
    """Complete the record.

    Raises
    ------
    NotFound: it was never started.    Conflict: the counts do not add up to its rows.
    """
    scoring = tx.get(KIND_SCORING, command.job, Scoring)
    if scoring is None:
        raise NotFound("no such batch", where=command.job[:80])
    counted = command.rows_scored + sum(command.codes.values())
    if counted != scoring.rows:
        raise Conflict("rows in are not rows out", where=command.job, expected=f"{scoring.rows} rows", got=f"{counted} rows")
    finished = msgspec.structs.replace(
        scoring,
        finished_at_us=tx.now_us,
        rows_scored=command.rows_scored,
        codes=command.codes,
        manifest=command.manifest,
        online_view=command.online_view,
    )
    tx.put(KIND_SCORING, command.job, finished)
    return {"job": command.job}


HANDLERS: tuple[Handles, ...] = (
    Handles(command=StartScoring, run=start_scoring),
    Handles(command=FinishScoring, run=finish_scoring),
)
