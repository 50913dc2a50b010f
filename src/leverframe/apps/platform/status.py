"""The first page: is everything all right, what changed, what needs me?"""

from leverframe.apps.platform.audit import Audit
from leverframe.apps.platform.experiments import Experiments
from leverframe.apps.platform.monitoring import Monitoring
from leverframe.apps.platform.parts import Parts
from leverframe.apps.platform.release import Releases
from leverframe.apps.platform.views import AuditView, StatusView
from leverframe.core.alert import Alert

CHANGES_SHOWN = 12
ENDED_SHOWN = 3
QUIET_ACTIONS = frozenset({"Features.Materialize", "Experiment.Note"})
"""Actions that change nothing a person would ask about."""


class Status:
    """Puts the answers of the rooms together for one glance."""

    def __init__(self, parts: Parts, releases: Releases, monitoring: Monitoring, audit: Audit, experiments: Experiments) -> None:
        self._parts = parts
        self._experiments = experiments
        self._releases = releases
        self._monitoring = monitoring
        self._audit = audit

    def status(self) -> StatusView:
        """Everything the overview shows."""
        endpoints = self._releases.endpoints()
        alerts = self._monitoring.alerts(open_only=True)
        releases = self._releases.releases()
        active = [release for release in releases if not release.outcome]
        ended = [release for release in releases if release.outcome][:ENDED_SHOWN]
        needs = self._needs(alerts)
        down = [view.endpoint.name for view in endpoints if view.generation_running is None]
        behind = [
            view.endpoint.name
            for view in endpoints
            if view.generation_running is not None and view.generation_running < view.generation_desired
        ]
        killed = [view.endpoint.name for view in endpoints if view.endpoint.killed]
        unreviewed = [review for review in self._releases.reviews() if review.open]
        problems = [
            *(f"{review.release} was started by breaking the glass and is not reviewed" for review in unreviewed),
            *(f"{release.id} is flagged: {release.flagged}" for release in releases if release.flagged),
            *(f"{len(alerts)} open alert{'s' if len(alerts) > 1 else ''}" for _ in [0] if alerts),
            *(f"no gateway answers for {name}" for name in down),
            *(f"{name} runs an older route than wanted" for name in behind),
            *(f"{name} is switched off" for name in killed),
            *(f"{worker} stays down after a crash loop" for worker in self._parts.probe.state().down),
        ]
        return StatusView(
            ok=not problems,
            now_us=self._parts.clock.now_us(),
            clock=self._parts.settings.clock.partition(":")[0],
            sentence="; ".join(problems) if problems else "Everything is all right.",
            endpoints=endpoints,
            alerts=alerts,
            releases=(*active, *ended),
            needs=needs,
            changes=self._changes(),
            audit_entries=self._parts.ledger.entries_total(),
        )

    def _needs(self, alerts: tuple[Alert, ...]) -> tuple[dict[str, str], ...]:
        needs = [{"what": alert.title, "command": f"lever diagnose {alert.endpoint}"} for alert in alerts]
        for plan in self._releases.plans():
            if plan.missing:
                what = f"plan {plan.plan['id']} waits: {plan.missing[0]}"
                needs.append({"what": what, "command": f"lever release approve {plan.digest}"})
        for waiting in self._experiments.plans():
            if waiting.missing:
                what = f"experiment {waiting.plan['id']} waits: {waiting.missing[0]}"
                needs.append({"what": what, "command": f"lever experiment approve {waiting.digest}"})
        for review in self._releases.reviews():
            if review.open:
                what = f"{review.opened_by} broke the glass for {review.release}: {review.reason}"
                needs.append({"what": what, "command": f"lever release review {review.release} --finding '...'"})
        for release in self._releases.releases():
            if release.flagged:
                needs.append({"what": f"{release.id}: {release.flagged}", "command": f"lever release keep {release.id} --reason '...'"})
            if release.state == "holding":
                needs.append({"what": f"release {release.id} holds: {release.summary}", "command": f"lever release status {release.id}"})
        return tuple(needs)

    def _changes(self) -> tuple[AuditView, ...]:
        newest = self._audit.entries(limit=CHANGES_SHOWN * 4)
        return tuple(entry for entry in newest if entry.action not in QUIET_ACTIONS)[:CHANGES_SHOWN]
