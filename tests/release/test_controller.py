import msgspec
import pytest
from tests.release.harness import ALICE, ENV, NAME, TEAM, Rig

from leverframe.core.clock import HOUR_US
from leverframe.core.prediction import PredictionRecord
from leverframe.release.commands import (
    DisableFeature,
    FreezeReleases,
    Kill,
    PauseRelease,
    Pin,
    ResumeRelease,
    SetFallback,
    UnfreezeReleases,
)
from leverframe.release.control.controller import NOTE_EVERY_US, Controller
from leverframe.release.records import KIND_EVIDENCE, KIND_LEVER, EvidenceNote, Lever
from leverframe.release.rollout.last_good import last_good_lever


def _bad(version: str, score: float) -> float:
    return 0.95 if version.endswith("v3") else score


def test_a_good_version_climbs_to_100_percent_and_the_watch_ends() -> None:
    rig = Rig()
    id = rig.release("flight-delay@v2")
    done = rig.run(id, 24 * 8)
    assert done.state == "completed", done.log[-1].reason
    assert [entry.event for entry in done.log] == ["apply", "proven", "proven", "watched"]
    assert [entry.weight for entry in done.log] == [0.0, 10.0, 100.0, 100.0]
    assert [arm.version for arm in rig.endpoint().arms] == ["flight-delay@v2"]
    for entry in done.log[1:3]:
        assert {v.answer for v in entry.verdicts} == {"pass"}, "a step up rests on verdicts that all pass"


def test_the_champion_stays_in_shadow_at_100_percent() -> None:
    rig = Rig()
    id = rig.release("flight-delay@v2")
    while rig.state(id).state != "watching":
        rig.serve()
        rig.tick()
    assert [(arm.version, arm.role, arm.weight) for arm in rig.endpoint().arms] == [
        ("flight-delay@v2", "live", 100.0),
        ("flight-delay@v1", "shadow", 0.0),
    ]
    rig.serve(score=lambda version, score: 0.95 if version.endswith("v2") else score)
    rig.serve(score=lambda version, score: 0.95 if version.endswith("v2") else score)
    assert [look.event for look in rig.tick()] == ["harm"], "harm after 100 % must be taken back too"
    assert rig.state(id).state == "rolled_back"
    assert rig.endpoint().live.version == "flight-delay@v1"


def test_a_bad_version_is_taken_back_within_tens_of_answers_with_its_evidence_kept() -> None:
    rig = Rig()
    id = rig.release("flight-delay@v3", strategy="canary", stages=None)
    done = rig.run(id, 48, score=_bad)
    assert done.state == "rolled_back"
    assert done.log[-1].event == "harm"
    fired = [v for v in done.log[-1].verdicts if v.answer == "fail"]
    assert [v.rule for v in fired] == ["prediction_shift"]
    assert fired[0].low >= fired[0].threshold == 0.08
    note = rig.journal.get(KIND_EVIDENCE, f"{id}/0", EvidenceNote)
    assert note.counts.answers_by_candidate < 40
    assert [arm.version for arm in rig.endpoint().arms] == ["flight-delay@v1"]


def test_a_controller_reading_from_the_start_decides_as_one_that_read_along() -> None:
    rig, other = Rig(seed=4), Rig(seed=4)
    ids = [r.release("flight-delay@v2") for r in (rig, other)]
    for _ in range(30):
        rig.serve()
        other.serve()
        rig.tick()
        other.controller = Controller(other.journal, ENV, records_max=97)
        for _ in range(400):
            other.tick()
            if other.controller._position == len(other.log):
                break
        other.tick()
    assert rig.state(ids[0]).state == other.state(ids[1]).state
    assert [entry.stage for entry in rig.state(ids[0]).log] == [entry.stage for entry in other.state(ids[1]).log]
    assert rig.state(ids[0]).stage > 0, "this test must see a promotion, or it compares nothing"


def test_records_of_an_earlier_route_do_not_count() -> None:
    rig = Rig()
    id = rig.release("flight-delay@v2")
    for index in range(500):
        rig.log.append(
            PredictionRecord(
                id=f"old{index // 2}",
                endpoint=NAME,
                tenant="default",
                version="flight-delay@v2" if index % 2 else "flight-delay@v1",
                role="shadow" if index % 2 else "live",
                generation=rig.generation() - 1,
                asked_at_us=rig.clock.now_us(),
                latency_us=1,
                status="error" if index % 2 else "ok",
                outputs=() if index % 2 else (0.2,),
            )
        )
    assert rig.tick()[0].event is None
    rig.log = [msgspec.structs.replace(record, generation=rig.generation()) for record in rig.log]
    rig.controller = Controller(rig.journal, ENV)
    rig.serve(labels=False)
    assert [look.event for look in rig.tick()] == ["harm"], "the same records under this route are harm"
    assert rig.state(id).state == "rolled_back"


def test_a_freeze_holds_the_climb_but_not_the_rollback() -> None:
    rig = Rig()
    id = rig.release("flight-delay@v2")
    rig.write(ALICE, FreezeReleases(environment=ENV, endpoint="", reason="holidays"))
    held = rig.run(id, 48)
    assert (held.state, held.stage) == ("running", 0)
    assert "frozen: holidays" in rig.tick()[0].reason
    rig.write(ALICE, UnfreezeReleases(environment=ENV, endpoint="", reason="over"))
    rig.clock.advance(HOUR_US)
    assert rig.tick()[0].event == "proven"
    rig.write(ALICE, FreezeReleases(environment=ENV, endpoint=NAME, owner_team=TEAM, reason="again"))
    assert rig.run(id, 48, score=lambda version, score: 0.95 if version.endswith("v2") else score).state == "rolled_back"


def test_a_paused_release_waits_for_a_person_and_a_pinned_one_ends() -> None:
    rig = Rig()
    id = rig.release("flight-delay@v2")
    rig.write(ALICE, PauseRelease(release=id, owner_team=TEAM, reason="let me look"))
    assert (rig.run(id, 30).state, rig.state(id).stage) == ("paused", 0)
    rig.write(ALICE, ResumeRelease(release=id, owner_team=TEAM, reason="fine"))
    assert rig.tick()[0].event == "proven"
    rig.write(ALICE, Pin(environment=ENV, endpoint=NAME, owner_team=TEAM, reason="audit week"))
    assert rig.state(id).state == "aborted"
    assert [(arm.version, arm.weight) for arm in rig.endpoint().arms] == [("flight-delay@v1", 100.0)]
    assert rig.endpoint().pinned


def test_expired_levers_are_put_back_by_the_controller() -> None:
    rig = Rig()
    rig.write(ALICE, Kill(environment=ENV, endpoint=NAME, owner_team=TEAM, reason="smoke", for_us=HOUR_US))
    rig.write(ALICE, Pin(environment=ENV, endpoint=NAME, owner_team=TEAM, reason="smoke"))
    rig.write(
        ALICE, DisableFeature(environment=ENV, endpoint=NAME, owner_team=TEAM, reason="feed", feature="origin_weather.*", for_us=HOUR_US)
    )
    rig.tick()
    assert (rig.endpoint().killed, rig.endpoint().disabled_features) == (True, ("origin_weather.*",))
    rig.clock.advance(HOUR_US)
    rig.tick()
    assert (rig.endpoint().killed, rig.endpoint().disabled_features, rig.endpoint().pinned) == (False, (), True)


def test_a_fallback_for_a_time_is_again_what_it_was_before_the_first_of_them() -> None:
    rig = Rig()
    at = {"environment": ENV, "endpoint": NAME, "owner_team": TEAM, "reason": "drill"}
    rig.write(ALICE, SetFallback(value=0.1, last_good=True, **at))
    kept = last_good_lever(ENV, NAME)
    rig.write(ALICE, SetFallback(value=0.5, for_us=HOUR_US, **at))
    rig.write(ALICE, SetFallback(value=0.7, for_us=2 * HOUR_US, **at))
    assert (rig.endpoint().fallback.value, rig.journal.get(KIND_LEVER, kept, Lever)) == (0.7, None)
    rig.clock.advance(HOUR_US)
    rig.tick()
    assert rig.endpoint().fallback.value == 0.7, "the second one has an hour left"
    rig.clock.advance(HOUR_US)
    rig.tick()
    assert rig.endpoint().fallback.value == 0.1
    assert rig.journal.get(KIND_LEVER, kept, Lever) is not None, "the last good version stood in before, and does again"
    assert not [lever for lever in rig.journal.find(KIND_LEVER, Lever) if lever.before is not None]
    rig.write(ALICE, SetFallback(value=0.5, for_us=HOUR_US, **at))
    rig.write(ALICE, SetFallback(value=0.3, **at))
    rig.clock.advance(HOUR_US)
    rig.tick()
    assert rig.endpoint().fallback.value == 0.3, "what was set for good stays"


def test_evidence_is_noted_for_people_now_and_then_and_bounded() -> None:
    rig = Rig()
    id = rig.release("flight-delay@v2", stages=None)
    before = rig.journal.entries_total()
    rig.run(id, 24)
    assert rig.journal.entries_total() - before <= 24 * HOUR_US // NOTE_EVERY_US + 1
    note = rig.journal.get(KIND_EVIDENCE, f"{id}/0", EvidenceNote)
    assert note.reason.startswith("holding at shadow: ")
    assert {point.rule for point in note.paths} == {"errors", "prediction_shift", "outcome_brier"}
    assert note.counts.scored_by_candidate > 300


def test_an_endless_backlog_is_read_in_pieces_and_judged_as_of_what_was_read() -> None:
    rig = Rig()
    id = rig.release("flight-delay@v2")
    for _ in range(20):
        rig.serve()
    rig.controller = Controller(rig.journal, ENV, records_max=50)
    rig.tick()
    assert rig.controller._evidence[id].counts.unlabelled == 0, "requests whose labels are not read yet must not count as unlabelled"


@pytest.mark.parametrize("share", [0.0, 50.0])
def test_callers_split_otherwise_than_routed_hold_the_release(share: float) -> None:
    rig = Rig()
    id = rig.release("flight-delay@v2", strategy="canary", stages=None)
    held = rig.run(id, 72, share=share)
    assert (held.state, held.log[-1].event) == ("holding", "mismatch")
