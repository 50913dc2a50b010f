"""Sample-ratio mismatch: did the traffic really split as the route said?"""

import math
from collections.abc import Sequence

from leverframe.core.errors import InvalidInput


class ShareSequence:
    r"""Sequential multinomial test that arms receive their declared shares.

    The e-process is the Dirichlet-multinomial likelihood against the declared shares :math:`\theta_0`:

    .. math:: E_n = \frac{\Gamma(k)}{\Gamma(k + n)} \prod_i \frac{\Gamma(k\theta_{0,i} + n_i)}{\Gamma(k\theta_{0,i})} \, \theta_{0,i}^{-n_i}

    Under the declared shares it is a martingale that starts at 1, so ``E`` ever reaches ``1/alpha`` with probability at most ``alpha``.
    A mismatch says nothing of the model: it says that the comparison cannot be trusted.

    Parameters
    ----------
    shares: declared shares, each > 0, summing to 1.
    concentration: ``k``; larger looks for smaller mismatches. 10 finds a few points of mismatch within some hundred requests.

    Source: Lindon, Malek 2022, "Anytime-valid inference for multinomial count data", NeurIPS.

    >>> split = ShareSequence([0.9, 0.1])
    >>> split.update([900, 100]); split.mismatch(0.01)
    False
    >>> split.update([900, 0]); split.mismatch(0.01)
    True
    """

    def __init__(self, shares: Sequence[float], *, concentration: float = 10.0) -> None:
        if abs(sum(shares) - 1.0) > 1e-9 or min(shares) <= 0.0:
            raise InvalidInput("shares must be positive and sum to 1", where="share sequence", got=str(list(shares)))
        self._shares = tuple(shares)
        self._concentration = concentration
        self.counts = [0] * len(shares)

    def update(self, counts: Sequence[int]) -> None:
        """Fold newly assigned units in, one count an arm."""
        self.counts = [have + more for have, more in zip(self.counts, counts, strict=True)]

    @property
    def n(self) -> int:
        """Units assigned."""
        return sum(self.counts)

    def log_evidence(self) -> float:
        """Natural logarithm of the evidence against the declared shares."""
        k = self._concentration
        total = math.lgamma(k) - math.lgamma(k + self.n)
        for share, count in zip(self._shares, self.counts, strict=True):
            total += math.lgamma(k * share + count) - math.lgamma(k * share) - count * math.log(share)
        return total

    def mismatch(self, alpha: float) -> bool:
        """True when the declared shares are excluded at level ``alpha``, over all looks together."""
        return self.log_evidence() >= -math.log(alpha)
