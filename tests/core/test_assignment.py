"""Who meets which arm of an experiment: shares as declared, independent of the layer's line, and nobody in two experiments of a layer."""

from itertools import pairwise

import msgspec
import pytest

from leverframe.core.assignment import LAYER_BUCKETS, Assigner, Assignment, intervals, position
from leverframe.core.errors import InvalidInput
from leverframe.core.prediction import Exposure, LogRecord, PredictionRecord, decode_frames, encode_frame
from leverframe.core.route import Arm, Endpoint, check_endpoint

KEYS = [f"customer-{n}" for n in range(20_000)]


def assignment(name: str, low: int = 0, high: int = LAYER_BUCKETS, shares: tuple[float, ...] = (50.0,), layer: str = "layer") -> Assignment:
    return Assignment(experiment=name, salt=name, layer_salt=layer, low=low, high=high, shares=shares)


@pytest.mark.parametrize("shares", [(50.0,), (10.0,), (100 / 3, 100 / 3), (25.0, 25.0, 25.0), (5.0, 10.0, 20.0, 30.0), (100.0,)])
def test_arms_get_their_shares_and_the_live_one_the_rest(shares):
    assigner = Assigner(assignment("e", shares=shares))
    met = [assigner.assign(key)[0] for key in KEYS]
    for arm, share in enumerate((100.0 - sum(shares), *shares)):
        assert 100 * met.count(arm) / len(KEYS) == pytest.approx(share, abs=1.2)


def test_arms_own_the_intervals_that_routes_use():
    """A search among ends and a walk over intervals must name the same arm, or log and gateway disagree."""
    shares = (5.0, 10.0, 20.0, 30.0)
    assigner = Assigner(assignment("e", shares=shares))
    for key in KEYS[:2_000]:
        point = position("e", key)
        walked = next((index + 1 for index, (low, high) in enumerate(intervals(shares)) if low <= point < high), 0)
        assert assigner.assign(key)[0] == walked


def test_nobody_is_in_two_experiments_of_a_layer_and_everybody_may_be_in_one():
    cut = [0, 2_500, 6_000, LAYER_BUCKETS]
    assigners = [Assigner(assignment(f"e{low}", low, high)) for low, high in pairwise(cut)]
    parts = [[assigner.assign(key)[1] is not None for key in KEYS] for assigner in assigners]
    assert all(sum(each) == 1 for each in zip(*parts, strict=True))
    assert [100 * sum(part) / len(KEYS) for part in parts] == pytest.approx([25.0, 35.0, 40.0], abs=1.0)


def test_other_layers_are_independent_of_each_other():
    """The control of the test before: with salts of their own a quarter of all keys is in both halves."""
    one, two = (Assigner(assignment(layer, 0, 5_000, layer=layer)) for layer in "ab")
    both = sum(one.assign(key)[1] is not None and two.assign(key)[1] is not None for key in KEYS)
    assert 100 * both / len(KEYS) == pytest.approx(25.0, abs=1.5)


def test_the_arm_does_not_depend_on_the_place_in_the_layer():
    """With one salt for both lines a small experiment would give all its callers one arm."""
    small = Assigner(assignment("e", 0, 500))
    met = [arm for arm, exposure in map(small.assign, KEYS) if exposure is not None]
    assert 100 * sum(met) / len(met) == pytest.approx(50.0, abs=6.0)


def test_the_number_in_the_log_gives_the_arm_again():
    assigner = Assigner(assignment("e", shares=(20.0, 30.0)))
    for key in KEYS[:500]:
        arm, exposure = assigner.assign(key)
        assert exposure is not None
        assert assigner.arm(exposure.key) == arm


def test_a_record_keeps_the_exposure_and_older_readers_and_writers_are_understood():
    answered = PredictionRecord(
        id="q",
        endpoint="m",
        tenant="t",
        version="m@v2",
        role="canary",
        generation=3,
        asked_at_us=1,
        latency_us=2,
        status="ok",
        outputs=(0.5,),
    )
    exposed = msgspec.structs.replace(answered, exposure=Exposure("x", 2**64 - 1))
    assert [record for record, _ in decode_frames(encode_frame(exposed))] == [exposed]
    payload = msgspec.msgpack.encode(exposed)
    before = msgspec.msgpack.encode(msgspec.msgpack.decode(payload)[:-1])
    assert msgspec.msgpack.decode(before, type=LogRecord) == answered, "a record of a gateway without experiments"

    class Older(msgspec.Struct, tag="p", array_like=True):
        id: str
        endpoint: str

    assert msgspec.msgpack.decode(payload, type=Older).endpoint == "m", "a reader without experiments"


def test_an_experiment_of_other_arms_is_not_published():
    live = Arm(version="m@v1", bundle="b", envelope="e", role="live", weight=75.0)
    canary = Arm(version="m@v2", bundle="b", envelope="e", role="canary", weight=25.0)
    half = assignment("x", 0, 5_000)
    assert check_endpoint(Endpoint(name="m", arms=(live, canary), experiment=half)).experiment == half
    for wrong in (assignment("x", 0, 4_000), assignment("x", 5, 5), assignment("x", shares=(25.0, 0.0)), assignment("x", -1, 4_999)):
        with pytest.raises(InvalidInput):
            check_endpoint(Endpoint(name="m", arms=(live, canary), experiment=wrong))
