"""Was what we served what the offline timeline says? Cell by cell, bit for bit."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from leverframe.core.feature import FeatureView
from leverframe.features.training_sets.point_in_time import join_timelines

EXAMPLES_MAX = 5


@dataclass(frozen=True)
class FeatureParity:
    """One feature: how many served cells were compared, how many were equal (both missing counts as equal), and some that were not.

    An example reads: row number among the served rows, moment, served value, offline value.
    """

    feature: str
    cells: int
    equal: int
    examples: tuple[tuple[int, int, float | None, float | None], ...]


@dataclass(frozen=True)
class ParityReport:
    """Every feature of a view; ``equal`` when all cells of all features were."""

    view: str
    features: tuple[FeatureParity, ...]

    @property
    def equal(self) -> bool:
        """Whether nothing differed."""
        return all(f.cells == f.equal for f in self.features)

    @property
    def cells(self) -> int:
        """Cells compared over all features."""
        return sum(f.cells for f in self.features)


def compare(view: FeatureView, line: pl.DataFrame, served: pl.DataFrame, served_at: str) -> ParityReport:
    """Compare served values with the view's timeline at the moments they were served.

    Parameters
    ----------
    line: the view's ``timeline``.
    served: entity columns, the moment column ``served_at`` (microseconds UTC), and the view's features by name (NaN or null: missing).

    Raises
    ------
    SchemaMismatch: ``served`` lacks the moment or an entity column.
    """
    offline = join_timelines(served.select(served_at, *view.entity), served_at, [(view, line)]).frame
    moments = offline[served_at].to_list()
    return ParityReport(
        view=view.name,
        features=tuple(_feature(view, feature, served, offline, moments) for feature in view.features if feature in served.columns),
    )


def _feature(view: FeatureView, feature: str, served: pl.DataFrame, offline: pl.DataFrame, moments: list[int]) -> FeatureParity:
    ours = served[feature].cast(pl.Float64).fill_null(np.nan).to_numpy()
    theirs = offline[f"{view.name}.{feature}"].fill_null(np.nan).to_numpy()
    same = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
    examples = tuple((int(i), int(moments[i]), _cell(ours[i]), _cell(theirs[i])) for i in np.flatnonzero(~same)[:EXAMPLES_MAX])
    return FeatureParity(feature=feature, cells=len(same), equal=int(same.sum()), examples=examples)


def _cell(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
