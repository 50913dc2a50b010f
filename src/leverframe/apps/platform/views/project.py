"""What planning and applying a team's project takes and answers."""

from typing import Any, Literal

import msgspec

from leverframe.core.digest import Digest
from leverframe.core.errors import Fault
from leverframe.core.feature import FeatureView
from leverframe.core.feature_service import Entity, FeatureService
from leverframe.core.model import ModelSpec
from leverframe.features.declared.breaking import Break


class Declarations(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a project folder declares: contracts as their text (ODCS, YAML), the rest as records."""

    contracts: tuple[str, ...] = ()
    entities: tuple[Entity, ...] = ()
    views: tuple[FeatureView, ...] = ()
    services: tuple[FeatureService, ...] = ()
    models: tuple[ModelSpec, ...] = ()


class ProjectStep(msgspec.Struct, frozen=True, kw_only=True):
    """One declaration and what applying it would do.

    ``change``: added; unchanged; words (descriptions, owners, tags: no value changes); values (it computes, checks or takes something
    else than before); breaking (others lose something they read). ``fields`` are those that differ.
    """

    kind: Literal["contract", "entity", "feature view", "feature service", "model"]
    name: str
    change: Literal["added", "unchanged", "words", "values", "breaking"]
    fields: tuple[str, ...] = ()


class Backfill(msgspec.Struct, frozen=True, kw_only=True):
    """A view version that must be filled before it can be served: rows to read, days they span, and what that takes.

    ``seconds`` come from the rate of ``measured_on``, the last finished materialisation of the view, else of any (None: none was yet);
    ``cost`` is the price of its processor time by the setting ``core_hour_price`` (None: unknown seconds or no price).
    """

    view: str
    view_version: Digest
    source: str
    rows: int
    days: int
    seconds: float | None = None
    measured_on: str = ""
    cost: float | None = None


class ProjectPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What applying a project would do, to whom; ``digest`` names exactly this, and applying by it refuses anything else.

    ``faults`` would make it refused. ``behind`` says which live endpoints go on with the version of a view before this one.
    ``stays`` are declarations on the platform that the project does not mention; applying never removes them.
    """

    digest: Digest
    steps: tuple[ProjectStep, ...]
    breaks: tuple[Break, ...] = ()
    backfills: tuple[Backfill, ...] = ()
    behind: tuple[str, ...] = ()
    stays: tuple[str, ...] = ()
    faults: tuple[Fault, ...] = ()

    @property
    def differs(self) -> bool:
        """Whether applying it changes anything."""
        return any(step.change != "unchanged" for step in self.steps)


class ProjectRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A project to be applied: ``plan`` is the digest of what was shown (empty: whatever it is now)."""

    declared: Declarations
    plan: Digest = ""
    allow_breaking: bool = False


class ProjectApplied(msgspec.Struct, frozen=True, kw_only=True):
    """What was applied: the plan it was, and what the platform said of each declaration."""

    plan: Digest
    said: tuple[dict[str, Any], ...]
