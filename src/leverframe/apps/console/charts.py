"""Charts as inline SVG: drawn on the server, styled by class, readable without colour, described for those who cannot see them."""

import math
from collections.abc import Sequence

import msgspec
from markupsafe import Markup, escape

from leverframe.apps.platform.views import IntervalPoint
from leverframe.core.evaluation import CalibrationBin

WIDTH, HEIGHT = 640, 240
LEFT, RIGHT, TOP, BOTTOM = 58, 14, 12, 40


def nice_ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers that cover ``[low, high]``, about ``about`` of them.

    >>> nice_ticks(0.0, 1.0)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    span = high - low
    if span <= 0 or not math.isfinite(span):
        return [low]
    raw = span / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = next((m * power for m in (1.0, 2.0, 2.5, 5.0, 10.0) if m * power >= raw * 0.999), 10.0 * power)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """A plot area: data ranges, axis labels, size in pixels."""

    x: tuple[float, float]
    y: tuple[float, float]
    x_label: str
    y_label: str
    width: int = WIDTH
    height: int = HEIGHT

    def px(self, value: float) -> float:
        """Horizontal pixel, inside the plot area."""
        low, high = self.x
        return round((value - low) / (high - low or 1.0) * (self.width - LEFT - RIGHT), 1)

    def py(self, value: float) -> float:
        """Vertical pixel, inside the plot area."""
        low, high = self.y
        return round((1 - (value - low) / (high - low or 1.0)) * (self.height - TOP - BOTTOM), 1)

    def path(self, points: Sequence[tuple[float, float]]) -> str:
        """``points`` as the value of a polyline's ``points``."""
        return " ".join(f"{self.px(x)},{self.py(y)}" for x, y in points)

    def draw(self, marks: Sequence[str], described: str) -> Markup:
        """The whole chart: grid, ticks, labels, and ``marks`` clipped to the plot area."""
        inner_width, inner_height = self.width - LEFT - RIGHT, self.height - TOP - BOTTOM
        parts = []
        for tick in nice_ticks(*self.y):
            y = TOP + self.py(tick)
            parts.append(f'<line class="grid" x1="{LEFT}" x2="{self.width - RIGHT}" y1="{y}" y2="{y}"/>')
            parts.append(f'<text class="tick" x="{LEFT - 7}" y="{y + 3.5}" text-anchor="end">{tick:g}</text>')
        for tick in nice_ticks(*self.x):
            x = LEFT + self.px(tick)
            parts.append(f'<text class="tick" x="{x}" y="{TOP + inner_height + 15}" text-anchor="middle">{tick:,g}</text>')
        parts.append(f'<line class="axis" x1="{LEFT}" x2="{self.width - RIGHT}" y1="{TOP + inner_height}" y2="{TOP + inner_height}"/>')
        parts.append(
            f'<text class="label" x="{LEFT + inner_width / 2}" y="{self.height - 6}" text-anchor="middle">{escape(self.x_label)}</text>'
        )
        middle = TOP + inner_height / 2
        turned = f'y="{middle}" text-anchor="middle" transform="rotate(-90 13 {middle})"'
        parts.append(f'<text class="label" x="13" {turned}>{escape(self.y_label)}</text>')
        inner = f'<svg x="{LEFT}" y="{TOP}" width="{inner_width}" height="{inner_height}">{"".join(marks)}</svg>'
        return Markup(  # noqa: S704 - built above from numbers and escaped text
            f'<svg class="chart" viewBox="0 0 {self.width} {self.height}" role="img" aria-label="{escape(described)}">'
            f"<title>{escape(described)}</title>{''.join(parts)}{inner}</svg>"
        )


def interval_chart(points: Sequence[IntervalPoint], *, y_label: str = "candidate − champion", margin_word: str = "margin") -> Markup:
    """The path of one rule's sequential interval against its margin, over one stage.

    The first looks have very wide intervals; the vertical range is set by the later half, and the early band runs off the edge.
    """
    margin = points[-1].margin
    looks = [(p.n, p.estimate, p.low, p.high) for p in points if p.estimate is not None and p.low is not None and p.high is not None]
    if not looks:
        return Markup('<p class="calm">No interval has both bounds yet.</p>')
    later = looks[len(looks) // 3 :]
    bottom = min(0.0, margin, *(low for _, _, low, _ in later))
    top = max(0.0, margin, *(high for *_, high in later))
    pad = 0.08 * (top - bottom or 1.0)
    frame = Frame(
        x=(looks[0][0], looks[-1][0]),
        y=(bottom - pad, top + pad),
        x_label="observations so far",
        y_label=y_label,
    )
    band = frame.path([(n, high) for n, _, _, high in looks] + [(n, low) for n, _, low, _ in reversed(looks)])
    edge = frame.py(margin)
    marks = [
        f'<polygon class="band" points="{band}"/>',
        f'<line class="zero" x1="0" x2="{frame.width}" y1="{frame.py(0.0)}" y2="{frame.py(0.0)}"/>',
        f'<line class="margin" x1="0" x2="{frame.width}" y1="{edge}" y2="{edge}"/>',
        f'<text class="note" x="6" y="{max(edge - 5, 11)}">{margin_word} {margin:g}</text>',
        f'<polyline class="line" points="{frame.path([(n, estimate) for n, estimate, _, _ in looks])}"/>',
        *(
            f'<circle class="dot" r="2.4" cx="{frame.px(look[0])}" cy="{frame.py(look[1])}"><title>{_look(*look)}</title></circle>'
            for look in looks
        ),
    ]
    return frame.draw(marks, f"{points[-1].rule} in stage {points[-1].stage}: {_look(*looks[-1])}, {margin_word} {margin:g}")


def _look(n: int, estimate: float, low: float, high: float) -> str:
    return f"after {n:,} observations {estimate:.4f}, interval {low:.4f} to {high:.4f}"


def calibration_chart(bins: Sequence[CalibrationBin]) -> Markup:
    """Predicted probability against the observed rate; on the diagonal the model means what it says. Area is the number of rows."""
    top = min(1.0, max([0.1, *(b.predicted for b in bins), *(b.observed for b in bins)]) * 1.1)
    frame = Frame(x=(0.0, top), y=(0.0, top), x_label="predicted probability", y_label="observed rate", width=340, height=300)
    rows_max = max((b.n for b in bins), default=1)
    marks = [f'<line class="zero" x1="{frame.px(0)}" y1="{frame.py(0)}" x2="{frame.px(top)}" y2="{frame.py(top)}"/>']
    marks += [f'<polyline class="line" points="{frame.path([(b.predicted, b.observed) for b in bins])}"/>']
    marks += [
        f'<circle class="dot" r="{3 + 6 * math.sqrt(b.n / rows_max):.1f}" cx="{frame.px(b.predicted)}" cy="{frame.py(b.observed)}">'
        f"<title>predicted {b.predicted:.3f}, observed {b.observed:.3f}, {b.n:,} rows</title></circle>"
        for b in bins
    ]
    return frame.draw(marks, f"calibration in {len(bins)} bins")


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One window of one column: ``ratio`` of distance to threshold, whether the monitor called it an alarm, and the words beside it."""

    ratio: float
    alarm: bool
    title: str


def heat_strip(cells: Sequence[Cell], described: str) -> Markup:
    """One column over time, a cell a window; darker is further from the reference, an alarm is marked by shape as well as by colour."""
    step, height = 15, 18
    marks = []
    for index, cell in enumerate(cells):
        level = 5 if cell.alarm else min(4, max(0, int(cell.ratio * 5)))
        marks.append(
            f'<g><title>{escape(cell.title)}</title><rect class="heat h{level}{" alarm" if cell.alarm else ""}" '
            f'x="{index * step}" y="1" width="{step - 2}" height="{height - 2}" rx="2"/>'
            + (f'<circle class="mark" cx="{index * step + 6.5}" cy="{height / 2}" r="2.2"/>' if cell.alarm else "")
            + "</g>"
        )
    width = max(step, len(cells) * step)
    return Markup(  # noqa: S704 - built above from numbers and escaped text
        f'<svg class="strip" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{escape(described)}">{"".join(marks)}</svg>'
    )


def series_chart(values: Sequence[tuple[float, float]], y_label: str, x_label: str = "days before now") -> Markup:
    """One figure over time: ``values`` are (x, y)."""
    ys = [y for _, y in values]
    pad = 0.15 * (max(ys) - min(ys)) or 0.05 * (abs(ys[0]) or 1.0)
    frame = Frame(
        x=(values[0][0], values[-1][0] if len(values) > 1 else values[0][0] + 1),
        y=(min(ys) - pad, max(ys) + pad),
        x_label=x_label,
        y_label=y_label,
        height=200,
    )
    marks = [f'<polyline class="line" points="{frame.path(values)}"/>']
    marks += [f'<circle class="dot" r="2.4" cx="{frame.px(x)}" cy="{frame.py(y)}"><title>{y:.4f}</title></circle>' for x, y in values]
    return frame.draw(marks, f"{y_label} over time, last {ys[-1]:.4f}")
