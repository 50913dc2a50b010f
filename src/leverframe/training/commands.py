"""What the ledger knows of training: models, runs and versions, and the only commands that change them."""

import re
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import msgspec
from msgspec import UNSET

from leverframe.core.command import Command, Handles, Transaction
from leverframe.core.descent import KIND_DESCENT, MADE_FROM_MAX, Descent, MadeFrom, descent_id
from leverframe.core.digest import Digest, check_digest
from leverframe.core.errors import Conflict, InvalidInput, NotFound, Refused
from leverframe.core.feature_service import KIND_SERVICE, FeatureService, with_service
from leverframe.core.model import ModelSpec, ModelVersion, version_id, version_id_of
from leverframe.core.verdict import Answer
from leverframe.training.runs import KIND_RUN, RunRecord, RunStep
from leverframe.training.spec_check import check_spec

KIND_MODEL = "model"
KIND_MODEL_VERSION = "model_version"

STEPS_MAX = 64
_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")


class ApplyModel(Command, frozen=True, kw_only=True):
    """Declare a model, or replace its declaration; versions made before keep the spec they were made with."""

    action: ClassVar[str] = "Training.ApplyModel"

    spec: ModelSpec

    def resource(self) -> str:
        """``model/<name>``."""
        return f"model/{self.spec.name}"

    def team(self) -> str:
        """The owning team."""
        return self.spec.team


class _RunCommand(Command, frozen=True, kw_only=True):
    """What the three commands of a run share."""

    action: ClassVar[str] = "Training.Run"

    run_id: str
    model: str
    owning_team: str

    def resource(self) -> str:
        """``model/<name>``."""
        return f"model/{self.model}"

    def team(self) -> str:
        """The owning team."""
        return self.owning_team


class StartRun(_RunCommand, frozen=True, kw_only=True):
    """Ask for a training run; ``steps`` are the names of its steps, ``window`` ISO 8601."""

    window: tuple[str, str]
    seed: int
    steps: tuple[str, ...]
    params: dict[str, Any] = {}
    prepare: dict[str, str] = {}
    note: str = ""


class RecordStep(_RunCommand, frozen=True, kw_only=True):
    """Say where one step of a run stands."""

    step: RunStep


class FinishRun(_RunCommand, frozen=True, kw_only=True):
    """End a run: with the version it made, or with the sentence it failed with."""

    outcome: Literal["succeeded", "failed"]
    version: str = ""
    failure: str = ""


class RegisterVersion(Command, frozen=True, kw_only=True):
    """Register a signed bundle as the model's next version; ``made_from`` is what its lineage says it was made from."""

    action: ClassVar[str] = "Training.RegisterVersion"

    model: str
    owning_team: str
    bundle: Digest
    envelope: Digest
    run_id: str
    risk_tier: str
    gates: Answer
    metrics: dict[str, float] = {}
    roc_auc_low: float | None = None
    roc_auc_high: float | None = None
    note: str = ""
    made_from: tuple[MadeFrom, ...] = ()

    def resource(self) -> str:
        """``model/<name>``."""
        return f"model/{self.model}"

    def team(self) -> str:
        """The owning team."""
        return self.owning_team


def apply_model(command: ApplyModel, tx: Transaction) -> dict[str, str]:
    """Put the checked declaration.

    Raises
    ------
    InvalidInput: with every fault of the declaration.    Conflict: the model belongs to another team.
    NotFound: it names a feature service that is not declared.
    """
    check_spec(with_service(command.spec, {service.name: service for service in tx.find(KIND_SERVICE, FeatureService)}))
    held = tx.get(KIND_MODEL, command.spec.name, ModelSpec)
    if held is not None and held.team != command.spec.team:
        # The policy asked about the team named in the command, so a model can only be taken over by its present owners.
        raise Conflict("the model belongs to another team", where=command.spec.name, expected=held.team, got=command.spec.team)
    tx.put(KIND_MODEL, command.spec.name, command.spec)
    return {"model": command.spec.name}


def apply_model_facts(command: ApplyModel, tx: Transaction) -> Mapping[str, Any]:
    """Whether the model exists, and whether this lowers its risk tier or loosens its gates."""
    held = tx.get(KIND_MODEL, command.spec.name, ModelSpec)
    return {
        "exists": held is not None,
        "risk_tier": command.spec.risk_tier,
        "lowers_risk_tier": held is not None and held.risk_tier == "high" and command.spec.risk_tier == "low",
        "removes_gates": held is not None and not set(held.gates) <= set(command.spec.gates),
    }


def start_run(command: StartRun, tx: Transaction) -> dict[str, str]:
    """Put the run as queued.

    Raises
    ------
    InvalidInput: the id or the steps cannot be used.    Conflict: the id is taken.    NotFound: no such model.
    """
    if not _RUN_ID.fullmatch(command.run_id) or not 0 < len(set(command.steps)) == len(command.steps) <= STEPS_MAX:
        raise InvalidInput("not a run", where="run", expected=f"a short id and 1 to {STEPS_MAX} distinct steps", got=command.run_id[:80])
    model = _model(command.model, command.owning_team, tx)
    if tx.get(KIND_RUN, command.run_id, RunRecord) is not None:
        raise Conflict("a run of this id exists", where=command.run_id, next_step="choose another id")
    record = RunRecord(
        id=command.run_id,
        model=model.name,
        team=model.team,
        status="queued",
        started_by=tx.actor.subject,
        started_at_us=tx.now_us,
        window=command.window,
        seed=command.seed,
        steps=tuple(RunStep(name=name) for name in command.steps),
        params=command.params,
        prepare=command.prepare,
        note=command.note,
    )
    tx.put(KIND_RUN, record.id, record)
    return {"run": record.id}


def record_step(command: RecordStep, tx: Transaction) -> dict[str, str]:
    """Replace one step of the run, which is running from then on.

    Raises
    ------
    NotFound: no such run or step.    Conflict: the run is over.
    """
    run = _open_run(command, tx)
    if command.step.name not in {step.name for step in run.steps}:
        raise NotFound("the run has no such step", where=run.id, expected=", ".join(s.name for s in run.steps), got=command.step.name)
    steps = tuple(command.step if step.name == command.step.name else step for step in run.steps)
    tx.put(KIND_RUN, run.id, msgspec.structs.replace(run, status="running", steps=steps))
    return {"run": run.id, "step": command.step.name}


def finish_run(command: FinishRun, tx: Transaction) -> dict[str, str]:
    """End the run.

    Raises
    ------
    NotFound: no such run.    Conflict: the run is over.    Refused: it cannot have succeeded: no version of its own, or steps not done.
    """
    run = _open_run(command, tx)
    if command.outcome == "succeeded":
        version = tx.get(KIND_MODEL_VERSION, version_id_of(command.version), ModelVersion)
        undone = [step.name for step in run.steps if step.status != "done"]
        if version is None or version.run_id != run.id or undone:
            got = f"{command.version or 'no version'}; steps not done: {', '.join(undone) or 'none'}"
            raise Refused(
                "the run has not succeeded", where=run.id, expected="a version registered by this run and every step done", got=got
            )
    elif not command.failure:
        raise InvalidInput("a failed run needs its reason", where=run.id, expected="the sentence it failed with")
    ended = msgspec.structs.replace(run, status=command.outcome, finished_at_us=tx.now_us, version=command.version, failure=command.failure)
    tx.put(KIND_RUN, run.id, ended)
    return {"run": run.id, "status": command.outcome}


def register_version(command: RegisterVersion, tx: Transaction) -> dict[str, Any]:
    """Put the version under the model's next number; returns its name and number.

    Raises
    ------
    InvalidInput: a digest is malformed, or it is made from too many.    NotFound: no such model, or no such version that it is made from.
    Conflict: the bundle is registered already.
    """
    check_digest(command.bundle)
    check_digest(command.envelope)
    model = _model(command.model, command.owning_team, tx)
    versions = tx.find(KIND_MODEL_VERSION, ModelVersion, prefix=f"{model.name}/")
    twin = next((version for version in versions if version.bundle == command.bundle), None)
    if twin is not None:
        raise Conflict("this bundle is registered already", where=twin.name, got=command.bundle, next_step=f"release {twin.name}")
    _require_known(command.made_from, tx)
    version = ModelVersion(
        model=model.name,
        number=max((version.number for version in versions), default=0) + 1,
        bundle=command.bundle,
        envelope=command.envelope,
        run_id=command.run_id,
        created_by=tx.actor.subject,
        created_at_us=tx.now_us,
        risk_tier=command.risk_tier,
        gates=command.gates,
        metrics=command.metrics,
        roc_auc_low=command.roc_auc_low,
        roc_auc_high=command.roc_auc_high,
        note=command.note,
        made_from=command.made_from or UNSET,
    )
    tx.put(KIND_MODEL_VERSION, version_id(model.name, version.number), version)
    for parent in command.made_from:
        tx.put(KIND_DESCENT, descent_id(parent.version, version.name), Descent(child=version.name, parent=parent))
    return {"version": version.name, "number": version.number}


def _require_known(made_from: tuple[MadeFrom, ...], tx: Transaction) -> None:
    """Return when these are versions, and not too many.

    Raises
    ------
    InvalidInput: no names of versions, or too many.    NotFound: no such version.
    """
    if len(made_from) > MADE_FROM_MAX:
        raise InvalidInput("made from too many versions", where="made_from", expected=f"at most {MADE_FROM_MAX}", got=str(len(made_from)))
    for parent in made_from:
        if tx.get(KIND_MODEL_VERSION, version_id_of(parent.version), ModelVersion) is None:
            raise NotFound("no such model version to be made from", where=parent.version[:120], next_step="lever models list")


def register_version_facts(command: RegisterVersion, tx: Transaction) -> Mapping[str, Any]:
    """The gates' answer, and whether the tier is the one the model declares."""
    model = tx.get(KIND_MODEL, command.model, ModelSpec)
    return {"gates": command.gates, "risk_tier_as_declared": model is not None and model.risk_tier == command.risk_tier}


def _model(name: str, team: str, tx: Transaction) -> ModelSpec:
    model = tx.get(KIND_MODEL, name, ModelSpec)
    if model is None:
        known = ", ".join(spec.name for spec in tx.find(KIND_MODEL, ModelSpec)[:10])
        raise NotFound("no such model", where=name, expected=known or "a declared model", next_step="lever apply <project>")
    if model.team != team:
        raise Conflict("the model belongs to another team", where=name, expected=model.team, got=team)
    return model


def _open_run(command: _RunCommand, tx: Transaction) -> RunRecord:
    run = tx.get(KIND_RUN, command.run_id, RunRecord)
    if run is None or run.model != command.model or run.team != command.owning_team:
        raise NotFound("no such run of this model", where=command.run_id, got=command.model)
    if run.status in ("succeeded", "failed"):
        raise Conflict("the run is over", where=run.id, expected="queued or running", got=run.status, next_step="start a new run")
    return run


HANDLERS: tuple[Handles, ...] = (
    Handles(command=ApplyModel, run=apply_model, facts=apply_model_facts),
    Handles(command=StartRun, run=start_run),
    Handles(command=RecordStep, run=record_step),
    Handles(command=FinishRun, run=finish_run),
    Handles(command=RegisterVersion, run=register_version, facts=register_version_facts),
)
