"""Which rows are the newest known of their key, and what they say of many moments: what a row expression is to every engine in memory.

Two engines do it, with the same bits: ``newest_c.py``, and, where Leverframe was installed without a C compiler, ``newest_numpy.py``.
Decision 0050.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from leverframe.core.training_set_report import ViewMatch
from leverframe.features.rows.numbering import Ints

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Newest:
    """Rows that take over, by key and by the moment from which they hold; a key has at most one a moment.

    Parameters
    ----------
    starts: int64 ``[keys + 1]``, where the rows of each key begin.
    from_us, event_us: int64 ``[rows]``, from when each holds, ascending within a key, and its event.
    place: int64 ``[rows]``, its place among the ``places`` that a column of values has.
    """

    starts: Ints
    from_us: Ints
    event_us: Ints
    place: Ints
    places: int

    def __post_init__(self) -> None:
        assert len(self.from_us) == len(self.event_us) == len(self.place) == self.starts[-1], "a key's rows lie side by side"
        assert self.starts[0] == 0, "the first key's rows come first"
        assert bool((self.starts[1:] >= self.starts[:-1]).all()), "keys lie in order"
        assert not len(self.place) or 0 <= self.place.min() <= self.place.max() < self.places, "rows lie among the places"

    @property
    def keys(self) -> int:
        """How many keys there are, with rows or without."""
        return len(self.starts) - 1


@dataclass(frozen=True)
class Seen:
    """Of how many questions the entity has rows at all, has one by then, and one within its TTL; how old these are, microseconds."""

    known: int
    found: int
    alive: int
    age_us_min: int | None
    age_us_max: int | None

    @classmethod
    def of(cls, *, known: Bools, found: Bools, alive: Bools, ages_us: Ints) -> "Seen":
        """Count what is said of each question, ``[questions]``; ages are read only where ``alive``."""
        matched = int(alive.sum())
        within = ages_us if matched == len(ages_us) else ages_us[alive]
        ages = (int(within.min()), int(within.max())) if matched else (None, None)
        return cls(int(known.sum()), int(found.sum()), matched, *ages)

    def match(self, view: str, questions: int) -> ViewMatch:
        """What to report of a view that was asked so many questions."""
        return ViewMatch(
            view=view,
            questions=questions,
            matched=self.alive,
            never_known=questions - self.known,
            known_later=self.known - self.found,
            expired=self.found - self.alive,
            age_us_min=self.age_us_min,
            age_us_max=self.age_us_max,
        )


class NewestEngine(Protocol):
    """What both engines do."""

    def take_over(self, codes: Ints, keys: int, event_us: Ints, arrival_us: Ints, order: Ints | None) -> Newest:
        """The rows that take over.

        A correction of an older event changes nothing; of rows that hold from one moment the last one in order counts.

        Parameters
        ----------
        codes, event_us, arrival_us: int64 ``[rows]``; codes are below ``keys``.
        order: of the rows by (the later of event and arrival, event, arrival, source); None: as they lie.
        """
        ...

    def answer(
        self, newest: Newest, codes: Ints, moments_us: Ints, ttl_us: int, values: Sequence[Floats], block: Floats, part: slice
    ) -> Seen:
        """Fill ``block[:, part]``, float64 ``[columns, questions]``, with the values of the rows that are known then; NaN: no value.

        Parameters
        ----------
        codes, moments_us: int64 ``[questions]``, in any order; a negative code is nobody's.
        ttl_us: an event as old as that is no answer; 0: never too old.
        values: the columns, float64 ``[places]``, NaN where there is no value.
        """
        ...
