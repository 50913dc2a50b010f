"""Which versions of feature views models still read: those of all that answers, or answered lately and may be taken back to."""

from collections.abc import Iterator

import msgspec

from leverframe.apps.platform.parts import Parts
from leverframe.core.feature import FeatureView
from leverframe.core.model import SIGNATURE
from leverframe.core.route import Arm, Endpoint
from leverframe.core.schema import Signature
from leverframe.features.commands import KIND_VIEW
from leverframe.features.declared.definitions import view_version
from leverframe.governance.bundles import open_bundle
from leverframe.release.records import KIND_ENDPOINT

REVISIONS_KEPT = 5
"""Earlier states of an endpoint that a rollback may go back to without materialising anything."""


def bound_versions(parts: Parts) -> dict[str, dict[str, tuple[str, ...]]]:
    """View name to view version to the model versions (``model@v2``) that read it."""
    parts = parts.whole  # A view is read by models of every team.
    found: dict[str, dict[str, set[str]]] = {}
    for arm in {arm.bundle: arm for arm in _arms(parts)}.values():
        bundle = open_bundle(parts.artifacts, parts.trust, arm.bundle, arm.envelope)
        for view in msgspec.json.decode(bundle.read(SIGNATURE), type=Signature).views:
            found.setdefault(view.view, {}).setdefault(view.view_version, set()).add(arm.version)
    return {view: {version: tuple(sorted(models)) for version, models in versions.items()} for view, versions in found.items()}


def _arms(parts: Parts) -> Iterator[Arm]:
    environment = parts.settings.environment
    for endpoint in parts.ledger.find(KIND_ENDPOINT, Endpoint, prefix=f"{environment}/"):
        for revision in parts.ledger.history(KIND_ENDPOINT, f"{environment}/{endpoint.name}", Endpoint)[-REVISIONS_KEPT:]:
            if revision.record is not None:
                yield from revision.record.arms
                if revision.record.fallback.last_good is not None:
                    yield revision.record.fallback.last_good


def held_definitions(parts: Parts, view: str) -> list[FeatureView]:
    """The declarations, present and past, of the versions of ``view`` that the online store holds."""
    held = {meta.view_version for meta in parts.online.views() if meta.view == view}
    found: dict[str, FeatureView] = {}
    for revision in parts.ledger.history(KIND_VIEW, view, FeatureView):
        if revision.record is not None and view_version(revision.record) in held:
            found[view_version(revision.record)] = revision.record
    return list(found.values())
