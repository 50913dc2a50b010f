"""Use cases of registries: which are followed, and what became of their versions. The worker follows."""

from leverframe.apps.egress.destination import check_allowed, parse_allowed, parse_destination
from leverframe.apps.platform.parts import Parts
from leverframe.apps.platform.views.registries import FollowedView, RegistryRequest, RegistryView
from leverframe.core.actor import Actor
from leverframe.core.errors import InvalidInput, NotFound
from leverframe.governance.decision import require
from leverframe.training.registries import (
    KIND_ALIAS,
    KIND_FOLLOWED,
    KIND_REGISTRY,
    AddRegistry,
    AliasSet,
    Followed,
    LookAtRegistry,
    Registry,
    RemoveRegistry,
)

STRATEGIES = ("canary", "shadow_canary", "blue_green")


class Registries:
    """Adds, removes and lists registries."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def add(self, actor: Actor, request: RegistryRequest, *, key: str) -> RegistryView:
        """Follow a registered model from now on.

        Raises
        ------
        Forbidden: policy does not permit it, or the operator's list does not name the host.    InvalidInput: no address, tier or strategy.
        """
        # Policy first: who may not add one learns nothing of the operator's list.
        require(self._parts.policy, actor, AddRegistry.action, f"registry/{request.name}", request.team, {})
        check_allowed(parse_destination(request.url), parse_allowed(self._parts.settings.egress_hosts))
        if request.risk_tier not in ("low", "high") or request.strategy not in STRATEGIES:
            expected = f"risk_tier low or high, strategy {', '.join(STRATEGIES)}"
            raise InvalidInput("not a way to release", where="registry", expected=expected, got=f"{request.risk_tier}, {request.strategy}")
        model = request.model or request.source
        registry = Registry(
            name=request.name,
            url=request.url.rstrip("/"),
            source=request.source,
            model=model,
            team=request.team,
            owner=request.owner or request.team,
            environment=request.environment,
            endpoint=request.endpoint or model,
            strategy=request.strategy,
            watch=request.watch,
            alias=request.alias,
            risk_tier=request.risk_tier,
            column=request.column,
        )
        self._parts.ledger.write(actor, AddRegistry(name=request.name, owner_team=request.team, registry=registry), key=key)
        return self.one(request.name)

    def remove(self, actor: Actor, name: str, *, key: str) -> dict[str, object]:
        """Follow it no more; versions, plans and releases stay."""
        return dict(self._parts.ledger.write(actor, RemoveRegistry(name=name, owner_team=self._known(name).team), key=key).result)

    def look(self, actor: Actor, name: str, *, key: str) -> RegistryView:
        """Try again what failed; the worker looks within its interval."""
        self._parts.ledger.write(actor, LookAtRegistry(name=name, owner_team=self._known(name).team), key=key)
        return self.one(name)

    def list(self) -> tuple[RegistryView, ...]:
        """Every registry that is followed."""
        return tuple(self._view(registry) for registry in self._parts.ledger.find(KIND_REGISTRY, Registry))

    def one(self, name: str) -> RegistryView:
        """One registry.

        Raises
        ------
        NotFound: none of this name is followed.
        """
        return self._view(self._known(name))

    def _known(self, name: str) -> Registry:
        registry = self._parts.ledger.get(KIND_REGISTRY, name, Registry)
        if registry is None:
            raise NotFound("no such registry", where=name[:80], next_step="lever registry list")
        return registry

    def _view(self, registry: Registry) -> RegistryView:
        ledger = self._parts.ledger
        alias = ledger.get(KIND_ALIAS, registry.name, AliasSet)
        followed = ledger.find(KIND_FOLLOWED, Followed, prefix=f"{registry.name}/")
        return RegistryView(
            name=registry.name,
            host=parse_destination(registry.url).shown,
            source=registry.source,
            model=registry.model,
            team=registry.team,
            environment=registry.environment,
            endpoint=registry.endpoint,
            watch=registry.watch,
            alias=registry.alias,
            by=registry.by,
            at_us=registry.at_us,
            followed=tuple(
                FollowedView(
                    number=each.number,
                    version=each.version,
                    evaluated=each.evaluated,
                    plan=each.plan,
                    failure=each.failure,
                    at_us=each.at_us,
                )
                for each in reversed(followed)
            ),
            alias_number=alias.number if alias is not None else 0,
            alias_version=alias.version if alias is not None else "",
        )
