"""What people are told of a release under way: what is fine, what is missing, and how long that takes at this pace."""

import re

from tests.release.harness import Rig

from leverframe.core.clock import HOUR_US
from leverframe.release.plans.plan import MetricRule, Stage

STAGES = (
    Stage(name="canary 10 %", role="canary", weight=10.0, mirror=True, min_hold_us=HOUR_US, rows_min=100, labels_min=0),
    Stage(name="100 %", role="full", weight=100.0, min_hold_us=0, rows_min=100),
)
RULES = (
    MetricRule(metric="errors", margin=0.05, alpha=0.001),
    MetricRule(metric="outcome_brier", margin=0.001, alpha=0.001),
)


def told(rig: Rig) -> tuple[str, ...]:
    (look,) = rig.controller.live()
    return look.lines


def test_it_says_what_is_fine_what_is_needed_and_in_what_time() -> None:
    rig = Rig()
    rig.release("flight-delay@v2", strategy="canary", stages=STAGES, rules=RULES)
    rig.serve()
    rig.tick()
    assert told(rig)[0] == "holding at canary 10 %: nothing is proven yet"
    assert "need 60 more answers" in told(rig)
    for _ in range(20):
        rig.serve()
        rig.tick()
    lines = told(rig)
    assert lines[0] == "holding at canary 10 %: failing answers proven to be within bounds"
    need = re.fullmatch(r"need about ([\d,]+) more labelled requests to rule out \+?0\.0010 in Brier score; ~(.+)", lines[1])
    assert need, lines
    assert lines[-1] == f"about {need[2]} more at this pace"


def test_the_time_told_is_about_the_time_it_takes() -> None:
    rig = Rig(seed=2)
    rig.release(
        "flight-delay@v2", strategy="canary", stages=STAGES, rules=(RULES[0], MetricRule(metric="outcome_brier", margin=0.003, alpha=0.001))
    )
    first_us, eta_us = 0, None
    while rig.state("prod.flight-delay.0002").state == "running":
        rig.serve()
        rig.tick()
        looks = rig.controller.live()
        if eta_us is None and looks and looks[0].counts.outcomes > 200 and looks[0].eta_us:
            first_us, eta_us = rig.clock.now_us(), looks[0].eta_us
    assert eta_us is not None
    took_us = rig.clock.now_us() - first_us
    assert 0.25 < took_us / eta_us < 4.0


def test_a_watch_and_an_ended_release_say_so() -> None:
    rig = Rig()
    rig.release("flight-delay@v2", strategy="blue_green", stages=None, watch_us=2 * HOUR_US)
    rig.serve()
    rig.tick()
    assert told(rig) == ("watching at 100 %: no harm seen, 60 min to go",)
    for _ in range(6):
        rig.serve()
        rig.tick()
    assert rig.controller.live() == ()
