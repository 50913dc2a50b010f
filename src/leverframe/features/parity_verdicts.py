"""A verdict for each feature on what was served: equal to the offline value, as it was a moment ago (late), or neither (wrong)."""

from collections.abc import Mapping
from typing import ClassVar, Literal

import msgspec
import numpy as np
import polars as pl

from leverframe.core.command import Command, Handles, Transaction
from leverframe.core.digest import Digest
from leverframe.core.feature import FeatureView
from leverframe.features.declared.definitions import VALID_FROM
from leverframe.features.training_sets.point_in_time import join_timelines

KIND_PARITY = "parity"
CELLS_MIN = 50
"""Fewer cells than this decide nothing."""
WRONG_SHARE_MAX = 0.001
EXAMPLES_MAX = 5


class SkewExample(msgspec.Struct, frozen=True, kw_only=True):
    """A served value that the offline side does not have; ``prediction`` is its id in the log. Of personal columns no value is told."""

    prediction: str
    asked_at_us: int
    served: float | None
    offline: float | None
    masked: bool = False


class FeatureVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """One feature: of ``cells`` served, so many ``equal`` the offline value of their moment, ``late`` one that had held shortly before."""

    feature: str
    cells: int
    equal: int
    late: int
    answer: Literal["pass", "fail", "inconclusive"]
    examples: tuple[SkewExample, ...] = ()

    @property
    def wrong_share(self) -> float:
        """Share of cells that are neither equal nor late."""
        return (self.cells - self.equal - self.late) / self.cells if self.cells else 0.0


class ParityRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What a comparison of one view, as one model version was served it, found."""

    view: str
    view_version: Digest
    endpoint: str
    version: str
    at_us: int
    questions: int
    features: tuple[FeatureVerdict, ...]

    @property
    def answer(self) -> Literal["pass", "fail", "inconclusive"]:
        """The worst of the features'."""
        answers = {each.answer for each in self.features}
        return "fail" if "fail" in answers else "inconclusive" if "inconclusive" in answers or not answers else "pass"


def judge(
    view: FeatureView,
    line: pl.DataFrame,
    served: pl.DataFrame,
    *,
    lag_us: int,
    defaults: Mapping[str, float] | None = None,
    masked: frozenset[str] = frozenset(),
) -> tuple[FeatureVerdict, ...]:
    """Compare served values with the view's timeline.

    Parameters
    ----------
    line: the view's ``timeline``.
    served: ``prediction`` (id), ``asked_us``, entity columns, and served features by name (NaN: missing).
    lag_us: how long ago a value may have held that is served still: a store is brought forward at intervals.
    defaults: by feature, what the model is fed for a missing value.    masked: features of which no value is told.
    """
    offline = join_timelines(served.select("asked_us", *view.entity), "asked_us", [(view, line)]).frame
    asked_of = line.join(served.select(view.entity).unique(), on=list(view.entity), how="semi", maintain_order="left")
    steps = asked_of.partition_by(list(view.entity), as_dict=True)
    return tuple(
        _feature(view, feature, served, offline, steps, lag_us, (defaults or {}).get(feature), feature in masked)
        for feature in view.features
        if feature in served.columns
    )


def _feature(
    view: FeatureView,
    feature: str,
    served: pl.DataFrame,
    offline: pl.DataFrame,
    steps: Mapping[tuple[object, ...], pl.DataFrame],
    lag_us: int,
    default: float | None,
    masked: bool,
) -> FeatureVerdict:
    ours = served[feature].cast(pl.Float64).fill_null(np.nan).to_numpy()
    theirs = offline[f"{view.name}.{feature}"].fill_null(np.nan).to_numpy()
    nothing = np.isnan(theirs)
    same = (ours == theirs) | (np.isnan(ours) & nothing) | (nothing & (ours == (np.nan if default is None else default)))
    keys, moments = served.select(view.entity).rows(), served["asked_us"].to_list()
    late, wrong = 0, []
    for i in np.flatnonzero(~same).tolist():
        held = steps.get(keys[i])
        if held is not None and _held_lately(held, feature, moments[i], lag_us, ours[i], default):
            late += 1
        else:
            wrong.append(i)
    examples = tuple(
        SkewExample(
            prediction=served["prediction"][i],
            asked_at_us=moments[i],
            served=None if masked else _cell(ours[i]),
            offline=None if masked else _cell(theirs[i]),
            masked=masked,
        )
        for i in wrong[:EXAMPLES_MAX]
    )
    cells = len(same)
    answer: Literal["pass", "fail", "inconclusive"] = "pass" if cells >= CELLS_MIN else "inconclusive"
    if cells >= CELLS_MIN and len(wrong) > WRONG_SHARE_MAX * cells:
        answer = "fail"
    return FeatureVerdict(feature=feature, cells=cells, equal=int(same.sum()), late=late, answer=answer, examples=examples)


def _held_lately(steps: pl.DataFrame, feature: str, asked_us: int, lag_us: int, value: float, default: float | None) -> bool:
    """Whether ``value`` was the feature's at some moment in ``[asked - lag, asked]``."""
    from_us, values = steps[VALID_FROM].to_numpy(), steps[feature].fill_null(np.nan).to_numpy()
    first = int(np.searchsorted(from_us, asked_us - lag_us, side="right")) - 1
    last = int(np.searchsorted(from_us, asked_us, side="right"))
    lately = values[max(0, first) : last]
    missing = bool(np.isnan(value)) or (default is not None and value == default)
    return bool((lately == value).any()) or (missing and (first < 0 or bool(np.isnan(lately).any())))


def _cell(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


class RecordParity(Command, frozen=True, kw_only=True):
    """Record what a comparison found."""

    action: ClassVar[str] = "Features.RecordParity"

    found: ParityRecord
    owning_team: str = ""

    def resource(self) -> str:
        """``view/<name>``."""
        return f"view/{self.found.view}"

    def team(self) -> str:
        """The owning team."""
        return self.owning_team


def record_parity(command: RecordParity, tx: Transaction) -> dict[str, str]:
    """Put the newest comparison of a view at an endpoint; earlier ones stay in its history."""
    found = command.found
    tx.put(KIND_PARITY, f"{found.view}/{found.endpoint}/{found.version}", found)
    return {"answer": found.answer}


HANDLERS: tuple[Handles, ...] = (Handles(command=RecordParity, run=record_parity),)
