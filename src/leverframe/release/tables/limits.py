"""How different a candidate's table may be: declared limits, and the verdicts they give on a comparison."""

import msgspec

from leverframe.core.errors import Fault, InvalidInput
from leverframe.core.verdict import Answer, Verdict
from leverframe.release.tables.comparison import Comparison, LossDifference

ROWS_MIN_MAX = 4_194_304


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What still passes; each is a bound that the observed figure may reach.

    ``missing``: rows.  ``lost``: share of rows that lose their answer.  ``shift_mean``, ``shift_largest``: absolute difference of scores.
    ``crossed``: share of rows on another side of ``cut``.  ``brier``, ``log_loss``: margins, how much larger the candidate's mean loss may
    be, proven by the upper end of the interval of ``confidence``.  Fewer than ``rows_min`` answered rows, or (where there are any) than
    ``labels_min`` labelled ones, prove nothing.
    """

    missing: int = 0
    lost: float = 0.0
    shift_mean: float = 0.05
    shift_largest: float = 0.5
    crossed: float = 0.05
    cut: float = 0.5
    brier: float = 0.01
    log_loss: float = 0.03
    confidence: float = 0.95
    rows_min: int = 100
    labels_min: int = 100


def check_limits(limits: Limits) -> Limits:
    """The limits, if they can be held.

    Raises
    ------
    InvalidInput: naming every field that is out of range.
    """
    ranges = {
        "missing": limits.missing >= 0,
        "lost": 0.0 <= limits.lost <= 1.0,
        "shift_mean": limits.shift_mean >= 0.0,
        "shift_largest": limits.shift_largest >= 0.0,
        "crossed": 0.0 <= limits.crossed <= 1.0,
        "brier": 0.0 < limits.brier < 1.0,
        "log_loss": 0.0 < limits.log_loss < 10.0,
        "confidence": 0.5 < limits.confidence < 1.0,
        "rows_min": 1 <= limits.rows_min <= ROWS_MIN_MAX,
        "labels_min": 2 <= limits.labels_min <= ROWS_MIN_MAX,
    }
    faults = tuple(
        Fault(where=name, what="out of range", expected=f"see Limits.{name}", got=f"{getattr(limits, name):g}")
        for name, holds in ranges.items()
        if not holds
    )
    if faults:
        raise InvalidInput("limits are out of range", where=", ".join(fault.where for fault in faults), got=faults[0].got, faults=faults)
    return limits


def judge(seen: Comparison, limits: Limits) -> tuple[Verdict, ...]:
    """A verdict for every limit; losses are judged only where the batch has labels.

    Score limits are facts of the whole batch: they pass or fail. A loss fails when even the lower end of its interval is beyond the margin,
    passes when the upper end is within it, and else nobody knows.
    """
    few = seen.answered < limits.rows_min
    return (
        _fact("missing", float(seen.missing), float(limits.missing), seen, few=False, unit="rows are in one table only"),
        _fact("lost", seen.lost / seen.rows if seen.rows else None, limits.lost, seen, few=not seen.rows, unit="of rows lose their answer"),
        _fact("shift_mean", seen.shift_mean, limits.shift_mean, seen, few=few, unit="mean absolute difference of scores"),
        _fact("shift_largest", seen.shift_largest, limits.shift_largest, seen, few=few, unit=f"at most, at row {seen.shift_row}"),
        _fact("crossed", seen.crossed, limits.crossed, seen, few=few, unit=f"of rows cross {limits.cut:g}"),
        *_losses(seen, limits),
    )


def _fact(rule: str, observed: float | None, limit: float, seen: Comparison, *, few: bool, unit: str) -> Verdict:
    if observed is not None and observed > limit:
        option = f"--{rule.replace('_', '-')}-max"
        return Verdict(
            rule=rule, answer="fail", observed=observed, threshold=limit, n=seen.rows, reason=f"{observed:g} {unit}, limit {limit:g}",
            next_step=f"train a version that differs less, or plan again with {option} {observed:.3g} if that is what is wanted",
        )  # fmt: skip
    if observed is None or few:
        return Verdict(
            rule=rule, answer="inconclusive", observed=observed, threshold=limit, n=seen.rows,
            reason=f"only {seen.answered} rows are answered by both", next_step="plan again with a larger batch, or a lower --rows-min",
        )  # fmt: skip
    return Verdict(rule=rule, answer="pass", observed=observed, threshold=limit, n=seen.rows, reason=f"{observed:g} {unit}")


def _losses(seen: Comparison, limits: Limits) -> tuple[Verdict, ...]:
    if seen.labelled == 0:
        return ()
    if seen.labelled < limits.labels_min or not seen.losses:
        more = f"{seen.labelled} labels are too few, {limits.labels_min} are asked for"
        step = "plan again when more labels are known, with a lower --labels-min, or without the label column"
        return tuple(
            Verdict(rule=name, answer="inconclusive", observed=None, threshold=margin, n=seen.labelled, reason=more, next_step=step)
            for name, margin in (("brier", limits.brier), ("log_loss", limits.log_loss))
        )
    return tuple(_loss(each, limits.brier if each.loss == "brier" else limits.log_loss) for each in seen.losses)


def _loss(each: LossDifference, margin: float) -> Verdict:
    said = f"{each.difference:+.4g} ({each.low:+.4g} to {each.high:+.4g}) on {each.n} labelled rows, margin {margin:g}"
    answer: Answer
    if each.high <= margin:
        answer, reason, step = "pass", f"not worse by more than the margin: {said}", ""
    elif each.low > margin:
        answer, reason, step = "fail", f"worse by more than the margin: {said}", "train a better version"
    else:
        answer, reason, step = "inconclusive", f"too few labels to tell: {said}", "plan again with more labelled rows"
    return Verdict(
        rule=each.loss, answer=answer, observed=each.difference, threshold=margin, low=each.low, high=each.high, n=each.n, reason=reason,
        next_step=step,
    )  # fmt: skip
