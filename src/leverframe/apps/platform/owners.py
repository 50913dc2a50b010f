"""Whose each record is: one row a kind. A kind without a row belongs to nobody that can be named, and only readers of all teams see it."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec

from leverframe.core.actor import EVERY_TEAM

PLATFORM_WIDE = ""
"""The team of what belongs to the installation as a whole, as in ``Command.team``."""

Body = Mapping[str, Any]


class Records(Protocol):
    """Whatever can say whose another record is."""

    environment: str

    def teams(self, kind: str, id: str) -> frozenset[str] | None:
        """Its teams; None: there is no such record, or nobody knows."""
        ...

    def dataset_teams(self, dataset: str) -> frozenset[str] | None:
        """The teams of a dataset, by its contract; None: no contract names it."""
        ...


Teams = frozenset[str] | None
EVERYBODY: Teams = frozenset((PLATFORM_WIDE,))
Finds = Callable[[Records, str, Body], Teams]


class Owner(msgspec.Struct, frozen=True, kw_only=True):
    """How a kind's owner is found. ``shared``: everybody may read it all the same; ``inside``: read by others' facts only, never shown."""

    teams: Finds
    shared: bool = False
    inside: bool = False


def _field(name: str) -> Finds:
    return lambda records, id, body: frozenset((str(body.get(name) or PLATFORM_WIDE),))


def _of(kind: str, field: str) -> Finds:
    """As the record of ``kind`` that ``field`` names."""
    return lambda records, id, body: records.teams(kind, str(body.get(field, "")))


def _of_dataset(records: Records, id: str, body: Body) -> Teams:
    return records.dataset_teams(str(body.get("dataset", "")))


def _of_view(records: Records, id: str, body: Body) -> Teams:
    return records.teams("view", str(body.get("view", "")))


def _of_version(records: Records, id: str, body: Body) -> Teams:
    name = str(body.get("version", ""))
    return records.teams("model", name.partition("@")[0]) if "@" in name else None


def _child(records: Records, id: str, body: Body) -> Teams:
    """What was made of another version is its own model's team's."""
    return _of_version(records, id, {"version": body.get("child", "")})


def _of_endpoint_name(records: Records, id: str, body: Body) -> Teams:
    """Of what names an endpoint, in this installation's environment where it says none; or a batch table."""
    name, environment = str(body.get("endpoint", "")), str(body.get("environment", records.environment))
    found = records.teams("endpoint", name if "/" in name else f"{environment}/{name}")
    return found if found is not None else records.teams("batch_table", name)


def _of_endpoint_id(records: Records, id: str, body: Body) -> Teams:
    return records.teams("endpoint", id)


def _endpoint(records: Records, id: str, body: Body) -> Teams:
    """As the release that routed it; before there was one, as the model that answers."""
    found = records.teams("release", str(body.get("release", "")))
    if found is None and body.get("arms"):
        found = _of_version(records, id, body["arms"][0])
    return found


def _of_plan(records: Records, id: str, body: Body) -> Teams:
    digest = str(body.get("plan", ""))
    kinds = ("plan", "experiment_plan", "batch_table_plan")
    return next((found for kind in kinds if (found := records.teams(kind, digest)) is not None), None)


def _freeze(records: Records, id: str, body: Body) -> Teams:
    """A freeze of a whole environment is everybody's."""
    return _of_endpoint_name(records, id, body) if body.get("endpoint") else EVERYBODY


def _token(records: Records, id: str, body: Body) -> Teams:
    """Of the teams it speaks for; of a person who speaks for all of them, or for none, everybody knows."""
    teams = [str(team) for team in body.get("teams", ())]
    everywhere = not teams or EVERY_TEAM in teams or "admin" in body.get("roles", ())
    return EVERYBODY if everywhere else frozenset(teams)


def _all(records: Records, id: str, body: Body) -> Teams:
    return EVERYBODY


def _tenant(records: Records, id: str, body: Body) -> Teams:
    """A tenant is called as its team is; the tenant of everybody without one is everybody's."""
    name = str(body.get("tenant", ""))
    return frozenset((PLATFORM_WIDE if name in ("", "default") else name,))


OWNERS: Mapping[str, Owner] = {
    # Data: rows and all that is known of them.
    "contract": Owner(teams=_field("team")),
    "dataset": Owner(teams=_field("team")),
    "snapshot": Owner(teams=_of_dataset),
    "quarantine": Owner(teams=_of_dataset),
    "delivery": Owner(teams=_of_dataset),
    "retention": Owner(teams=_of_dataset),
    "erasure": Owner(teams=_of_dataset),
    "erasure-due": Owner(teams=_of("erasure", "id")),
    "doomed-blob": Owner(teams=_all, inside=True),
    "collected-blob": Owner(teams=_all, inside=True),
    "source": Owner(teams=_field("team")),
    "source-mark": Owner(teams=_of_dataset),
    "fetch": Owner(teams=_of_dataset),
    "fetch-lease": Owner(teams=lambda records, id, body: records.dataset_teams(id), inside=True),
    "stream": Owner(teams=_of_dataset),
    # Features: declarations are there to be used again by other teams (decision 0054), values are their source's.
    "view": Owner(teams=lambda records, id, body: records.dataset_teams(str(body.get("source", ""))), shared=True),
    "entity": Owner(teams=_field("team"), shared=True),
    "feature_service": Owner(teams=_field("team"), shared=True),
    "materialization": Owner(teams=_of_view, shared=True),
    "lateness": Owner(teams=_of_view, shared=True),
    "materialization_job": Owner(teams=_of_view, shared=True),
    "materialization_lease": Owner(teams=_all, inside=True),
    "parity": Owner(teams=_of_endpoint_name),
    # Training.
    "model": Owner(teams=_field("team")),
    "model_version": Owner(teams=_of("model", "model")),
    "run": Owner(teams=_field("team")),
    "descent": Owner(teams=_child),
    "reproduction": Owner(teams=_of("model", "model")),
    "registry": Owner(teams=_field("team")),
    "followed_version": Owner(teams=_of("registry", "registry")),
    "alias_set": Owner(teams=_of("registry", "registry")),
    # Release.
    "plan": Owner(teams=_field("team")),
    "approval": Owner(teams=_of_plan),
    "exception": Owner(teams=_field("team")),
    "observed_bundle": Owner(teams=_all, inside=True),
    "release": Owner(teams=_field("team")),
    "evidence": Owner(teams=_of("release", "release")),
    "review": Owner(teams=_field("team")),
    "queue": Owner(teams=_of_endpoint_id),
    "endpoint": Owner(teams=_endpoint),
    "lever": Owner(teams=_field("team")),
    "freeze": Owner(teams=_freeze),
    "calm": Owner(teams=_of_endpoint_name),
    "correction": Owner(teams=_of_endpoint_name),
    "generation": Owner(teams=_all, inside=True),
    "tenant_quota": Owner(teams=_tenant),
    "release_rules": Owner(teams=_field("team")),
    "experiment_plan": Owner(teams=_field("team")),
    "experiment": Owner(teams=_field("team")),
    "experiment_open": Owner(teams=_of("experiment", "experiment")),
    "experiment_readout": Owner(teams=_of("experiment", "experiment")),
    "batch_table": Owner(teams=_field("team")),
    "batch_table_plan": Owner(teams=_field("team")),
    "batch_table_watch": Owner(teams=_field("team")),
    "batch_table_switched": Owner(teams=_of_plan),
    # Serving and monitoring.
    "scoring": Owner(teams=_of_version),
    "alert": Owner(teams=_of_endpoint_name),
    "incident": Owner(teams=_of_endpoint_name),
    "error_budget": Owner(teams=_of_endpoint_name),
    "objectives": Owner(teams=_of_endpoint_name),
    # Of the installation; who may read them is a permission of its own.
    "token": Owner(teams=_token),
    "policy": Owner(teams=_all),
    "policy_proposal": Owner(teams=_all),
    "webhook": Owner(teams=_all),
}
"""How the owner of each kind of record is found."""
