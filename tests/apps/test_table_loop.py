"""The worker's watch of a switched table over a real installation: labels arrive, harm goes back, and a worker that dies loses nothing."""

import io
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest
from tests.apps.two_teams import CONTRACT, MARK, Put, fill, putting

from leverframe.apps.settings import Settings
from leverframe.apps.table_loop import TableLoop
from leverframe.apps.wiring import open_platform
from leverframe.core.actor import PLATFORM, Actor
from leverframe.core.clock import DAY_US, ManualClock
from leverframe.core.command import Command, Receipt
from leverframe.core.digest import digest_bytes
from leverframe.core.errors import Unavailable
from leverframe.core.model import ModelSpec
from leverframe.release.tables.limits import Limits
from leverframe.release.tables.records import KIND_TABLE, KIND_TABLE_WATCH, BatchTable, Output, TablePlan, TableWatch

OWNER = Actor(subject="ana", roles=("engineer",), teams=(MARK,))
ROWS = 3_000
T0 = 1_000 * DAY_US
V1, V2 = "m@v1", "m@v2"


class Switched:
    """``nightly`` was switched from v1 to v2 at T0; ``deliver`` brings labels of its batch, as the dataset's column ``miles``."""

    def __init__(self, home: Path, noise: float) -> None:
        self.platform = open_platform(Settings(home=home))
        self.clock = ManualClock(T0)
        object.__setattr__(self.platform.parts, "clock", self.clock)
        self.platform.parts.ledger._clock = self.clock
        self.platform.data.apply_contract(OWNER, CONTRACT.replace("mustBeLessThan: 1000", "mustBeLessThan: 100000"), key="contract")
        rng = np.random.default_rng(5)
        self.truth = rng.beta(2.0, 5.0, ROWS)
        self.labels = (rng.random(ROWS) < self.truth).astype(float)
        live = self._output(V1, self.truth)
        answers = self._output(V2, np.clip(self.truth + rng.normal(0.0, noise, ROWS), 0.0, 1.0))
        environment = self.platform.parts.settings.environment
        plan = fill(TablePlan, table="nightly", team=MARK, environment=environment, live=live, answers=answers, base=live.digest)
        candidate = msgspec.structs.replace(plan.candidate, version=V2)
        self.plan = msgspec.structs.replace(plan, created_at_us=T0, limits=Limits(), candidate=candidate)
        table = BatchTable(name="nightly", environment=environment, team=MARK, current=answers, earlier=(live,), event="switched")
        spec = fill(ModelSpec, name="m", team=MARK, dataset=f"{MARK}-trips", label="miles", label_known_at="ended_at")
        watch = TableWatch(
            plan=self.plan.digest, table="nightly", team=MARK, version=V2, before=V1, from_us=T0, until_us=T0 + 14 * DAY_US, at_us=T0
        )
        with putting(self.platform.parts.settings) as ledger:
            for kind, id, record in (
                ("model", "m", spec),
                ("batch_table_plan", self.plan.digest, self.plan),
                (KIND_TABLE, "nightly", table),
                (KIND_TABLE_WATCH, self.plan.digest, watch),
            ):
                ledger.write(OWNER, Put(kind=kind, id=id, body=msgspec.to_builtins(record)), key=kind)
        self.loop = TableLoop(self.platform.parts)

    def _output(self, version: str, scores: np.ndarray) -> Output:
        buffer = io.BytesIO()
        pl.DataFrame({"row": range(ROWS), "id": [f"t{n:05}" for n in range(ROWS)], "probability": scores}).write_parquet(buffer)
        digest = self.platform.parts.artifacts.put(buffer.getvalue())
        assert digest == digest_bytes(buffer.getvalue())
        columns = ("row", "id", "probability")
        return fill(Output, digest=digest, version=version, column="probability", columns=columns, rows=ROWS, scored=ROWS)

    def deliver(self, first: int, last: int, *, known_us: int = T0 + 1) -> None:
        """Labels of these rows became known at ``known_us``."""
        rows = [f"t{n:05},short,{self.labels[n]},1,rider,{known_us + n}" for n in range(first, last)]
        body = "\n".join(("id,kind,miles,seats,rider,ended_at", *rows, "")).encode()
        self.clock.set(max(self.clock.now_us(), known_us + ROWS + 1))
        became = self.platform.data.ingest(OWNER, f"{MARK}-trips", body, format="csv", key=f"{first}-{last}-{known_us}", append=first > 0)
        assert became.snapshot is not None, became.report

    @property
    def table(self) -> BatchTable:
        found = self.platform.parts.ledger.get(KIND_TABLE, "nightly", BatchTable)
        assert found is not None
        return found

    @property
    def watch(self) -> TableWatch:
        found = self.platform.parts.ledger.get(KIND_TABLE_WATCH, self.plan.digest, TableWatch)
        assert found is not None
        return found


@pytest.fixture(params=[0.35])
def switched(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Switched]:
    made = Switched(tmp_path / "home", request.param)
    yield made
    made.platform.close()


def test_labels_that_prove_harm_take_the_table_back_and_say_so(switched: Switched) -> None:
    switched.loop.look()
    assert (switched.watch.state, switched.watch.labelled) == ("watching", 0)
    switched.deliver(0, 20)
    switched.loop.look()
    assert (switched.watch.state, switched.watch.labelled, switched.table.current.version) == ("watching", 20, V2)
    shown = switched.platform.tables.table("nightly")
    assert f"{V2} is watched until" in shown.watched
    assert "need about" in shown.watched or "cannot yet" in shown.watched
    switched.deliver(20, ROWS)
    switched.loop.look()
    assert (switched.watch.state, switched.watch.labelled) == ("harmed", ROWS)
    assert switched.table.current.version == V1
    newest = switched.platform.tables.table("nightly")
    assert (newest.history[0].event, newest.history[0].actor) == ("rolled back", PLATFORM.subject)
    assert newest.watched.startswith(f"{V2} was taken back: labels prove {V2} worse")
    total = switched.platform.parts.ledger.entries_total()
    switched.loop.look()
    assert switched.platform.parts.ledger.entries_total() == total, "what is over is not looked at again"


@pytest.mark.parametrize("switched", [0.01], indirect=True)
def test_a_table_as_good_is_proven_so_and_a_look_without_news_writes_nothing(switched: Switched) -> None:
    switched.deliver(0, 40)
    switched.loop.look()
    total = switched.platform.parts.ledger.entries_total()
    for _ in range(3):
        switched.loop.look()
        TableLoop(switched.platform.parts).look()
    assert switched.platform.parts.ledger.entries_total() == total
    switched.deliver(40, ROWS)
    switched.loop.look()
    assert (switched.watch.state, switched.table.current.version) == ("proven", V2)


def test_labels_known_before_the_comparison_or_after_the_watch_do_not_count(switched: Switched) -> None:
    switched.deliver(0, 1_500, known_us=T0 - ROWS - 1)
    switched.loop.look()
    assert (switched.watch.state, switched.watch.labelled) == ("watching", 0)
    switched.deliver(1_500, ROWS, known_us=T0 + 15 * DAY_US)
    switched.loop.look()
    assert (switched.watch.state, switched.watch.reason) == ("over", "no row's label became known in time")
    assert switched.table.current.version == V2


def test_who_went_back_by_hand_is_left_alone(switched: Switched) -> None:
    operator = Actor(subject="olga", roles=("operator",), teams=(MARK,))
    switched.platform.tables.rollback(operator, "nightly", reason="odd", to="", key="back")
    switched.deliver(0, ROWS)
    switched.loop.look()
    assert (switched.watch.state, switched.watch.reason) == ("left", f"readers see {V1} again")
    assert switched.table.current.version == V1


def test_a_table_whose_rows_no_label_finds_says_so_at_once(switched: Switched) -> None:
    answers = msgspec.structs.replace(switched.plan.answers, columns=("row", "probability"))
    plan = msgspec.structs.replace(switched.plan, answers=answers)
    begun = msgspec.structs.replace(switched.watch, plan=plan.digest, from_us=T0 + 1)
    before = msgspec.structs.replace(switched.watch, state="left")
    switched.plan = plan
    with putting(switched.platform.parts.settings) as ledger:
        for kind, id, record in (
            ("batch_table_plan", plan.digest, plan),
            (KIND_TABLE_WATCH, plan.digest, begun),
            (KIND_TABLE_WATCH, before.plan, before),
        ):
            ledger.write(OWNER, Put(kind=kind, id=id, body=msgspec.to_builtins(record)), key=f"without the key, {kind} {id}"[:100])
    switched.loop.look()
    assert switched.watch.state == "watching", "nothing is known of the dataset's rows yet"
    switched.deliver(0, 20)
    switched.loop.look()
    assert switched.watch.state == "left"
    shown = switched.platform.tables.table("nightly").watched
    assert shown.endswith(f"the output lacks id, the key of {MARK}-trips; score with --id or --keep"), shown


class Crash(Exception):
    """Stands for the process dying here."""


@pytest.mark.parametrize("how", ["before", "after", "unknown"])
@pytest.mark.parametrize("at", [1, 2])
def test_a_worker_that_dies_at_a_step_is_followed_by_one_that_finishes(
    switched: Switched, monkeypatch: pytest.MonkeyPatch, at: int, how: str
) -> None:
    """The first write notes what 20 labels say, the second takes the table back; each once, whoever dies."""
    ledger = type(switched.platform.parts.ledger)
    real, writes = ledger.write, []

    def dying(self: object, actor: Actor, command: Command, *, key: str) -> Receipt:
        if actor != PLATFORM:
            return real(self, actor, command, key=key)  # type: ignore[arg-type]
        writes.append(command)
        if len(writes) != at:
            return real(self, actor, command, key=key)  # type: ignore[arg-type]
        if how != "before":
            real(self, actor, command, key=key)  # type: ignore[arg-type]
        raise Unavailable("outcome unknown") if how == "unknown" else Crash

    monkeypatch.setattr(ledger, "write", dying)
    died = 0
    for first, last in ((0, 20), (20, ROWS)):
        switched.deliver(first, last)
        try:
            switched.loop.look()
        except (Crash, Unavailable):
            died += 1
            if how != "unknown":
                switched.loop = TableLoop(switched.platform.parts)
            switched.loop.look()
    assert died == 1
    assert (switched.watch.state, switched.table.current.version) == ("harmed", V1)
    taken = [entry for entry in switched.platform.audit.entries(limit=100) if entry.action == "Release.Rollback"]
    assert len(taken) == 1
