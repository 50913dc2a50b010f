"""Sticky assignment: who is asked stays the same, and a change of weights moves only its own share."""

from dataclasses import replace
from itertools import pairwise

import pytest
from tests.serving.installation import PLAIN, bundle_files

from leverframe.core.assignment import position
from leverframe.core.route import Arm, Endpoint
from leverframe.serving.engine.models import load_version
from leverframe.serving.routes.routing import _compile_endpoint
from leverframe.serving.telemetry.counts import Telemetry

LOADED = load_version("m", Arm(version="m@v1", bundle="b", envelope="e", role="live", weight=100.0), bundle_files(PLAIN, 1))
KEYS = [f"customer-{n}" for n in range(20_000)]


def compiled(*weights: float, salt: str = "s"):
    """A live arm with what is left, and one canary arm a weight."""
    canaries = [Arm(version=f"m@v{n + 2}", bundle="b", envelope="e", role="canary", weight=w) for n, w in enumerate(weights)]
    live = Arm(version="m@v1", bundle="b", envelope="e", role="live", weight=100 - sum(weights))
    load = lambda endpoint, arm: replace(LOADED, version=arm.version)  # noqa: E731
    return _compile_endpoint(Endpoint(name="m", arms=(live, *canaries), salt=salt), 1, load, Telemetry())


def assignment(endpoint) -> list[str]:
    return [endpoint.pick(key)[0].version for key in KEYS]


@pytest.mark.parametrize("steps", [[(5,), (50,), (100,)], [(10, 10), (20, 10), (20, 30)], [(10, 10, 10), (10, 10, 30)]])
def test_p24_a_weight_change_moves_its_own_share_only(steps):
    for before, after in pairwise(steps):
        old, new = assignment(compiled(*before)), assignment(compiled(*after))
        moved = 100 * sum(a != b for a, b in zip(old, new, strict=True)) / len(KEYS)
        change = sum(max(0, b - a) for a, b in zip(before, after, strict=True))
        assert moved == pytest.approx(change, abs=0.5 + 0.02 * change)


def test_p24_negative_control_a_new_salt_moves_nearly_everybody_it_can():
    old, new = assignment(compiled(50, salt="a")), assignment(compiled(50, salt="b"))
    assert sum(a != b for a, b in zip(old, new, strict=True)) / len(KEYS) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("weights", [(0,), (5,), (50,), (10, 20), (10, 20, 30)])
def test_shares_are_the_weights(weights):
    assigned = assignment(compiled(*weights))
    for index, weight in enumerate(weights):
        assert 100 * assigned.count(f"m@v{index + 2}") / len(KEYS) == pytest.approx(weight, abs=1.2)


def test_positions_are_the_same_in_every_process():
    assert position("salt", "customer-1") == 56.151185336041166, "everybody would be assigned anew by this release"
    assert position("a", "k") != position("b", "k")


def test_versions_are_named_in_full_or_short_but_shadows_never():
    endpoint = compiled(10)
    assert endpoint.named("m@v2").version == endpoint.named("v2").version == endpoint.named("2").version == "m@v2"
    assert endpoint.named("v9") is None
