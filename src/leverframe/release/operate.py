"""The operator's levers: each one route write, with a reason, and with an expiry if wanted.

A lever that is pulled is a record, so that the console can show it and the controller can put it back when it expires.
"""

from typing import Any, ClassVar

import msgspec

from leverframe.core.command import Command, Transaction
from leverframe.core.errors import InvalidInput, NotFound, Refused
from leverframe.core.route import Endpoint, Fallback
from leverframe.release.approvals import freeze_id
from leverframe.release.machine import allowed
from leverframe.release.records import KIND_ENDPOINT, KIND_FREEZE, KIND_LEVER, KIND_RELEASE, Freeze, Lever, Release
from leverframe.release.rollout import get_release, require_team, transition
from leverframe.release.routes import put_endpoint

DISABLED_MAX = 200
"""Features of one endpoint that can be switched off at once."""


class _Operate(Command, frozen=True, kw_only=True):
    action: ClassVar[str] = "Release.Operate"
    environment: str
    endpoint: str
    reason: str
    owner_team: str = ""

    def resource(self) -> str:
        """``endpoint/<environment>/<name>``."""
        return f"endpoint/{self.environment}/{self.endpoint}"

    def team(self) -> str:
        """The endpoint's team."""
        return self.owner_team


class _Pull(_Operate, frozen=True, kw_only=True):
    expires_us: int | None = None


class Pin(_Pull, frozen=True, kw_only=True):
    """Keep today's live version: a release under way is aborted, none starts until unpinned, and nothing but a person moves the route.

    A release in its watch stays as it is, and is not taken back by itself while pinned.
    """


class Unpin(_Operate, frozen=True, kw_only=True):
    """Let releases start again."""


class Kill(_Pull, frozen=True, kw_only=True):
    """Stop answering by model: the fallback answers, or the request is refused."""


class Unkill(_Operate, frozen=True, kw_only=True):
    """Answer by model again."""


class SetFallback(_Operate, frozen=True, kw_only=True):
    """What to answer when no model can (None: refuse)."""

    value: float | None = None


class DisableFeature(_Pull, frozen=True, kw_only=True):
    """Feed ``feature`` (``view.name`` or ``view.*``) as missing, to every arm alike."""

    feature: str


class EnableFeature(_Operate, frozen=True, kw_only=True):
    """Feed ``feature`` again."""

    feature: str


class FreezeReleases(_Operate, frozen=True, kw_only=True):
    """No release starts or climbs in the environment (``endpoint`` empty: all of it); rollback stays possible."""

    expires_us: int | None = None


class UnfreezeReleases(_Operate, frozen=True, kw_only=True):
    """Lift a freeze."""


class ExpireLever(_Operate, frozen=True, kw_only=True):
    """Put back a lever whose time is over; the platform can do this and pull none itself."""

    action: ClassVar[str] = "Release.Advance"
    lever: str
    argument: str = ""


def _endpoint(command: _Operate, tx: Transaction) -> Endpoint:
    endpoint = tx.get(KIND_ENDPOINT, f"{command.environment}/{command.endpoint}", Endpoint)
    if endpoint is None:
        raise NotFound("no such endpoint", where=f"{command.environment}/{command.endpoint}", next_step="lever status")
    owner = tx.get(KIND_RELEASE, endpoint.release, Release)
    if owner is not None:
        require_team(command.owner_team, owner.team, where=command.resource())
    _require_reason(command)
    return endpoint


def _require_reason(command: _Operate) -> None:
    if not command.reason.strip():
        raise InvalidInput("a lever is not pulled without a reason", where="reason", next_step="--reason '...'")


def _id(command: _Operate, lever: str, argument: str = "") -> str:
    return f"{command.environment}/{command.endpoint}/{lever}" + (f"/{argument}" if argument else "")


def _pull(command: _Pull, tx: Transaction, endpoint: Endpoint, lever: str, argument: str = "") -> dict[str, Any]:
    if command.expires_us is not None and command.expires_us <= tx.now_us:
        raise InvalidInput("the expiry lies in the past", where="expires_us", expected=f"after {tx.now_us}", got=str(command.expires_us))
    record = Lever(
        environment=command.environment,
        endpoint=command.endpoint,
        team=command.owner_team,
        lever=lever,
        argument=argument,
        reason=command.reason,
        by=tx.actor.subject,
        at_us=tx.now_us,
        expires_us=command.expires_us,
    )
    tx.put(KIND_LEVER, _id(command, lever, argument), record)
    return {"generation": put_endpoint(tx, command.environment, endpoint)}


def _put_back(command: _Operate, tx: Transaction, endpoint: Endpoint, lever: str, argument: str = "") -> dict[str, Any]:
    id = _id(command, lever, argument)
    if tx.get(KIND_LEVER, id, Lever) is not None:
        tx.delete(KIND_LEVER, id)
    return {"generation": put_endpoint(tx, command.environment, endpoint)}


def pin(command: Pin, tx: Transaction) -> dict[str, Any]:
    """Pin what is live; an undecided release ends as aborted, with the route back at its champion."""
    endpoint = _endpoint(command, tx)
    current = tx.get(KIND_RELEASE, endpoint.release, Release)
    if current is not None and current.active and current.state != "watching" and allowed(current.progress, "abort"):
        release, plan = get_release(tx, current.id)
        transition(tx, release, plan, "abort", reason=f"pinned: {command.reason}")
        endpoint = _endpoint(command, tx)
    return _pull(command, tx, msgspec.structs.replace(endpoint, pinned=True), "pin")


def unpin(command: Unpin, tx: Transaction) -> dict[str, Any]:
    """Unpin."""
    return _put_back(command, tx, msgspec.structs.replace(_endpoint(command, tx), pinned=False), "pin")


def kill(command: Kill, tx: Transaction) -> dict[str, Any]:
    """Switch the models off."""
    return _pull(command, tx, msgspec.structs.replace(_endpoint(command, tx), killed=True), "kill")


def unkill(command: Unkill, tx: Transaction) -> dict[str, Any]:
    """Switch the models on."""
    return _put_back(command, tx, msgspec.structs.replace(_endpoint(command, tx), killed=False), "kill")


def set_fallback(command: SetFallback, tx: Transaction) -> dict[str, Any]:
    """Set the fallback answer."""
    endpoint = msgspec.structs.replace(_endpoint(command, tx), fallback=Fallback(value=command.value))
    return {"generation": put_endpoint(tx, command.environment, endpoint)}


def disable_feature(command: DisableFeature, tx: Transaction) -> dict[str, Any]:
    """Switch a feature off."""
    endpoint = _endpoint(command, tx)
    view, _, name = command.feature.partition(".")
    if not view or not name:
        raise InvalidInput("not a feature", where="feature", expected="<view>.<name> or <view>.*", got=command.feature[:80])
    disabled = tuple(sorted({*endpoint.disabled_features, command.feature}))
    if len(disabled) > DISABLED_MAX:
        raise InvalidInput("too many features switched off", where=command.resource(), expected=f"at most {DISABLED_MAX}")
    return _pull(command, tx, msgspec.structs.replace(endpoint, disabled_features=disabled), "disable-feature", command.feature)


def enable_feature(command: EnableFeature, tx: Transaction) -> dict[str, Any]:
    """Switch a feature on again."""
    endpoint = _endpoint(command, tx)
    if command.feature not in endpoint.disabled_features:
        known = ", ".join(endpoint.disabled_features) or "none"
        raise NotFound("this feature is not switched off", where=command.feature[:80], expected=known)
    left = tuple(feature for feature in endpoint.disabled_features if feature != command.feature)
    return _put_back(command, tx, msgspec.structs.replace(endpoint, disabled_features=left), "disable-feature", command.feature)


def freeze_releases(command: FreezeReleases, tx: Transaction) -> None:
    """Put the freeze."""
    if command.endpoint:
        _endpoint(command, tx)
    _require_reason(command)
    freeze = Freeze(
        environment=command.environment,
        endpoint=command.endpoint,
        reason=command.reason,
        by=tx.actor.subject,
        at_us=tx.now_us,
        expires_us=command.expires_us,
    )
    tx.put(KIND_FREEZE, freeze_id(command.environment, command.endpoint), freeze)


def unfreeze_releases(command: UnfreezeReleases, tx: Transaction) -> None:
    """Lift the freeze."""
    id = freeze_id(command.environment, command.endpoint)
    if tx.get(KIND_FREEZE, id, Freeze) is None:
        raise NotFound("releases are not frozen here", where=id)
    tx.delete(KIND_FREEZE, id)


def expire_lever(command: ExpireLever, tx: Transaction) -> dict[str, Any]:
    """Put the lever back; refused before its expiry."""
    endpoint = _endpoint(command, tx)
    lever = tx.get(KIND_LEVER, _id(command, command.lever, command.argument), Lever)
    if lever is None or lever.expires_us is None or tx.now_us < lever.expires_us:
        raise Refused("this lever has not expired", where=_id(command, command.lever, command.argument))
    if lever.lever == "pin":
        endpoint = msgspec.structs.replace(endpoint, pinned=False)
    elif lever.lever == "kill":
        endpoint = msgspec.structs.replace(endpoint, killed=False)
    else:
        left = tuple(feature for feature in endpoint.disabled_features if feature != lever.argument)
        endpoint = msgspec.structs.replace(endpoint, disabled_features=left)
    return _put_back(command, tx, endpoint, lever.lever, lever.argument)
