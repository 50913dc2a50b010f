import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leverframe.core.errors import InvalidInput, Refused
from leverframe.training.split import time_split


@given(st.integers(0, 10_000), st.floats(0.05, 0.5), st.integers(0, 100))
def test_nothing_known_after_the_boundary_is_fitted_and_nothing_asked_before_is_judged(seed, share, embargo):
    rng = np.random.default_rng(seed)
    asked = rng.integers(0, 1_000, 400)
    known = asked + rng.integers(1, 200, 400)
    labels = rng.integers(0, 2, 400)
    split = time_split(asked, known, labels, from_us=0, to_us=1_000, holdout_share=share, embargo_us=embargo)
    assert known[split.fit].max() <= split.boundary_us, "a label of the holdout's time was learnt from"
    assert asked[split.fit].max() < split.boundary_us - embargo
    assert asked[split.holdout].min() >= split.boundary_us
    assert len(split.fit) + len(split.holdout) + split.embargoed == 400
    assert abs((1_000 - split.boundary_us) / 1_000 - share) < 0.01


def test_a_part_without_both_classes_is_refused():
    with pytest.raises(Refused, match="holdout part"):
        time_split([0, 1, 9], [0, 1, 9], [0, 1, 1], from_us=0, to_us=10, holdout_share=0.2, embargo_us=0)
    with pytest.raises(Refused, match="fit part"):
        time_split([0, 9, 9], [0, 9, 9], [0, 1, 0], from_us=0, to_us=10, holdout_share=0.2, embargo_us=0)


@pytest.mark.parametrize("changes", [{"holdout_share": 0.0}, {"holdout_share": 1.0}, {"embargo_us": -1}, {"to_us": 0}])
def test_bounds(changes):
    with pytest.raises(InvalidInput):
        time_split([0], [0], [0], **{"from_us": 0, "to_us": 10, **changes})
