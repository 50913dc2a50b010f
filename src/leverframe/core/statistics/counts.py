"""Binned predictions or features of two arms: do they come from the same distribution? Exact, no margin: it says *that* they differ.

A retrained model should differ a little, so a difference here is a reason to look, never by itself a reason to take a release back.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from leverframe.core.errors import InvalidInput
from leverframe.core.statistics.bernoulli import rate_log_evidence


class CountsDifference:
    r"""Sequential test that two arms' values fall into bins alike: different requests, assigned at random with a known share.

    If arms do not differ, a value's bin says nothing of its arm: within each bin the candidate's part is binomial with the share
    :math:`w`. So the evidence is a product of beta-binomial mixtures, one a bin, and no distribution needs to be known:

    .. math:: E_n = \prod_b \frac{B(\kappa w + a_b, \kappa (1 - w) + c_b)}{B(\kappa w, \kappa (1 - w))\; w^{a_b} (1 - w)^{c_b}}

    Parameters
    ----------
    bins: number of bins.    share: of the candidate.    concentration: :math:`\kappa`; larger looks for smaller differences.

    Source: Lindon, Malek 2022, "Anytime-valid inference for multinomial count data", NeurIPS (arms given bins instead of bins given arms).

    >>> scores = CountsDifference(bins=2, share=0.5)
    >>> scores.update(candidate=[80, 20], champion=[50, 50]); round(scores.log_evidence(), 1)
    6.7
    """

    def __init__(self, *, bins: int, share: float, concentration: float = 10.0) -> None:
        if bins < 1 or not 0.0 < share < 1.0:
            raise InvalidInput("bins or share out of range", where="counts difference", got=f"{bins}, {share:g}")
        self._share, self._prior = share, (concentration * share, concentration * (1.0 - share))
        self.candidate: NDArray[np.int64] = np.zeros(bins, dtype=np.int64)
        self.champion: NDArray[np.int64] = np.zeros(bins, dtype=np.int64)

    def update(self, *, candidate: ArrayLike, champion: ArrayLike) -> None:
        """Fold counts of each arm in, ``[bins]`` each."""
        self.candidate += np.asarray(candidate, dtype=np.int64)
        self.champion += np.asarray(champion, dtype=np.int64)

    @property
    def n(self) -> int:
        """Values of both arms."""
        return int(self.candidate.sum() + self.champion.sum())

    def log_evidence(self) -> float:
        """Natural logarithm of the evidence that the arms differ."""
        return float(rate_log_evidence(self.candidate, self.candidate + self.champion, self._share, prior=self._prior).sum())


class PairedCountsDifference:
    r"""The same for the *same* requests scored by both: do pairs move from bin to bin as often one way as the other?

    If the two are exchangeable, a pair in different bins :math:`\{a, b\}` lies either way with probability 1/2: a product of beta-binomial
    mixtures over pairs of bins, against 1/2.

    Source: Bowker 1948, "A test for symmetry in contingency tables", JASA 43; Robbins' mixture makes it hold at every look.

    >>> pairs = PairedCountsDifference(bins=3)
    >>> pairs.update(candidate=[2] * 12, champion=[0] * 12); round(pairs.log_evidence(), 1)
    5.8
    """

    def __init__(self, *, bins: int, concentration: float = 2.0) -> None:
        if bins < 1:
            raise InvalidInput("at least one bin", where="paired counts", got=str(bins))
        self._half = 0.5 * concentration
        self.table: NDArray[np.int64] = np.zeros((bins, bins), dtype=np.int64)

    def update(self, *, candidate: ArrayLike, champion: ArrayLike) -> None:
        """Fold pairs in: the bin of each request under either arm, ``[rows]`` each."""
        np.add.at(self.table, (np.asarray(candidate, dtype=np.int64), np.asarray(champion, dtype=np.int64)), 1)

    @property
    def n(self) -> int:
        """Pairs."""
        return int(self.table.sum())

    def log_evidence(self) -> float:
        """Natural logarithm of the evidence that the two are not exchangeable."""
        upper = np.triu_indices(len(self.table), 1)
        moved, back = self.table[upper], self.table.T[upper]
        return float(rate_log_evidence(moved, moved + back, 0.5, prior=(self._half, self._half)).sum())
