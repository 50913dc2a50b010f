"""Use cases of the features room: declarations and freshness."""

from leverframe.apps.platform.datasets import contract_of
from leverframe.apps.platform.feature_services import check_entity_keys, resolved_models
from leverframe.apps.platform.parts import Parts
from leverframe.apps.platform.views import FeatureViewView
from leverframe.core.actor import Actor
from leverframe.core.feature import FeatureView, Freshness
from leverframe.features.commands import KIND_VIEW, ApplyView
from leverframe.features.declared.definitions import view_version
from leverframe.features.freshness import freshness


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
