"""After a switch: labels judge, proven harm goes back in one write, and neither chance nor impatience takes a good table back."""

import msgspec
import numpy as np
import pytest
from tests.release.harness import ALICE, BOB, TEAM
from tests.release.test_tables import V1, V2, TableRig

from leverframe.core.actor import PLATFORM
from leverframe.core.clock import DAY_US
from leverframe.core.errors import Conflict, Forbidden, InvalidInput, Refused
from leverframe.core.verdict import Verdict, combine
from leverframe.release.tables.harm import judge_labels
from leverframe.release.tables.limits import Limits
from leverframe.release.tables.planning import PlanTable
from leverframe.release.tables.records import KIND_TABLE_PLAN, KIND_TABLE_WATCH, WATCH_US, TablePlan, TableWatch
from leverframe.release.tables.switching import RollbackTable, WriteTable
from leverframe.release.tables.watching import NoteWatch, TakeBackTable

WORSE = (Verdict(rule="outcome_brier", answer="fail", observed=0.05, threshold=0.01, n=900, reason="at least +0.02 is certain"),)
FINE = (Verdict(rule="outcome_brier", answer="pass", observed=0.0, threshold=0.01, n=900),)


def drawn(rng: np.random.Generator, rows: int, noise: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What both versions say of rows, and what came true: the old one knows the truth, the new one is off by ``noise``."""
    truth = rng.beta(2.0, 5.0, rows)
    return truth, np.clip(truth + rng.normal(0.0, noise, rows), 0.0, 1.0), (rng.random(rows) < truth).astype(float)


def test_harm_is_proven_and_a_table_as_good_is_too():
    rng = np.random.default_rng(3)
    worse = judge_labels(*drawn(rng, 3_000, 0.35), Limits(), at_us=7)
    assert combine(worse) == "fail"
    harm = next(v for v in worse if v.answer == "fail")
    assert harm.at_us == 7
    assert "is certain, beyond the" in harm.reason
    good = judge_labels(*drawn(rng, 6_000, 0.01), Limits(), at_us=7)
    assert {v.rule: v.answer for v in good} == {"outcome_brier": "pass", "outcome_log_loss": "pass"}
    nothing = np.zeros(0)
    assert combine(judge_labels(nothing, nothing, nothing, Limits(), at_us=7)) == "inconclusive"


def test_a_table_at_its_margin_is_seldom_taken_back_however_often_one_looks():
    """60 tables that are worse by just the Brier margin, each looked at 6 times: at half a percent of false alarms 3 are too many."""
    rng = np.random.default_rng(11)
    limits = Limits(log_loss=5.0)
    taken = 0
    for _ in range(60):
        before, after, labels = drawn(rng, 600, 0.0)
        # Independent noise of variance v costs v: v = 0.01 is the margin.
        after = before + rng.choice([-0.1, 0.1], 600)
        looks = range(100, 601, 100)
        taken += any(judge_labels(before[:n], after[:n], labels[:n], limits, at_us=0)[0].answer == "fail" for n in looks)
    assert taken < 3, taken


class WatchRig(TableRig):
    """The table was switched to v2, and is watched."""

    def __init__(self) -> None:
        super().__init__()
        self.plan = self.plan_table()
        self.switch(self.plan)

    def watch(self, plan: str = "") -> TableWatch:
        found = self.journal.get(KIND_TABLE_WATCH, plan or self.plan, TableWatch)
        assert found is not None
        return found

    def taken_back(self, plan: str = "", verdicts: tuple[Verdict, ...] = WORSE) -> TakeBackTable:
        return TakeBackTable(table="nightly", plan=plan or self.plan, verdicts=verdicts, labelled=900, owner_team=TEAM)

    def noted(self, **facts: object) -> NoteWatch:
        return NoteWatch(**{"table": "nightly", "plan": self.plan, "verdicts": FINE, "labelled": 900, "owner_team": TEAM} | facts)


def test_a_switch_is_watched_for_as_long_as_its_plan_says():
    rig = WatchRig()
    assert (rig.watch().state, rig.watch().version, rig.watch().before) == ("watching", V2, V1)
    assert rig.watch().until_us == rig.clock.now_us() + WATCH_US
    plan = rig.journal.get(KIND_TABLE_PLAN, rig.plan, TablePlan)
    assert plan.digest == rig.plan, "a plan that says nothing of a watch is named as before there was one"
    with pytest.raises(InvalidInput, match="at most 90 days"):
        rig.write(ALICE, PlanTable(table="nightly", live=plan.answers, answers=rig.scored(3, "a"), comparison=plan.comparison,
                                   limits=plan.limits, owner_team=TEAM, watch_us=91 * DAY_US))  # fmt: skip


def test_proven_harm_goes_back_in_one_write_that_says_why():
    rig = WatchRig()
    done = rig.write(PLATFORM, rig.taken_back())
    assert done["digest"] == rig.table.current.digest
    assert (rig.table.current.version, rig.table.event) == (V1, "rolled back")
    assert rig.table.reason == f"labels prove {V2} worse: at least +0.02 is certain"
    assert (rig.watch().state, rig.watch().labelled) == ("harmed", 900)
    with pytest.raises(Conflict, match="the watch is over"):
        rig.write(PLATFORM, rig.taken_back())


def test_after_new_batches_the_way_back_leads_past_all_of_the_new_version():
    rig = WatchRig()
    for batch in "bcd":
        rig.write(ALICE, WriteTable(table="nightly", output=rig.scored(2, batch), owner_team=TEAM))
    rig.write(PLATFORM, rig.taken_back())
    assert (rig.table.current, rig.table.earlier) == (rig.scored(1, "a"), ())


def test_after_more_batches_than_are_kept_the_compared_output_is_what_is_left():
    rig = WatchRig()
    for n in range(52):
        output = rig.scored(2, "e")
        rig.write(ALICE, WriteTable(table="nightly", output=msgspec.structs.replace(output, digest=f"sha256:{n:064x}"), owner_team=TEAM))
    assert {output.version for output in rig.table.earlier} == {V2}
    rig.write(PLATFORM, rig.taken_back())
    assert rig.table.current == rig.scored(1, "a")


def test_only_the_platform_takes_back_and_only_with_a_broken_rule():
    rig = WatchRig()
    for who in (ALICE, BOB):
        with pytest.raises(Forbidden, match="only the platform"):
            rig.write(who, rig.taken_back())
    with pytest.raises(InvalidInput, match="no rule is broken"):
        rig.write(PLATFORM, rig.taken_back(verdicts=FINE))
    with pytest.raises(InvalidInput, match="nothing is proven"):
        rig.write(PLATFORM, rig.noted(ends="proven", verdicts=WORSE))
    with pytest.raises(Forbidden, match="another team"):
        rig.write(PLATFORM, rig.noted(owner_team="other"))
    assert rig.table.current.version == V2


def test_who_went_back_by_hand_is_not_taken_back_again():
    rig = WatchRig()
    rig.write(BOB, RollbackTable(table="nightly", owner_team=TEAM, reason="numbers look odd"))
    with pytest.raises(Conflict, match="another version meanwhile"):
        rig.write(PLATFORM, rig.taken_back())
    rig.write(PLATFORM, rig.noted(ends="left", reason="readers see v1 again"))
    assert (rig.watch().state, rig.watch().reason) == ("left", "readers see v1 again")


def test_storms_end_a_version_that_labels_took_back_twice_is_not_switched_to_again():
    """Going back itself is never refused: each of the takings back below succeeds."""
    rig = WatchRig()
    rig.write(PLATFORM, rig.taken_back())
    again = rig.plan_table()
    rig.switch(again)
    rig.write(PLATFORM, rig.taken_back(again))
    third = rig.plan_table()
    with pytest.raises(Refused, match="taken back by labels 2 times in 24 h") as error:
        rig.switch(third)
    assert "after " in error.value.sentence()
    rig.clock.advance(DAY_US + 1)
    rig.switch(third)
    assert rig.table.current.version == V2


def test_a_new_switch_ends_the_watch_before_it():
    rig = WatchRig()
    rig.write(BOB, RollbackTable(table="nightly", owner_team=TEAM, reason="odd"))
    second = rig.plan_table()
    rig.switch(second)
    assert (rig.watch().state, rig.watch(second).state) == ("left", "watching")
