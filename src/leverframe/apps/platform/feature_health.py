"""Use cases of how features are doing: freshness against the promise over time, parity of what was served, and both as metrics."""

from leverframe.apps.platform.features import Features
from leverframe.apps.platform.parts import Parts
from leverframe.apps.platform.views import ParityView
from leverframe.core.actor import PLATFORM
from leverframe.core.clock import SECOND_US
from leverframe.core.feature import FeatureView, Freshness
from leverframe.features.commands import KIND_VIEW
from leverframe.features.compliance import KIND_LATENESS, Lateness, RecordLateness, in_time_share
from leverframe.features.parity_verdicts import KIND_PARITY, ParityRecord

_HELP = {
    "lever_feature_freshness_lag_seconds": "Age of the newest row of a feature view in the online store.",
    "lever_feature_freshness_sla_seconds": "What its owner promised; 0: nothing.",
    "lever_feature_late": "1 while the view is older than promised.",
    "lever_feature_in_time_share": "Share of the last 30 days in which it was not.",
    "lever_feature_parity_wrong_share": "Largest share, over its features, of served values that the offline side does not have.",
}


class FeatureHealth:
    """Freshness and parity."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._features = Features(parts)

    def note(self, freshness: tuple[Freshness, ...]) -> None:
        """Record, as the platform itself, each view that became late or is in time again."""
        held = {each.view: each.late for each in self._parts.ledger.find(KIND_LATENESS, Lateness)}
        for each in freshness:
            if held.get(each.view) != each.late:
                command = RecordLateness(view=each.view, late=each.late)
                self._parts.ledger.write(PLATFORM, command, key=f"late/{each.view}/{each.late}/{each.checked_at_us}")

    def in_time_shares(self) -> dict[str, float]:
        """By view, the share of the last 30 days in which it kept its promise; views that were never looked at are left out."""
        shares = {view.name: self.in_time_share(view.name) for view in self._parts.ledger.find(KIND_VIEW, FeatureView)}
        return {name: share for name, share in shares.items() if share is not None}

    def in_time_share(self, view: str) -> float | None:
        """Of one view; None when it was never looked at."""
        return in_time_share(self._parts.ledger.history(KIND_LATENESS, view, Lateness), self._parts.clock.now_us())

    def parity(self, view: str = "") -> tuple[ParityView, ...]:
        """The newest comparison of each view (or of ``view``) at each endpoint and model version, worst first."""
        found = self._parts.ledger.find(KIND_PARITY, ParityRecord, prefix=f"{view}/" if view else "")
        order = {"fail": 0, "inconclusive": 1, "pass": 2}
        return tuple(ParityView(found=each, answer=each.answer) for each in sorted(found, key=lambda each: order[each.answer]))

    def metrics(self) -> bytes:
        """Freshness and parity of every view in Prometheus' text format."""
        values: dict[str, list[tuple[str, float]]] = {name: [] for name in _HELP}
        shares = self.in_time_shares()
        for each in self._features.freshness():
            label = f'view="{each.view}"'
            values["lever_feature_freshness_lag_seconds"].append((label, each.lag_us / SECOND_US))
            values["lever_feature_freshness_sla_seconds"].append((label, each.sla_us / SECOND_US))
            values["lever_feature_late"].append((label, float(each.late)))
            if each.view in shares:
                values["lever_feature_in_time_share"].append((label, shares[each.view]))
        for parity in self.parity():
            found = parity.found
            label = f'view="{found.view}",endpoint="{found.endpoint}",version="{found.version}"'
            worst = max((feature.wrong_share for feature in found.features), default=0.0)
            values["lever_feature_parity_wrong_share"].append((label, worst))
        lines = []
        for name, said in _HELP.items():
            lines += [f"# HELP {name} {said}", f"# TYPE {name} gauge", *(f"{name}{{{label}}} {value:.9g}" for label, value in values[name])]
        return ("\n".join(lines) + "\n").encode()
