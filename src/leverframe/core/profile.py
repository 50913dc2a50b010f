"""The reference profile: the distributions drift is measured against, frozen into every bundle."""

import msgspec

from leverframe.core.clock import HOUR_US


class ColumnProfile(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of one column over fixed reference-quantile bins.

    ``edges`` are K-1 inner cut points of K bins (right-open); ``counts`` has K + 2 entries: the bins, then *missing*, then
    *unseen* (outside the reference range by more than the range itself, or a category never seen).
    ``null_distances`` are total-variation distances between daily reference windows and the rest of the reference period, sorted
    ascending: what "nothing is wrong" looks like for this column, autocorrelation and season included. ``null_missing`` are the shares of
    missing values in short reference windows (``missing_window_us`` of the profile), ascending: a mean over the last two hours is missing
    every night when nothing flies, and that is no fault.
    """

    name: str
    edges: tuple[float, ...]
    counts: tuple[int, ...]
    low: float
    high: float
    null_distances: tuple[float, ...] = ()
    null_missing: tuple[float, ...] = ()


class ReferenceProfile(msgspec.Struct, frozen=True, kw_only=True):
    """Profiles of every input column and of the score, with the label rate, over ``rows`` reference rows."""

    rows: int
    window_us: int
    columns: tuple[ColumnProfile, ...]
    missing_window_us: int = 3 * HOUR_US
    score: ColumnProfile
    label_rate: float
    roc_auc: float
    log_loss: float
