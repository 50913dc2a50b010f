"""``lever score``: a batch on the machine it is asked on, against an installation's home. Files are opened here and never by a server."""

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, closing
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import msgspec

from leverframe.apps.clocks import open_clock
from leverframe.apps.here import actor_here
from leverframe.apps.scoring.features import OnlineFeatures, PastFeatures
from leverframe.apps.scoring.files import BatchInput, encode_part, open_files
from leverframe.apps.scoring.online import put_online
from leverframe.apps.settings import Settings
from leverframe.apps.wiring import HANDLERS
from leverframe.core.actor import Actor
from leverframe.core.dataset import Snapshot
from leverframe.core.digest import digest_record
from leverframe.core.errors import Conflict, InvalidInput, NotFound
from leverframe.core.feature import FeatureView
from leverframe.core.model import ModelSpec, ModelVersion, version_id_of
from leverframe.core.route import Arm
from leverframe.core.schema import Signature
from leverframe.data.commands import KIND_CONTRACT, KIND_DATASET, KIND_SNAPSHOT, Dataset
from leverframe.data.contract.contracts import Contract
from leverframe.data.snapshots.snapshots import read_snapshot
from leverframe.features.commands import KIND_VIEW
from leverframe.features.declared.definitions import view_version
from leverframe.features.online.online_address import open_for_reading, open_for_writing
from leverframe.governance.artifacts import ArtifactStore
from leverframe.governance.bundles import open_bundle
from leverframe.governance.decision import require
from leverframe.governance.ledger.store import Ledger
from leverframe.governance.policy import Policy
from leverframe.governance.signing import TrustStore
from leverframe.serving.batch.output import Job, Manifest, OutputFolder
from leverframe.serving.batch.parts import Features, PartScorer
from leverframe.serving.batch.run import ROWS_PER_PART, ROWS_PER_PART_MAX, Progress, run_batch
from leverframe.serving.commands import FinishScoring, StartScoring
from leverframe.serving.engine.models import LoadedVersion, load_version
from leverframe.serving.runtimes.isolated.environment import BUILD_S_MAX
from leverframe.serving.runtimes.isolated.limits import Bounds
from leverframe.serving.runtimes.isolated.opening import IsolatedOpener
from leverframe.training.commands import KIND_MODEL, KIND_MODEL_VERSION

ONLINE_TIMEOUT_S = 10.0
"""A read of one part's keys that a remote online store does not answer in this time ends the job; finished parts stay."""

T = TypeVar("T", bound=msgspec.Struct)


class ScoreRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to score: ``files`` or the newest ``snapshot`` of a dataset, features ``as_of`` a column or ``now``, into ``output``.

    ``to_online`` names a view of the online store that the scores go to as well, by id, once all of them are there. ``moment_us``: the
    moment of ``now``, for batches that are compared (0: the clock's).
    """

    version: str
    output: Path
    files: tuple[Path, ...] = ()
    snapshot: str = ""
    as_of: str = ""
    now: bool = False
    id_column: str = ""
    keep: tuple[str, ...] = ()
    rows_per_part: int = ROWS_PER_PART
    workers: int = 1
    to_online: str = ""
    moment_us: int = 0


class Scoring(AbstractContextManager["Scoring"]):
    """Batches against one installation."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._clock = open_clock(settings.clock)
        self._policy = Policy()
        self._ledger = Ledger(settings.ledger_url, self._clock, self._policy, HANDLERS)
        self._artifacts = ArtifactStore(settings.artifact_store_url)
        self._trust = TrustStore.from_folder(settings.keys_folder)
        self._opened = ExitStack()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Let go of the ledger and of the models' processes."""
        self._opened.close()
        self._ledger.close()

    @property
    def ledger(self) -> Ledger:
        """The installation's ledger."""
        return self._ledger

    @property
    def artifacts(self) -> ArtifactStore:
        """The installation's artifacts."""
        return self._artifacts

    @property
    def trust(self) -> TrustStore:
        """The keys that the installation trusts."""
        return self._trust

    def authenticate(self, bearer: str) -> Actor:
        """Who asks; tokens live by the machine's clock.

        Raises
        ------
        Unauthenticated: nobody.
        """
        return actor_here(self._settings, self._ledger, bearer)

    def run(self, actor: Actor, request: ScoreRequest, progress: Callable[[Progress], None] = lambda _: None) -> Manifest:
        """Score a batch, or finish one that was begun; recorded before the first row is read and after the last is written.

        Raises
        ------
        NotFound: no such version, dataset or file.    Forbidden: policy does not permit it.    Conflict: the folder is another job's, or
        another process writes to it.    InvalidInput, SchemaMismatch: the request or the rows.    Integrity: the bundle, or the parts.
        """
        _check(request)
        version = self._known(KIND_MODEL_VERSION, version_id_of(request.version), ModelVersion, "lever models list")
        team = self._known(KIND_MODEL, version.model, ModelSpec, "lever models list").team
        if request.to_online:
            self._check_online(actor, request.to_online, team)
        model = self._open(version)
        rows = self._rows(actor, request, model.signature)
        views = self._views(model.signature) if request.as_of else []
        sources = {view.name: self._latest(view.source) for view in views}
        job = Job(
            version=request.version,
            bundle=version.bundle,
            rows=rows.rows(),  # looked at while a thread digests the files
            inputs=rows.digests,
            rows_per_part=request.rows_per_part,
            features=_features_said(request, {name: snapshot.digest for name, snapshot in sources.items()}),
            id_column=request.id_column,
            kept=rows.kept,
            moment_us=(request.moment_us or self._clock.now_us()) if request.now else 0,
        )
        folder = OutputFolder(request.output)
        with ExitStack() as held:
            held.enter_context(folder.held())
            job = folder.begin(job)
            start = StartScoring(job=job.digest, version=job.version, bundle=job.bundle, inputs=job.inputs, rows=job.rows, owning_team=team)
            self._ledger.write(actor, start, key=f"score/{job.digest}/start")
            features: Features = lambda _: {}  # noqa: E731 - a model without views asks nobody
            if request.as_of:
                features = PastFeatures(model.signature, [(view, read_snapshot(self._artifacts, sources[view.name])) for view in views])
            elif model.signature.views:
                store = open_for_reading(self._settings.online_url, self._settings.online_folder, ONLINE_TIMEOUT_S)
                features = OnlineFeatures(model.signature, held.enter_context(closing(store)), job.moment_us)
            encode = partial(encode_part, output=model.output)
            manifest = run_batch(job, rows, PartScorer(model, features), encode, folder, workers=request.workers, progress=progress)
            if request.to_online:
                with closing(open_for_writing(self._settings.online_url, self._settings.online_folder)) as target:
                    put_online(manifest, request.output, target, view=request.to_online, output=model.output, now_us=self._clock.now_us())
            finish = FinishScoring(
                job=job.digest,
                manifest=digest_record(manifest),
                rows_scored=manifest.scored,
                codes=manifest.codes,
                online_view=request.to_online,
                owning_team=team,
            )
            self._ledger.write(actor, finish, key=f"score/{job.digest}/finish/{finish.manifest}/{finish.online_view}")
        return manifest

    def _check_online(self, actor: Actor, view: str, team: str) -> None:
        """Scores go where no feature view is, and only by who may fill the online store."""
        if self._ledger.get(KIND_VIEW, view, FeatureView) is not None:
            raise InvalidInput("a feature view has this name", where="--to-online", expected="a name of its own", got=view[:80])
        require(self._policy, actor, "Features.Materialize", f"{KIND_VIEW}/{view}", team, {})

    def _open(self, version: ModelVersion) -> LoadedVersion:
        """The version as a gateway loads it: signature and digests checked, golden rows answered."""
        bundle = open_bundle(self._artifacts, self._trust, version.bundle, version.envelope)
        arm = Arm(version=version.name, bundle=version.bundle, envelope=version.envelope, role="live", weight=100.0)
        open_isolated = None
        if self._settings.allow_isolated:
            open_isolated = IsolatedOpener(self._settings.home, patience_s=BUILD_S_MAX + Bounds().start_s).open
        model = load_version(version.model, arm, {name: bundle.read(name) for name in bundle.names}, open_isolated)
        self._opened.callback(model.close)
        return model

    def _rows(self, actor: Actor, request: ScoreRequest, signature: Signature) -> BatchInput:
        if signature.views and not (request.as_of or request.now):
            raise InvalidInput(
                "this model reads features: of which moment?",
                where=request.version,
                expected="--as-of COLUMN for rows of the past, --now for the online values of this moment",
                next_step="repeat with one of them",
            )
        as_of, id_column, keep = request.as_of, request.id_column, request.keep
        if request.files:
            return open_files(request.files, signature, as_of=as_of, id_column=id_column, keep=keep)
        snapshot = self._latest(request.snapshot)
        contracts = [c for c in self._ledger.find(KIND_CONTRACT, Contract) if c.dataset == request.snapshot]
        require(self._policy, actor, "Data.Read", f"dataset/{request.snapshot}", contracts[0].team if contracts else "", {})
        frame = read_snapshot(self._artifacts, snapshot)
        name, digests = f"snapshot of {snapshot.dataset}", (snapshot.digest,)
        return BatchInput(frame, signature, name=name, digests=digests, as_of=as_of, id_column=id_column, keep=keep)

    def _views(self, signature: Signature) -> list[FeatureView]:
        """The views of the signature as they are declared now, which must be as the model was trained on them."""
        declared = {view.name: view for view in self._ledger.find(KIND_VIEW, FeatureView)}
        changed = [b.view for b in signature.views if b.view not in declared or view_version(declared[b.view]) != b.view_version]
        if changed:
            raise Conflict(
                "a feature view was changed since the model was trained",
                where=", ".join(changed),
                expected="the declaration that the version is bound to",
                next_step="train a new version, or score with --now while the online store still holds the old one",
            )
        return [declared[binding.view] for binding in signature.views]

    def _latest(self, dataset: str) -> Snapshot:
        pointer = self._known(KIND_DATASET, dataset, Dataset, f"lever data ingest {dataset} FILE")
        return self._known(KIND_SNAPSHOT, f"{dataset}/{pointer.snapshot}", Snapshot, f"lever data ingest {dataset} FILE")

    def _known(self, kind: str, id: str, type: type[T], next_step: str) -> T:
        record = self._ledger.get(kind, id, type)
        if record is None:
            raise NotFound(f"no such {kind.replace('_', ' ')}", where=id[:120], next_step=next_step)
        return record


def _check(request: ScoreRequest) -> None:
    if bool(request.files) == bool(request.snapshot):
        raise InvalidInput("score what?", where="lever score", expected="either --input FILE or --snapshot DATASET", got="both or neither")
    if request.as_of and request.now:
        raise InvalidInput("features of which moment?", where="lever score", expected="either --as-of or --now", got="both")
    if request.to_online and not request.id_column:
        raise InvalidInput("scores are found again by an id", where="--to-online", expected="--id COLUMN as well", got="none")
    if not 1 <= request.rows_per_part <= ROWS_PER_PART_MAX:
        got = str(request.rows_per_part)
        raise InvalidInput("no size for a part", where="--rows-per-part", expected=f"1 to {ROWS_PER_PART_MAX}", got=got)


def _features_said(request: ScoreRequest, sources: dict[str, str]) -> dict[str, str]:
    """Where feature values come from, as the job keeps it."""
    if request.as_of:
        return {"as of": request.as_of, **{f"view {name}": digest for name, digest in sources.items()}}
    return {"online": "at one moment"} if request.now else {}
