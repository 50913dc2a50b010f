"""Who uses a snapshot: versions and releases by the lineage in their bundles, runs by what was newest when they began, materialisations
by what they pinned."""

from collections.abc import Iterable, Iterator

import msgspec

from leverframe.apps.platform.lineage_bundles import Signed
from leverframe.apps.platform.parts import Parts
from leverframe.core.dataset import Snapshot
from leverframe.core.digest import Digest
from leverframe.core.errors import LeverframeError
from leverframe.core.feature import FeatureView
from leverframe.core.model import ModelSpec, ModelVersion
from leverframe.data.commands import KIND_DATASET, KIND_SNAPSHOT, Dataset
from leverframe.features.commands import KIND_VIEW
from leverframe.features.materialization.jobs import KIND_JOB, JobRecord
from leverframe.release.plans.plan import KIND_PLAN, ReleasePlan
from leverframe.release.records import KIND_RELEASE, Release
from leverframe.training.commands import KIND_MODEL, KIND_MODEL_VERSION
from leverframe.training.runs import KIND_RUN, RunRecord

Use = tuple[Digest, str]
"""A snapshot, and what uses it."""


def uses(parts: Parts, dataset: str) -> dict[Digest, tuple[str, ...]]:
    """What uses each snapshot of ``dataset``, by its digest.

    A version whose bundle cannot be opened is taken to use whatever was newest when it was registered: nothing is deleted on a doubt.
    """
    parts = parts.whole  # What another team's model was made from is kept as well.
    found: dict[Digest, set[str]] = {}
    for digest, user in (*_versions(parts, dataset), *_releases(parts, dataset), *_runs(parts, dataset), *_jobs(parts, dataset)):
        found.setdefault(digest, set()).add(user)
    for snapshot in sorted(parts.ledger.find(KIND_SNAPSHOT, Snapshot, prefix=f"{dataset}/"), key=lambda each: each.created_at_us):
        # Where rows were deleted, what remains is what a version can still be made again from, as far as that goes.
        if snapshot.erased is not None and snapshot.erased.replaced_by:
            found.setdefault(snapshot.erased.replaced_by, set()).update(found.get(snapshot.digest, ()))
    return {digest: tuple(sorted(users)) for digest, users in found.items() if users}


def _made_from(parts: Parts, dataset: str, version: Signed, at_us: int) -> tuple[Digest, ...]:
    """The snapshot of ``dataset`` that a bundle was made from, or none; in doubt what was newest at ``at_us``."""
    try:
        frozen = parts.bundles.frozen(version)
    except (LeverframeError, msgspec.MsgspecError):
        frozen = None
    if frozen is None:
        return tuple(_newest_at(parts, dataset, at_us))
    used = frozen.snapshots.get(dataset)
    return (used,) if used else ()


def _versions(parts: Parts, dataset: str) -> Iterator[Use]:
    for version in parts.ledger.find(KIND_MODEL_VERSION, ModelVersion):
        for digest in _made_from(parts, dataset, version, version.created_at_us):
            yield digest, f"version {version.name}"


def _releases(parts: Parts, dataset: str) -> Iterator[Use]:
    """Both versions of every release: while it is under way, and afterwards because its evidence is about them."""
    for release in parts.ledger.find(KIND_RELEASE, Release):
        plan = parts.ledger.get(KIND_PLAN, release.plan, ReleasePlan)
        for version in (plan.candidate, plan.champion) if plan is not None else ():
            if version is not None:
                user = f"release {release.id}, under way" if release.active else f"evidence of release {release.id}"
                for digest in _made_from(parts, dataset, version, release.started_us):
                    yield digest, user


def _runs(parts: Parts, dataset: str) -> Iterator[Use]:
    for run in parts.ledger.find(KIND_RUN, RunRecord):
        if run.status != "failed" and dataset in datasets_read_by(parts, run.model):
            for digest in _newest_at(parts, dataset, run.started_at_us):
                yield digest, f"run {run.id}"


def _jobs(parts: Parts, dataset: str) -> Iterator[Use]:
    """Materialisations under way, and the last one that was finished of each version of a view: what the store holds came from there."""
    jobs = [job for job in parts.ledger.find(KIND_JOB, JobRecord) if job.source == dataset]
    for job in jobs:
        if job.status == "running":
            yield job.snapshot, f"materialisation {job.id} of {job.view}, under way"
    for job in _last_done(jobs):
        yield job.snapshot, f"last materialisation of {job.view}"


def _last_done(jobs: Iterable[JobRecord]) -> Iterable[JobRecord]:
    last: dict[tuple[str, Digest], JobRecord] = {}
    for job in sorted((job for job in jobs if job.status == "done"), key=lambda job: (job.finished_at_us or 0, job.id)):
        last[job.view, job.view_version] = job
    return last.values()


def _newest_at(parts: Parts, dataset: str, at_us: int) -> Iterator[Digest]:
    pointer = parts.ledger.get(KIND_DATASET, dataset, Dataset, at_us=at_us)
    if pointer is not None:
        yield pointer.snapshot


def datasets_read_by(parts: Parts, model: str) -> set[str]:
    """The datasets a model may read: its own, and every view's source (more than it does is safe)."""
    spec = parts.ledger.get(KIND_MODEL, model, ModelSpec)
    sources = {view.source for view in parts.ledger.find(KIND_VIEW, FeatureView)}
    return sources | ({spec.dataset} if spec is not None else set())
