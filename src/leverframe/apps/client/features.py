"""The part of the client for feature views."""

import time
from collections.abc import Sequence
from typing import Any

from leverframe.apps.client.paths import path_of
from leverframe.apps.platform.views import FeatureViewView, MaterializeRequest
from leverframe.apps.transport import Transport
from leverframe.core.errors import Unavailable
from leverframe.core.feature import FeatureView
from leverframe.core.training_set_report import TrainingSetReport
from leverframe.features.jobs import JobRecord

LOOK_S = 0.1


class FeaturesClient:
    """Feature views."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def apply(self, view: FeatureView, *, key: str | None = None) -> dict[str, Any]:
        """Declare or change a feature view."""
        return self._transport.send("POST", path_of("views"), dict[str, Any], view, key=key)

    def views(self) -> tuple[FeatureViewView, ...]:
        """Every feature view with its freshness and consumers."""
        return self._transport.get(path_of("views"), tuple[FeatureViewView, ...])

    def leakage(self, model: str) -> TrainingSetReport:
        """What a model's training set may know too early, and the questions its views have no row for."""
        return self._transport.get(path_of("models", model, "leakage"), TrainingSetReport)

    # Materialisation ------------------------------------------------------------------------------------------------

    def start(self, request: MaterializeRequest, *, key: str | None = None) -> tuple[JobRecord, ...]:
        """Start materialisation jobs and return at once."""
        return self._transport.send("POST", path_of("materializations"), tuple[JobRecord, ...], request, key=key)

    def materialize(
        self, names: Sequence[str] = (), to_us: int | None = None, *, wait_s: float = 600.0, key: str | None = None
    ) -> dict[str, JobRecord]:
        """Bring the online store up to ``to_us`` (None: now) for ``names`` (none: all), and wait until it is.

        Raises
        ------
        Unavailable: a job failed, or was not over after ``wait_s``; in that case it goes on.
        """
        started = self.start(MaterializeRequest(names=tuple(names), to_us=to_us), key=key)
        ended = [self.wait(job.id, wait_s) for job in started]
        failed = next((job for job in ended if job.status != "done"), None)
        if failed is not None:
            what = failed.failure or f"the job is still {failed.status}"
            raise Unavailable(what, where=f"{failed.view} {failed.id}", next_step=f"lever features jobs --attach {failed.id}")
        return {job.view: job for job in reversed(ended)}

    def wait(self, job_id: str, wait_s: float = 600.0) -> JobRecord:
        """The job once it is over, or as it is after ``wait_s``."""
        deadline = time.monotonic() + wait_s
        job = self.job(job_id)
        while job.status == "running" and time.monotonic() < deadline:
            time.sleep(LOOK_S)
            job = self.job(job_id)
        return job

    def jobs(self, view: str = "") -> tuple[JobRecord, ...]:
        """Materialisation jobs of a view (empty: of all), newest first."""
        return self._transport.get(path_of("materializations"), tuple[JobRecord, ...], view=view or None)

    def job(self, job_id: str) -> JobRecord:
        """One materialisation job."""
        return self._transport.get(path_of("materializations", job_id), JobRecord)
