"""What there is to say about a training set: which questions a view had no row for, and what may have told the model its answer."""

from typing import Literal

import msgspec

Check = Literal[
    "arrival_is_event", "arrival_missing", "known_before_it_happened", "event_time_join", "reads_label", "label_known_early", "tells_label"
]
Severity = Literal["error", "warning", "note"]


class ViewMatch(msgspec.Struct, frozen=True, kw_only=True):
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


class Leak(msgspec.Struct, frozen=True, kw_only=True):
    """One way in which a feature may know what nobody knew when the question was asked.

    ``error``: it does. ``warning``: nothing in the data keeps it from it; somebody who knows the feed must say. ``note``: prevented, and
    how often. ``rows`` of ``out_of`` are concerned, source rows or questions as ``of`` says; ``feature`` is empty when the whole view is.
    """

    check: Check
    severity: Severity
    view: str
    feature: str = ""
    rows: int
    out_of: int
    of: Literal["source rows", "questions"]
    sentence: str
    next_step: str = ""


class TrainingSetReport(msgspec.Struct, frozen=True, kw_only=True):
    """A training set's questions, what each view had for them, and what may leak, worst first."""

    model: str
    questions: int
    matches: tuple[ViewMatch, ...]
    leaks: tuple[Leak, ...]

    def summary(self) -> str:
        """In one line.

        >>> TrainingSetReport(model="m", questions=3, matches=(), leaks=()).summary()
        '3 questions; leakage: 0 errors, 0 warnings'
        """
        counts = {severity: sum(leak.severity == severity for leak in self.leaks) for severity in ("error", "warning")}
        gaps = "; ".join(match.sentence() for match in self.matches if match.unmatched)
        text = f"{self.questions:,} questions; leakage: {counts['error']} errors, {counts['warning']} warnings"
        return f"{text}; {gaps}" if gaps else text
