import numpy as np

from leverframe.core.clock import DAY_US
from leverframe.monitoring.budget import AlarmBudget, alarm_rate, extreme_quantile, sampling_allowance


def test_the_quantile_beyond_the_data_is_exceeded_as_rarely_as_promised() -> None:
    """90 null days, one alarm in 780: over 400 worlds the mean chance of exceeding the threshold stays at or below the promise."""
    rng = np.random.default_rng(1)
    rate = alarm_rate(AlarmBudget(), 26, DAY_US)
    for a, b in ((2.0, 20.0), (5.0, 5.0), (1.0, 3.0)):
        limits = np.array([extreme_quantile(rng.beta(a, b, 90).tolist(), rate) for _ in range(400)])
        fresh = rng.beta(a, b, 200_000)
        fresh.sort()
        chance = 1.0 - np.searchsorted(fresh, limits) / len(fresh)
        assert chance.mean() <= rate, f"beta({a}, {b})"


def test_more_budget_means_lower_thresholds() -> None:
    null = np.random.default_rng(2).beta(2, 20, 90).tolist()
    limits = [extreme_quantile(null, alarm_rate(AlarmBudget(alarms_per_month=n), 26, DAY_US)) for n in (0.1, 1, 10, 100)]
    assert limits == sorted(limits, reverse=True)
    assert max(limits) < 1.0


def test_the_allowance_covers_sampling() -> None:
    rng = np.random.default_rng(3)
    shares = rng.dirichlet(np.ones(20))
    far = [0.5 * np.abs(rng.multinomial(100, shares) / 100 - shares).sum() for _ in range(500)]
    usual = [0.5 * np.abs(rng.multinomial(900, shares) / 900 - shares).sum() for _ in range(500)]
    assert max(far) <= max(usual) + sampling_allowance(shares.tolist(), 100, 900)
