"""What is told of a feature view beside its definition: how its values lie, how old it has been, who reads it."""

import msgspec


class FeatureDistribution(msgspec.Struct, frozen=True, kw_only=True):
    """A feature's values over ``rows`` changes, ``missing`` of them without a value; ``hidden``: personal, nothing more is told.

    ``counts`` lie between ``edges`` (one more); values outside the 0.5th and 99.5th percentile stand in the outer bins.
    """

    feature: str
    rows: int
    missing: int
    hidden: bool = False
    mean: float | None = None
    std: float | None = None
    minimum: float | None = None
    quartiles: tuple[float, float, float] | None = None
    maximum: float | None = None
    edges: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()


class AgePoint(msgspec.Struct, frozen=True, kw_only=True):
    """At ``at_us`` the online store was brought up to ``watermark_us``."""

    at_us: int
    watermark_us: int


class EndpointReader(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint's version that reads a view in live traffic; ``current`` when it is bound to the version declared now."""

    endpoint: str
    version: str
    view_version: str
    features: tuple[str, ...]
    current: bool
