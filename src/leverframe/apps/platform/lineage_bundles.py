"""What a version's bundle froze about where it comes from. Bundles never change, so what was read once is kept."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import msgspec

from leverframe.core.command import Revision
from leverframe.core.digest import Digest
from leverframe.core.errors import Integrity
from leverframe.core.feature import FeatureView
from leverframe.core.model import IMPORTED, LINEAGE, SIGNATURE, SPEC, Lineage, ModelSpec, Signature
from leverframe.features.declared.definitions import view_version
from leverframe.governance.artifacts import ArtifactStore
from leverframe.governance.bundles import open_bundle
from leverframe.governance.signing import TrustStore

KEPT_MAX = 512
"""Bundles' records kept in memory; the ones used longest ago go first and are read again when asked for."""


class Frozen(msgspec.Struct, frozen=True, kw_only=True):
    """One bundle's own account: its spec and signature, the snapshots and views' versions it was trained with, definitions where known."""

    spec: ModelSpec
    signature: Signature
    snapshots: dict[str, Digest]
    feature_views: dict[str, Digest]
    views: dict[str, FeatureView]
    imported: bool

    @property
    def dataset(self) -> str:
        """The dataset of its questions; empty: it was trained elsewhere."""
        return "" if self.imported else self.spec.dataset

    def note(self, deleted: Mapping[str, str]) -> str:
        """What a reader must know of it; ``deleted``: snapshots (``dataset/digest``) that lost rows for good, and by which deletions."""
        if self.imported:
            return "trained elsewhere: what its rows were is not known here"
        lost = [f"{dataset} ({by})" for dataset, digest in sorted(self.snapshots.items()) if (by := deleted.get(f"{dataset}/{digest}"))]
        return f"rows it was trained on were deleted since: {', '.join(lost)}" if lost else ""


class Signed(Protocol):
    """Whatever names a bundle and the signed envelope over it: a version, an arm, a plan's candidate."""

    @property
    def bundle(self) -> Digest:
        """The manifest's digest."""
        ...

    @property
    def envelope(self) -> Digest:
        """The envelope's digest."""
        ...


class Bundles:
    """Reads what bundles froze, and finds the definitions of that time in the ledger's history.

    Parameters
    ----------
    history: every declaration that a view ever had, oldest first, by its name.
    """

    def __init__(self, artifacts: ArtifactStore, trust: TrustStore, history: Callable[[str], Sequence[Revision[FeatureView]]]) -> None:
        self._artifacts = artifacts
        self._trust = trust
        self._history = history
        self._kept: OrderedDict[Digest, Frozen] = OrderedDict()
        self._lock = threading.Lock()

    def frozen(self, version: Signed) -> Frozen | None:
        """What the bundle of a version, or of whoever answers with it, says; None: it is damaged, which must not hide the rest."""
        with self._lock:
            found = self._kept.get(version.bundle)
            if found is not None:
                self._kept.move_to_end(version.bundle)
                return found
        try:
            bundle = open_bundle(self._artifacts, self._trust, version.bundle, version.envelope)
        except Integrity:
            return None
        lineage = msgspec.json.decode(bundle.read(LINEAGE), type=Lineage)
        read = Frozen(
            spec=msgspec.json.decode(bundle.read(SPEC), type=ModelSpec),
            signature=msgspec.json.decode(bundle.read(SIGNATURE), type=Signature),
            snapshots=lineage.snapshots,
            feature_views=lineage.feature_views,
            views={name: view for name, digest in lineage.feature_views.items() if (view := self._definition(name, digest)) is not None},
            imported=lineage.run_id == IMPORTED,
        )
        with self._lock:
            self._kept[version.bundle] = read
            if len(self._kept) > KEPT_MAX:
                self._kept.popitem(last=False)
        return read

    def _definition(self, name: str, digest: Digest) -> FeatureView | None:
        """The newest declaration of the view that had this version, out of its whole history."""
        return next((r.record for r in reversed(self._history(name)) if r.record is not None and view_version(r.record) == digest), None)
