"""P22: missing or inconclusive data never promotes."""

import math
from collections.abc import Callable

import msgspec
import pytest
from tests.release.harness import ALICE, TEAM, Rig

from leverframe.core.actor import PLATFORM
from leverframe.core.clock import DAY_US, HOUR_US
from leverframe.core.errors import Refused
from leverframe.core.prediction import LabelRecord
from leverframe.release.commands import AdvanceRelease


def _silence(rig: Rig) -> None:
    rig.clock.advance(HOUR_US)


def _nan_scores(rig: Rig) -> None:
    rig.serve(score=lambda version, score: math.nan if version.endswith("v2") else score)


def _tiny(rig: Rig) -> None:
    rig.serve(requests=1 if rig.clock.now_us() // HOUR_US % 24 == 0 else 0)


def _no_labels(rig: Rig) -> None:
    rig.serve(labels=False)


def _late_labels(rig: Rig) -> None:
    known = {label.id for label in rig.labels}
    rig.serve()
    rig.log[:] = [r for r in rig.log if not isinstance(r, LabelRecord) or r.id in known]
    rig.labels = [
        label if label.id in known else msgspec.structs.replace(label, known_at_us=label.known_at_us + DAY_US) for label in rig.labels
    ]


def _mismatch(rig: Rig) -> None:
    rig.serve(share=1.0)


def _candidate_missing(rig: Rig) -> None:
    start = len(rig.log)
    rig.serve()
    rig.log[start:] = [r for r in rig.log[start:] if isinstance(r, LabelRecord) or not r.version.endswith("v2")]


def _champion_missing(rig: Rig) -> None:
    start = len(rig.log)
    rig.serve()
    rig.log[start:] = [r for r in rig.log[start:] if isinstance(r, LabelRecord) or not r.version.endswith("v1")]


def _refused_only(rig: Rig) -> None:
    start = len(rig.log)
    rig.serve()
    rig.log[start:] = [
        r if isinstance(r, LabelRecord) else msgspec.structs.replace(r, status="refused", outputs=()) for r in rig.log[start:]
    ]


@pytest.mark.parametrize("strategy", ["canary", "shadow_canary"])
@pytest.mark.parametrize(
    "hour", [_silence, _nan_scores, _tiny, _no_labels, _late_labels, _mismatch, _candidate_missing, _champion_missing, _refused_only]
)
def test_no_promotion(hour: Callable[[Rig], None], strategy: str) -> None:
    rig = Rig()
    id = rig.release("flight-delay@v2", strategy=strategy, stages=None)
    first = 0 if strategy == "canary" or hour is not _mismatch else 1
    for _ in range(24 * 5):
        hour(rig)
        rig.tick()
        if not rig.state(id).active:
            break
    assert rig.state(id).stage <= first, rig.state(id).log[-1].reason
    assert rig.endpoint().live.version == "flight-delay@v1"


@pytest.mark.parametrize("jump_us", [3600 * DAY_US, 2 * DAY_US, -DAY_US, -3600 * DAY_US])
def test_a_clock_jump_is_no_proof(jump_us: int) -> None:
    rig = Rig()
    id = rig.release("flight-delay@v2", stages=None)
    for _ in range(4):
        rig.serve(requests=150)
        rig.tick()
    rig.clock.advance(jump_us)
    for _ in range(3):
        assert all(look.event in (None, "stalled") for look in rig.tick())
    rig.serve(requests=300)
    rig.tick()
    assert rig.state(id).stage == 0, "600 answers in four hours and a jump are not a day of traffic"


def test_negative_control_the_same_traffic_with_labels_is_promoted() -> None:
    rig = Rig()
    id = rig.release("flight-delay@v2", stages=None)
    assert rig.run(id, 24 * 5).stage > 0, "if nothing is ever promoted, the tests above prove nothing"


@pytest.mark.parametrize("verdicts", ["none", "one missing", "one inconclusive", "one twice"])
def test_the_ledger_itself_refuses_a_promotion_without_proof(verdicts: str) -> None:
    rig = Rig()
    good = Rig()
    other = good.release("flight-delay@v2")
    proof = good.run(other, 24 * 8).log[1].verdicts
    id = rig.release("flight-delay@v2")
    shown = {
        "none": (),
        "one missing": proof[1:],
        "one inconclusive": (msgspec.structs.replace(proof[0], answer="inconclusive"), *proof[1:]),
        "one twice": (*proof[1:], proof[1]),
    }[verdicts]
    with pytest.raises(Refused, match="not every rule is proven"):
        rig.write(PLATFORM, AdvanceRelease(release=id, stage=0, owner_team=TEAM, reason="", verdicts=shown))
    assert rig.state(id).stage == 0
    rig.write(PLATFORM, AdvanceRelease(release=id, stage=0, owner_team=TEAM, reason="", verdicts=proof))
    assert rig.state(id).stage == 1
    assert ALICE.subject == rig.state(id).author
