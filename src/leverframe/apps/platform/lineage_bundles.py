"""What a version's bundle froze about where it comes from. Bundles never change, so what was read once is kept."""

import threading
from collections import OrderedDict

import msgspec

from leverframe.apps.platform.parts import Parts
from leverframe.core.digest import Digest
from leverframe.core.errors import Integrity
from leverframe.core.feature import FeatureView
from leverframe.core.model import IMPORTED, LINEAGE, SIGNATURE, SPEC, Lineage, ModelSpec, ModelVersion, Signature
from leverframe.features.commands import KIND_VIEW
from leverframe.features.declared.definitions import view_version
from leverframe.governance.bundles import open_bundle

KEPT_MAX = 512
"""Bundles' records kept in memory; the ones used longest ago go first and are read again when asked for."""


class Frozen(msgspec.Struct, frozen=True, kw_only=True):
    """One bundle's own account: its spec, its signature, the views' versions it was trained with, and their definitions where known."""

    spec: ModelSpec
    signature: Signature
    feature_views: dict[str, Digest]
    views: dict[str, FeatureView]
    imported: bool

    @property
    def dataset(self) -> str:
        """The dataset of its questions; empty: it was trained elsewhere."""
        return "" if self.imported else self.spec.dataset

    @property
    def note(self) -> str:
        """What a reader must know of it."""
        return "trained elsewhere: what its rows were is not known here" if self.imported else ""


class Bundles:
    """Reads what bundles froze, and finds the definitions of that time in the ledger's history."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._kept: OrderedDict[Digest, Frozen] = OrderedDict()
        self._lock = threading.Lock()

    def frozen(self, version: ModelVersion) -> Frozen | None:
        """What the version's bundle says; None: it is damaged, which must not hide everything else."""
        with self._lock:
            found = self._kept.get(version.bundle)
            if found is not None:
                self._kept.move_to_end(version.bundle)
                return found
        try:
            bundle = open_bundle(self._parts.artifacts, self._parts.trust, version.bundle, version.envelope)
        except Integrity:
            return None
        lineage = msgspec.json.decode(bundle.read(LINEAGE), type=Lineage)
        read = Frozen(
            spec=msgspec.json.decode(bundle.read(SPEC), type=ModelSpec),
            signature=msgspec.json.decode(bundle.read(SIGNATURE), type=Signature),
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
        history = reversed(self._parts.ledger.history(KIND_VIEW, name, FeatureView))
        return next((r.record for r in history if r.record is not None and view_version(r.record) == digest), None)
