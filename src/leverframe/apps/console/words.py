"""Numbers, moments and verdicts in words a tired person can read."""

import re
from typing import TYPE_CHECKING, Any

from leverframe.core.clock import DAY_US, HOUR_US, MINUTE_US, SECOND_US, iso_from_us
from leverframe.core.digest import short
from leverframe.core.verdict import Verdict

if TYPE_CHECKING:
    from leverframe.training.reproduction_commands import ReproductionRecord

VERDICT_WORD = {"pass": "holds", "fail": "is broken", "inconclusive": "is undecided"}


def moment(at_us: int | None) -> str:
    """``2013-06-14 09:30:00 UTC``.

    >>> moment(0)
    '1970-01-01 00:00:00 UTC'
    """
    return "now" if at_us is None else iso_from_us(at_us // SECOND_US * SECOND_US).replace("T", " ").replace("Z", " UTC")


def duration(us: int) -> str:
    """The two largest units of a duration.

    >>> duration(7 * HOUR_US + 30 * MINUTE_US), duration(90_000), duration(26 * HOUR_US)
    ('7 h 30 min', '90 ms', '1 d 2 h')
    """
    if us < SECOND_US:
        return f"{us / 1000:.0f} ms"
    parts = []
    for unit_us, name in ((DAY_US, "d"), (HOUR_US, "h"), (MINUTE_US, "min"), (SECOND_US, "s")):
        count, us = divmod(us, unit_us)
        if count:
            parts.append(f"{count} {name}")
        if len(parts) == 2 or (parts and not count):
            break
    return " ".join(parts)


def ago(at_us: int, now_us: int) -> str:
    """``2 h ago``, or ``in 2 h``.

    >>> ago(0, HOUR_US), ago(HOUR_US, 0)
    ('1 h ago', 'in 1 h')
    """
    return f"{duration(now_us - at_us)} ago" if now_us >= at_us else f"in {duration(at_us - now_us)}"


def count(value: float) -> str:
    """Thousands apart.

    >>> count(52110)
    '52,110'
    """
    return f"{value:,.0f}"


def figure(value: float | None, digits: int = 3) -> str:
    """A measured figure, or a dash.

    >>> figure(0.66249), figure(None)
    ('0.662', '–')
    """
    return "–" if value is None else f"{value:.{digits}f}"


def reproduction_sentence(found: "ReproductionRecord") -> str:
    """What came of making a version again, in one sentence."""
    if found.status == "rows_deleted":
        return (
            "its bytes cannot come again: rows it was trained on were deleted for good, and other rows make another model; "
            "that is what the deletions were for, not a fault of the version"
        )
    return {
        "running": "being made again",
        "identical": "made again, bit for bit: training set, fitted model and exported model have the same bytes",
        "differs": "made again from the same rows, and other bytes came",
        "failed": f"could not be made again: {found.failure}",
    }[found.status]


def output(value: Any) -> str:
    """A model's output: a number, a text, a truth, or a vector of them.

    >>> output(0.31294), output("cat"), output((0.25, 0.75)), output(None), output(3)
    ('0.3129', 'cat', '0.2500, 0.7500', '–', '3')
    """
    if isinstance(value, tuple | list):
        return ", ".join(map(output, value))
    return figure(value, 4) if value is None or isinstance(value, float) else str(value)


def size(count_bytes: int) -> str:
    """Bytes in the unit that fits.

    >>> size(412331)
    '402.7 KiB'
    """
    value = float(count_bytes)
    for unit in ("B", "KiB", "MiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} GiB"


def deed(summary: str) -> str:
    """What an audit entry records, in words when it is only the command's name.

    >>> deed("RecordStep"), deed("v2 to prod")
    ('record step', 'v2 to prod')
    """
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", summary).lower() if summary.isalpha() else summary


def subject(resource: str) -> str:
    """A resource with its digests cut to what people compare.

    >>> subject("plan/sha256:" + "4f" * 32)
    'plan/4f4f4f4f4f4f'
    """
    return re.sub(r"sha256:([0-9a-f]{12})[0-9a-f]{52}", r"\1", resource)


def verdict_sentence(verdict: Verdict) -> str:
    """A verdict as one sentence.

    >>> verdict_sentence(Verdict(rule="log_loss difference", answer="fail", observed=0.08, threshold=0.01, low=0.03, high=0.13, n=900))
    '“log_loss difference” is broken: 0.080 [0.030, 0.130] against 0.010, on 900 observations.'
    """
    interval = f" [{figure(verdict.low)}, {figure(verdict.high)}]" if verdict.low is not None and verdict.high is not None else ""
    text = f"“{verdict.rule}” {VERDICT_WORD[verdict.answer]}: {figure(verdict.observed)}{interval} against {figure(verdict.threshold)}"
    text += f", on {count(verdict.n)} observations." if verdict.n else "."
    return f"{text} {verdict.reason[:1].upper()}{verdict.reason[1:]}." if verdict.reason else text


FILTERS: dict[str, Any] = {
    "moment": moment,
    "duration": duration,
    "ago": ago,
    "count": count,
    "figure": figure,
    "output": output,
    "size": size,
    "short": short,
    "sentence": verdict_sentence,
    "reproduced": reproduction_sentence,
    "deed": deed,
    "subject": subject,
}
