"""How old a view's data is, against what its owner promised."""

from leverframe.core.feature import FeatureView, Freshness
from leverframe.features.online.online import NEVER_US, ViewMeta


def freshness(view: FeatureView, meta: ViewMeta | None, now_us: int) -> Freshness:
    """The view's freshness at ``now_us`` from what the online store holds; a view that holds nothing is as old as the epoch.

    A view with an SLA of 0 is a static table and never late.

    >>> meta = ViewMeta(view="w", view_version="v", features=(), watermark_us=9, newest_event_us=5, newest_arrival_us=7)
    >>> view = FeatureView(name="w", source="s", entity=("k",), event_time="e", arrival_time="a", freshness_sla_us=2)
    >>> freshness(view, meta, 10).lag_us, freshness(view, meta, 10).late, freshness(view, meta, 9).late
    (3, True, False)
    """
    event_us = arrival_us = 0
    if meta is not None and meta.newest_arrival_us != NEVER_US:
        event_us, arrival_us = meta.newest_event_us, meta.newest_arrival_us
    lag_us = max(0, now_us - arrival_us)
    return Freshness(
        view=view.name,
        source=view.source,
        newest_event_us=event_us,
        newest_arrival_us=arrival_us,
        checked_at_us=now_us,
        lag_us=lag_us,
        sla_us=view.freshness_sla_us,
        late=0 < view.freshness_sla_us < lag_us,
    )
