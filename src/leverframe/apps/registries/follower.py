"""Follows registered models: a new version is imported, evaluated where it can be, and planned; the alias follows what answers.

Every step is written down before the next is taken (decision 0048). A version that cannot be imported is noted with its sentence and left
alone until somebody asks again; a server that does not answer is asked again at the next look.
"""

import logging
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from leverframe.apps.evaluating import Evaluated, Evaluating
from leverframe.apps.importing import Imported, import_mlflow, write_imported
from leverframe.apps.platform.parts import Parts
from leverframe.apps.platform.release import Releases
from leverframe.apps.platform.training import Training
from leverframe.apps.platform.views import ImportRequest, PlanRequest
from leverframe.apps.registries.mlflow import MlflowServer, SourceModel, SourceVersion
from leverframe.core.actor import PLATFORM
from leverframe.core.errors import Conflict, Forbidden, LeverframeError, Refused, Unavailable
from leverframe.core.model import IMPORTED, ModelSpec, ModelVersion
from leverframe.core.route import Endpoint
from leverframe.release.plans.plan import KIND_PLAN, ReleasePlan
from leverframe.release.records import KIND_ENDPOINT, KIND_RELEASE, Release
from leverframe.training.commands import KIND_MODEL, KIND_MODEL_VERSION, ApplyModel
from leverframe.training.registries import (
    FAILURE_CHARS_MAX,
    KIND_ALIAS,
    KIND_FOLLOWED,
    KIND_REGISTRY,
    AliasSet,
    Followed,
    NoteAlias,
    NoteFollowed,
    Registry,
    followed_id,
)

FOLLOWED_MAX = 5
"""New versions of one registry that one look takes up; the rest wait for the next."""

log = logging.getLogger("leverframe.registries")


class RegistryFollower:
    """One look at every registry.

    Parameters
    ----------
    server: opens the server of a registry.
    """

    def __init__(self, parts: Parts, server: Callable[[str], MlflowServer]) -> None:
        self._parts = parts
        self._server = server
        self._releases = Releases(parts)
        self._training = Training(parts)

    def look(self) -> None:
        """Take every registry a step further; one that cannot be reached does not hold up the others."""
        for registry in self._parts.ledger.find(KIND_REGISTRY, Registry):
            try:
                self._look_at(registry)
            except LeverframeError as error:
                log.warning("registry %s: %s", registry.name, error.sentence())

    def _look_at(self, registry: Registry) -> None:
        server = self._server(registry.url)
        model = server.model(registry.source)
        held = self.followed(registry.name)
        for version in self._new(registry, server, model, held):
            self._follow(registry, server, version, held.get(version.number, Followed(registry=registry.name, number=version.number)))
        self._start_waiting(registry)
        if registry.alias:
            self._point_alias(registry, server, model)

    def followed(self, registry: str) -> dict[int, Followed]:
        """What became of each version of a registry, by number."""
        return {each.number: each for each in self._parts.ledger.find(KIND_FOLLOWED, Followed, prefix=f"{registry}/")}

    def _new(self, registry: Registry, server: MlflowServer, model: SourceModel, held: dict[int, Followed]) -> tuple[SourceVersion, ...]:
        """Versions that are to be taken up, or on: of the first look only the newest, of later ones all that came since."""
        if registry.watch:
            number = model.alias(registry.watch)
            found: tuple[SourceVersion, ...] = (server.version(registry.source, number),) if number else ()
        else:
            newest = server.newest(registry.source)
            first = min(held) if held else newest[-1].number if newest else 0
            found = tuple(each for each in newest if each.number >= first)
        return tuple(each for each in found if not _settled(held.get(each.number)))[:FOLLOWED_MAX]

    # One version -----------------------------------------------------------------------------------------------------

    def _follow(self, registry: Registry, server: MlflowServer, version: SourceVersion, held: Followed) -> None:
        try:
            if not held.version:
                held = self._import(registry, server, version, held)
            if not held.evaluated:
                held = self._evaluate(registry, held)
            if not held.plan:
                self._plan(registry, held)
        except (Unavailable, Conflict):
            # Asked again at the next look, which reads what another worker may have done meanwhile.
            raise
        except LeverframeError as error:
            self._note(registry, held, failure=error.sentence()[:FAILURE_CHARS_MAX])

    def _import(self, registry: Registry, server: MlflowServer, version: SourceVersion, held: Followed) -> Followed:
        parts = self._parts
        with TemporaryDirectory() as place:
            server.download(registry.source, version.number, Path(place))
            # Dated by the registry, so that a worker that was killed here makes the very same bundle again.
            made = import_mlflow(
                Path(place),
                home=parts.settings.home,
                name=registry.model,
                team=registry.team,
                owner=registry.owner,
                now_us=version.creation_timestamp * 1000,
                risk_tier=registry.risk_tier,
                column=registry.column,
            )
        self._require_allowed(registry, made)
        bundle, envelope = write_imported(parts.settings.home, made)
        if parts.ledger.get(KIND_MODEL, registry.model, ModelSpec) is None:
            parts.ledger.write(PLATFORM, ApplyModel(spec=made.spec), key=f"registry/{registry.name}/declare")
        note = f"version {version.number} of {registry.source}, registry {registry.name}"
        command = self._training.import_command(PLATFORM, registry.model, ImportRequest(bundle=bundle, envelope=envelope, note=note))
        twin = self._twin(registry.model, bundle)
        if twin is not None:
            return self._note(registry, held, version=twin.name)
        # Version and cursor are one write: of two workers that import the same version, the second's is refused whole.
        key = f"registry/{registry.name}/{version.number}"
        expected = f"{registry.model}@v{self._next_number(registry.model)}"
        step = NoteFollowed(name=registry.name, owner_team=registry.team, number=version.number, version=expected, bundle=bundle)
        parts.ledger.write_all(PLATFORM, [(command, f"{key}/register/{bundle}"), (step, f"{key}/note/version")])
        return self._held(held)

    def _require_allowed(self, registry: Registry, made: Imported) -> None:
        if made.runtime == "isolated" and not self._parts.settings.allow_isolated:
            raise Refused(
                "the model is not data, and running foreign ones is not allowed here",
                where=f"registry {registry.name}",
                next_step="LEVER_ALLOW_ISOLATED=true, or log it as LightGBM, XGBoost or ONNX",
            )

    def _twin(self, model: str, bundle: str) -> ModelVersion | None:
        found = self._parts.ledger.find(KIND_MODEL_VERSION, ModelVersion, prefix=f"{model}/")
        return next((version for version in found if version.bundle == bundle), None)

    def _next_number(self, model: str) -> int:
        found = self._parts.ledger.find(KIND_MODEL_VERSION, ModelVersion, prefix=f"{model}/")
        return max((version.number for version in found), default=0) + 1

    def _evaluate(self, registry: Registry, held: Followed) -> Followed:
        """Judge it on the dataset that its team declared; where none is declared it stays unjudged, and no release passes its gates."""
        spec = self._parts.ledger.get(KIND_MODEL, registry.model, ModelSpec)
        if spec is None or spec.dataset == IMPORTED:
            return held
        with Evaluating(self._parts.settings) as evaluating:
            made: Evaluated = evaluating.run(PLATFORM, held.version)
        twin = self._twin(registry.model, made.bundle)
        if twin is None:
            request = ImportRequest(bundle=made.bundle, envelope=made.envelope, note=f"{held.version}, evaluated")
            command = self._training.import_command(PLATFORM, registry.model, request)
            key = f"registry/{registry.name}/{held.number}"
            expected = f"{registry.model}@v{self._next_number(registry.model)}"
            step = NoteFollowed(name=registry.name, owner_team=registry.team, number=held.number, evaluated=expected, bundle=made.bundle)
            self._parts.ledger.write_all(PLATFORM, [(command, f"{key}/register/{made.bundle}"), (step, f"{key}/note/evaluated")])
            return self._held(held)
        return self._note(registry, held, evaluated=twin.name)

    def _plan(self, registry: Registry, held: Followed) -> None:
        endpoint = self._parts.ledger.get(KIND_ENDPOINT, f"{registry.environment}/{registry.endpoint}", Endpoint)
        live = endpoint is not None and endpoint.live is not None
        request = msgspec.convert(
            {
                "endpoint": registry.endpoint,
                "version": held.candidate,
                "environment": registry.environment,
                "strategy": registry.strategy if live else "initial",
                "note": f"version {held.number} of {registry.source}, followed by registry {registry.name}",
                "overrides": {"supersede": True},
            },
            PlanRequest,
        )
        written = self._written(registry, held.candidate)
        if not written:
            written = self._releases.plan(PLATFORM, request, key=f"registry/{registry.name}/{held.number}/plan").digest
        self._note(registry, held, plan=written)

    def _written(self, registry: Registry, candidate: str) -> str:
        """The plan that was written before a kill, if any: what is live may have changed since, and a plan is not written twice."""
        at = f"{registry.environment}/{registry.endpoint}"
        plans = self._parts.ledger.find(KIND_PLAN, ReleasePlan)
        mine = (plan for plan in plans if plan.author == PLATFORM.subject and plan.endpoint_id == at)
        return next((plan.digest for plan in mine if plan.candidate.version == candidate), "")

    def _note(self, registry: Registry, held: Followed, **step: str) -> Followed:
        (field,) = step
        command = NoteFollowed(name=registry.name, owner_team=registry.team, number=held.number, **step)
        suffix = f"{field}/{held.at_us}" if field == "failure" else field
        self._parts.ledger.write(PLATFORM, command, key=f"registry/{registry.name}/{held.number}/note/{suffix}")
        return self._held(held)

    def _held(self, held: Followed) -> Followed:
        return self._parts.ledger.get(KIND_FOLLOWED, followed_id(held.registry, held.number), Followed) or held

    # The endpoint, and the alias ---------------------------------------------------------------------------------------

    def _start_waiting(self, registry: Registry) -> None:
        """Start the newest plan where policy lets the platform do so (low risk, gates passed); otherwise it waits for people."""
        planned = [each for each in self.followed(registry.name).values() if each.plan]
        if not planned:
            return
        newest = max(planned, key=lambda each: each.number)
        started = {release.plan for release in self._parts.ledger.find(KIND_RELEASE, Release)}
        if newest.plan in started:
            return
        try:
            self._releases.apply(PLATFORM, newest.plan, key=f"registry/{registry.name}/{newest.number}/apply")
        except (Forbidden, Refused, Conflict) as error:
            log.info("registry %s: version %d waits: %s", registry.name, newest.number, error.sentence())

    def _point_alias(self, registry: Registry, server: MlflowServer, model: SourceModel) -> None:
        """Make the registry's alias say what answers, after a promotion and after a rollback; one that others set is left alone."""
        endpoint = self._parts.ledger.get(KIND_ENDPOINT, f"{registry.environment}/{registry.endpoint}", Endpoint)
        live = endpoint.live.version if endpoint is not None and endpoint.live is not None else ""
        numbers = {each.candidate: each.number for each in self.followed(registry.name).values() if each.version}
        wanted, now = numbers.get(live, 0), model.alias(registry.alias)
        last = self._parts.ledger.get(KIND_ALIAS, registry.name, AliasSet)
        if wanted == now or not live or (not wanted and (last is None or last.number != now)):
            return
        server.set_alias(registry.source, registry.alias, wanted)
        command = NoteAlias(name=registry.name, owner_team=registry.team, alias=registry.alias, number=wanted, version=live)
        key = f"registry/{registry.name}/alias/{wanted}/{last.at_us if last is not None else 0}"
        self._parts.ledger.write(PLATFORM, command, key=key)


def _settled(held: Followed | None) -> bool:
    """Whether nothing is left to do for a version, or nothing without a person."""
    return held is not None and bool(held.plan or held.failure)
