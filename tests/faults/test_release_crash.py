"""P20: a crash at any rollout step resumes or rolls back; one rollout an endpoint; weights sum to 100."""

from collections.abc import Iterator

import pytest
from tests.release.harness import ALICE, ENV, Rig

from leverframe.core.actor import Actor
from leverframe.core.command import Command, Receipt
from leverframe.core.errors import Unavailable
from leverframe.core.route import check_endpoint
from leverframe.release.control.controller import Controller


class Crash(Exception):
    """Stands for the process dying here."""


class CrashingJournal:
    """Dies before or after the n-th write commits, or answers that the outcome is unknown."""

    def __init__(self, journal: object, at: int, how: str) -> None:
        self._journal, self._at, self._how, self.writes = journal, at, how, 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._journal, name)

    def write(self, actor: Actor, command: Command, *, key: str) -> Receipt:
        self.writes += 1
        if self.writes != self._at:
            return self._journal.write(actor, command, key=key)
        if self._how == "before":
            raise Crash
        self._journal.write(actor, command, key=key)
        raise Crash if self._how == "after" else Unavailable("outcome unknown")


def _bad(version: str, score: float) -> float:
    return 0.95 if version.endswith("v3") else score


def _hours(rig: Rig, hours: int, at: int, how: str, **traffic: object) -> Iterator[bool]:
    """Serve and look each hour; yields whether the controller died in that hour. A dead one is replaced by a new one that knows nothing."""
    journal = CrashingJournal(rig.journal, at, how)
    rig.controller = Controller(journal, ENV)
    for _ in range(hours):
        rig.serve(**traffic)
        try:
            rig.tick()
            died = False
        except (Crash, Unavailable):
            died = True
            if how != "unknown":
                rig.controller = Controller(journal, ENV)
            rig.tick()
        check_endpoint(rig.endpoint())
        yield died


@pytest.mark.parametrize("how", ["before", "after", "unknown"])
def test_crash_at_every_write_of_a_good_release_converges_to_the_same_stage_log(how: str) -> None:
    plain = Rig(seed=2)
    calm = plain.run(plain.release("flight-delay@v2"), 24 * 8)
    assert calm.state == "completed"
    crashes = 0
    for at in range(1, 40):
        rig = Rig(seed=2)
        id = rig.release("flight-delay@v2")
        died = False
        for crashed in _hours(rig, 24 * 8, at, how):
            died |= crashed
            if not rig.state(id).active:
                break
        if not died:
            break
        crashes += 1
        done = rig.state(id)
        assert [(e.event, e.stage, e.generation) for e in done.log] == [(e.event, e.stage, e.generation) for e in calm.log], at
        assert rig.endpoint() == plain.endpoint()
    assert crashes >= 4, "every write of the calm run must have been crashed once"


@pytest.mark.parametrize("how", ["before", "after", "unknown"])
def test_crash_while_taking_back_a_bad_version_takes_it_back_once(how: str) -> None:
    for at in (1, 2, 3):
        rig = Rig(seed=3)
        id = rig.release("flight-delay@v3", strategy="canary", stages=None)
        for _ in _hours(rig, 12, at, how, score=_bad):
            pass
        done = rig.state(id)
        assert [entry.event for entry in done.log] == ["apply", "harm"]
        assert [(arm.version, arm.weight) for arm in rig.endpoint().arms] == [("flight-delay@v1", 100.0)]


def test_crash_while_reading_the_log_counts_nothing_twice() -> None:
    rig = Rig(seed=5)
    id = rig.release("flight-delay@v2")
    for _ in range(5):
        rig.serve()
    calls = 0

    def torn(since: int) -> Iterator[tuple[int, object]]:
        nonlocal calls
        calls += 1
        for position, record in rig.observations(since):
            if position == 150 and calls == 2:
                raise Unavailable("the log cannot be read")
            yield position, record

    rig.controller.tick(lambda since: list(rig.observations(since))[:100], rig.clock.now_us())
    calls = 1
    with pytest.raises(Unavailable):
        rig.controller.tick(torn, rig.clock.now_us())
    rig.tick()
    again = Controller(rig.journal, ENV)
    again.tick(rig.observations, rig.clock.now_us())
    assert rig.controller._evidence[id].counts == again._evidence[id].counts
    assert again._evidence[id].counts.duplicates == 0


def test_a_second_release_cannot_start_while_one_is_under_way_even_across_a_crash() -> None:
    from leverframe.core.errors import Conflict
    from leverframe.release.commands import ApplyPlan

    rig = Rig()
    second = rig.plan("flight-delay@v3")
    rig.release("flight-delay@v2")
    rig.controller = Controller(rig.journal, ENV)
    with pytest.raises(Conflict, match="is running on this endpoint"):
        rig.write(ALICE, ApplyPlan(plan=second, owner_team="delays"))


def test_negative_control_without_stage_guards_a_repeated_decision_climbs_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Switch the idempotency key's meaning and the stage guard off: then a write of unknown outcome, tried again, does climb twice."""
    from leverframe.release.commands import AdvanceRelease
    from leverframe.release.rollout import rollout

    rig = Rig(seed=2)
    id = rig.release("flight-delay@v2", stages=None)
    while rig.state(id).stage == 0:
        rig.serve()
        rig.tick()
    proof = rig.state(id).log[-1].verdicts
    again = AdvanceRelease(release=id, stage=0, owner_team="delays", reason="again", verdicts=proof)
    from leverframe.core.errors import Conflict

    with pytest.raises(Conflict, match="moved on"):
        rig.write(ALICE, again)
    monkeypatch.setattr(rollout, "_at_stage", lambda command, tx: rollout.get_release(tx, command.release))
    monkeypatch.setattr(rollout, "_require_proof", lambda *_: None)
    rig.write(ALICE, again)
    assert rig.state(id).stage == 2, "the guards, not luck, prevent the second climb"
