"""What the evaluation room says about a candidate."""

import msgspec

from leverframe.core.verdict import Answer, Verdict


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """A metric on a slice (``""`` = all rows) with its 95 % confidence interval; ``small``: too few rows to be judged alone."""

    name: str
    value: float
    low: float
    high: float
    n: int
    slice: str = ""
    small: bool = False


class CalibrationBin(msgspec.Struct, frozen=True, kw_only=True):
    """Mean predicted probability against the observed rate among ``n`` rows."""

    predicted: float
    observed: float
    n: int


class EvaluationReport(msgspec.Struct, frozen=True, kw_only=True):
    """Metrics, slices, calibration, the baseline beside them, and the gates' verdicts."""

    model: str
    rows: int
    positives: int
    metrics: tuple[Metric, ...]
    slices: tuple[Metric, ...]
    baseline: tuple[Metric, ...]
    calibration: tuple[CalibrationBin, ...]
    gates: tuple[Verdict, ...]
    answer: Answer
    window: tuple[str, str] = ("", "")
    champion: str = ""
    champion_metrics: tuple[Metric, ...] = ()
