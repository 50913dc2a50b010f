"""Traffic of a mirrored canary at 5 %: two models of equal worth, and versions that are worse in one way each."""

from dataclasses import dataclass, replace

import numpy as np

from leverframe.release.evidence.paths import Traffic
from leverframe.release.plans.plan import FALSE_ABORT_BUDGET, Metric, MetricRule, Stage

SHARE = 0.05
LABEL_LAG = 600
"""The label horizon in requests: a few minutes to hours, depending on traffic."""

STAGES = 3
MARGINS: dict[Metric, float] = {
    "errors": 0.02,
    "latency_budget": 0.05,
    "prediction_shift": 0.05,
    "outcome_brier": 0.0075,
    "outcome_auc": 0.02,
    "sample_ratio": 0.0,
}
ALPHA = FALSE_ABORT_BUDGET / (len(MARGINS) * STAGES)
RULES = tuple(MetricRule(metric=metric, margin=margin, alpha=ALPHA) for metric, margin in MARGINS.items())
CANARY = Stage(name="canary 5 %", role="canary", weight=100.0 * SHARE, mirror=True)


@dataclass(frozen=True)
class World:
    """How the candidate differs. Champion: 1 % errors, 5 % slow answers, AUC 0.76; scores of equal models scatter by 0.04."""

    rows: int
    errors: float = 0.01
    slow: float = 0.05
    noise: float = 0.04
    share: float = SHARE


def worse(rows: int) -> dict[str, tuple[World, Metric]]:
    """The harms of the figures, each with the rule that is there to find it."""
    fine = World(rows=rows)
    return {
        "100 % errors": (replace(fine, errors=1.0), "errors"),
        "20 % errors": (replace(fine, errors=0.21), "errors"),
        "+5 points of errors": (replace(fine, errors=0.06), "errors"),
        # Twice the latency: log-normal with sigma 0.5, 5 % over the bound at first, then 39.8 %.
        "latency x2": (replace(fine, slow=0.398), "latency_budget"),
        # Noise on the candidate's score that takes its AUC from 0.76 to 0.71 (measured on 2,000,000 rows).
        "AUC -0.05 by late labels": (replace(fine, noise=AUC_NOISE), "outcome_auc"),
    }


AUC_NOISE = 0.12
_POSITIVE, _SIGMA, _GAP = 0.2, 0.14, 0.14


def draw(world: World, rng: np.random.Generator) -> Traffic:
    """One release's requests; labels are all known within the lag."""
    n = world.rows
    arm = rng.random(n) < world.share
    label = (rng.random(n) < _POSITIVE).astype(float)
    # Scores follow the label: means 0.16 and 0.30, so that 0.2 of requests being positive is about calibrated.
    base = 0.16 + _GAP * label + _SIGMA * rng.normal(size=n)
    # Champion and candidate scatter around a common score, each by half; the candidate's own scatter may be larger.
    champion = base + 0.04 / np.sqrt(2.0) * rng.normal(size=n)
    candidate = base + np.sqrt(max(world.noise**2 - 0.04**2 / 2.0, 0.04**2 / 2.0)) * rng.normal(size=n)
    return Traffic(
        to_candidate=arm,
        failed_candidate=rng.random(n) < world.errors,
        failed_champion=rng.random(n) < 0.01,
        slow=rng.random(n) < np.where(arm, world.slow, 0.05),
        score_candidate=np.clip(candidate, 0.0, 1.0),
        score_champion=np.clip(champion, 0.0, 1.0),
        label=label,
        label_lag=LABEL_LAG,
    )
