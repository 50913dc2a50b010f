"""Pages of batch tables: what readers of each see, what waits to be switched and how it compares, the past and the way back."""

from typing import Any
from urllib.parse import quote

from leverframe.apps.console.door import Form, Page, Visit
from leverframe.apps.console.experiment_charts import Gain, gains_chart
from leverframe.apps.console.words import figure
from leverframe.apps.platform.views.tables import TablePlanView, TableView
from leverframe.core.digest import check_digest
from leverframe.release.tables.comparison import Comparison
from leverframe.release.tables.limits import Limits

RULE_WORDS = {
    "missing": "rows in one table only",
    "lost": "rows that lose their answer",
    "shift_mean": "mean shift of scores",
    "shift_largest": "largest shift of a score",
    "crossed": "rows on another side of the cut",
    "brier": "Brier score, worse by",
    "log_loss": "log loss, worse by",
}
SHARES = ("lost", "crossed")


def tables(visit: Visit) -> dict[str, Any]:
    """Every table, by name."""
    return {"tables": visit.platform.tables.tables()}


def table(visit: Visit) -> dict[str, Any]:
    """One table: what is live, the plans with their comparison, every output it can go back to, and its past."""
    shown = visit.platform.tables.table(visit.path["table"])
    waiting = [plan for plan in shown.plans if not plan.switched and not plan.stale]
    return {
        "shown": shown,
        "waiting": [(plan, rule_rows(plan), losses_chart(plan.plan.comparison, plan.plan.limits)) for plan in waiting],
        "over": [plan for plan in shown.plans if plan.switched or plan.stale],
        "versions": scored(shown),
    }


def scored(shown: TableView) -> list[tuple[str, str, int, int, str]]:
    """Version, digest, rows, answered rows and what it is to readers, of every output that is known: live, planned, to go back to."""
    planned = [plan.plan.answers for plan in shown.plans if not plan.switched and not plan.stale]
    outputs = [(shown.table.current, "readers see it"), *((output, "waits") for output in planned)]
    outputs += [(output, "can be gone back to") for output in shown.table.earlier]
    found: dict[str, tuple[str, str, int, int, str]] = {}
    for output, role in outputs:
        found.setdefault(output.digest, (output.version, output.digest, output.rows, output.scored, role))
    return list(found.values())


def rule_rows(plan: TablePlanView) -> list[dict[str, Any]]:
    """A verdict a line: the figure with its interval against what was declared."""
    return [
        {
            "answer": verdict.answer,
            "rule": RULE_WORDS.get(verdict.rule, verdict.rule),
            "seen": _amount(verdict.rule, verdict.observed),
            "interval": f"{figure(verdict.low, 4)} to {figure(verdict.high, 4)}" if verdict.low is not None else "",
            "limit": _amount(verdict.rule, verdict.threshold),
            "n": verdict.n,
            "reason": verdict.reason,
            "next": verdict.next_step,
        }
        for verdict in plan.plan.verdicts
    ]


def _amount(rule: str, value: float | None) -> str:
    if value is None:
        return "–"
    if rule == "missing":
        return f"{value:,.0f}"
    return f"{100.0 * value:.2f} %" if rule in SHARES else figure(value, 4)


def losses_chart(seen: Comparison, limits: Limits) -> str:
    """Each loss's interval as a multiple of its own margin, so that both stand on one line; empty where no labels are known."""
    margins = {"brier": limits.brier, "log_loss": limits.log_loss}
    lines = [
        Gain(
            label=RULE_WORDS[each.loss].partition(",")[0],
            gain=each.difference / margins[each.loss],
            low=each.low / margins[each.loss],
            high=each.high / margins[each.loss],
            stands=each.low > 0.0 or each.high < 0.0,
        )
        for each in seen.losses
    ]
    return (
        gains_chart(lines, 1.0, "losses of the new version against the live one", axis="worse, in margins: left is better") if lines else ""
    )


def approve(visit: Visit) -> str:
    """Approve exactly the switch whose digest is in the address."""
    digest = visit.confirmed_digest()
    visit.platform.tables.approve(visit.actor, visit.path["table"], digest, note=visit.note(), key=visit.key)
    return f"/tables/{quote(visit.path['table'])}?done=approved"


def switch(visit: Visit) -> str:
    """Let readers see what was compared and approved."""
    visit.platform.tables.switch(visit.actor, visit.path["table"], visit.confirmed_digest(), key=visit.key)
    return f"/tables/{quote(visit.path['table'])}?done=table-switched"


def rollback(visit: Visit) -> str:
    """Let readers see again what they saw before."""
    name = visit.path["table"]
    visit.confirm(name)
    to = visit.form.get("to", "")
    visit.platform.tables.rollback(visit.actor, name, reason=visit.reason(), to=check_digest(to) if to else "", key=visit.key)
    return f"/tables/{quote(name)}?done=table-back"


PAGES: tuple[Page, ...] = (
    Page(path="/tables", permission="Release.Read", template="tables.html", facts=tables),
    Page(path="/tables/{table}", permission="Release.Read", template="table.html", facts=table, resource="batch_table/{table}"),
)
FORMS: tuple[Form, ...] = (
    Form(path="/tables/{table}/plans/{digest}/approve", permission="Release.Approve", run=approve),
    Form(path="/tables/{table}/plans/{digest}/switch", permission="Release.Apply", run=switch),
    Form(path="/tables/{table}/rollback", permission="Release.Rollback", run=rollback),
)
