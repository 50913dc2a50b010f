"""``lever table write`` and ``lever table plan``: batches of one Parquet file, scored as ``lever score`` does, kept by digest, compared."""

import tempfile
import uuid
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import polars as pl

from leverframe.apps.clocks import open_clock
from leverframe.apps.platform.requirements import observe
from leverframe.apps.scoring.files import CODE, ROW, SUFFIXES
from leverframe.apps.scoring.job import ScoreRequest, Scoring
from leverframe.apps.settings import Settings
from leverframe.core.actor import Actor
from leverframe.core.errors import InvalidInput, LimitExceeded, NotFound
from leverframe.core.model import ModelSpec, ModelVersion, version_id_of
from leverframe.release.records import KIND_MODEL, KIND_MODEL_VERSION
from leverframe.release.tables.comparison import Scores, compare
from leverframe.release.tables.limits import Limits, check_limits
from leverframe.release.tables.planning import PlanTable
from leverframe.release.tables.records import KIND_TABLE, KIND_TABLE_PLAN, BatchTable, Output, TablePlan
from leverframe.release.tables.switching import WriteTable
from leverframe.serving.batch.run import ROWS_PER_PART_MAX, Progress

Show = Callable[[Progress], None]


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """Rows to be scored: one Parquet ``file``, features ``as_of`` a column or ``now``, named by ``id_column``, with columns to ``keep``."""

    file: Path
    as_of: str = ""
    now: bool = False
    id_column: str = ""
    keep: tuple[str, ...] = ()
    workers: int = 1


class TableScoring:
    """Batch tables of one installation, on the machine it is asked on; ``scoring`` is the caller's to close."""

    def __init__(self, settings: Settings, scoring: Scoring) -> None:
        self._settings = settings
        self._scoring = scoring
        self._clock = open_clock(settings.clock)

    def write(self, actor: Actor, name: str, batch: Batch, *, version: str = "", show: Show = lambda _: None) -> BatchTable:
        """Score a batch with the version that makes the table (the first time: with ``version``), and let readers see it.

        Raises
        ------
        InvalidInput: a new table and no version.    Refused: another version than the table's.    Whatever :meth:`Scoring.run` raises.
        """
        table = self._scoring.ledger.get(KIND_TABLE, name, BatchTable)
        by = version or (table.current.version if table is not None else "")
        if not by:
            raise InvalidInput("which version begins this table?", where=name[:80], expected="--version MODEL@vN", next_step="name one")
        output = self._score(actor, by, batch, 0, show)
        environment = table.environment if table is not None else self._settings.environment
        command = WriteTable(table=name, output=output, environment=environment, owner_team=self._spec(by).team)
        self._scoring.ledger.write(actor, command, key=f"table/{uuid.uuid4().hex}")
        return self._table(name)

    def plan(
        self,
        actor: Actor,
        name: str,
        candidate: str,
        batch: Batch,
        limits: Limits,
        *,
        note: str = "",
        watch_us: int | msgspec.UnsetType = msgspec.UNSET,
        show: Show = lambda _: None,
    ) -> TablePlan:
        """Score a batch with the table's version and with ``candidate``, compare both, and write down the switch.

        The batch's labels are the column that the candidate's model declares as its label, where the file has it.

        Raises
        ------
        NotFound: no such table.    Refused: readers would miss columns.    Whatever :meth:`Scoring.run` raises.
        """
        table = self._table(name)
        check_limits(limits)
        moment_us = self._clock.now_us() if batch.now else 0
        live = self._score(actor, table.current.version, batch, moment_us, show)
        answers = self._score(actor, candidate, batch, moment_us, show)
        seen = compare(
            self._read(live),
            self._read(answers),
            _labels(batch.file, self._spec(candidate).label),
            cut=limits.cut,
            confidence=limits.confidence,
        )
        self._observe(candidate)
        command = PlanTable(
            table=name, live=live, answers=answers, comparison=seen, limits=limits, owner_team=table.team, note=note, watch_us=watch_us
        )
        receipt = self._scoring.ledger.write(actor, command, key=f"table/{uuid.uuid4().hex}")
        plan = self._scoring.ledger.get(KIND_TABLE_PLAN, receipt.result["plan"], TablePlan)
        assert plan is not None, "what was just written is there"
        return plan

    def _score(self, actor: Actor, version: str, batch: Batch, moment_us: int, show: Show) -> Output:
        """One part is one file: its bytes go to the artifacts before any row names them."""
        _require_one_part(batch.file)
        with tempfile.TemporaryDirectory(prefix="table-", dir=self._settings.home) as folder:
            request = ScoreRequest(
                version=version,
                output=Path(folder) / "scores",
                files=(batch.file,),
                as_of=batch.as_of,
                now=batch.now,
                id_column=batch.id_column,
                keep=batch.keep,
                rows_per_part=ROWS_PER_PART_MAX,
                workers=batch.workers,
                moment_us=moment_us,
            )
            manifest = self._scoring.run(actor, request, show)
            (part,) = manifest.parts
            data = (request.output / part.file).read_bytes()
            columns = tuple(pl.read_parquet_schema(request.output / part.file))
        return Output(
            digest=self._scoring.artifacts.put(data),
            version=version,
            bundle=manifest.asked.bundle,
            job=manifest.job,
            inputs=manifest.asked.inputs,
            rows=manifest.rows,
            scored=manifest.scored,
            column=columns[columns.index(CODE) - 1],  # as encode_part puts them
            columns=columns,
        )

    def _observe(self, candidate: str) -> None:
        """What its bundle holds is known before anybody is asked to approve."""
        version = self._scoring.ledger.get(KIND_MODEL_VERSION, version_id_of(candidate), ModelVersion)
        assert version is not None, "it has just scored"
        observe(self._scoring.ledger, self._scoring.artifacts, self._scoring.trust, version)

    def _read(self, output: Output) -> Scores:
        frame = pl.read_parquet(self._scoring.artifacts.get(output.digest), columns=[ROW, output.column])
        return Scores(frame[ROW].to_numpy(), frame[output.column].cast(pl.Float64).fill_null(np.nan).to_numpy())

    def _table(self, name: str) -> BatchTable:
        table = self._scoring.ledger.get(KIND_TABLE, name, BatchTable)
        if table is None:
            raise NotFound("no such table", where=name[:80], next_step="lever table write NAME INPUT --version MODEL@vN")
        return table

    def _spec(self, version: str) -> ModelSpec:
        model = version.partition("@v")[0]
        spec = self._scoring.ledger.get(KIND_MODEL, model, ModelSpec)
        if spec is None:
            raise NotFound("no such model", where=model[:80], next_step="lever models list")
        return spec


def _require_one_part(file: Path) -> None:
    if SUFFIXES.get(file.suffix.lower()) != "parquet":
        raise InvalidInput("a table's batch is a Parquet file", where=str(file), expected=".parquet", got=file.suffix or "no ending")
    if not file.is_file():
        raise NotFound("no such file", where=str(file), next_step="check the path")
    try:
        rows = pl.scan_parquet(file, glob=False).select(pl.len()).collect().item()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InvalidInput(
            "the file cannot be read", where=file.name, expected="parquet", got=str(error).partition("\n")[0][:200]
        ) from error
    if rows > ROWS_PER_PART_MAX:
        got = f"{rows:,}"
        raise LimitExceeded("too many rows for a table", where=file.name, expected=f"at most {ROWS_PER_PART_MAX:,}", got=got)


def _labels(file: Path, column: str) -> "np.ndarray[tuple[int], np.dtype[np.float64]] | None":
    """Labels by row, NaN where nobody knows; None where the file has no such column."""
    frame = pl.scan_parquet(file, glob=False)
    schema = frame.collect_schema()
    if column not in schema:
        return None
    if not (schema[column].is_numeric() or schema[column] in (pl.Boolean, pl.Null)):
        raise InvalidInput("labels are numbers or truths", where=column, expected="0 or 1", got=str(schema[column]))
    return frame.select(pl.col(column).cast(pl.Float64).fill_null(np.nan)).collect()[column].to_numpy()
