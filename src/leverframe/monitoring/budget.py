r"""How far is too far: thresholds that keep the owner's false-alarm budget.

The owner says how many false alarms a month are acceptable; that budget is split evenly over everything that is judged. With ``m`` figures
judged once per window and ``w`` windows a month, each figure may alarm falsely with probability

.. math:: \alpha = \frac{\text{alarms per month}}{m \, w}

Its threshold is the :math:`1 - \alpha` quantile of its own past: the distances between windows of the reference period, when nothing
was wrong.
"""

import math
from collections.abc import Sequence
from statistics import NormalDist

import msgspec

from leverframe.core.clock import DAY_US

MONTH_US = 30 * DAY_US
NULL_WINDOWS_MIN = 14
"""Below two weeks of reference windows nothing is known about how much days differ, and no threshold is made up."""

TAIL_SHARE = 0.25
TAIL_CONFIDENCE = 0.9


class AlarmBudget(msgspec.Struct, frozen=True, kw_only=True):
    """What the owner of an endpoint accepts and considers worth knowing.

    ``alarms_per_month``: false drift alarms, over all columns together.
    ``effect_floor``: the smallest distance (total variation, 0 to 1) that matters, however unusual it is.
    ``missing_floor``: the rise in the share of missing or unseen values that matters.
    ``rows_min``: fewest rows of a window that are judged.
    ``coverage_min``: a version must have answered in this share of the hours in which its endpoint was asked at all, since half a day
    differs from a whole one for no other reason.
    """

    alarms_per_month: float = 1.0
    effect_floor: float = 0.1
    missing_floor: float = 0.25
    rows_min: int = 200
    coverage_min: float = 0.8


def alarm_rate(budget: AlarmBudget, figures: int, window_us: int) -> float:
    """The false-alarm probability that one figure may have in one window.

    >>> round(1 / alarm_rate(AlarmBudget(alarms_per_month=1.0), 26, DAY_US))
    780
    """
    return min(0.5, budget.alarms_per_month * window_us / (MONTH_US * max(figures, 1)))


def extreme_quantile(null: Sequence[float], rate: float) -> float | None:
    r"""The distance that the next null window exceeds with probability at most about ``rate``; None with too few of them known.

    Within reach of the observations (:math:`\alpha (n + 1) \ge 1`) this is the conformal quantile, the
    :math:`\lceil (1 - \alpha)(n + 1) \rceil`-th smallest. Beyond the largest one, the upper quarter of them is continued by an exponential
    tail of :math:`y = -\log(1 - d)`, which is the distance itself while it is small and never takes it beyond its bound of 1:

    .. math:: y_\alpha = u + \hat\sigma^+ \log \frac{k}{n \alpha}

    with ``k`` exceedances of ``u`` and the upper 90 % confidence bound :math:`\hat\sigma^+` of their mean; never below the largest
    observation.

    Parameters
    ----------
    null: distances in [0, 1].    rate: probability, 0 to 1.

    Source: Vovk, Gammerman, Shafer 2005 (conformal quantile); Pickands 1975, Balkema, de Haan 1974 (tails over a threshold, shape 0).

    >>> extreme_quantile([i / 1000 for i in range(100)], 0.05)
    0.095
    >>> round(extreme_quantile([i / 1000 for i in range(100)], 0.001), 3)
    0.165
    """
    values = sorted(null)
    n = len(values)
    if n < NULL_WINDOWS_MIN:
        return None
    rank = math.ceil((1.0 - rate) * (n + 1))
    if rank <= n:
        return values[rank - 1]
    logs = [-math.log(max(1e-12, 1.0 - value)) for value in values]
    k = max(5, math.ceil(TAIL_SHARE * n))
    base = logs[n - k - 1]
    mean = sum(log - base for log in logs[n - k :]) / k
    # Wilson, Hilferty 1931: the chi-square quantile with 2k degrees of freedom that bounds the mean of k exponentials.
    freedom = 2 * k
    z = NormalDist().inv_cdf(1.0 - TAIL_CONFIDENCE)
    chi2 = freedom * (1.0 - 2.0 / (9.0 * freedom) + z * math.sqrt(2.0 / (9.0 * freedom))) ** 3
    reach = base + mean * freedom / chi2 * math.log(k / (n * rate))
    return max(values[-1], 1.0 - math.exp(-reach))


def sampling_allowance(shares: Sequence[float], rows: int, rows_reference: int) -> float:
    r"""How much further from the reference than the null's windows of ``rows_reference`` rows one of ``rows`` rows may lie by chance.

    The expected distance of a multinomial sample is about :math:`\tfrac12 \sum_k \sqrt{2 p_k (1 - p_k) / \pi n}`; three standard deviations
    (at most :math:`1 / 2 \sqrt n` each, McDiarmid 1989) are allowed on top. Zero when the window has as many rows as the null's.

    >>> sampling_allowance([0.5, 0.5], 900, 900)
    0.0
    >>> round(sampling_allowance([0.5, 0.5], 100, 900), 3)
    0.127
    """
    if rows >= rows_reference:
        return 0.0
    spread = 0.5 * sum(math.sqrt(2.0 * p * (1.0 - p) / math.pi) for p in shares) + 1.5
    return spread * (1.0 / math.sqrt(max(rows, 1)) - 1.0 / math.sqrt(max(rows_reference, 1)))
