"""Pictures of a contract: how a rule fared over the last deliveries, how many rows came, how old the newest is."""

import math
from collections.abc import Sequence

from markupsafe import Markup, escape

from leverframe.apps.console.words import duration, moment
from leverframe.apps.platform.views import IngestView
from leverframe.data.contract.contracts import Volume

STEP, TALL = 7, 18
BROKEN_TALL_MIN = 5.0
ROWS_WIDTH, ROWS_TALL = 420, 64
AGE_WIDTH, AGE_TALL = 420, 14


def trend(shares: Sequence[float | None], broken: Sequence[bool], words: str) -> Markup:
    """A bar a delivery, oldest first; its height is the share of rows that broke the rule, roots taken so that a few rows show.

    ``broken``: where that was more than is tolerated.
    """
    marks = []
    for place, (share, beyond) in enumerate(zip(shares, broken, strict=True)):
        x = place * STEP
        if share is None:
            marks.append(f'<g><title>not checked</title><rect class="bar tail" x="{x}" y="{TALL - 1}" width="{STEP - 2}" height="1"/></g>')
            continue
        tall = max(BROKEN_TALL_MIN if beyond else 2.0, round(math.sqrt(share) * TALL, 1)) if share else 1.0
        kind = "broken" if beyond else "kept"
        marks.append(
            f"<g><title>{share:.3%} of the rows</title>"
            f'<rect class="{kind}" x="{x}" y="{round(TALL - tall, 1)}" width="{STEP - 2}" height="{tall}"/></g>'
        )
    wide = max(len(shares), 1) * STEP
    return _svg("trend", wide, TALL, marks, f"{words}: share of rows that broke it in {len(shares)} deliveries, oldest first")


def rows_chart(deliveries: Sequence[IngestView], volume: Volume | None) -> Markup:
    """A bar a delivery, oldest first, in the height of its rows; refused ones are marked. Dashed: the fewest and the most promised."""
    shown = list(reversed(deliveries))
    promised = [bound for bound in (volume.rows_min, volume.rows_max) if bound] if volume is not None else []
    most = max(each.report.rows for each in shown) or 1
    # A bound far above would flatten every bar, and one at the foot cannot be seen; they are named in words anyway.
    drawn = [bound for bound in promised if most / 20 <= bound <= 2 * most]
    top = 1.1 * max([most, *drawn])
    step = ROWS_WIDTH / len(shown)
    marks = []
    for place, each in enumerate(shown):
        tall = max(1.0, round(each.report.rows / top * ROWS_TALL, 1))
        kind, word = ("kept", "accepted") if each.accepted else ("broken", "refused")
        marks.append(
            f"<g><title>{escape(moment(each.report.checked_at_us))}: {each.report.rows:,} rows, {word}</title>"
            f'<rect class="{kind}" x="{place * step:.1f}" y="{ROWS_TALL - tall:.1f}" width="{max(step - 2, 1):.1f}" height="{tall}"/></g>'
        )
    for bound in drawn:
        y = round(ROWS_TALL - bound / top * ROWS_TALL, 1)
        marks.append(f'<line class="margin" x1="0" x2="{ROWS_WIDTH}" y1="{y}" y2="{y}"><title>{bound:,} rows promised</title></line>')
    marks.append(f'<line class="axis" x1="0" x2="{ROWS_WIDTH}" y1="{ROWS_TALL}" y2="{ROWS_TALL}"/>')
    return _svg("rows", ROWS_WIDTH, ROWS_TALL + 1, marks, f"rows of the last {len(shown)} deliveries, oldest first")


def age_bar(age_us: int, age_max_us: int) -> Markup:
    """How old the newest row is, beside what was promised (dashed)."""
    top = 1.15 * max(age_us, age_max_us, 1)
    wide, bound = round(max(age_us, 0) / top * AGE_WIDTH, 1), round(age_max_us / top * AGE_WIDTH, 1)
    kind = "broken" if age_us > age_max_us else "kept"
    marks = [
        f'<rect class="{kind}" x="0" y="3" width="{max(wide, 2)}" height="{AGE_TALL - 6}"/>',
        f'<line class="margin" x1="{bound}" x2="{bound}" y1="0" y2="{AGE_TALL}"/>',
    ]
    return _svg("age", AGE_WIDTH, AGE_TALL, marks, f"newest row {duration(max(age_us, 0))} old, at most {duration(age_max_us)} promised")


def _svg(kind: str, width: int, height: int, marks: Sequence[str], described: str) -> Markup:
    return Markup(  # noqa: S704 - built above from numbers and escaped text
        f'<svg class="chart promise {kind}" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{escape(described)}">{"".join(marks)}</svg>'
    )
