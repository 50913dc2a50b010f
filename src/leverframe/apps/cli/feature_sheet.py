"""One feature view on a terminal."""

from leverframe.apps.cli.output import print_facts, print_table, say
from leverframe.apps.console.words import duration
from leverframe.apps.platform.views import FeatureDetailView
from leverframe.core.digest import short

BARS = " ▁▂▃▄▅▆▇█"


def print_view(shown: FeatureDetailView) -> None:
    """Facts, then a line a feature with its values as a row of bars, then who reads it."""
    view, fresh = shown.view, shown.freshness
    age = f"not in the store: lever features materialize {view.name}"
    if fresh is not None:
        age = f"{duration(fresh.lag_us)}{' LATE' if fresh.late else ''}"
    endpoints = [f"{e.endpoint} {e.version}{'' if e.current else ' (an older version of the view)'}" for e in shown.endpoints]
    promised = f" of {duration(view.freshness_sla_us)} promised" if view.freshness_sla_us else ""
    print_facts(
        (
            ("view", f"{view.name} {short(shown.version)}"),
            ("is", view.description or "not described"),
            ("owner", f"{view.owner or 'nobody'} (team {shown.team})"),
            ("entity", ", ".join(view.entity)),
            ("source", f"{view.source}, contract {shown.contract_version}"),
            ("newest row", age + (promised if fresh else "")),
            ("in time", "never looked at" if shown.in_time_share is None else f"{100 * shown.in_time_share:.1f} % of the last 30 days"),
            ("services", ", ".join(shown.services) or "none"),
            ("models", ", ".join(shown.models) or "none"),
            ("endpoints", "; ".join(endpoints) or "none"),
        )
    )
    made = {e.name: e.sql for e in view.expressions}
    made |= {a.name: f"{a.function} {a.column} over {duration(a.window_us)}".replace("  ", " ") for a in view.aggregates}
    seen = {d.feature: d for d in shown.distributions}
    rows = []
    for name in view.features:
        d = seen.get(name)
        if d is None or not d.rows:
            rows.append((name, made[name], "–", "–", "–", ""))
        else:
            missing = f"{100 * d.missing / d.rows:.1f} %"
            middle = "personal: not told" if d.hidden else f"{d.quartiles[1]:.6g}" if d.quartiles else "–"
            spread = f"{d.minimum:.6g} … {d.maximum:.6g}" if d.minimum is not None and d.maximum is not None else "–"
            rows.append((name, made[name], missing, middle, spread, _bars(d.counts)))
    print_table("Features", ("feature", "is", "#missing", "#median", "from … to", "distribution"), rows)
    if shown.problem:
        say(shown.problem)
    for each in shown.parity:
        wrong = ", ".join(f"{f.feature} {100 * f.wrong_share:.2g} % wrong" for f in each.found.features if f.answer == "fail")
        say(f"served at {each.found.endpoint} by {each.found.version}: {each.answer}{f' ({wrong})' if wrong else ''}")
    if shown.parity:
        say(f"next: lever features parity {view.name}")


def _bars(counts: tuple[int, ...]) -> str:
    top = max(counts, default=0)
    return "".join(BARS[-(-count * (len(BARS) - 1) // top)] for count in counts) if top else ""
