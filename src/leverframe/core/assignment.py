"""Who meets which arm: caller values hashed to a line whose intervals arms own. Gateways decide by it, readers of the log check it.

Every caller value hashes to a point in [0, 100). Arms own intervals of that line, laid out so that a change of weights moves only the share
that changed (P24): the live arm is the rest of the line, the first other arm grows up from 0, the second grows down from 100, further ones
follow the first.

An experiment has two lines. The *layer's* says who takes part: experiments of one layer share its salt and take disjoint buckets of it, so
nobody is in two of them, whichever endpoints they run on. The experiment's own line says which arm, independently of the layer's.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from hashlib import blake2b

import msgspec

from leverframe.core.prediction import Exposure

LAYER_BUCKETS = 10_000
"""A layer's line in equal buckets: an experiment takes a whole number of hundredths of a percent."""

_LINE = 2**64
_SCALE = 100.0 / _LINE


def numbers(salt: str) -> Callable[[str], int]:
    """Caller values to 64-bit numbers: evenly spread, the same in every process. The salt is hashed once, here.

    >>> 0 <= numbers("salt")("customer-1") < 2**64
    True
    """
    start, number = blake2b(f"{salt}\0".encode("utf-8", "surrogatepass"), digest_size=8).copy, int.from_bytes

    def of(key: str) -> int:
        hashed = start()
        try:
            hashed.update(key.encode())
        except UnicodeEncodeError:
            hashed.update(key.encode("utf-8", "surrogatepass"))
        return number(hashed.digest(), "big")

    return of


def points(salt: str) -> Callable[[str], float]:
    """Caller values to their points in [0, 100).

    >>> 0.0 <= points("salt")("customer-1") < 100.0
    True
    """
    number = numbers(salt)
    return lambda key: number(key) * _SCALE


def position(salt: str, key: str) -> float:
    """The point of one ``key``.

    >>> position("salt", "customer-1") == points("salt")("customer-1")
    True
    """
    return points(salt)(key)


def intervals(weights: Sequence[float]) -> list[tuple[float, float]]:
    """The interval of each arm that is not live, in table order.

    >>> intervals([5.0, 10.0, 20.0])
    [(0.0, 5.0), (90.0, 100.0), (5.0, 25.0)]
    """
    placed: list[tuple[float, float]] = []
    low = 0.0
    for index, weight in enumerate(weights):
        if index == 1:
            placed.append((100.0 - weight, 100.0))
        else:
            placed.append((low, low + weight))
            low += weight
    return placed


class Assignment(msgspec.Struct, frozen=True, kw_only=True):
    """How an experiment spreads callers over an endpoint's arms; part of the signed route table.

    Callers whose bucket of the layer's line is in ``[low, high)`` take part; everybody else is answered by the live arm and is not counted.
    ``shares`` are in percent of those who take part, one for each arm that is not live, in table order; the live arm has the rest.
    ``hash_field`` is the request field whose value identifies a caller (empty: every request is one of its own).
    """

    experiment: str
    salt: str
    layer_salt: str
    low: int
    high: int
    shares: tuple[float, ...]
    hash_field: str = ""

    @property
    def traffic(self) -> float:
        """Percent of callers that take part."""
        return 100.0 * (self.high - self.low) / LAYER_BUCKETS


class Assigner:
    """An assignment compiled: two hashes of a caller value, and a search among the arms' ends.

    >>> half = Assignment(experiment="e", salt="s", layer_salt="l", low=0, high=LAYER_BUCKETS, shares=(50.0,))
    >>> arms = [Assigner(half).assign(f"customer-{n}")[0] for n in range(1000)]
    >>> 450 < arms.count(1) < 550, set(arms)
    (True, {0, 1})
    """

    def __init__(self, assignment: Assignment) -> None:
        self.experiment = assignment.experiment
        self._own = numbers(assignment.salt)
        self._layer = numbers(assignment.layer_salt)
        self._low, self._high = (-(-bucket * _LINE // LAYER_BUCKETS) for bucket in (assignment.low, assignment.high))
        ends, arms = [0.0], [0]
        placed = sorted((low, high, index + 1) for index, (low, high) in enumerate(intervals(assignment.shares)) if high > low)
        for low, high, arm in placed:
            if low <= ends[-1]:
                arms[-1] = arm
            else:
                ends.append(low)
                arms.append(arm)
            ends.append(high)
            arms.append(0)
        self._ends, self._arms = ends, arms

    def assign(self, key: str) -> tuple[int, Exposure | None]:
        """The arm of a caller value (0: the live one, else its place among the others, from 1), and what the log keeps of it.

        None: the caller takes no part and is the live arm's.
        """
        if not self._low <= self._layer(key) < self._high:
            return 0, None
        number = self._own(key)
        return self.arm(number), Exposure(self.experiment, number)

    def arm(self, number: int) -> int:
        """The arm of whoever hashes to ``number`` on the experiment's own line."""
        return self._arms[bisect_right(self._ends, number * _SCALE) - 1]
