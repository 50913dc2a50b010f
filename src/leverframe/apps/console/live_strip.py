"""Who answered when, as one strip: a block a period, shaded by version, drawn on the server like every chart."""

from collections.abc import Sequence

import msgspec
from markupsafe import Markup, escape

from leverframe.apps.console.words import moment
from leverframe.apps.platform.views.history import HistoryEntry
from leverframe.core.clock import SECOND_US, iso_from_us

WIDTH, HEIGHT = 1000, 28
SHADES = 5
PERIODS_MAX = 400
"""Newest periods drawn; the table below the strip has them all."""


class LiveStrip(msgspec.Struct, frozen=True, kw_only=True):
    """The drawing, its periods (first second, last second, words) for the slider, and its ends in seconds since 1970."""

    chart: Markup
    periods: tuple[tuple[int, int, str], ...]
    from_s: int
    to_s: int


def live_strip(history: Sequence[HistoryEntry], now_us: int) -> LiveStrip | None:
    """The strip of what the routes said from the first period to ``now_us``; None when nothing was ever live."""
    periods = sorted((entry for entry in history if not entry.corrected), key=lambda entry: entry.from_us)[-PERIODS_MAX:]
    if not periods:
        return None
    start, end = periods[0].from_us, max(now_us, periods[-1].from_us + SECOND_US)
    shade = {version: place % SHADES for place, version in enumerate(dict.fromkeys(entry.version for entry in periods))}
    marks, told = [], []
    for entry in periods:
        until = min(entry.to_us or end, end)
        x, right = ((at - start) / (end - start) * WIDTH for at in (entry.from_us, until))
        words = f"{entry.version or 'nobody'} ({'; '.join(entry.arms) or 'no arm'})"
        block = f'<rect class="live s{shade[entry.version]}" x="{x:.1f}" y="1" width="{max(right - x, 1.5):.1f}" height="{HEIGHT - 2}">'
        title = f"<title>{escape(words)} from {moment(entry.from_us)}</title>"
        marks.append(f'<a href="?at={iso_from_us(entry.from_us)}">{block}{title}</rect></a>')
        told.append((entry.from_us // SECOND_US, until // SECOND_US, words))
    described = f"who answered from {moment(start)} to {moment(end)}, {len(periods)} periods"
    chart = Markup(  # noqa: S704 - built above from numbers and escaped text
        f'<svg class="live-strip" viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" role="img" aria-label="{escape(described)}">'
        f"{''.join(marks)}</svg>"
    )
    return LiveStrip(chart=chart, periods=tuple(told), from_s=start // SECOND_US, to_s=end // SECOND_US)
