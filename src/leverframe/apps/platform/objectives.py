"""Use cases of objectives: what an endpoint promises, and what is left of what it may fail."""

from leverframe.apps.platform.known import known_endpoint, owning_team
from leverframe.apps.platform.parts import Parts
from leverframe.apps.platform.views.monitoring import ObjectivesRequest, ObjectivesView
from leverframe.core.actor import Actor
from leverframe.monitoring.error_budget import KIND_ERROR_BUDGET, ErrorBudget
from leverframe.monitoring.objectives import KIND_OBJECTIVES, Objectives, SetObjectives


class ServiceObjectives:
    """Objectives of this installation's endpoints; the worker holds its counts against them at its next look."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def objectives(self, endpoint: str) -> ObjectivesView:
        """What ``endpoint`` promises, set by its owner or by default.

        Raises
        ------
        NotFound: no such endpoint.
        """
        known_endpoint(self._parts.ledger, self._parts.settings.environment, endpoint)
        held = self._parts.ledger.get(KIND_OBJECTIVES, endpoint, Objectives) or Objectives(endpoint=endpoint)
        budget = self._parts.ledger.get(KIND_ERROR_BUDGET, endpoint, ErrorBudget)
        return ObjectivesView(
            endpoint=endpoint,
            environment=self._parts.settings.environment,
            availability=held.availability,
            latency_target=held.latency_target,
            latency_ms=held.latency_ms,
            counted_ms=held.counted_us / 1000,
            declared=held.declared,
            reason=held.reason,
            by=held.by,
            at_us=held.at_us,
            left={} if budget is None else {spent.name: spent.left for spent in budget.objectives},
        )

    def set_objectives(self, actor: Actor, endpoint: str, wanted: ObjectivesRequest, *, key: str) -> ObjectivesView:
        """Set what is given, and keep the rest.

        Raises
        ------
        NotFound: no such endpoint.  InvalidInput: a value out of range, or no reason.  Forbidden: policy.
        """
        record = known_endpoint(self._parts.ledger, self._parts.settings.environment, endpoint)
        command = SetObjectives(
            endpoint=endpoint,
            reason=wanted.reason,
            availability=wanted.availability,
            latency_target=wanted.latency_target,
            latency_ms=wanted.latency_ms,
            owning_team=owning_team(self._parts.ledger, record),
        )
        self._parts.ledger.write(actor, command, key=key)
        return self.objectives(endpoint)
