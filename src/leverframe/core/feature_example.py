"""A test beside a feature view's definition: a few source rows, the moments asked, and the values that must come out."""

from typing import Any

import msgspec


class FeatureTest(msgspec.Struct, frozen=True, kw_only=True):
    """What a view must give, written by its team next to it, and run on every engine.

    ``rows`` are source rows, ``asked`` one question each: the entity's key columns and ``at``, the moment. Moments are microseconds UTC or
    ISO 8601 text. ``expected`` maps a feature to its values, one a question (None: no value then); features that are not named are not
    looked at. ``tolerance`` is absolute.
    """

    name: str
    view: str
    rows: tuple[dict[str, Any], ...]
    asked: tuple[dict[str, Any], ...]
    expected: dict[str, tuple[float | None, ...]]
    tolerance: float = 1e-9
    description: str = ""


class FeatureTestResult(msgspec.Struct, frozen=True, kw_only=True):
    """One test on one engine: it holds when there are neither ``differences`` nor an ``error`` that kept it from running."""

    test: str
    view: str
    engine: str
    differences: tuple["Difference", ...] = ()
    error: str = ""

    @property
    def holds(self) -> bool:
        """Whether every value was as expected."""
        return not self.differences and not self.error


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One value that came out otherwise: of which question, which feature."""

    asked: dict[str, Any]
    feature: str
    expected: float | None
    got: float | None
