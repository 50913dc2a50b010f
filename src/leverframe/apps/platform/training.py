"""Use cases of the training room: models, runs, versions with their evidence."""

import msgspec
from msgspec import UNSET

from leverframe.apps.platform.datasets import contract_of, latest_snapshot
from leverframe.apps.platform.deleted_rows import deleted_rows
from leverframe.apps.platform.descending import made_from
from leverframe.apps.platform.parts import Parts
from leverframe.apps.platform.views import ImportRequest, RunView, StepView, TrainRequest, VersionView
from leverframe.core.actor import Actor
from leverframe.core.digest import canonical_json, check_digest, digest_bytes
from leverframe.core.errors import InvalidInput, NotFound, Refused
from leverframe.core.evaluation import EvaluationReport
from leverframe.core.feature import FeatureView
from leverframe.core.feature_service import KIND_SERVICE, FeatureService, with_service
from leverframe.core.model import (
    CARD,
    ENVIRONMENT,
    EVALUATION,
    IMPORTED,
    LINEAGE,
    SIGNATURE,
    SPEC,
    Lineage,
    ModelSpec,
    ModelVersion,
    version_id_of,
)
from leverframe.core.route import Endpoint
from leverframe.core.schema import Signature
from leverframe.data.checks.request_rules import field_rules
from leverframe.features.commands import KIND_VIEW
from leverframe.features.declared.bindings import signature
from leverframe.features.declared.definitions import view_version
from leverframe.governance.bundles import Bundle, open_bundle
from leverframe.governance.decision import require
from leverframe.release.planning.planning import get_version
from leverframe.release.records import KIND_ENDPOINT
from leverframe.training.commands import KIND_MODEL, KIND_MODEL_VERSION, ApplyModel, RegisterVersion, StartRun
from leverframe.training.difference import VersionDifference, VersionFacts, difference
from leverframe.training.recipe import TrainingRequest
from leverframe.training.reproduction_commands import KIND_REPRODUCTION, ReproductionRecord
from leverframe.training.runs import KIND_RUN, RunRecord
from leverframe.training.spec_check import check_spec

STEPS = ("select", "features", "split", "fit", "export", "evaluate", "profile", "package", "register")
WORKFLOW = "train"
RUN_ID_DIGITS = 12
SEED_MAX = 2**31 - 1


class Training:
    """Models, and the runs that make their versions."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def apply_model(self, actor: Actor, spec: ModelSpec, *, key: str) -> dict[str, object]:
        """Declare or change a model; its columns must be served by declared views."""
        signature(self._resolved(spec), self._parts.ledger.find(KIND_VIEW, FeatureView))
        return dict(self._parts.ledger.write(actor, ApplyModel(spec=spec), key=key).result)

    def _resolved(self, spec: ModelSpec) -> ModelSpec:
        """The spec with the columns of its feature service as that is declared now."""
        return with_service(spec, {service.name: service for service in self._parts.ledger.find(KIND_SERVICE, FeatureService)})

    def models(self) -> tuple[ModelSpec, ...]:
        """Every declared model, as its team declared it."""
        return tuple(self._parts.ledger.find(KIND_MODEL, ModelSpec))

    # Runs ----------------------------------------------------------------------------------------------------------

    def start(self, actor: Actor, request: TrainRequest, *, key: str) -> RunView:
        """Record the run with everything that decides its outcome, and hand it to a worker.

        Raises
        ------
        NotFound: no such model, or a dataset it reads was never ingested.
        InvalidInput: the window is empty, or a parameter, prepared column or the seed is not one that can be trained with.
        """
        parts = self._parts
        spec = parts.ledger.get(KIND_MODEL, request.model, ModelSpec)
        if spec is None:
            raise NotFound("no such model", where=request.model, next_step="lever apply <project>")
        if request.to_us <= request.from_us:
            raise InvalidInput(
                "the window is empty", where="window", expected="from before to", got=f"{request.from_us} to {request.to_us}"
            )
        if not 0 <= request.seed <= SEED_MAX:
            raise InvalidInput("the seed is out of range", where="seed", expected=f"0 to {SEED_MAX}", got=str(request.seed))
        asked = self._request(spec, request, run_id=f"run-{digest_bytes(f'{actor.subject}/{key}'.encode())[7:][:RUN_ID_DIGITS]}")
        argument = parts.artifacts.put(canonical_json(asked))
        command = StartRun(
            run_id=asked.run_id,
            model=spec.name,
            owning_team=spec.team,
            window=asked.window,
            seed=request.seed,
            steps=STEPS,
            params=request.params,
            prepare=request.prepare,
            note=request.note,
        )
        parts.ledger.write(actor, command, key=key)
        # A crash here leaves a queued run that nobody works on; asking again with the same key hands it over.
        parts.queue.enqueue(WORKFLOW, asked.run_id, argument)
        return self.run(asked.run_id)

    def _request(self, spec: ModelSpec, request: TrainRequest, *, run_id: str) -> TrainingRequest:
        parts = self._parts
        declared = self._resolved(spec)
        spec = check_spec(
            msgspec.structs.replace(declared, prepare=request.prepare or spec.prepare, params={**spec.params, **request.params})
        )
        views = parts.ledger.find(KIND_VIEW, FeatureView)
        bound = signature(spec, views)
        used = [view for view in views if any(binding.view == view.name for binding in bound.views)]
        snapshots = {}
        for dataset in dict.fromkeys((spec.dataset, *(view.source for view in used))):
            snapshot = latest_snapshot(parts, dataset)
            if snapshot is None:
                raise NotFound("nothing was ingested yet", where=dataset, next_step=f"lever data ingest {dataset} <file>")
            snapshots[dataset] = snapshot.digest
        endpoint = parts.ledger.get(KIND_ENDPOINT, f"{parts.settings.environment}/{spec.name}", Endpoint)
        return TrainingRequest(
            run_id=run_id,
            spec=spec,
            signature=self._at_the_door(spec, bound),
            from_us=request.from_us,
            to_us=request.to_us,
            snapshots=snapshots,
            feature_views={view.name: view_version(view) for view in used},
            code_commit=request.code_commit,
            seed=request.seed,
            started_at_us=parts.clock.now_us(),
            champion=endpoint.live.version if endpoint is not None and endpoint.live is not None else "",
            engine=request.engine,
            made_from=made_from(parts, request.made_from, snapshots) or UNSET,
        )

    def _at_the_door(self, spec: ModelSpec, bound: Signature) -> Signature:
        """The signature with what the dataset's contract, as it is in force now, asks of each request."""
        if spec.door == "off":
            return bound
        contract = contract_of(self._parts, spec.dataset)
        rules = field_rules(contract, spec.request, warn_only=spec.door == "warn")
        return msgspec.structs.replace(bound, rules=rules, contract=f"{contract.name} {contract.version}") if rules else bound

    def run(self, run_id: str) -> RunView:
        """One run.

        Raises
        ------
        NotFound: no such run.
        """
        record = self._parts.ledger.get(KIND_RUN, run_id, RunRecord)
        if record is None:
            raise NotFound("no such run", where=run_id[:120], next_step="lever train list")
        return _run_view(record)

    def runs(self, model: str = "") -> tuple[RunView, ...]:
        """Runs of a model (empty: of all), newest first."""
        records = [record for record in self._parts.ledger.find(KIND_RUN, RunRecord) if model in ("", record.model)]
        return tuple(_run_view(record) for record in sorted(records, key=lambda r: (r.started_at_us, r.id), reverse=True))

    # Versions ------------------------------------------------------------------------------------------------------

    def versions(self, model: str) -> tuple[ModelVersion, ...]:
        """Versions of a model, newest first."""
        return tuple(reversed(self._parts.ledger.find(KIND_MODEL_VERSION, ModelVersion, prefix=f"{model}/")))

    def register_import(self, actor: Actor, model: str, request: ImportRequest, *, key: str) -> dict[str, object]:
        """Register a model made elsewhere as the next version of the declared ``model``; raises as :meth:`import_command`."""
        return dict(self._parts.ledger.write(actor, self.import_command(actor, model, request), key=key).result)

    def import_command(self, actor: Actor, model: str, request: ImportRequest) -> RegisterVersion:
        """The command that registers a model made elsewhere; its signature and every file are checked first.

        Raises
        ------
        NotFound: no such model.    Forbidden: policy does not permit it; nothing was opened.    Integrity: the bundle is damaged or
        unsigned.    Refused: it was trained here, is another model's, or was judged by other gates than those declared now.
        """
        parts = self._parts
        spec = parts.ledger.get(KIND_MODEL, model, ModelSpec)
        if spec is None:
            raise NotFound("no such model", where=model[:120], next_step="lever models import FOLDER declares it")
        require(parts.policy, actor, RegisterVersion.action, f"model/{model}", spec.team, {})
        bundle = open_bundle(parts.artifacts, parts.trust, check_digest(request.bundle), check_digest(request.envelope))
        lineage = msgspec.json.decode(bundle.read(LINEAGE), type=Lineage)
        if lineage.run_id != IMPORTED or bundle.manifest.model != model:
            raise Refused(
                "only an imported bundle of this model is registered this way",
                where=model,
                got=f"{bundle.manifest.model}, {lineage.run_id}",
            )
        report = msgspec.json.decode(bundle.read(EVALUATION), type=EvaluationReport)
        if report.rows:
            _check_judged(spec, msgspec.json.decode(bundle.read(SPEC), type=ModelSpec))
        metrics = {metric.name: metric for metric in report.metrics}
        auc = metrics.get("roc_auc")
        return RegisterVersion(
            model=model,
            owning_team=spec.team,
            bundle=request.bundle,
            envelope=request.envelope,
            run_id=IMPORTED,
            risk_tier=spec.risk_tier,
            gates=report.answer,
            metrics={name: metric.value for name, metric in metrics.items()},
            roc_auc_low=auc.low if auc is not None else None,
            roc_auc_high=auc.high if auc is not None else None,
            note=request.note,
            made_from=lineage.made_from or (),
        )

    def version(self, name: str) -> VersionView:
        """One version with the evidence out of its bundle, verified again on the way.

        Raises
        ------
        NotFound: no such version.    Integrity: its bundle is damaged.
        """
        parts = self._parts
        version, bundle = self._opened(name)
        endpoints = parts.ledger.find(KIND_ENDPOINT, Endpoint, prefix=f"{parts.settings.environment}/")
        lineage = msgspec.json.decode(bundle.read(LINEAGE), type=Lineage)
        return VersionView(
            version=version,
            spec=msgspec.json.decode(bundle.read(SPEC), type=ModelSpec),
            evaluation=msgspec.json.decode(bundle.read(EVALUATION), type=EvaluationReport),
            lineage=lineage,
            deleted=deleted_rows(parts, lineage.snapshots),
            reproduction=parts.ledger.get(KIND_REPRODUCTION, version_id_of(name), ReproductionRecord),
            card=bundle.read(CARD).decode(),
            files={file: bundle.manifest.files[file].size for file in bundle.names},
            arms=tuple(
                f"{parts.settings.environment}/{endpoint.name} {arm.role} {arm.weight:g} %"
                for endpoint in endpoints
                for arm in endpoint.arms
                if arm.version == name
            ),
        )

    def compare(self, before: str, after: str) -> VersionDifference:
        """Two versions side by side, from their bundles.

        Raises
        ------
        NotFound: no such version.    Integrity: a bundle is damaged.
        """
        one, two = (_facts(*self._opened(name)) for name in (before, after))
        return difference(one, two)

    def _opened(self, name: str) -> tuple[ModelVersion, Bundle]:
        parts = self._parts
        version = get_version(parts.ledger, name)
        return version, open_bundle(parts.artifacts, parts.trust, version.bundle, version.envelope)


def _facts(version: ModelVersion, bundle: Bundle) -> VersionFacts:
    return VersionFacts(
        name=version.name,
        spec=msgspec.json.decode(bundle.read(SPEC), type=ModelSpec),
        signature=msgspec.json.decode(bundle.read(SIGNATURE), type=Signature),
        evaluation=msgspec.json.decode(bundle.read(EVALUATION), type=EvaluationReport),
        lineage=msgspec.json.decode(bundle.read(LINEAGE), type=Lineage),
        environment=bundle.read(ENVIRONMENT).decode() if ENVIRONMENT in bundle.names else "",
    )


def _check_judged(declared: ModelSpec, judged: ModelSpec) -> None:
    """Return when an evaluation answers what the model declares now: a verdict on other gates or another label is none."""
    same = ("dataset", "label", "asked_at", "label_known_at", "gates")
    changed = [field for field in same if getattr(declared, field) != getattr(judged, field)]
    if changed:
        raise Refused(
            "the version was evaluated by another declaration",
            where=declared.name,
            expected="the declaration in force",
            got=f"other {', '.join(changed)}",
            next_step="lever models evaluate VERSION",
        )


def _run_view(record: RunRecord) -> RunView:
    return RunView(
        id=record.id,
        model=record.model,
        status=record.status,
        started_by=record.started_by,
        started_at_us=record.started_at_us,
        window=record.window,
        steps=tuple(
            StepView(name=s.name, status=s.status, seconds=s.seconds, attempts=s.attempts, cached=s.cached, detail=s.detail)
            for s in record.steps
        ),
        version=record.version,
        failure=record.failure,
    )
