"""Feeds of a replay: one per source, delivering its rows to every feature view that reads it."""

from collections.abc import Mapping, Sequence

import polars as pl

from leverframe.core.feature import FeatureView
from leverframe.features.online.online import OnlineStore
from leverframe.features.timelines.stream import ViewStream


class SourceFeed:
    """One source's rows, delivered as they arrive, unless the feed is frozen."""

    def __init__(self, source: str, rows: pl.DataFrame, views: Sequence[FeatureView], store: OnlineStore) -> None:
        self.source = source
        self._streams = [ViewStream(view, store) for view in views if view.source == source]
        for stream in self._streams:
            stream.push(rows)

    def advance(self, to_us: int) -> None:
        """Deliver everything that had arrived by ``to_us``."""
        for stream in self._streams:
            stream.advance(to_us)

    def freeze(self) -> None:
        """The feed stops: nothing arrives any more."""
        for stream in self._streams:
            stream.freeze()

    def resume(self) -> None:
        """The feed is back: what it missed arrives late, at the next advance."""
        for stream in self._streams:
            stream.resume()


def source_feeds(sources: Mapping[str, pl.DataFrame], views: Sequence[FeatureView], store: OnlineStore) -> dict[str, SourceFeed]:
    """A feed for each source that some view reads, by source name."""
    named = {view.source for view in views}
    return {name: SourceFeed(name, rows, views, store) for name, rows in sources.items() if name in named}
