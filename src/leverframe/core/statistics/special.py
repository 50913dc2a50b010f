"""Special functions over arrays: what the pages of this folder need, without a dependency of the gateway growing by scipy."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

_HALF_LOG_TWO_PI = 0.9189385332046727
_SHIFT = 7.0

# Chebyshev coefficients of erfc(x) exp(x²) (Press et al.), fractional error below 1.2e-7 everywhere, also far in the tail.
_ERFC = (-1.26551223, 1.00002368, 0.37409196, 0.09678418, -0.18628806, 0.27886807, -1.13520398, 1.48851587, -0.82215223, 0.17087277)


def log_gamma(x: ArrayLike) -> Floats:
    r"""Natural logarithm of the gamma function for ``x > 0``.

    Stirling's series above 7, and below it the recurrence :math:`\Gamma(x) = \Gamma(x + 7) / (x (x+1) \cdots (x+6))`.

    Source: Abramowitz, Stegun 1964, 6.1.41.

    >>> log_gamma([0.5, 3.0, 10.0]).round(9).tolist()
    [0.572364943, 0.693147181, 12.80182748]
    """
    values = np.asarray(x, dtype=np.float64)
    small = values < _SHIFT
    z = np.where(small, values + _SHIFT, values)
    inverse = 1.0 / z
    square = inverse * inverse
    series = inverse * (1.0 / 12.0 - square * (1.0 / 360.0 - square * (1.0 / 1260.0 - square * (1.0 / 1680.0 - square / 1188.0))))
    result = (z - 0.5) * np.log(z) - z + _HALF_LOG_TWO_PI + series
    if small.any():
        low = values[small] if values.ndim else values
        product = low * (low + 1.0) * (low + 2.0) * (low + 3.0) * (low + 4.0) * (low + 5.0) * (low + 6.0)
        if values.ndim:
            result[small] -= np.log(product)
        else:
            result = result - np.log(product)
    return np.asarray(result)


def log_beta(a: ArrayLike, b: ArrayLike) -> Floats:
    """Natural logarithm of the beta function, for positive ``a`` and ``b``.

    >>> float(log_beta(0.5, 0.5).round(6))
    1.14473
    """
    one, two = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    return log_gamma(one) + log_gamma(two) - log_gamma(one + two)


def log_normal_cdf(z: ArrayLike) -> Floats:
    r"""Natural logarithm of the standard normal distribution function; relative error of :math:`\Phi` below 1.2e-7 in both tails.

    Source: Press, Teukolsky, Vetterling, Flannery 1992, section 6.2 (``erfcc``).

    >>> log_normal_cdf([0.0, -10.0, 8.0]).round(4).tolist()
    [-0.6931, -53.2313, -0.0]
    """
    x = np.asarray(z, dtype=np.float64) / -1.4142135623730951
    size = np.abs(x)
    t = 1.0 / (1.0 + 0.5 * size)
    fit = np.zeros_like(t)
    for coefficient in reversed(_ERFC):
        fit = coefficient + t * fit
    log_tail = np.log(0.5 * t) - size * size + fit
    return np.asarray(np.where(x >= 0.0, log_tail, np.log1p(-np.exp(np.minimum(log_tail, -0.5)))))


def log_times(count: ArrayLike, p: ArrayLike) -> Floats:
    """``count * log(p)``, 0 where the count is 0 whatever ``p``; minus infinity where ``p`` is 0 and the count is not.

    >>> log_times([0.0, 2.0], [0.0, 1.0]).tolist()
    [0.0, 0.0]
    """
    counts, chance = np.asarray(count, dtype=np.float64), np.asarray(p, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(counts > 0.0, counts * np.log(chance), 0.0))
