"""Before a release: how many observations, and how long, until harm of a given size is seen or an equal version is proven.

Evidence gains a known amount an observation, so what is needed is the threshold over the gain: about the median of the time it takes.
"""

import math

from leverframe.core.statistics.rates import nearest_champion_rate, rate_growth

HARM_COST = 2.0
"""Nats that harm of unknown size costs to learn, found by simulation with two to four margins of harm (``benchmarks/release``)."""


def rate_proof_rows(rate: float, margin: float, share: float, alpha: float) -> int:
    """Requests (of both arms) until an equal version's rate is proven to be at most ``margin`` above the champion's.

    Parameters
    ----------
    rate: of either arm.    margin: tolerated difference.    share: of the candidate.    alpha: level of the proof.

    >>> rate_proof_rows(0.01, 0.02, 0.5, 0.05)
    780
    """
    return math.ceil(-math.log(alpha) / rate_growth(rate, rate, margin, share))


def rate_harm_rows(rate: float, effect: float, margin: float, share: float, alpha: float) -> int | None:
    """Requests (of both arms) until a candidate whose rate is ``effect`` higher is seen to be harmful; None if that is within the margin.

    >>> rate_harm_rows(0.01, 0.2, 0.02, 0.05, 0.001), rate_harm_rows(0.01, 0.01, 0.02, 0.05, 0.001)
    (756, None)
    """
    if effect <= margin:
        return None
    one = min(rate + effect, 1.0 - 1e-9)
    nearest = float(nearest_champion_rate(one, rate, margin, share))
    gain = 0.0
    for weight, p, q in ((share, one, nearest + margin), (1.0 - share, max(rate, 1e-9), max(nearest, 1e-9))):
        gain += weight * (p * math.log(p / q) + (1.0 - p) * math.log((1.0 - p) / max(1.0 - q, 1e-12)))
    return math.ceil((-math.log(alpha) + HARM_COST) / gain)


def mean_proof_rows(sd: float, margin: float, alpha: float) -> int:
    """Rows until a mean of 0 (paired differences of an equal version) is proven to be below ``margin``.

    >>> mean_proof_rows(0.1, 0.02, 0.05)
    150
    """
    return math.ceil(-2.0 * math.log(alpha) * (sd / margin) ** 2)


def mean_harm_rows(sd: float, effect: float, margin: float, alpha: float) -> int | None:
    """Rows until a mean of ``effect`` is seen to be above ``margin``; None if it is not.

    >>> mean_harm_rows(0.1, 0.05, 0.02, 0.001)
    198
    """
    if effect <= margin:
        return None
    return math.ceil(2.0 * (-math.log(alpha) + HARM_COST) * (sd / (effect - margin)) ** 2)


def time_to_detect(rows: int | None, rows_per_hour: float) -> float | None:
    """Hours until ``rows`` have come; None if never.

    >>> time_to_detect(600, 150.0), time_to_detect(None, 150.0)
    (4.0, None)
    """
    return None if rows is None or rows_per_hour <= 0.0 else rows / rows_per_hour
