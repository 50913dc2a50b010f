"""Batch tables: two outputs side by side, and that readers see another one only after it was compared and approved, and can go back."""

import msgspec
import numpy as np
import pytest
from tests.release.harness import ALICE, BOB, ENV, NAME, TEAM, Rig, version

from leverframe.core.actor import Actor
from leverframe.core.clock import DAY_US
from leverframe.core.errors import Conflict, Forbidden, InvalidInput, Refused
from leverframe.core.verdict import combine
from leverframe.governance.policy import Policy
from leverframe.release.commands import FreezeReleases
from leverframe.release.tables.comparison import Comparison, Scores, compare
from leverframe.release.tables.limits import Limits, check_limits, judge
from leverframe.release.tables.planning import ApproveTable, PlanTable
from leverframe.release.tables.records import KIND_TABLE, KIND_TABLE_PLAN, BatchTable, Output, TablePlan
from leverframe.release.tables.switching import RollbackTable, SwitchTable, WriteTable
from leverframe.serving.commands import HANDLERS as SERVING
from leverframe.serving.commands import FinishScoring, StartScoring

ROWS = 200
V1, V2 = f"{NAME}@v1", f"{NAME}@v2"


def scores(*values: float, rows: tuple[int, ...] = ()) -> Scores:
    return Scores(np.array(rows or range(len(values)), dtype=np.int64), np.array(values, dtype=np.float64))


def seen(live: Scores, candidate: Scores, labels: list[float] | None = None, cut: float = 0.5) -> Comparison:
    return compare(live, candidate, None if labels is None else np.array(labels), cut=cut, confidence=0.95)


def test_two_outputs_are_paired_by_row_whatever_their_order():
    found = seen(scores(0.1, 0.4, 0.6, 0.9), scores(0.9, 0.5, 0.7, 0.2, rows=(3, 1, 2, 0)))
    assert (found.rows, found.missing, found.answered, found.lost, found.gained) == (4, 0, 4, 0, 0)
    assert found.shift_mean == pytest.approx(0.075)
    assert (found.shift_largest, found.shift_row) == (pytest.approx(0.1), 0)
    assert found.crossed == 0.25, "row 1 went from below the cut onto it, which is above"
    assert (found.labelled, found.losses) == (0, ())


def test_rows_without_an_answer_are_counted_and_never_averaged():
    nan = float("nan")
    found = seen(scores(0.1, 0.2, nan, nan, 0.5), scores(0.3, nan, 0.4, float("inf"), rows=(0, 1, 2, 3)))
    assert (found.rows, found.missing, found.lost, found.gained, found.answered) == (4, 1, 1, 1, 1)
    assert found.shift_mean == pytest.approx(0.2)


def test_losses_are_paired_and_the_interval_is_that_of_the_differences():
    found = seen(scores(0.2, 0.8, 0.5), scores(0.1, 0.6, 0.5), [0.0, 1.0, float("nan")])
    brier, log_loss = found.losses
    assert (found.labelled, brier.n, brier.live, brier.candidate) == (2, 2, pytest.approx(0.04), pytest.approx(0.085))
    differences = np.array([0.1**2 - 0.2**2, 0.4**2 - 0.2**2])
    radius = 1.959964 * differences.std(ddof=1) / np.sqrt(2)
    assert brier.difference == pytest.approx(0.045)
    assert (brier.low, brier.high) == (pytest.approx(0.045 - radius, abs=1e-6), pytest.approx(0.045 + radius, abs=1e-6))
    assert log_loss.candidate == pytest.approx(-(np.log(0.9) + np.log(0.6)) / 2)
    with pytest.raises(InvalidInput, match="neither 0 nor 1"):
        seen(scores(0.2, 0.8), scores(0.2, 0.8), [0.0, 2.0])


def judged(candidate_noise: float, *, labels: int = 0, limits: Limits | None = None, wrong: bool = False) -> dict[str, str]:
    rng = np.random.default_rng(7)
    truth = rng.uniform(0.1, 0.9, 4_000)
    live = Scores(np.arange(4_000), truth)
    moved = 1.0 - truth if wrong else np.clip(truth + rng.normal(0.0, candidate_noise, 4_000), 0.0, 1.0)
    known = np.full(4_000, np.nan)
    known[:labels] = rng.random(labels) < truth[:labels]
    found = compare(live, Scores(np.arange(4_000), moved), known, cut=0.5, confidence=0.95)
    return {verdict.rule: verdict.answer for verdict in judge(found, limits or Limits())}


def test_verdicts_pass_fail_and_wait():
    assert judged(0.001) == dict.fromkeys(("missing", "lost", "shift_mean", "shift_largest", "crossed"), "pass")
    assert judged(0.001, labels=4_000) | {"brier": "pass", "log_loss": "pass"} == judged(0.001, labels=4_000)
    far = judged(0.2, labels=4_000)
    assert (far["shift_mean"], far["crossed"], far["brier"]) == ("fail", "fail", "fail")
    few = judged(0.001, labels=40)
    assert (few["brier"], few["log_loss"]) == ("inconclusive", "inconclusive")
    loose = Limits(shift_mean=1.0, shift_largest=1.0, crossed=1.0, brier=0.1, log_loss=0.5)
    assert judged(0.001, labels=4_000, limits=loose, wrong=True)["brier"] == "fail", "scores that move within their limits can be worse"


def test_nothing_to_compare_is_inconclusive_and_never_passes():
    empty = Scores(np.array([], dtype=np.int64), np.array([]))
    verdicts = judge(compare(empty, empty, None, cut=0.5, confidence=0.95), Limits())
    assert combine(verdicts) == "inconclusive"
    assert {v.rule for v in verdicts if v.answer == "inconclusive"} == {"lost", "shift_mean", "shift_largest", "crossed"}
    with pytest.raises(InvalidInput) as error:
        check_limits(Limits(crossed=1.5, rows_min=0, brier=0.0))
    assert {fault.where for fault in error.value.faults} == {"crossed", "rows_min", "brier"}


# ---- commands --------------------------------------------------------------------------------------------------------------------------


class TableRig(Rig):
    """``flight-delay@v1`` and ``v2`` score batches that the ledger knows of; the table ``nightly`` begins with the first."""

    def __init__(self) -> None:
        super().__init__(more=SERVING, initial=False)
        self.write(ALICE, WriteTable(table="nightly", output=self.scored(1, "a"), owner_team=TEAM))

    def scored(self, number: int, batch: str, columns: tuple[str, ...] = ("row", "probability")) -> Output:
        digest, made = f"sha256:{(batch * 63)}{number}", version(number)
        inputs = (f"sha256:{batch * 64}",)
        self.write(ALICE, StartScoring(job=digest, version=made.name, bundle=made.bundle, inputs=inputs, rows=ROWS, owning_team=TEAM))
        self.write(ALICE, FinishScoring(job=digest, manifest=digest, rows_scored=ROWS, codes={}, owning_team=TEAM))
        return Output(
            digest=digest, version=made.name, bundle=made.bundle, job=digest, inputs=inputs, rows=ROWS, scored=ROWS,
            column="probability", columns=columns,
        )  # fmt: skip

    def plan_table(self, shift: float = 0.01, batch: str = "a", **facts: object) -> str:
        live = np.linspace(0.1, 0.4, ROWS)
        found = compare(Scores(np.arange(ROWS), live), Scores(np.arange(ROWS), live + shift), None, cut=0.5, confidence=0.95)
        command = PlanTable(
            table="nightly", live=self.scored(1, batch), answers=self.scored(2, batch), comparison=found, limits=Limits(), owner_team=TEAM
        )
        return self.write(ALICE, msgspec.structs.replace(command, **facts))["plan"]

    def switch(self, plan: str) -> None:
        self.write(ALICE, SwitchTable(plan=plan, owner_team=TEAM))

    @property
    def table(self) -> BatchTable:
        found = self.journal.get(KIND_TABLE, "nightly", BatchTable)
        assert found is not None
        return found


def test_a_switch_is_one_pointer_and_the_way_back_another():
    rig = TableRig()
    rig.switch(rig.plan_table())
    assert (rig.table.current.version, rig.table.event, [o.version for o in rig.table.earlier]) == (V2, "switched", [V1])
    rig.write(ALICE, WriteTable(table="nightly", output=rig.scored(2, "b"), owner_team=TEAM))
    rig.write(BOB, RollbackTable(table="nightly", owner_team=TEAM, reason="numbers look odd"))
    assert (rig.table.current.digest, rig.table.event, rig.table.reason) == (rig.scored(2, "a").digest, "rolled back", "numbers look odd")
    rig.write(BOB, RollbackTable(table="nightly", owner_team=TEAM, reason="v2 is it"))
    assert (rig.table.current.version, rig.table.earlier) == (V1, ())
    with pytest.raises(Refused, match="nothing to go back to"):
        rig.write(BOB, RollbackTable(table="nightly", owner_team=TEAM, reason="again"))
    past = [(r.actor, r.record.event, r.record.current.version) for r in rig.journal.history(KIND_TABLE, "nightly", BatchTable)]
    assert past[0] == ("alice", "written", V1)
    assert past[-1] == ("bob", "rolled back", V1)


def test_a_rollback_after_a_switch_on_a_new_batch_leads_to_the_old_version_on_that_batch():
    rig = TableRig()
    rig.switch(rig.plan_table(batch="b"))
    rig.write(BOB, RollbackTable(table="nightly", owner_team=TEAM, reason="back"))
    assert (rig.table.current.version, rig.table.current.digest) == (V1, rig.scored(1, "b").digest)
    rig.write(BOB, RollbackTable(table="nightly", owner_team=TEAM, reason="and further", to=rig.scored(1, "a").digest))
    assert rig.table.current.digest == rig.scored(1, "a").digest


def test_the_author_cannot_approve_and_neither_can_a_machine():
    rig = TableRig()
    plan = rig.plan_table()
    with pytest.raises(Forbidden, match="author of a plan cannot approve"):
        rig.write(ALICE, ApproveTable(plan=plan, owner_team=TEAM))
    with pytest.raises(Forbidden, match="only a person"):
        rig.write(Actor(subject="bot", roles=("approver",), teams=(TEAM,), kind="service"), ApproveTable(plan=plan, owner_team=TEAM))
    rig.write(BOB, ApproveTable(plan=plan, owner_team=TEAM))
    rig.switch(plan)
    with pytest.raises(Conflict, match="switched by this plan already"):
        rig.write(BOB, ApproveTable(plan=plan, owner_team=TEAM))


@pytest.mark.parametrize("obstacle", ["fail", "inconclusive", "stale", "frozen", "old", "twice"])
def test_a_switch_is_refused_with_the_rule_what_was_seen_and_what_to_type(obstacle):
    rig = TableRig()
    few = compare(scores(0.1, 0.2), scores(0.1, 0.2), None, cut=0.5, confidence=0.95)
    facts = {"comparison": msgspec.structs.replace(few, rows=ROWS)} if obstacle == "inconclusive" else {}
    plan = rig.plan_table(shift=0.2 if obstacle == "fail" else 0.01, **facts)
    before = rig.table
    if obstacle == "stale":
        rig.write(ALICE, WriteTable(table="nightly", output=rig.scored(1, "b"), owner_team=TEAM))
        before = rig.table
    elif obstacle == "frozen":
        rig.write(ALICE, FreezeReleases(environment=ENV, endpoint="", owner_team=TEAM, reason="year's end"))
    elif obstacle == "old":
        rig.clock.advance(31 * DAY_US)
    elif obstacle == "twice":
        rig.switch(plan)
        rig.write(BOB, RollbackTable(table="nightly", owner_team=TEAM, reason="back"))
        before = rig.table
    with pytest.raises((Refused, Conflict)) as error:
        rig.switch(plan)
    said = error.value.sentence()
    expected = {
        "fail": "rule shift_mean says fail",
        "inconclusive": "rule shift_mean says inconclusive",
        "stale": "stale",
        "frozen": "frozen: year's end",
        "old": "30 days",
        "twice": "runs once",
    }
    assert expected[obstacle] in said
    if obstacle == "fail":
        assert "expected shift_mean at most 0.05, got 0.2" in said
        assert "lever table plan nightly INPUT --candidate flight-delay@v2" in said
    assert rig.table == before


def test_what_is_planned_must_be_one_batch_scored_by_what_readers_see_and_have_all_columns():
    rig = TableRig()
    with pytest.raises(InvalidInput, match="same batch"):
        rig.plan_table(answers=rig.scored(2, "b"))
    with pytest.raises(Refused, match="readers of the table would miss columns"):
        rig.plan_table(answers=rig.scored(2, "c", columns=("row",)), live=rig.scored(1, "c"))
    with pytest.raises(Conflict, match="another version meanwhile"):
        rig.plan_table(live=rig.scored(3, "a"))
    with pytest.raises(Refused, match="no finished scoring"):
        rig.plan_table(answers=msgspec.structs.replace(rig.scored(2, "a"), rows=ROWS + 1))
    with pytest.raises(InvalidInput, match="not one of these outputs"):
        rig.plan_table(comparison=compare(scores(0.1), scores(0.1), None, cut=0.5, confidence=0.95))
    with pytest.raises(Refused, match="comes to another version by a plan"):
        rig.write(ALICE, WriteTable(table="nightly", output=rig.scored(2, "a"), owner_team=TEAM))
    with pytest.raises(InvalidInput, match="not a name"):
        rig.write(ALICE, WriteTable(table="../x", output=rig.scored(1, "a"), owner_team=TEAM))


def test_a_plan_read_back_has_the_digest_that_was_approved():
    rig = TableRig()
    digest = rig.plan_table(limits=Limits(shift_mean=1, crossed=0))
    plan = rig.journal.get(KIND_TABLE_PLAN, digest, TablePlan)
    assert plan is not None
    assert (plan.digest, plan.answer, plan.risk_tier, plan.author) == (digest, "pass", "low", "alice")


def test_the_policy_begins_tables_with_passed_gates_only():
    ann = Actor(subject="ann", roles=("engineer",), teams=(TEAM,))
    job = Actor(subject="job", roles=("service",), teams=(TEAM,), kind="service")

    def may(actor: Actor, **facts: object) -> bool:
        return Policy().decide(actor, WriteTable.action, "batch_table/x", TEAM, facts).allowed

    assert may(ann, begins=True, gates="pass")
    assert not may(ann, begins=True, gates="inconclusive")
    assert may(job, begins=False, gates="fail"), "the version that makes the table goes on making it"
    assert not may(BOB, begins=False, gates="pass")
    assert not may(ann)
