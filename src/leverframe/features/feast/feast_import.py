"""A Feast repository's declarations as ours, and by name whatever cannot be carried over and why."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from leverframe.core.clock import SECOND_US
from leverframe.core.errors import Fault
from leverframe.core.feature import Expression, FeatureView
from leverframe.core.feature_service import Entity, EntityKey, FeatureService, ServedFeature
from leverframe.features.online.feast_wire import KeyKind
from leverframe.features.online.online_feast import FeastJoinKey, FeastStore, FeastView

KEY_KINDS: Mapping[str, KeyKind] = {"STRING": "text", "INT32": "int32", "INT64": "int64"}
NUMBERS = frozenset({"Float32", "Float64", "Int32", "Int64", "Bool"})
KEY_VERSION = 3


class _Named(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    description: str = ""
    owner: str = ""
    tags: dict[str, str] = {}


class FeastEntity(_Named, frozen=True, kw_only=True):
    """An entity of the repository."""

    join_key: str
    value_type: str


class FeastField(msgspec.Struct, frozen=True, kw_only=True):
    """A column of a view's schema."""

    name: str
    dtype: str
    description: str = ""


class FeastSource(msgspec.Struct, frozen=True, kw_only=True):
    """Where a view's rows lie."""

    name: str
    kind: str
    path: str = ""
    timestamp_field: str = ""
    created: str = ""
    field_mapping: dict[str, str] = {}


class FeastFeatureView(_Named, frozen=True, kw_only=True):
    """A feature view of the repository; ``kind`` is batch or stream."""

    kind: str
    entities: tuple[str, ...]
    ttl_s: float
    online: bool
    features: tuple[FeastField, ...]
    source: FeastSource


class FeastOnDemand(_Named, frozen=True, kw_only=True):
    """A function over features and the request."""

    features: tuple[str, ...]
    mode: str = ""


class FeastProjection(msgspec.Struct, frozen=True, kw_only=True):
    """What a service takes of one view."""

    view: str
    alias: str = ""
    features: tuple[str, ...]
    join_keys: dict[str, str] = {}


class FeastService(_Named, frozen=True, kw_only=True):
    """A feature service of the repository."""

    takes: tuple[FeastProjection, ...]


class FeastOnline(msgspec.Struct, frozen=True, kw_only=True):
    """The kind and place of its online store."""

    kind: str
    address: str = ""


class FeastRepository(msgspec.Struct, frozen=True, kw_only=True):
    """What ``export_feast`` writes."""

    version: str
    project: str
    key_version: int
    online: FeastOnline
    entities: tuple[FeastEntity, ...] = ()
    views: tuple[FeastFeatureView, ...] = ()
    on_demand: tuple[FeastOnDemand, ...] = ()
    services: tuple[FeastService, ...] = ()


@dataclass
class Carried:
    """What becomes of a repository. ``sources`` maps a dataset here to the source there; ``store`` is None where it cannot be read."""

    entities: list[Entity] = field(default_factory=list)
    views: list[FeatureView] = field(default_factory=list)
    services: list[FeatureService] = field(default_factory=list)
    sources: dict[str, FeastSource] = field(default_factory=dict)
    store: FeastStore | None = None
    left: list[Fault] = field(default_factory=list)


def carry(repository: FeastRepository, team: str) -> Carried:
    """The repository's entities, views and services as declarations of ``team``; ``left`` names what stays behind, and why.

    Feast has no arrival time: a view's ``created_timestamp_column`` is taken for it where there is one, else the event time, which claims
    that a row was known the moment it happened. Features are numbers here; columns of text, bytes, times and lists are left.
    """
    done = Carried()
    joins = {entity.name: entity for entity in repository.entities}
    kept = [entity for entity in repository.entities if entity.value_type in KEY_KINDS]
    done.entities = [_entity(entity, team) for entity in kept]
    done.left += [
        Fault(where=f"entity {e.name}", what="a key is text or an integer", expected=", ".join(KEY_KINDS), got=e.value_type)
        for e in repository.entities
        if e.value_type not in KEY_KINDS
    ]
    bound = []
    for view in repository.views:
        carried = _view(view, joins, done)
        if carried is not None:
            done.views.append(carried)
            bound.append(_bound(view, carried, joins))
    done.left += [_on_demand(view) for view in repository.on_demand]
    services = (_service(service, repository, done, team) for service in repository.services)
    done.services = [service for service in services if service is not None]
    done.store = _store(repository, bound, done.left)
    return done


def plain_name(name: str) -> str:
    """A name as we allow it: lower case, digits, underscores.

    >>> plain_name("DriverCity"), plain_name("driver-stats.v2"), plain_name("2fast")
    ('driver_city', 'driver_stats_v2', 'n2fast')
    """
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    plain = re.sub(r"[^a-z0-9_]+", "_", spaced).strip("_")
    return (plain if plain[:1].isalpha() else f"n{plain}")[:63]


def _tags(named: _Named) -> tuple[str, ...]:
    return tuple(f"{key}:{value}" if value else key for key, value in sorted(named.tags.items()))


def _entity(entity: FeastEntity, team: str) -> Entity:
    key = EntityKey(name=entity.join_key, type="text" if KEY_KINDS[entity.value_type] == "text" else "integer")
    return Entity(
        name=plain_name(entity.name), keys=(key,), team=team, owner=entity.owner, description=entity.description, tags=_tags(entity)
    )


def _view(view: FeastFeatureView, joins: Mapping[str, FeastEntity], done: Carried) -> FeatureView | None:
    where = f"view {view.name}"
    keys = [joins[name].join_key for name in view.entities if name in joins]
    unusable = [name for name in view.entities if name not in joins or joins[name].value_type not in KEY_KINDS]
    if not keys or unusable:
        done.left.append(Fault(where=where, what="its entity is not carried over", got=", ".join(unusable) or "a view without entity"))
        return None
    if not view.source.timestamp_field:
        done.left.append(Fault(where=where, what="its source names no timestamp column"))
        return None
    numbers = [f for f in view.features if f.dtype in NUMBERS and f.name not in keys]
    for other in view.features:
        if other.name not in keys and other.dtype not in NUMBERS:
            what = "features are numbers; encode it in the source, or send it with the request"
            done.left.append(Fault(where=f"{view.name}.{other.name}", what=what, got=other.dtype))
    if not numbers:
        done.left.append(Fault(where=where, what="it has no feature that is a number"))
        return None
    if view.kind == "stream":
        done.left.append(Fault(where=where, what="its batch source is carried over; rows of its stream are pushed", got="stream"))
    dataset = plain_name(view.source.name)
    done.sources[dataset] = view.source
    source_of = {there: here for here, there in view.source.field_mapping.items()}
    return FeatureView(
        name=plain_name(view.name),
        source=dataset,
        entity=tuple(keys),
        event_time=view.source.timestamp_field,
        arrival_time=view.source.created or view.source.timestamp_field,
        expressions=tuple(
            Expression(name=plain_name(f.name), sql=_sql(source_of.get(f.name, f.name)), description=f.description) for f in numbers
        ),
        ttl_us=round(view.ttl_s * SECOND_US),
        owner=view.owner,
        description=view.description,
        tags=_tags(view),
    )


def _sql(column: str) -> str:
    return column if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", column) else '"{}"'.format(column.replace('"', '""'))


def _bound(view: FeastFeatureView, carried: FeatureView, joins: Mapping[str, FeastEntity]) -> FeastView:
    renamed = {plain_name(f.name): f.name for f in view.features if plain_name(f.name) in carried.features and plain_name(f.name) != f.name}
    keys = tuple(FeastJoinKey(name=joins[n].join_key, kind=KEY_KINDS[joins[n].value_type]) for n in view.entities)
    return FeastView(view=carried.name, feast_view=view.name, keys=keys, features=renamed)


def _on_demand(view: FeastOnDemand) -> Fault:
    what = "a function over features is not carried over: write it as a request-time column or in the model"
    return Fault(where=f"on-demand view {view.name}", what=what, got=", ".join(view.features))


def _service(service: FeastService, repository: FeastRepository, done: Carried, team: str) -> FeatureService | None:
    where = f"service {service.name}"
    taken = list(_taken(service, repository, done))
    if not taken:
        done.left.append(Fault(where=where, what="nothing of it is carried over"))
        return None
    names = [feature for _, feature in taken]
    # Feast names colliding features by their view; only those that collide get longer names here.
    features = tuple(
        ServedFeature(view=view, feature=feature, name=f"{view}__{feature}" if names.count(feature) > 1 else "") for view, feature in taken
    )
    return FeatureService(
        name=plain_name(service.name),
        features=features,
        team=team,
        owner=service.owner,
        description=service.description,
        tags=_tags(service),
    )


def _taken(service: FeastService, repository: FeastRepository, done: Carried) -> Iterator[tuple[str, str]]:
    """(view, feature) of everything the service takes that is carried over; the rest is named."""
    views = {view.name: view for view in done.views}
    functions = {view.name for view in repository.on_demand}
    where = f"service {service.name}"
    for projection in service.takes:
        view = views.get(plain_name(projection.view))
        if projection.join_keys:
            done.left.append(
                Fault(
                    where=f"service {service.name}",
                    what="a view under another entity's key",
                    got=f"{projection.view} by {projection.join_keys}",
                )
            )
        elif view is None:
            kind = "an on-demand view" if projection.view in functions else "a view that is not carried over"
            done.left.append(Fault(where=where, what=f"takes {kind}", got=projection.view))
        else:
            for feature in projection.features:
                if plain_name(feature) in view.features:
                    yield view.name, plain_name(feature)
                else:
                    done.left.append(Fault(where=where, what="takes a feature that is not carried over", got=feature))


def _store(repository: FeastRepository, views: Sequence[FeastView], left: list[Fault]) -> FeastStore | None:
    online = repository.online
    if repository.key_version != KEY_VERSION:
        left.append(
            Fault(where="online store", what="another key serialization", expected=str(KEY_VERSION), got=str(repository.key_version))
        )
        return None
    if online.kind == "sqlite":
        return FeastStore(project=repository.project, kind="sqlite", address=online.address, views=tuple(views))
    if online.kind == "redis":
        return FeastStore(project=repository.project, kind="redis", address=online.address, views=tuple(views))
    left.append(Fault(where="online store", what="cannot be read in place", expected="sqlite or redis", got=online.kind))
    return None
