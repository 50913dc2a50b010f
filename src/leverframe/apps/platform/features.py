"""Use cases of the features room: declarations, materialisation, freshness."""

from time import perf_counter

from leverframe.apps.platform.data import contract_of, latest_rows
from leverframe.apps.platform.feature_services import check_entity_keys, resolved_models
from leverframe.apps.platform.parts import Parts
from leverframe.apps.platform.views import FeatureViewView
from leverframe.core.actor import Actor
from leverframe.core.errors import NotFound
from leverframe.core.feature import FeatureView, Freshness
from leverframe.features.commands import KIND_VIEW, ApplyView, RecordMaterialization
from leverframe.features.definitions import view_version
from leverframe.features.freshness import freshness
from leverframe.features.materialize import materialize


class Features:
    """Feature views, and the online store they fill."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def apply_view(self, actor: Actor, view: FeatureView, *, key: str) -> dict[str, object]:
        """Declare or change a view; its source must have a contract, whose team owns the view, and its keys the types declared for them."""
        contract = contract_of(self._parts, view.source)
        check_entity_keys(self._parts, view, contract)
        receipt = self._parts.ledger.write(actor, ApplyView(view=view, owning_team=contract.team), key=key)
        return dict(receipt.result)

    def views(self) -> tuple[FeatureViewView, ...]:
        """Every view with its freshness and the models that read it."""
        models = resolved_models(self._parts)
        return tuple(
            FeatureViewView(
                view=view,
                version=view_version(view),
                freshness=self._freshness(view),
                consumers=tuple(model.name for model in models if any(c.view == view.name for c in model.columns)),
            )
            for view in self._parts.ledger.find(KIND_VIEW, FeatureView)
        )

    def freshness(self) -> tuple[Freshness, ...]:
        """Freshness of every view that was materialised."""
        return tuple(f for view in self._parts.ledger.find(KIND_VIEW, FeatureView) if (f := self._freshness(view)) is not None)

    def _freshness(self, view: FeatureView) -> Freshness | None:
        meta = self._parts.online.meta(view.name)
        return freshness(view, meta, self._parts.clock.now_us()) if meta is not None else None

    def materialize(self, actor: Actor, names: tuple[str, ...], *, to_us: int | None, key: str) -> dict[str, object]:
        """Bring the named views (none: all) to ``to_us`` (None: now) in the online store, from the newest snapshots.

        Raises
        ------
        NotFound: a name is no view.
        """
        parts = self._parts
        views = {view.name: view for view in parts.ledger.find(KIND_VIEW, FeatureView)}
        unknown = [name for name in names if name not in views]
        if unknown:
            raise NotFound("no such feature view", where=", ".join(unknown), expected=", ".join(views), next_step="lever features list")
        moment_us = parts.clock.now_us() if to_us is None else to_us
        written: dict[str, object] = {}
        for name in names or tuple(views):
            snapshot, rows = latest_rows(parts, views[name].source)
            began = perf_counter()
            done = materialize(views[name], rows, parts.online, moment_us)
            record = RecordMaterialization(
                view=name,
                view_version=done.view_version,
                watermark_us=done.watermark_us,
                entities=done.entities,
                owning_team=contract_of(parts, views[name].source).team,
                source_rows=snapshot.rows,
                seconds=perf_counter() - began,
            )
            parts.ledger.write(actor, record, key=f"{key}/{name}")
            written[name] = {"entities": done.entities, "watermark_us": done.watermark_us}
        return written
