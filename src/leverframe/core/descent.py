"""Which version a version was made from: its weights began as another's, or rows it learned from are what another one had predicted.

A version is registered with what it was made from, and that is never changed afterwards; since only versions that exist can be named, there
are no circles.
"""

from collections import deque
from typing import Literal, Protocol, TypeVar

import msgspec

KIND_DESCENT = "descent"

MADE_FROM_MAX = 64
"""Versions that one version, or the rows of one dataset, may be made from directly; more are refused."""

DESCENDANTS_MAX = 1_000
"""Versions that are followed from one; the nearest are, and those beyond the bound are not found."""

_T = TypeVar("_T", bound=msgspec.Struct)


class MadeFrom(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """``version`` is what it was made from: its ``weights`` were trained on, or its predictions are ``rows`` of ``dataset``."""

    version: str
    how: Literal["weights", "rows"] = "weights"
    dataset: str = ""

    @property
    def words(self) -> str:
        """How it was made, as a person says it.

        >>> MadeFrom(version="delay@v2", how="rows", dataset="scores").words
        'trained on rows of scores that delay@v2 predicted'
        """
        if self.how == "weights":
            return f"made from {self.version}"
        return f"trained on rows of {self.dataset} that {self.version} predicted"


class Descent(msgspec.Struct, frozen=True, kw_only=True):
    """``child`` was made from ``parent``: the same fact as the child's record states, kept where it is found from the parent."""

    child: str
    parent: MadeFrom


class FindsDescents(Protocol):
    """Where records are read: a transaction, or the journal."""

    def find(self, kind: str, type: type[_T], *, prefix: str = "") -> list[_T]:
        """All current records of ``kind`` whose id begins with ``prefix``."""
        ...


def descent_id(parent: str, child: str) -> str:
    """Id of the record; all children of a version have ids that begin alike.

    >>> descent_id("delay@v1", "cost@v3")
    'delay@v1/cost@v3'
    """
    return f"{parent}/{child}"


def descendants(reads: FindsDescents, version: str) -> dict[str, Descent]:
    """Every version made from ``version``, directly or over others, nearest first, with the last step of the way there."""
    found: dict[str, Descent] = {}
    waiting = deque([version])
    while waiting and len(found) < DESCENDANTS_MAX:
        for descent in reads.find(KIND_DESCENT, Descent, prefix=descent_id(waiting.popleft(), "")):
            if descent.child not in found and descent.child != version:
                found[descent.child] = descent
                waiting.append(descent.child)
    return found


def descent_words(found: dict[str, Descent], child: str) -> str:
    """The way from the version that ``found`` was asked of down to ``child``.

    >>> one = Descent(child="b@v1", parent=MadeFrom(version="a@v1"))
    >>> two = Descent(child="c@v1", parent=MadeFrom(version="b@v1", how="rows", dataset="scores"))
    >>> descent_words({"b@v1": one, "c@v1": two}, "c@v1")
    'trained on rows of scores that b@v1 predicted, which was made from a@v1'
    """
    steps = []
    while child in found:
        steps.append(found[child].parent.words)
        child = found[child].parent.version
    return ", which was ".join(steps)
