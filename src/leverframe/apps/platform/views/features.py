"""What the features room's use cases answer."""

import msgspec

from leverframe.core.feature import FeatureView, Freshness


class FeatureViewView(msgspec.Struct, frozen=True, kw_only=True):
    """A feature view with its version, freshness now, and the models that read it."""

    view: FeatureView
    version: str
    freshness: Freshness | None
    consumers: tuple[str, ...]
