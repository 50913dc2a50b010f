import numpy as np
import pytest


@pytest.fixture
def scored():
    """2,000 rows whose scores are true probabilities: labels, scores."""
    rng = np.random.default_rng(11)
    scores = rng.beta(2, 5, 2_000)
    return (rng.random(2_000) < scores).astype(float), scores
