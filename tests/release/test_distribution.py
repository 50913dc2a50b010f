"""That scores are distributed otherwise is told once it is no chance, and where; equal ones are left alone at every look."""

import numpy as np
import pytest
from tests.release.harness import Rig

from leverframe.release.evidence.distribution import LEVEL, ScoreDistribution


@pytest.mark.parametrize("paired", [True, False])
def test_equal_distributions_are_not_said_to_differ_however_often_one_looks(paired: bool) -> None:
    rng, said = np.random.default_rng(4), 0
    for _ in range(60):
        seen = ScoreDistribution(paired=paired, share=0.1)
        told = False
        for _ in range(20):
            for truth in rng.beta(2.0, 7.0, 50):
                noisy = np.clip(truth + rng.normal(0.0, 0.05, 2), 0.0, 1.0)
                if paired:
                    seen.pair(float(noisy[0]), float(noisy[1]))
                else:
                    seen.arm(bool(rng.random() < 0.1), float(noisy[0]))
            told = told or bool(seen.words())
        said += told
    assert said <= 1, f"at a level of {LEVEL:g}"


@pytest.mark.parametrize("paired", [True, False])
def test_a_part_of_the_scores_that_moved_is_told_and_where(paired: bool) -> None:
    rng, seen = np.random.default_rng(5), ScoreDistribution(paired=paired, share=0.5)
    for score in rng.random(2_000):
        moved = 0.95 if 0.3 <= score < 0.4 else float(score)
        if paired:
            seen.pair(moved, float(score))
        else:
            candidate = bool(rng.random() < 0.5)
            seen.arm(candidate, moved if candidate else float(score))
    words = seen.words()
    assert "evidence of 10^" in words
    assert "most between 0.3 and 0.4, 0.0 % against" in words or "most between 0.9 and 1, " in words, words


def test_what_is_no_probability_is_not_binned() -> None:
    seen = ScoreDistribution(paired=True, share=0.0)
    for _ in range(500):
        seen.pair(17.0, 3.0)
    assert seen.words() == ""


def test_who_watches_a_release_is_told_and_nothing_is_decided_by_it() -> None:
    rig = Rig()
    id = rig.release("flight-delay@v2")
    quiet = Rig()
    other = quiet.release("flight-delay@v2")
    for _ in range(8):
        # Five points more everywhere: within what the rule about the mean score tolerates.
        rig.serve(score=lambda version, score: score + 0.05 if version == "flight-delay@v2" else score)
        quiet.serve()
        rig.tick()
        quiet.tick()
    assert "scores are distributed otherwise than the champion's" in rig.controller.live()[0].lines[-1]
    assert "distributed otherwise" not in " ".join(quiet.controller.live()[0].lines)
    assert (rig.state(id).state, quiet.state(other).state) == ("running", "running")
