"""Routes of models, runs and versions."""

from typing import Any

import msgspec

from leverframe.apps.control.route import Route
from leverframe.apps.platform.views import ImportRequest, RunView, TrainRequest, VersionView
from leverframe.core.model import ModelSpec, ModelVersion
from leverframe.training.difference import VersionDifference
from leverframe.training.reproduction_commands import ReproductionRecord


class RunsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Only runs of ``model`` (empty: all)."""

    model: str = ""


EXAMPLE_SPEC = {
    "name": "flight-delay",
    "description": "Will this flight arrive more than 15 minutes late?",
    "owner": "ops@example.org",
    "team": "flights",
    "runbook": "docs/runbooks/flight-delay.md",
    "dataset": "flights",
    "label": "late",
    "request": [{"name": "origin", "datatype": "BYTES", "entity": True}, {"name": "distance", "datatype": "FP64"}],
    "columns": [{"name": "distance", "source": "request", "field": "distance"}],
}

ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/api/v1/models",
        permission="Training.Read",
        run=lambda call: call.platform.training.models(),
        gives=tuple[ModelSpec, ...],
        summary="Every declared model",
    ),
    Route(
        method="POST",
        path="/api/v1/models",
        permission="Training.ApplyModel",
        run=lambda call: call.platform.training.apply_model(call.actor, call.body, key=call.key),
        takes=ModelSpec,
        gives=dict[str, Any],
        example=EXAMPLE_SPEC,
        summary="Declare or change a model",
    ),
    Route(
        method="GET",
        path="/api/v1/models/{model}/versions",
        permission="Training.Read",
        resource="model/{model}",
        run=lambda call: call.platform.training.versions(call.path["model"]),
        gives=tuple[ModelVersion, ...],
        summary="Every registered version of a model",
    ),
    Route(
        method="POST",
        path="/api/v1/models/{model}/versions",
        permission="Training.RegisterVersion",
        resource="model/{model}",
        run=lambda call: call.platform.training.register_import(call.actor, call.path["model"], call.body, key=call.key),
        takes=ImportRequest,
        gives=dict[str, Any],
        example={"bundle": "sha256:" + "0" * 64, "envelope": "sha256:" + "1" * 64, "note": "from the team's MLflow"},
        summary="Register a signed bundle of a model made elsewhere",
    ),
    Route(
        method="GET",
        path="/api/v1/versions/{name}",
        permission="Training.Read",
        resource="model_version/{name}",
        run=lambda call: call.platform.training.version(call.path["name"]),
        gives=VersionView,
        summary="One version (model@v2) with its evidence",
    ),
    Route(
        method="POST",
        path="/api/v1/versions/{name}/reproduction",
        permission="Training.Start",
        run=lambda call: call.platform.reproducing.start(call.actor, call.path["name"], key=call.key),
        gives=ReproductionRecord,
        summary="Make a version again from its lineage, as a durable job",
    ),
    Route(
        method="GET",
        path="/api/v1/versions/{name}/reproduction",
        permission="Training.Read",
        resource="model_version/{name}",
        run=lambda call: call.platform.reproducing.newest(call.path["name"]),
        gives=ReproductionRecord,
        summary="What came of making a version again, the last time",
    ),
    Route(
        method="GET",
        path="/api/v1/versions/{name}/against/{other}",
        permission="Training.Read",
        resource="model_version/{name}",
        run=lambda call: call.platform.training.compare(call.path["other"], call.path["name"]),
        gives=VersionDifference,
        summary="What is different about a version, beside another",
    ),
    Route(
        method="GET",
        path="/api/v1/runs",
        permission="Training.Read",
        query=RunsQuery,
        run=lambda call: call.platform.training.runs(call.query.model),
        gives=tuple[RunView, ...],
        summary="All training runs",
    ),
    Route(
        method="POST",
        path="/api/v1/runs",
        permission="Training.Start",
        run=lambda call: call.platform.training.start(call.actor, call.body, key=call.key),
        takes=TrainRequest,
        gives=RunView,
        example={"model": "flight-delay", "from_us": 1356998400000000, "to_us": 1364774400000000},
        summary="Start a durable training run",
    ),
    Route(
        method="GET",
        path="/api/v1/runs/{run_id}",
        permission="Training.Read",
        resource="run/{run_id}",
        run=lambda call: call.platform.training.run(call.path["run_id"]),
        gives=RunView,
        summary="One run, step by step",
    ),
)
