"""Final reports of experiments: made from the prediction log, kept by digest, and made again whenever somebody asks whether they hold."""

import msgspec

from leverframe.apps.platform.parts import Parts
from leverframe.apps.platform.views.experiments import ReportView
from leverframe.core.digest import Digest, canonical_json, digest_bytes
from leverframe.core.errors import Integrity, LeverframeError, NotFound
from leverframe.monitoring.label_match import LabelMatcher
from leverframe.monitoring.log_archive import LogArchive
from leverframe.monitoring.log_reader import Position, WorkerPosition
from leverframe.monitoring.log_span import ends, read_span
from leverframe.release.experiments.plan import KIND_EXPERIMENT_PLAN, ExperimentPlan
from leverframe.release.experiments.readout import Readout
from leverframe.release.experiments.records import KIND_EXPERIMENT, Experiment
from leverframe.release.experiments.report import Report, SpanEnd, final_report, report_bytes


class ExperimentReports:
    """Makes reports, keeps them among the artifacts, and holds them against the log."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def make(self, plan: ExperimentPlan, experiment: Experiment) -> tuple[Digest, Readout]:
        """The report of an experiment that has just ended, from the log as it is now; kept before anybody names it.

        Raises
        ------
        Integrity: the log is damaged.    Unavailable: the report cannot be kept.
        """
        report = self._from_log(plan, experiment, ends(self._parts.settings.log_folder))
        return self._parts.artifacts.put(report_bytes(report)), report.readout

    def report(self, id: str, *, again: bool) -> ReportView:
        """The report as it was filed and, with ``again``, whether the log still gives exactly its bytes.

        Raises
        ------
        NotFound: no such experiment, or it has no report yet.    Integrity: the filed bytes are not what their digest says.
        """
        ledger = self._parts.ledger
        experiment = ledger.get(KIND_EXPERIMENT, id, Experiment)
        plan = ledger.get(KIND_EXPERIMENT_PLAN, experiment.plan, ExperimentPlan) if experiment else None
        if experiment is None or plan is None:
            raise NotFound("no such experiment", where=id[:120], next_step="lever experiment list")
        if not experiment.report:
            next_step = f"lever experiment status {id}"
            raise NotFound("there is no final report before the end", where=id, expected="ended", got=experiment.state, next_step=next_step)
        filed = self._parts.artifacts.get(experiment.report)
        report = msgspec.json.decode(filed, type=Report)
        same, finding = self._compare(plan, experiment, report, filed) if again else (None, "")
        return ReportView(experiment=id, digest=experiment.report, report=report, same=same, finding=finding)

    def _from_log(self, plan: ExperimentPlan, experiment: Experiment, upto: Position) -> Report:
        span = tuple(SpanEnd(worker=worker, number=end.number, offset=end.offset) for worker, end in sorted(upto.workers.items()))
        settings = self._parts.settings
        records = read_span(settings.log_folder, LogArchive(settings.log_archive), upto, from_us=experiment.started_us)
        return final_report(plan, experiment, records, span, LabelMatcher().match)

    def _compare(self, plan: ExperimentPlan, experiment: Experiment, filed: Report, data: bytes) -> tuple[bool, str]:
        upto = Position(workers={end.worker: WorkerPosition(number=end.number, offset=end.offset) for end in filed.span})
        try:
            made = self._from_log(plan, experiment, upto)
        except Integrity as error:
            return False, f"the log it was made from does not read any more: {error.sentence()}"
        except LeverframeError as error:
            return False, f"it cannot be computed again: {error.sentence()}"
        if report_bytes(made) == data:
            return True, f"computed again from {made.records:,} records: the same bytes, {digest_bytes(data)}"
        differs = [name for name in Report.__struct_fields__ if canonical_json(getattr(made, name)) != canonical_json(getattr(filed, name))]
        now = f"{made.records:,} records now, {filed.records:,} when it was filed"
        return False, f"the log does not give this report any more: {', '.join(differs)} differ; {now}"
