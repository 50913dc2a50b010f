"""The part of the client for feature views."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from leverframe.apps.client.paths import path_of
from leverframe.apps.platform.views import FeatureViewView, ForgottenView, MaterializeRequest, ParityView, PushView
from leverframe.apps.transport import Transport
from leverframe.core.errors import Unavailable
from leverframe.core.feature import FeatureView
from leverframe.core.training_set_report import TrainingSetReport
from leverframe.features.materialization.jobs import JobRecord

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

    # Row by row -------------------------------------------------------------------------------------------------------

    def push(self, view: str, rows: Sequence[Mapping[str, Any]], *, key: str | None = None) -> PushView:
        """Push rows of the view's source; they can be read when this returns."""
        return self._transport.send("POST", path_of("views", view, "rows"), PushView, {"rows": list(rows)}, key=key)

    def forget(self, view: str, entity: Sequence[str], *, key: str | None = None) -> ForgottenView:
        """Take an entity out of the online store, in every version of the view."""
        return self._transport.send("POST", path_of("views", view, "forget"), ForgottenView, {"entity": list(entity)}, key=key)

    def drop(self, view: str, version: str = "", *, key: str | None = None) -> dict[str, int]:
        """Drop a version (empty: all that nobody reads) from the online store; entities gone by version."""
        return self._transport.send("POST", path_of("views", view, "drop"), dict[str, int], {"version": version}, key=key)

    def export(self, view: str, at_us: int | None = None, *, online: bool = False) -> bytes:
        """A view's values as of ``at_us`` (None: now), or as the online store holds them, as Parquet."""
        return self._transport.get_bytes(path_of("views", view, "values"), at_us=at_us, online="true" if online else None)

    def parity(self, view: str = "") -> tuple[ParityView, ...]:
        """Served values of a view (empty: of all) against the offline ones, worst first."""
        return self._transport.get(path_of("parity"), tuple[ParityView, ...], view=view or None)

    def metrics(self) -> str:
        """Freshness and parity of every view in Prometheus' text format."""
        return self._transport.get_bytes(path_of("metrics")).decode()
