"""The part of the client for experiments."""

from leverframe.apps.client.paths import path_of
from leverframe.apps.platform.views.experiments import ExperimentPlanView, ExperimentRequest, ExperimentView, ReportView
from leverframe.apps.transport import Transport


class ExperimentsClient:
    """Which of several versions is better for callers."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def plan(self, request: ExperimentRequest, *, key: str | None = None) -> ExperimentPlanView:
        """Write an experiment down; nothing runs yet."""
        return self._transport.send("POST", path_of("experiment-plans"), ExperimentPlanView, request, key=key)

    def plan_of(self, digest: str) -> ExperimentPlanView:
        """The plan called ``digest``, with how long it will take."""
        return self._transport.get(path_of("experiment-plans", digest), ExperimentPlanView)

    def plans(self) -> tuple[ExperimentPlanView, ...]:
        """Plans that were not started yet."""
        return self._transport.get(path_of("experiment-plans"), tuple[ExperimentPlanView, ...])

    def approve(self, digest: str, note: str = "", *, key: str | None = None) -> ExperimentPlanView:
        """Approve exactly the plan called ``digest``."""
        return self._transport.send("POST", path_of("experiment-plans", digest, "approve"), ExperimentPlanView, {"note": note}, key=key)

    def start(self, digest: str, *, key: str | None = None) -> ExperimentView:
        """Let callers meet the variants."""
        return self._transport.send("POST", path_of("experiment-plans", digest, "start"), ExperimentView, {}, key=key)

    def get(self, experiment_id: str) -> ExperimentView:
        """One experiment with its newest read-out."""
        return self._transport.get(path_of("experiments", experiment_id), ExperimentView)

    def list(self, endpoint: str = "") -> tuple[ExperimentView, ...]:
        """All experiments (of ``endpoint``)."""
        return self._transport.get(path_of("experiments"), tuple[ExperimentView, ...], endpoint=endpoint or None)

    def stop(self, experiment_id: str, reason: str, *, key: str | None = None) -> ExperimentView:
        """End an experiment; everybody meets the control again."""
        return self._transport.send("POST", path_of("experiments", experiment_id, "stop"), ExperimentView, {"reason": reason}, key=key)

    def report(self, experiment_id: str, *, again: bool = True) -> ReportView:
        """The final report; with ``again`` it is computed from the log once more, and the answer says whether the bytes are the same."""
        path = path_of("experiments", experiment_id, "report")
        return self._transport.get(path, ReportView, again=None if again else "false")
