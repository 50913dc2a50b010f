"""What the features room's use cases answer."""

from typing import Any, Literal

import msgspec

from leverframe.core.feature import FeatureView, Freshness
from leverframe.core.feature_page import AgePoint, EndpointReader, FeatureDistribution
from leverframe.core.feature_service import Entity, FeatureService
from leverframe.features.materialization.jobs import JobRecord
from leverframe.features.parity_verdicts import ParityRecord


class FeatureViewView(msgspec.Struct, frozen=True, kw_only=True):
    """A feature view with its version, freshness now, and the models that read it."""

    view: FeatureView
    version: str
    freshness: Freshness | None
    consumers: tuple[str, ...]


class EntityView(msgspec.Struct, frozen=True, kw_only=True):
    """A declared entity, and the views whose key it is part of."""

    entity: Entity
    views: tuple[str, ...]


class ServiceView(msgspec.Struct, frozen=True, kw_only=True):
    """A feature service with its version, the models that take it, and what it selects that is declared no longer."""

    service: FeatureService
    version: str
    models: tuple[str, ...]
    missing: tuple[str, ...] = ()


class ServiceRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A feature service to be declared; ``allow_breaking``: also when a model loses a column by it."""

    service: FeatureService
    allow_breaking: bool = False


class FeatureDetailView(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about a feature view.

    ``store_version`` is the version that the online store holds (empty: none), ``ages`` how far it was brought and when, oldest first;
    ``distributions`` are of the newest rows of ``snapshot``, or ``problem`` says why there are none. ``in_time_share`` is of the last 30
    days (None: never looked at), ``jobs`` the newest materialisations, ``parity`` the newest comparison at each endpoint, worst first.
    """

    view: FeatureView
    version: str
    team: str
    contract_version: str
    snapshot: str
    freshness: Freshness | None
    store_version: str
    ages: tuple[AgePoint, ...] = ()
    services: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    endpoints: tuple[EndpointReader, ...] = ()
    distributions: tuple[FeatureDistribution, ...] = ()
    problem: str = ""
    in_time_share: float | None = None
    jobs: tuple[JobRecord, ...] = ()
    parity: "tuple[ParityView, ...]" = ()


class MaterializeRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Which views (none: all) to bring up to which moment (None: now).

    ``mode``: what changed since the store's moment (``incremental``), everything anew (``full``), or again from ``from_us`` on
    (``backfill``), in partitions of ``step_us`` (0: one). ``parts``: ranges of keys of a full one (0: by its rows). ``take_over`` ends a
    job that is under way.
    """

    names: tuple[str, ...] = ()
    to_us: int | None = None
    mode: Literal["full", "incremental", "backfill"] = "incremental"
    from_us: int | None = None
    step_us: int = 0
    parts: int = 0
    take_over: bool = False


class ForgetEntityRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The key of an entity: a text for each of the view's entity columns."""

    entity: tuple[str, ...]


class ForgottenView(msgspec.Struct, frozen=True, kw_only=True):
    """From how many versions of the view the entity went."""

    view: str
    versions: int


class PushRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of a view's source, as the source's contract has them."""

    rows: tuple[dict[str, Any], ...]


class PushView(msgspec.Struct, frozen=True, kw_only=True):
    """What became of pushed rows: they are in ``snapshot`` of ``source``, and so many entities were written in each of its ``views``."""

    source: str
    snapshot: str
    rows: int
    views: dict[str, int]


class ParityView(msgspec.Struct, frozen=True, kw_only=True):
    """The newest comparison of a view at an endpoint and its verdict over all features."""

    found: ParityRecord
    answer: Literal["pass", "fail", "inconclusive"]
