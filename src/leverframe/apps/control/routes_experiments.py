"""Routes of experiments: plans, approvals, start and stop, read-outs, reports."""

from typing import Annotated

import msgspec

from leverframe.apps.control.route import Call, Route
from leverframe.apps.control.routes_release import Approve, Nothing
from leverframe.apps.platform.views.experiments import ExperimentPlanView, ExperimentRequest, ExperimentView, ReportView
from leverframe.core.digest import check_digest


class Stop(msgspec.Struct, frozen=True, kw_only=True):
    """Why."""

    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]


class ExperimentsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Only experiments of ``endpoint`` (empty: all)."""

    endpoint: str = ""


class ReportQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``again``: compute the report from the log once more and compare the bytes."""

    again: bool = True


def _approve(call: Call) -> ExperimentPlanView:
    return call.platform.experiments.approve(call.actor, check_digest(call.path["digest"]), note=call.body.note, key=call.key)


ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/api/v1/experiment-plans",
        permission="Release.Read",
        run=lambda call: call.platform.experiments.plans(),
        gives=tuple[ExperimentPlanView, ...],
        summary="Plans of experiments that were not started yet",
    ),
    Route(
        method="POST",
        path="/api/v1/experiment-plans",
        permission="Experiment.Plan",
        run=lambda call: call.platform.experiments.plan(call.actor, call.body, key=call.key),
        takes=ExperimentRequest,
        gives=ExperimentPlanView,
        example={
            "endpoint": "flight-delay",
            "versions": ["flight-delay@v2"],
            "primary": {"metric": "outcome_value", "effect": 0.02},
        },
        summary="Write an experiment down, with how long it will take; nothing runs yet",
    ),
    Route(
        method="GET",
        path="/api/v1/experiment-plans/{digest}",
        permission="Release.Read",
        resource="experiment_plan/{digest}",
        run=lambda call: call.platform.experiments.plan_of(check_digest(call.path["digest"])),
        gives=ExperimentPlanView,
        summary="One plan, with how long it will take by today's traffic",
    ),
    Route(
        method="POST",
        path="/api/v1/experiment-plans/{digest}/approve",
        permission="Release.Approve",
        run=_approve,
        takes=Approve,
        gives=ExperimentPlanView,
        example={"note": "the effect is worth a week"},
        summary="Approve exactly this plan",
    ),
    Route(
        method="POST",
        path="/api/v1/experiment-plans/{digest}/start",
        permission="Experiment.Start",
        run=lambda call: call.platform.experiments.start(call.actor, check_digest(call.path["digest"]), key=call.key),
        takes=Nothing,
        gives=ExperimentView,
        example={},
        summary="Let callers meet the variants, as planned",
    ),
    Route(
        method="GET",
        path="/api/v1/experiments",
        permission="Release.Read",
        query=ExperimentsQuery,
        run=lambda call: call.platform.experiments.experiments(call.query.endpoint),
        gives=tuple[ExperimentView, ...],
        summary="All experiments",
    ),
    Route(
        method="GET",
        path="/api/v1/experiments/{experiment_id}",
        permission="Release.Read",
        resource="experiment/{experiment_id}",
        run=lambda call: call.platform.experiments.experiment(call.path["experiment_id"]),
        gives=ExperimentView,
        summary="One experiment with its newest read-out and the path of its intervals",
    ),
    Route(
        method="POST",
        path="/api/v1/experiments/{experiment_id}/stop",
        permission="Experiment.Stop",
        run=lambda call: call.platform.experiments.stop(call.actor, call.path["experiment_id"], reason=call.body.reason, key=call.key),
        takes=Stop,
        gives=ExperimentView,
        example={"reason": "the campaign is over"},
        summary="End an experiment; everybody meets the control again",
    ),
    Route(
        method="GET",
        path="/api/v1/experiments/{experiment_id}/report",
        permission="Release.Read",
        resource="experiment/{experiment_id}",
        query=ReportQuery,
        run=lambda call: call.platform.experiments.report(call.path["experiment_id"], again=call.query.again),
        gives=ReportView,
        summary="The final report, and whether the log still gives exactly its bytes",
    ),
)
