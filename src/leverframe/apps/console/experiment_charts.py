"""Gains as a picture: one interval a line against zero and against the gain that matters, drawn like the other charts."""

from collections.abc import Callable, Sequence

import msgspec
from markupsafe import Markup, escape

from leverframe.apps.console.charts import nice_ticks

WIDTH, LABEL, RIGHT, ROW, FOOT = 760, 230, 20, 30, 40


class Gain(msgspec.Struct, frozen=True, kw_only=True):
    """One line: what it is of, the gain with its interval (None: nothing is known), and whether it is told from zero."""

    label: str
    gain: float | None
    low: float | None
    high: float | None
    stands: bool = False


def gains_chart(gains: Sequence[Gain], effect: float, described: str, *, axis: str = "gain over the control: right is better") -> Markup:
    """Each gain with its interval against zero; the dashed line is the gain that matters. ``axis`` says which side is better."""
    known = [gain for gain in gains if gain.gain is not None and gain.low is not None and gain.high is not None]
    if not known:
        return Markup('<p class="calm">No gain has an interval yet.</p>')
    reach = max(1.3 * effect, *(max(abs(gain.low or 0.0), abs(gain.high or 0.0)) for gain in known))
    # A young interval is many effects wide: it runs off the edge rather than flatten the others.
    reach = min(reach, max(12.0 * effect, *(abs(gain.gain or 0.0) * 1.5 for gain in known))) * 1.05
    height, inner = ROW * len(gains) + FOOT, WIDTH - LABEL - RIGHT

    def x(value: float) -> float:
        return round(LABEL + (min(max(value, -reach), reach) + reach) / (2.0 * reach) * inner, 1)

    bottom = height - FOOT
    middle = LABEL + inner / 2
    parts = [f'<text class="label" x="{middle}" y="{height - 6}" text-anchor="middle">{escape(axis)}</text>']
    for tick in nice_ticks(-reach, reach):
        parts.append(f'<line class="grid" x1="{x(tick)}" x2="{x(tick)}" y1="4" y2="{bottom}"/>')
        parts.append(f'<text class="tick" x="{x(tick)}" y="{bottom + 15}" text-anchor="middle">{tick:g}</text>')
    parts.append(f'<line class="zero" x1="{x(0.0)}" x2="{x(0.0)}" y1="4" y2="{bottom}"/>')
    parts.append(
        f'<line class="margin" x1="{x(effect)}" x2="{x(effect)}" y1="4" y2="{bottom}"><title>matters from {effect:g}</title></line>'
    )
    for place, gain in enumerate(gains):
        y = ROW * place + ROW / 2 + 2
        parts.append(f'<text class="label" x="{LABEL - 12}" y="{y + 4}" text-anchor="end">{escape(gain.label)}</text>')
        parts.append(_line(gain, y, x))
    return Markup(  # noqa: S704 - built above from numbers and escaped text
        f'<svg class="chart gains" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(described)}">'
        f"<title>{escape(described)}</title>{''.join(parts)}</svg>"
    )


def _line(gain: Gain, y: float, x: Callable[[float], float]) -> str:
    if gain.gain is None or gain.low is None or gain.high is None:
        return f'<text class="tick" x="{x(0.0) + 8}" y="{y + 4}">not enough data</text>'
    said = f"{gain.label}: {gain.gain:+.4f}, {gain.low:+.4f} to {gain.high:+.4f}"
    shape = f'<rect class="dot" x="{x(gain.gain) - 4}" y="{y - 4}" width="8" height="8"/>' if gain.stands else ""
    return (
        f"<g><title>{escape(said)}</title>"
        f'<line class="reach" x1="{x(gain.low)}" x2="{x(gain.high)}" y1="{y}" y2="{y}"/>'
        + (shape or f'<circle class="dot" r="4" cx="{x(gain.gain)}" cy="{y}"/>')
        + "</g>"
    )
