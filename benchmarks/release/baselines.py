"""How others decide, on the same traffic: a threshold at a fixed horizon (Argo Rollouts, Flagger), a t-test looked at again and again,
Mann-Whitney on a metric's series (Kayenta)."""

import math

import numpy as np
from benchmarks.release.worlds import ALPHA, MARGINS, SHARE
from scipy import stats

from leverframe.core.statistics.intervals import delong
from leverframe.core.statistics.rates import nearest_champion_rate
from leverframe.release.evidence.paths import Traffic
from leverframe.release.plans.plan import Metric

POWER = 0.9
POINT_ROWS = 200
"""Requests of one point of a metric's series: a minute or so."""

KAYENTA_LEVEL = 0.02
"""Kayenta's default confidence is 0.98."""


def fixed_canary_rows(metric: Metric, auc_variance: float) -> int:
    """Canary answers after which a threshold, at our false-abort rate, finds harm as small as the margin nine times in ten.

    The canary's own answers against the champion's, which are 19 times as many, as these tools compare them. ``auc_variance``: of one
    model's AUC, times rows.
    """
    from_champion = 1.0 + SHARE / (1.0 - SHARE)
    z_level, z_power, margin = float(stats.norm.isf(ALPHA)), float(stats.norm.isf(1.0 - POWER)), MARGINS[metric]
    if metric == "outcome_auc":
        sd_null = sd_harm = math.sqrt(auc_variance * from_champion)
    else:
        p = {"errors": 0.01, "latency_budget": 0.05}[metric]
        sd_null = math.sqrt(p * (1 - p) * from_champion)
        sd_harm = math.sqrt((p + margin) * (1 - p - margin) + p * (1 - p) * (from_champion - 1.0))
    return math.ceil(((z_level * sd_null + z_power * sd_harm) / margin) ** 2)


def fewest_rate_answers(one: float, zero: float, margin: float, share: float, alpha: float) -> float:
    """Candidate's answers that *any* sequential test needs in the mean, if ``alpha`` bounds what it takes back of versions at the margin.

    The evidence an answer can give is the relative entropy to the nearest pair of rates that is tolerated, whatever the test.
    Source: Wald, 1945, "Sequential tests of statistical hypotheses", section 4; Lai, 1981.
    """
    nearest = float(nearest_champion_rate(one, zero, margin, share))
    others = (1.0 - share) / share
    gain = _entropy(one, nearest + margin) + others * _entropy(zero, nearest)
    return -math.log(alpha) / gain


def _entropy(p: float, q: float) -> float:
    return p * math.log(p / q) + (1.0 - p) * math.log((1.0 - p) / (1.0 - q)) if p < 1.0 else -math.log(q)


def fixed_paired_auc_rows(null_variance: float, harm_variance: float) -> int:
    """Requests after which DeLong's paired test would find a loss of AUC as large as the margin, nine times in ten.

    No tool named here pairs; this says how much of the gain is pairing. Variances: of the paired difference of AUCs, times rows.
    """
    z_level, z_power = stats.norm.isf(ALPHA), stats.norm.isf(1.0 - POWER)
    return math.ceil(((z_level * math.sqrt(null_variance) + z_power * math.sqrt(harm_variance)) / MARGINS["outcome_auc"]) ** 2)


def fixed_proof_rows(metric: Metric, paired_variance: float) -> float:
    """Requests a fixed sample needs to prove an equal version within the margin: 5 % level, 80 % power, the best test for the data.

    ``paired_variance``: of a pair's difference (for AUC: times rows).
    """
    z_level, z_power, margin = float(stats.norm.isf(0.05)), float(stats.norm.isf(0.2)), MARGINS[metric]
    if metric == "errors":
        differ = 2 * 0.01 * 0.99
        return ((z_level * math.sqrt(differ + margin) + z_power * math.sqrt(differ)) / margin) ** 2 / (1.0 - SHARE)
    if metric == "latency_budget":
        p, q = 0.05, 0.05 + margin
        null = math.sqrt(q * (1 - q) / SHARE + p * (1 - p) / (1.0 - SHARE))
        return ((z_level * null + z_power * math.sqrt(p * (1 - p) * (1 / SHARE + 1 / (1.0 - SHARE)))) / margin) ** 2
    return (z_level + z_power) ** 2 * paired_variance / margin**2 / (1.0 - SHARE)


def auc_variance(traffic: Traffic) -> float:
    """Variance of the champion's AUC, times rows (DeLong)."""
    _, covariance = delong(traffic.label, traffic.score_champion)
    return float(covariance[0, 0]) * traffic.rows


def repeated_t_aborts(traffic: Traffic) -> int | None:
    """The first request at which a one-sided t-test of any rule, each at a sixth of the budget, finds the candidate worse; no margin."""
    z = stats.norm.isf(0.01 / len(MARGINS))
    arm = traffic.to_candidate
    served = np.where(arm, traffic.failed_candidate, traffic.failed_champion).astype(float)
    score = np.where(arm, traffic.score_candidate, traffic.score_champion)
    rows = (served, traffic.slow.astype(float), score, (score - traffic.label) ** 2)
    found = [_first_t(arm, values, z) for values in rows]
    seen = [at for at in found if at is not None]
    return min(seen) if seen else None


def _first_t(arm: np.ndarray, values: np.ndarray, z: float) -> int | None:
    n1, n0 = np.cumsum(arm), np.cumsum(~arm)
    with np.errstate(divide="ignore", invalid="ignore"):
        m1, m0 = np.cumsum(values * arm) / n1, np.cumsum(values * ~arm) / n0
        v1, v0 = np.cumsum(values**2 * arm) / n1 - m1**2, np.cumsum(values**2 * ~arm) / n0 - m0**2
        t = (m1 - m0) / np.sqrt(v1 / n1 + v0 / n0)
    late = (n1 >= 30) & np.isfinite(t)
    crossed = late & (t > z)
    return int(crossed.argmax()) if crossed.any() else None


def kayenta_aborts(traffic: Traffic) -> int | None:
    """The request at which Mann-Whitney on the series of points first calls a metric higher; looked at every ten points."""
    arm = traffic.to_candidate
    served = np.where(arm, traffic.failed_candidate, traffic.failed_champion).astype(float)
    points = traffic.rows // POINT_ROWS
    shape = (points, POINT_ROWS)
    cut = points * POINT_ROWS
    own, other = arm[:cut].reshape(shape), ~arm[:cut].reshape(shape)
    for end in range(10, points + 1, 10):
        for values in (served, traffic.slow.astype(float)):
            table = values[:cut].reshape(shape)[:end]
            with np.errstate(invalid="ignore", divide="ignore"):
                one = (table * own[:end]).sum(axis=1) / own[:end].sum(axis=1)
                zero = (table * other[:end]).sum(axis=1) / other[:end].sum(axis=1)
            one, zero = one[np.isfinite(one)], zero[np.isfinite(zero)]
            if one.size and np.ptp(np.concatenate((one, zero))) > 0.0:
                test = stats.mannwhitneyu(one, zero, alternative="greater", method="asymptotic")
                if test.pvalue < KAYENTA_LEVEL / 2:
                    return end * POINT_ROWS - 1
    return None
