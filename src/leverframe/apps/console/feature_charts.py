"""Pictures of features: how values lie, and how old a view was between its materialisations."""

from collections.abc import Sequence

from markupsafe import Markup, escape

from leverframe.apps.console.charts import Frame
from leverframe.core.clock import DAY_US, HOUR_US, MINUTE_US
from leverframe.core.feature_page import AgePoint, FeatureDistribution

WIDTH, HEIGHT, FOOT = 220, 46, 13


def histogram(seen: FeatureDistribution) -> Markup:
    """A bar a bin, the middle half of the values stronger, its ends written below; each bar tells its numbers."""
    top, bins = max(seen.counts), len(seen.counts)
    step = WIDTH / bins
    low, high = (seen.quartiles[0], seen.quartiles[2]) if seen.quartiles else (seen.edges[0], seen.edges[-1])
    marks = []
    for place, count in enumerate(seen.counts):
        left, right = seen.edges[place], seen.edges[place + 1]
        tall = round((HEIGHT - 2) * count / top, 1) if count else 0
        tall = max(tall, 1.5) if count else 0
        inner = "core" if right > low and left < high else "tail"
        marks.append(
            f"<g><title>{left:.4g} to {right:.4g}: {count:,} values</title>"
            f'<rect class="bar {inner}" x="{place * step:.1f}" y="{HEIGHT - tall:.1f}" width="{max(step - 1, 1):.1f}" height="{tall}"/></g>'
        )
    marks.append(f'<line class="axis" x1="0" x2="{WIDTH}" y1="{HEIGHT}" y2="{HEIGHT}"/>')
    marks.append(f'<text class="tick" x="0" y="{HEIGHT + FOOT - 2}">{seen.edges[0]:.4g}</text>')
    marks.append(f'<text class="tick" x="{WIDTH}" y="{HEIGHT + FOOT - 2}" text-anchor="end">{seen.edges[-1]:.4g}</text>')
    described = f"distribution of {seen.feature} over {seen.rows:,} changes"
    return Markup(  # noqa: S704 - built above from numbers and escaped text
        f'<svg class="chart spread" width="{WIDTH}" height="{HEIGHT + FOOT}" viewBox="0 0 {WIDTH} {HEIGHT + FOOT}" role="img" '
        f'aria-label="{escape(described)}">{"".join(marks)}</svg>'
    )


def age_chart(ages: Sequence[AgePoint], sla_us: int, now_us: int) -> Markup:
    """How old the store's content was: it ages until it is brought forward; the dashed line is what was promised."""
    points: list[tuple[float, float]] = []
    for place, age in enumerate(ages):
        until = ages[place + 1].at_us if place + 1 < len(ages) else max(now_us, age.at_us)
        points += [(age.at_us, age.at_us - age.watermark_us), (until, until - age.watermark_us)]
    span_us = points[-1][0] - points[0][0] or 1
    across_us, across = _unit(span_us)
    tallest = max(max(y for _, y in points), sla_us, 1)
    up_us, up = _unit(tallest)
    drawn = [((x - now_us) / across_us, y / up_us) for x, y in points]
    frame = Frame(
        x=(drawn[0][0], max(drawn[-1][0], 0.0)),
        y=(0.0, 1.12 * tallest / up_us),
        x_label=f"{across} before now",
        y_label=f"age, {up}",
        width=1160,
        height=220,
    )
    marks = [f'<polyline class="line" points="{frame.path(drawn)}"/>']
    marks += [
        f'<circle class="dot" r="2.6" cx="{frame.px(x)}" cy="{frame.py(y)}"><title>brought forward, then {y:.3g} {up} old</title></circle>'
        for x, y in drawn[::2]
    ]
    if sla_us:
        y = frame.py(sla_us / up_us)
        marks.append(f'<line class="margin" x1="{frame.px(frame.x[0])}" x2="{frame.px(frame.x[1])}" y1="{y}" y2="{y}"/>')
    return frame.draw(marks, f"age of the stored values over {len(ages)} materialisations")


def _unit(us: int | float) -> tuple[int, str]:
    """The unit in which a span reads well."""
    return (DAY_US, "days") if us >= 3 * DAY_US else (HOUR_US, "hours") if us >= 3 * HOUR_US else (MINUTE_US, "minutes")
