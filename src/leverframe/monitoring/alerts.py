"""From many signals to few alerts: one for each likely origin, raised once, closed when its cause is gone."""

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from leverframe.core.actor import PLATFORM
from leverframe.core.alert import Alert, Signal
from leverframe.core.clock import HOUR_US
from leverframe.core.command import Journal
from leverframe.core.digest import digest_record
from leverframe.monitoring.budget import MONTH_US, AlarmBudget
from leverframe.monitoring.commands import KIND_ALERT, CloseAlert, RaiseAlert
from leverframe.monitoring.origins import Origins

CLEAR_US = 6 * HOUR_US
"""An alert is closed when none of its signals was seen for so long."""

CLEAR_PERFORMANCE_US = 72 * HOUR_US
"""Performance is judged on a week of labels, once a day: it is clear when it was so for three days, or it would come and go."""

SIGNALS_MAX = 64
"""Signals kept in one alert; the first ones tell the story."""

REQUEST, SERVICE, MODEL = "request", "service", "model"
_PAGING = {"missing", "errors", "latency", "log"}
"""Kinds that say callers are getting worse answers now; everything else can wait for working hours."""


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Signals of one endpoint that share a likely origin: ``feed:<source>``, ``request``, ``model`` or ``service``."""

    name: str
    severity: Literal["page", "ticket"]
    title: str
    signals: tuple[Signal, ...]


class BudgetState(msgspec.Struct, frozen=True, kw_only=True):
    """How much of the owner's false-alarm budget the last month used, were all of its statistical alarms false."""

    alarms_per_month: float
    spent: int
    since_us: int


def group_signals(signals: Iterable[Signal], known: Origins) -> tuple[Group, ...]:
    """Group the signals of one endpoint by likely origin.

    Everything that a source feeds shares its group: the view's freshness, and missing or drifting columns. Scores and performance follow
    from what goes in, so while a feed is late or its values are missing they join that feed's group.

    Parameters
    ----------
    known: origins of the endpoint's columns; freshness of views that feed none of them is left out.
    """
    sources = {origin.view: origin.source for origin in known.values()}
    found: dict[str, list[Signal]] = {}
    effects: list[Signal] = []
    for signal in signals:
        if signal.kind in ("freshness", "parity", "stream"):
            if signal.subject in sources:
                found.setdefault(f"feed:{sources[signal.subject]}", []).append(signal)
        elif signal.kind in ("missing", "drift"):
            origin = known.get(signal.subject)
            found.setdefault(f"feed:{origin.source}" if origin else REQUEST, []).append(signal)
        elif signal.kind in ("score_drift", "performance"):
            effects.append(signal)
        else:
            found.setdefault(SERVICE, []).append(signal)
    if effects:
        found.setdefault(_upstream(found) or MODEL, []).extend(effects)
    return tuple(_group(name, tuple(found[name])) for name in sorted(found))


def _upstream(found: dict[str, list[Signal]]) -> str:
    """The feed that explains a change of scores, or empty: the one with most signals among those that are late or lack values."""
    broken = [name for name, each in found.items() if name.startswith("feed:") and any(s.kind in ("freshness", "missing") for s in each)]
    return max(broken, key=lambda name: (len(found[name]), name), default="")


def _group(name: str, signals: tuple[Signal, ...]) -> Group:
    severity: Literal["page", "ticket"] = "page" if any(s.kind in _PAGING and not s.waits for s in signals) else "ticket"
    return Group(name=name, severity=severity, title=_title(name, signals), signals=signals)


def _title(name: str, signals: Sequence[Signal]) -> str:
    kinds = {kind: sorted({s.subject for s in signals if s.kind == kind}) for kind in ("missing", "drift")}
    effects = [f"{len(columns)} column{'s' * (len(columns) > 1)} {word}" for word, columns in (("missing", kinds["missing"]),) if columns]
    drifting = [column for column in kinds["drift"] if column not in kinds["missing"]]
    if drifting:
        effects.append(f"{len(drifting)} column{'s' * (len(drifting) > 1)} drifted")
    if name.startswith("feed:"):
        late = [s for s in signals if s.kind == "freshness"]
        state = ["late" if "nothing for" in late[0].detail else "stuck"] if late else []
        state += ["served otherwise than known"] if any(s.kind == "parity" for s in signals) else []
        state += ["its stream waits or changed"] if any(s.kind == "stream" for s in signals) else []
        return f"Feed {name[5:]}: {', '.join(state + effects) or 'scores changed'}"
    if name == REQUEST:
        return f"Requests changed: {', '.join(effects)}"
    if name == SERVICE:
        return f"Service: {', '.join(sorted({s.kind for s in signals}))}"
    return f"Model: {', '.join(sorted({s.kind.replace('_', ' ') for s in signals}))}"


class AlertDesk:
    """Keeps the ledger's alerts in step with what is seen: one open alert a group, updated when something joins it, closed when quiet.

    Parameters
    ----------
    journal: where alerts live; written as the platform itself.
    clear_us: quiet time before an alert is closed.
    """

    def __init__(self, journal: Journal, *, clear_us: int = CLEAR_US) -> None:
        self._journal = journal
        self._clear_us = clear_us
        self._seen_us: dict[tuple[str, str], int] = {}

    def open_alerts(self, endpoint: str) -> tuple[Alert, ...]:
        """Open alerts of an endpoint."""
        return tuple(a for a in self._journal.find(KIND_ALERT, Alert, prefix=f"{endpoint}/") if a.closed_at_us is None)

    def settle(self, endpoint: str, groups: Sequence[Group], now_us: int, *, team: str = "", runbook: str = "") -> tuple[Alert, ...]:
        """Bring the ledger to what ``groups`` say; returns the alerts that were raised, changed or closed."""
        held = {alert.group: alert for alert in self.open_alerts(endpoint)}
        changed = []
        for group in groups:
            self._seen_us[endpoint, group.name] = now_us
            alert = _alert(endpoint, group, held.get(group.name), now_us, runbook)
            if alert is not None:
                self._journal.write(PLATFORM, RaiseAlert(alert=alert, owning_team=team), key=f"alert/{digest_record(alert)}")
                changed.append(alert)
        present = {group.name for group in groups}
        for name, alert in held.items():
            quiet_us = now_us - self._seen_us.setdefault((endpoint, name), now_us)
            clear_us = CLEAR_PERFORMANCE_US if any(s.kind == "performance" for s in alert.signals) else self._clear_us
            if name in present or quiet_us < clear_us:
                continue
            reason = f"no signal for {quiet_us / HOUR_US:.1f} h"
            command = CloseAlert(id=alert.id, closed_at_us=now_us, reason=reason, owning_team=team)
            self._journal.write(PLATFORM, command, key=f"close/{alert.id}")
            changed.append(msgspec.structs.replace(alert, closed_at_us=now_us))
        return tuple(changed)

    def budget(self, endpoint: str, budget: AlarmBudget, now_us: int) -> BudgetState:
        """What the last month's alerts used of the budget: those that rest on a drift threshold alone."""
        since_us = now_us - MONTH_US
        spent = sum(
            1
            for alert in self._journal.find(KIND_ALERT, Alert, prefix=f"{endpoint}/")
            if alert.opened_at_us >= since_us and {s.kind for s in alert.signals} <= {"drift", "score_drift"}
        )
        return BudgetState(alarms_per_month=budget.alarms_per_month, spent=spent, since_us=since_us)


def _alert(endpoint: str, group: Group, held: Alert | None, now_us: int, runbook: str) -> Alert | None:
    """The alert as it should be, or None when the one held says it already."""
    if held is None:
        return Alert(
            id=f"{endpoint}/{group.name}/{now_us}",
            group=group.name,
            endpoint=endpoint,
            severity=group.severity,
            title=group.title,
            opened_at_us=now_us,
            signals=group.signals[:SIGNALS_MAX],
            runbook=runbook,
        )
    known = {(signal.kind, signal.subject) for signal in held.signals}
    joined = tuple(signal for signal in group.signals if (signal.kind, signal.subject) not in known)
    if not joined or len(held.signals) >= SIGNALS_MAX:
        return None
    signals = (*held.signals, *joined)[:SIGNALS_MAX]
    whole = _group(group.name, signals)
    return msgspec.structs.replace(held, signals=signals, severity=whole.severity, title=whole.title)
