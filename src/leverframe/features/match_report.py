"""What a view had for the questions: how many rows it answered, why not the others, and how old what it gave was."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ViewMatch:
    """One view beside all questions: ``questions`` = ``matched`` + ``never_known`` + ``known_later`` + ``expired``.

    ``never_known``: the view has no row of the entity at any time (a missing key or moment counts here). ``known_later``: it has, but none
    had happened and arrived by the question's moment. ``expired``: the newest one was as old as the TTL. Ages run from the event to the
    question, in microseconds, over matched questions; None when there is none.
    """

    view: str
    questions: int
    matched: int
    never_known: int
    known_later: int
    expired: int
    age_us_min: int | None = None
    age_us_max: int | None = None

    @property
    def unmatched(self) -> int:
        """Questions without a row of this view."""
        return self.questions - self.matched

    @property
    def unmatched_share(self) -> float:
        """Their share, 0 when nothing was asked."""
        return self.unmatched / self.questions if self.questions else 0.0

    def __add__(self, other: "ViewMatch") -> "ViewMatch":
        """Both sets of questions together."""
        assert self.view == other.view, "only reports of one view add up"
        return ViewMatch(
            view=self.view,
            questions=self.questions + other.questions,
            matched=self.matched + other.matched,
            never_known=self.never_known + other.never_known,
            known_later=self.known_later + other.known_later,
            expired=self.expired + other.expired,
            age_us_min=min((a for a in (self.age_us_min, other.age_us_min) if a is not None), default=None),
            age_us_max=max((a for a in (self.age_us_max, other.age_us_max) if a is not None), default=None),
        )

    def sentence(self) -> str:
        """In words.

        >>> ViewMatch(view="weather", questions=200, matched=190, never_known=4, known_later=1, expired=5).sentence()
        'weather: 10 of 200 questions (5.0 %) without a row: 4 never known, 1 known later, 5 expired'
        """
        return (
            f"{self.view}: {self.unmatched:,} of {self.questions:,} questions ({100 * self.unmatched_share:.1f} %) without a row: "
            f"{self.never_known:,} never known, {self.known_later:,} known later, {self.expired:,} expired"
        )


def view_match(
    view: str, *, known: NDArray[np.bool_], found: NDArray[np.bool_], alive: NDArray[np.bool_], ages_us: NDArray[np.int64]
) -> ViewMatch:
    """Count one view's answers.

    Parameters
    ----------
    known, found, alive: boolean ``[questions]``: the entity has rows at all; one was known by then; that one is within its TTL.
    ages_us: int64 ``[questions]``, read only where ``alive``.
    """
    matched, had, seen = int(alive.sum()), int(found.sum()), int(known.sum())
    within = ages_us if matched == len(ages_us) else ages_us[alive]
    return ViewMatch(
        view=view,
        questions=len(alive),
        matched=matched,
        never_known=len(alive) - seen,
        known_later=seen - had,
        expired=had - matched,
        age_us_min=int(within.min()) if matched else None,
        age_us_max=int(within.max()) if matched else None,
    )
