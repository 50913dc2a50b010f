"""How far a window of answers lies from what the model was trained on, column by column, against the budget's thresholds."""

import math
from collections.abc import Container, Mapping

import msgspec

from leverframe.core.alert import Signal
from leverframe.core.clock import HOUR_US
from leverframe.core.profile import ColumnProfile, ReferenceProfile
from leverframe.core.statistics.binning import total_variation
from leverframe.monitoring.budget import AlarmBudget, alarm_rate, extreme_quantile, sampling_allowance
from leverframe.monitoring.windows import Ints, Window

THRESHOLD_MAX = 0.98
"""A threshold beyond this says that one window of the column looks like nothing else even in the reference: distance cannot judge it."""

SCORE = "score"


class ColumnDrift(msgspec.Struct, frozen=True, kw_only=True):
    """One column in one window. Shares are of the values that were not switched off; ``threshold`` is None where distance cannot judge.

    ``reason`` says why a column was not judged; ``alarm`` is False then.
    """

    column: str
    from_us: int
    to_us: int
    rows: int
    distance: float
    threshold: float | None
    missing: float
    missing_reference: float
    unseen: float
    unseen_reference: float
    judged: bool
    reason: str = ""

    @property
    def alarm(self) -> bool:
        """Whether the distance is beyond its threshold."""
        return self.judged and self.threshold is not None and self.distance > self.threshold


def thresholds(profile: ReferenceProfile, budget: AlarmBudget) -> dict[str, float | None]:
    """The distance each column and the score may have in one window; None where the reference cannot say."""
    figures = (*profile.columns, profile.score)
    rate = alarm_rate(budget, len(figures), profile.window_us)
    found: dict[str, float | None] = {}
    for column in figures:
        quantile = extreme_quantile(column.null_distances, rate)
        name = SCORE if column is profile.score else column.name
        found[name] = None if quantile is None or quantile > THRESHOLD_MAX else max(quantile, budget.effect_floor)
    return found


def judge_window(
    window: Window, from_us: int, to_us: int, budget: AlarmBudget, limits: Mapping[str, float | None], *, disabled: Container[str] = ()
) -> tuple[ColumnDrift, ...]:
    """Every column of a window and the score, each with its distance and whether that may be held against it.

    Parameters
    ----------
    window: counts of one version over one window of the profile's length.
    limits: from :func:`thresholds`.
    disabled: columns switched off by an operator; they are reported and not judged.
    """
    shape = window.shape
    judged = []
    for index, column in enumerate(shape.column_profiles):
        if column is not None:
            off = shape.columns[index] in disabled or bool(window.disabled[index])
            judged.append(_judge(column, column.name, window.column(index), (from_us, to_us), budget, limits, shape.profile, off=off))
    score = shape.profile.score
    judged.append(_judge(score, SCORE, window.column(-1), (from_us, to_us), budget, limits, shape.profile, off=False))
    return tuple(judged)


def _judge(
    column: ColumnProfile,
    name: str,
    counts: Ints,
    span: tuple[int, int],
    budget: AlarmBudget,
    limits: Mapping[str, float | None],
    profile: ReferenceProfile,
    *,
    off: bool,
) -> ColumnDrift:
    rows, reference = int(counts.sum()), sum(column.counts)
    distance = total_variation(counts, column.counts)
    limit = limits.get(name)
    if limit is not None:
        null_rows = reference // max(1, len(column.null_distances))
        limit += sampling_allowance([count / max(reference, 1) for count in column.counts], rows, null_rows)
    reason = ""
    if off:
        reason = "switched off by an operator"
    elif rows < budget.rows_min:
        reason = f"{rows:,} rows, {budget.rows_min:,} are needed"
    elif limit is None:
        reason = "its windows differ in the reference as much as they can, or too few of them are known"
    elif limit > THRESHOLD_MAX:
        reason = f"{rows:,} rows are too few to tell"
    return ColumnDrift(
        column=name,
        from_us=span[0],
        to_us=span[1],
        rows=rows,
        distance=0.0 if math.isnan(distance) else distance,
        threshold=limit,
        missing=_share(counts[-2], rows),
        missing_reference=_share(column.counts[-2], reference),
        unseen=_share(counts[-1], rows),
        unseen_reference=_share(column.counts[-1], reference),
        judged=not reason,
        reason=reason,
    )


def _share(part: int, whole: int) -> float:
    return float(part) / whole if whole else 0.0


def drift_signals(judged: tuple[ColumnDrift, ...], origin: Mapping[str, str]) -> list[Signal]:
    """A signal for every column whose distance is beyond its threshold; the score's is of its own kind.

    Parameters
    ----------
    origin: column to where it comes from, for the sentence (``feed weather``); columns not named come with the request.
    """
    signals = []
    for each in judged:
        if not each.alarm or each.threshold is None:
            continue
        where = origin.get(each.column, "the request" if each.column != SCORE else "the model")
        signals.append(
            Signal(
                kind="score_drift" if each.column == SCORE else "drift",
                subject=each.column,
                observed=each.distance,
                threshold=each.threshold,
                window=(each.from_us, each.to_us),
                detail=f"{each.column} ({where}) lies {each.distance:.2f} from the reference in {each.rows:,} rows; "
                f"up to {each.threshold:.2f} is ordinary",
            )
        )
    return signals


def missing_signals(
    window: Window, from_us: int, to_us: int, budget: AlarmBudget, origin: Mapping[str, str], *, disabled: Container[str] = ()
) -> list[Signal]:
    """A signal for every column whose share of missing or of unseen values is beyond what the reference knew.

    A few hours are judged as soon as they have ``rows_min`` / 4 rows. The share must exceed the usual one by ``missing_floor`` and by four
    standard errors, and what short windows of the reference had by themselves (``null_missing``, at the budget's rate): some values are
    missing every night. A column that was sometimes missing altogether is not judged here; its feed's freshness is.
    """
    signals = []
    profile = window.shape.profile
    rate = alarm_rate(budget, len(profile.columns), profile.missing_window_us)
    for index, column in enumerate(window.shape.column_profiles):
        if column is None or column.name in disabled or window.disabled[index]:
            continue
        counts, reference = window.column(index), sum(column.counts)
        rows = int(counts.sum())
        if rows < max(20, budget.rows_min // 4):
            continue
        for position, what in ((-2, "missing"), (-1, "never seen in training")):
            share, usual = _share(counts[position], rows), _share(column.counts[position], reference)
            rise = max(budget.missing_floor, 4.0 * math.sqrt(max(usual * (1.0 - usual), 1e-4) / rows))
            limit = min(usual + rise, 0.5 + 0.5 * usual)
            if position == -2:
                limit = max(limit, extreme_quantile(column.null_missing, rate) or 0.0)
            if share > limit:
                hours = (to_us - from_us) / HOUR_US
                signals.append(
                    Signal(
                        kind="missing" if position == -2 else "drift",
                        subject=column.name,
                        observed=share,
                        threshold=limit,
                        window=(from_us, to_us),
                        detail=f"{column.name} ({origin.get(column.name, 'the request')}) is {what} in {share:.0%} of {rows:,} rows of "
                        f"the last {hours:g} h; {usual:.0%} in training",
                    )
                )
    return signals
