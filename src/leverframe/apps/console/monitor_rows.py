"""What monitoring measured, arranged for the page: one strip a column, one chart a figure, one line a feed."""

from collections import defaultdict
from typing import Any

from markupsafe import Markup

from leverframe.apps.console.charts import Cell, heat_strip, series_chart
from leverframe.apps.console.words import duration, figure, moment
from leverframe.apps.platform.views import MonitorView
from leverframe.core.clock import DAY_US

WINDOWS_SHOWN = 42
PERFORMANCE_FIGURES = (("roc_auc", "ROC AUC"), ("log_loss", "log loss"), ("label_rate", "share of late flights among labels"))


def drift_rows(shown: MonitorView) -> list[dict[str, Any]]:
    """Every column, furthest from the reference first: its strip, its newest distance and its threshold."""
    windows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for window in shown.windows:
        windows[str(window["column"])].append(window)
    rows = []
    for column, seen in windows.items():
        recent = sorted(seen, key=lambda w: w["from_us"])[-WINDOWS_SHOWN:]
        newest = recent[-1]
        rows.append(
            {
                "name": column,
                "distance": newest["distance"],
                "threshold": newest["threshold"],
                "rows": newest.get("rows", 0),
                "alarm": bool(newest["alarm"]),
                "ratio": _ratio(newest),
                "strip": heat_strip([_cell(w) for w in recent], f"drift of {column}, {len(recent)} windows"),
            }
        )
    return sorted(rows, key=lambda row: (not row["alarm"], -float(row["ratio"])))


def _ratio(window: dict[str, Any]) -> float:
    threshold = float(window["threshold"] or 0.0)
    return float(window["distance"] or 0.0) / threshold if threshold > 0 else 0.0


def _cell(window: dict[str, Any]) -> Cell:
    text = f"{moment(window['from_us'])}: distance {figure(window['distance'])}, threshold {figure(window['threshold'])}"
    return Cell(ratio=_ratio(window), alarm=bool(window["alarm"]), title=text)


def performance_charts(shown: MonitorView, now_us: int) -> list[tuple[str, Markup]]:
    """Each figure that was measured on labels, over time."""
    drawn = []
    for field, title in PERFORMANCE_FIGURES:
        values = [((w["from_us"] - now_us) / DAY_US, float(w[field])) for w in shown.performance if w.get(field) is not None]
        if values:
            drawn.append((title, series_chart(values, title)))
    return drawn


def feed_rows(shown: MonitorView) -> list[dict[str, Any]]:
    """How old each feed is, in words, against what was promised."""
    return [
        {"view": f.view, "source": f.source, "late": f.late, "lag": duration(f.lag_us), "sla": duration(f.sla_us) if f.sla_us else "static"}
        for f in shown.freshness
    ]
