"""The worker's looks at switched tables: labels that came since judge both versions' answers, and proven harm goes back by itself."""

from collections.abc import Iterator

import polars as pl

from leverframe.apps.platform.datasets import contract_of, latest_rows, latest_snapshot
from leverframe.apps.platform.parts import Parts
from leverframe.core.actor import PLATFORM
from leverframe.core.model import ModelSpec
from leverframe.core.verdict import Verdict, combine
from leverframe.release.records import KIND_MODEL
from leverframe.release.tables.harm import judge_labels
from leverframe.release.tables.records import KIND_TABLE, KIND_TABLE_PLAN, KIND_TABLE_WATCH, BatchTable, TablePlan, TableWatch
from leverframe.release.tables.watching import Ends, NoteWatch, TakeBackTable

LOOK_EVERY_S = 5.0
NOTED_GROWTH = 2
"""A look without news is written down when so many times the labels are known: a watch makes few entries, however often it looks."""

_KNOWN, _LABEL, _BEFORE, _AFTER = "__known_us", "__label", "__before", "__after"


class TableLoop:
    """Looks at every watch that is open. What a look needs is in the ledger and the artifacts; nothing is lost with the process."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._looked: dict[str, str] = {}

    def look(self) -> None:
        """One look; a table is judged again only when its model's dataset has other rows than last time.

        Raises
        ------
        Unavailable: a store did not answer; nothing is lost, look again.
        """
        open_ = list(self._open())
        self._looked = {watch.plan: self._looked[watch.plan] for watch, _ in open_ if watch.plan in self._looked}
        for watch, plan in open_:
            self._one(watch, plan)

    def _open(self) -> Iterator[tuple[TableWatch, TablePlan]]:
        ledger = self._parts.ledger
        for watch in ledger.find(KIND_TABLE_WATCH, TableWatch):
            plan = ledger.get(KIND_TABLE_PLAN, watch.plan, TablePlan) if watch.state == "watching" else None
            if plan is not None and plan.environment == self._parts.settings.environment:
                yield watch, plan

    def _one(self, watch: TableWatch, plan: TablePlan) -> None:
        table = self._parts.ledger.get(KIND_TABLE, watch.table, BatchTable)
        assert table is not None, "what is watched was switched"
        if table.current.version != watch.version:
            self._note(watch, watch.verdicts, watch.labelled, ends="left", reason=f"readers see {table.current.version} again")
            return
        lost = self._lost(plan)
        if lost:
            self._note(watch, watch.verdicts, watch.labelled, ends="left", reason=lost)
            return
        over = self._parts.clock.now_us() >= watch.until_us
        snapshot = self._snapshot(plan)
        if not over and self._looked.get(watch.plan) == snapshot:
            return
        labelled, verdicts = self._judged(plan, until_us=watch.until_us) if snapshot else (0, ())
        answer = combine(verdicts)
        if answer == "fail":
            command = TakeBackTable(table=watch.table, plan=watch.plan, verdicts=verdicts, labelled=labelled, owner_team=watch.team)
            self._parts.ledger.write(PLATFORM, command, key=f"table-watch/{watch.plan}/harm")
        elif answer == "pass":
            self._note(watch, verdicts, labelled, ends="proven", reason="labels show both losses within their margins")
        elif over:
            self._note(watch, verdicts, labelled, ends="over", reason=_time_ran_out(labelled))
        elif labelled >= max(1, NOTED_GROWTH * watch.labelled) or _told(verdicts) != _told(watch.verdicts):
            self._note(watch, verdicts, labelled)
        self._looked[watch.plan] = snapshot

    def _note(self, watch: TableWatch, verdicts: tuple[Verdict, ...], labelled: int, *, ends: Ends = "", reason: str = "") -> None:
        command = NoteWatch(
            table=watch.table,
            plan=watch.plan,
            verdicts=verdicts,
            labelled=labelled,
            owner_team=watch.team,
            ends=ends,
            reason=reason,
        )
        self._parts.ledger.write(PLATFORM, command, key=f"table-watch/{watch.plan}/{ends or labelled}/{_told(verdicts)}"[:128])

    def _spec(self, plan: TablePlan) -> ModelSpec | None:
        return self._parts.ledger.get(KIND_MODEL, plan.candidate.version.partition("@v")[0], ModelSpec)

    def _snapshot(self, plan: TablePlan) -> str:
        """What the model's labels are read from now; empty: nothing yet."""
        spec = self._spec(plan)
        held = latest_snapshot(self._parts, spec.dataset) if spec is not None else None
        return held.digest if held is not None else ""

    def _lost(self, plan: TablePlan) -> str:
        """Why no label can find its row; empty when labels can."""
        spec = self._spec(plan)
        if spec is None or not self._snapshot(plan):
            return ""
        key = contract_of(self._parts, spec.dataset).primary_key
        missing = [name for name in key if name not in plan.answers.columns]
        if not key:
            return f"labels find no row: the contract of {spec.dataset} names no key"
        return (
            f"labels find no row: the output lacks {', '.join(missing)}, the key of {spec.dataset}; score with --id or --keep"
            if missing
            else ""
        )

    def _judged(self, plan: TablePlan, *, until_us: int) -> tuple[int, tuple[Verdict, ...]]:
        """Labelled rows of the batch, and what they say."""
        rows = self._labelled(plan, until_us)
        before, after, labels = (rows[name].cast(pl.Float64).to_numpy() for name in (_BEFORE, _AFTER, _LABEL))
        return rows.height, judge_labels(before, after, labels, plan.limits, at_us=self._parts.clock.now_us())

    def _labelled(self, plan: TablePlan, until_us: int) -> pl.DataFrame:
        """Both answers and the label of each row whose label became known since the comparison, in the order they became known."""
        spec = self._spec(plan)
        assert spec is not None, "a snapshot was found by it"
        key = list(contract_of(self._parts, spec.dataset).primary_key)
        _, dataset = latest_rows(self._parts, spec.dataset)
        known = moment_us(dataset.collect_schema()[spec.label_known_at], spec.label_known_at)
        now_us = min(self._parts.clock.now_us(), until_us)
        labels = (
            dataset.select(*_texts(key), pl.col(spec.label).cast(pl.Float64).alias(_LABEL), known.alias(_KNOWN))
            .filter(pl.col(_LABEL).is_in([0.0, 1.0]) & (pl.col(_KNOWN) > plan.created_at_us) & (pl.col(_KNOWN) <= now_us))
            .unique(key, keep="none")
        )
        answers = self._answers(plan.live.digest, key, plan.live.column, _BEFORE).join(
            self._answers(plan.answers.digest, key, plan.answers.column, _AFTER), on=key
        )
        return answers.join(labels, on=key).sort(_KNOWN, *key).collect()

    def _answers(self, digest: str, key: list[str], column: str, name: str) -> pl.LazyFrame:
        frame = pl.read_parquet(self._parts.artifacts.get(digest), columns=[*key, column])
        scores = frame.select(*_texts(key), pl.col(column).cast(pl.Float64).alias(name)).lazy()
        return scores.filter(pl.col(name).is_finite()).unique(key, keep="none")


def _texts(key: list[str]) -> list[pl.Expr]:
    """Keys as texts: what was a whole number of 32 bits in a file may be one of 64 in the dataset."""
    return [pl.col(name).cast(pl.String) for name in key]


def moment_us(dtype: pl.DataType, column: str) -> pl.Expr:
    """A column of moments as microseconds since 1970-01-01 UTC; whole numbers are that already."""
    return pl.col(column).cast(pl.Int64) if dtype.is_integer() else pl.col(column).dt.epoch("us")


def _told(verdicts: tuple[Verdict, ...]) -> str:
    return ",".join(f"{verdict.rule}:{verdict.answer}" for verdict in verdicts)


def _time_ran_out(labelled: int) -> str:
    if not labelled:
        return "no row's label became known in time"
    return f"{labelled:,} labels neither prove harm nor rule it out"
