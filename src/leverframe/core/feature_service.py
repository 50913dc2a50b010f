"""What a model takes: entities as declared records, and feature services, each a named selection of features of views."""

from collections.abc import Mapping
from typing import Literal

import msgspec

from leverframe.core.digest import Digest, digest_record
from leverframe.core.errors import NotFound
from leverframe.core.model import ModelSpec
from leverframe.core.schema import InputColumn

KIND_SERVICE = "feature_service"
"""The ledger's kind of feature services; features keep them, models name them."""

KeyType = Literal["text", "integer"]


class EntityKey(msgspec.Struct, frozen=True, kw_only=True):
    """One column of an entity's key, and what its values are."""

    name: str
    type: KeyType = "text"


class Entity(msgspec.Struct, frozen=True, kw_only=True):
    """What features belong to, declared: an airport by ``origin``, a seat by ``flight`` and ``seat``.

    Declaring one is optional. Where it is declared, every view, contract and request that uses its key columns must agree on their types.
    """

    name: str
    keys: tuple[EntityKey, ...]
    team: str
    owner: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()


class ServedFeature(msgspec.Struct, frozen=True, kw_only=True):
    """One feature of a view, under ``name`` (empty: the feature's own)."""

    view: str
    feature: str
    name: str = ""

    @property
    def column(self) -> str:
        """What the model calls it."""
        return self.name or self.feature


class FeatureService(msgspec.Struct, frozen=True, kw_only=True):
    """A named, owned selection of features that models take together; its version is the digest of the selection."""

    name: str
    features: tuple[ServedFeature, ...]
    team: str
    owner: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()


def service_version(service: FeatureService) -> Digest:
    """The digest of what the service selects, in order and under which names; words, owner and tags may change without a new version."""
    return digest_record({"name": service.name, "features": [(f.view, f.feature, f.column) for f in service.features]})


def service_columns(spec: ModelSpec, service: FeatureService) -> tuple[InputColumn, ...]:
    """The input columns of a model that takes ``service``: its own, then the service's that it does not state itself.

    A column that the spec states under a name of the service is kept as stated: that is how a model declares what is fed for a
    missing or a stale value of one feature.
    """
    stated = {column.name for column in spec.columns}
    taken = (InputColumn(name=f.column, source="view", view=f.view, feature=f.feature) for f in service.features if f.column not in stated)
    return (*spec.columns, *taken)


def with_service(spec: ModelSpec, services: Mapping[str, FeatureService]) -> ModelSpec:
    """``spec`` with the columns of the service it names, if it names one; what training, bundles and checks read.

    Raises
    ------
    NotFound: it names a service that is not declared.

    >>> service = FeatureService(name="s", team="t", features=(ServedFeature(view="w", feature="v", name="wind"),))
    >>> spec = ModelSpec(name="m", description="d", owner="o", team="t", runbook="r", dataset="q", label="y", request=(), service="s")
    >>> [(column.name, column.view, column.feature) for column in with_service(spec, {"s": service}).columns]
    [('wind', 'w', 'v')]
    """
    if not spec.service:
        return spec
    service = services.get(spec.service)
    if service is None:
        raise NotFound(
            "no such feature service",
            where=f"model {spec.name}: {spec.service}",
            expected=", ".join(sorted(services)[:10]) or "a declared service",
            next_step="declare it beside the views and run: lever apply PROJECT_DIR",
        )
    return msgspec.structs.replace(spec, columns=service_columns(spec, service))
