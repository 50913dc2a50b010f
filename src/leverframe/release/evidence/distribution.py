"""Are the candidate's scores distributed as the champion's? Told to people while a stage runs; nothing is decided by it.

A retrained model scores a little otherwise, so that a difference is a reason to look, never by itself one to take a release back. What is
said is no chance: the evidence holds at every look.
"""

import math

import numpy as np
from numpy.typing import NDArray

from leverframe.core.statistics.counts import CountsDifference, PairedCountsDifference
from leverframe.release.evidence.judge import beyond
from leverframe.release.evidence.sequences import Feed, Row

BINS = 10
"""Bins of a tenth of a probability; what is no probability is not binned, and then nothing is said."""

LEVEL = 0.001
"""How often equal distributions are said to differ, over all looks of a stage."""


class ScoreDistribution:
    """Scores of both arms in bins: the same requests scored by both (``paired``), or different ones, ``share`` of them the candidate's."""

    def __init__(self, *, paired: bool, share: float) -> None:
        self._pairs = PairedCountsDifference(bins=BINS) if paired else None
        self._arms = CountsDifference(bins=BINS, share=share) if not paired and 0.0 < share < 1.0 else None
        self._feed = Feed(self._fold_pairs if paired else self._fold_arms)

    def pair(self, candidate: float, champion: float) -> None:
        """A request that both scored."""
        if self._pairs is not None and 0.0 <= candidate <= 1.0 and 0.0 <= champion <= 1.0:
            self._feed.add(candidate, champion)

    def arm(self, candidate: bool, score: float) -> None:
        """A request that one of them answered."""
        if self._arms is not None and 0.0 <= score <= 1.0:
            self._feed.add(candidate, score)

    def _fold_pairs(self, rows: list[Row]) -> None:
        assert self._pairs is not None
        candidate, champion = _bins([row[0] for row in rows]), _bins([row[1] for row in rows])
        self._pairs.update(candidate=candidate, champion=champion)

    def _fold_arms(self, rows: list[Row]) -> None:
        assert self._arms is not None
        mine, all_bins = np.array([row[0] for row in rows], dtype=bool), _bins([row[1] for row in rows])
        counted = [np.bincount(all_bins[chosen], minlength=BINS) for chosen in (mine, ~mine)]
        self._arms.update(candidate=counted[0], champion=counted[1])

    def words(self) -> str:
        """That the distributions differ, and where most; empty while that may be chance."""
        self._feed.flush()
        test = self._pairs or self._arms
        if test is None or not test.n or not bool(beyond(test.log_evidence(), LEVEL)):
            return ""
        if self._pairs is not None:
            mine, other = self._pairs.table.sum(axis=1), self._pairs.table.sum(axis=0)
        else:
            assert self._arms is not None
            mine, other = self._arms.candidate, self._arms.champion
        here, there = mine / max(int(mine.sum()), 1), other / max(int(other.sum()), 1)
        most = int(np.argmax(np.abs(here - there)))
        odds = min(math.floor(test.log_evidence() / math.log(10.0)), 99)
        where = f"{most / BINS:g} and {(most + 1) / BINS:g}, {100.0 * here[most]:.1f} % against {100.0 * there[most]:.1f} %"
        chance = f"evidence of 10^{odds} to 1"
        return f"scores are distributed otherwise than the champion's ({chance}): most between {where}; look whether that is meant"


def _bins(scores: list[float]) -> NDArray[np.int64]:
    return np.minimum((BINS * np.asarray(scores, dtype=np.float64)).astype(np.int64), BINS - 1)
