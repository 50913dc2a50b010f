"""The operator's levers: each one route write, with a reason, and with an expiry if wanted.

A lever that is pulled is a record, so that the console can show it and the controller can put it back when it expires.
"""

import math
from typing import Any, ClassVar

import msgspec

from leverframe.core.clock import DAY_US
from leverframe.core.command import Command, Transaction
from leverframe.core.errors import Fault, InvalidInput, NotFound, Refused
from leverframe.core.route import Condition, Endpoint, Fallback, Rule
from leverframe.release.approvals.approvals import freeze_id
from leverframe.release.machine import allowed
from leverframe.release.records import KIND_ENDPOINT, KIND_FREEZE, KIND_LEVER, KIND_RELEASE, FallbackBefore, Freeze, Lever, Release
from leverframe.release.rollout.last_good import LAST_GOOD_LEVER, last_good_lever
from leverframe.release.rollout.rollout import get_release, require_team, transition
from leverframe.release.rollout.routes import put_endpoint

DISABLED_MAX = 200
"""Features of one endpoint that can be switched off at once."""

FOR_US_MAX = 366 * DAY_US
"""Longest time after which a lever puts itself back; without an end it may be pulled for longer."""

FALLBACK_LEVER = "fallback"
"""The record of a chain that ends by itself."""

RULES_MAX = 100
"""Rules of one endpoint's fallback; more are refused: every one is asked of every row that falls back."""

CONDITIONS_MAX = 20
"""Conditions of one rule; more are refused."""


class Operate(Command, frozen=True, kw_only=True):
    """A change to one endpoint by whoever is on call; ``reason`` is kept."""

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


class TimedLever(Operate, frozen=True, kw_only=True):
    """A lever that can put itself back after ``for_us`` microseconds; 0: somebody does."""

    for_us: int = 0


class Pin(TimedLever, frozen=True, kw_only=True):
    """Keep today's live version: a release under way is aborted, none starts until unpinned, and nothing but a person moves the route.

    A release in its watch stays as it is, and is not taken back by itself while pinned.
    """


class Unpin(Operate, frozen=True, kw_only=True):
    """Let releases start again."""


class Kill(TimedLever, frozen=True, kw_only=True):
    """Stop answering by model: the fallback answers, or the request is refused."""


class Unkill(Operate, frozen=True, kw_only=True):
    """Answer by model again."""


class SetFallback(TimedLever, frozen=True, kw_only=True):
    """The whole chain of what answers when an arm cannot; what is not named here is not in it, and an empty chain refuses.

    ``last_good``: the version that was live before the present one, which the platform keeps true over releases and rollbacks; then the
    first of ``rules`` that holds; then the constant ``value``. After ``for_us`` the chain is what it was before.
    """

    value: float | None = None
    rules: tuple[Rule, ...] = ()
    last_good: bool = False


class DisableFeature(TimedLever, frozen=True, kw_only=True):
    """Feed ``feature`` (``view.name`` or ``view.*``) as missing, to every arm alike."""

    feature: str


class EnableFeature(Operate, frozen=True, kw_only=True):
    """Feed ``feature`` again."""

    feature: str


class FreezeReleases(TimedLever, frozen=True, kw_only=True):
    """No release starts or climbs in the environment (``endpoint`` empty: all of it); rollback stays possible."""


class UnfreezeReleases(Operate, frozen=True, kw_only=True):
    """Lift a freeze."""


class ExpireLever(Operate, frozen=True, kw_only=True):
    """Put back a lever whose time is over; the platform can do this and pull none itself."""

    action: ClassVar[str] = "Release.Advance"
    lever: str
    argument: str = ""


def endpoint_of(command: Operate, tx: Transaction) -> Endpoint:
    """The endpoint of ``command``, whose reason and team are checked.

    Raises
    ------
    NotFound: no such endpoint.    Forbidden: another team's.    InvalidInput: no reason.
    """
    endpoint = tx.get(KIND_ENDPOINT, f"{command.environment}/{command.endpoint}", Endpoint)
    if endpoint is None:
        raise NotFound("no such endpoint", where=f"{command.environment}/{command.endpoint}", next_step="lever status")
    owner = tx.get(KIND_RELEASE, endpoint.release, Release)
    if owner is not None:
        require_team(command.owner_team, owner.team, where=command.resource())
    require_reason(command.reason)
    return endpoint


def require_reason(reason: str) -> None:
    """Refuse to do without one.

    Raises
    ------
    InvalidInput: there is none.
    """
    if not reason.strip():
        raise InvalidInput("a lever is not pulled without a reason", where="reason", next_step="--reason '...'")


def _id(command: Operate, lever: str, argument: str = "") -> str:
    return f"{command.environment}/{command.endpoint}/{lever}" + (f"/{argument}" if argument else "")


def _expires_us(command: TimedLever, tx: Transaction) -> int | None:
    """When the lever puts itself back.

    Raises
    ------
    InvalidInput: longer than a year, or a span that is none.
    """
    if not 0 <= command.for_us <= FOR_US_MAX:
        raise InvalidInput("a lever cannot be pulled for so long", where="for_us", expected=f"0 to {FOR_US_MAX}", got=str(command.for_us))
    return tx.now_us + command.for_us if command.for_us else None


def _plain(command: Operate, tx: Transaction, lever: str, argument: str = "") -> Lever:
    return Lever(
        environment=command.environment,
        endpoint=command.endpoint,
        team=command.owner_team,
        lever=lever,
        argument=argument,
        reason=command.reason,
        by=tx.actor.subject,
        at_us=tx.now_us,
    )


def _lever(command: TimedLever, tx: Transaction, lever: str, argument: str = "") -> Lever:
    return msgspec.structs.replace(_plain(command, tx, lever, argument), expires_us=_expires_us(command, tx))


def _pull(command: TimedLever, tx: Transaction, endpoint: Endpoint, lever: str, argument: str = "") -> dict[str, Any]:
    tx.put(KIND_LEVER, _id(command, lever, argument), _lever(command, tx, lever, argument))
    return {"generation": put_endpoint(tx, command.environment, endpoint)}


def _put_back(command: Operate, tx: Transaction, endpoint: Endpoint, lever: str, argument: str = "") -> dict[str, Any]:
    id = _id(command, lever, argument)
    if tx.get(KIND_LEVER, id, Lever) is not None:
        tx.delete(KIND_LEVER, id)
    return {"generation": put_endpoint(tx, command.environment, endpoint)}


def pin(command: Pin, tx: Transaction) -> dict[str, Any]:
    """Pin what is live; an undecided release ends as aborted, with the route back at its champion."""
    endpoint = endpoint_of(command, tx)
    current = tx.get(KIND_RELEASE, endpoint.release, Release)
    if current is not None and current.active and current.state != "watching" and allowed(current.progress, "abort"):
        release, plan = get_release(tx, current.id)
        transition(tx, release, plan, "abort", reason=f"pinned: {command.reason}")
        endpoint = endpoint_of(command, tx)
    return _pull(command, tx, msgspec.structs.replace(endpoint, pinned=True), "pin")


def unpin(command: Unpin, tx: Transaction) -> dict[str, Any]:
    """Unpin."""
    return _put_back(command, tx, msgspec.structs.replace(endpoint_of(command, tx), pinned=False), "pin")


def kill(command: Kill, tx: Transaction) -> dict[str, Any]:
    """Switch the models off."""
    return _pull(command, tx, msgspec.structs.replace(endpoint_of(command, tx), killed=True), "kill")


def unkill(command: Unkill, tx: Transaction) -> dict[str, Any]:
    """Switch the models on."""
    return _put_back(command, tx, msgspec.structs.replace(endpoint_of(command, tx), killed=False), "kill")


def set_fallback(command: SetFallback, tx: Transaction) -> dict[str, Any]:
    """Set the chain; whether a last good version is kept is a record of its own, which every later route write obeys."""
    endpoint = endpoint_of(command, tx)
    faults = fallback_faults(command.value, command.rules)
    if faults:
        raise InvalidInput("not a fallback", where=command.resource(), faults=faults)
    timed = _id(command, FALLBACK_LEVER)
    held = tx.get(KIND_LEVER, timed, Lever)
    lever = _lever(command, tx, FALLBACK_LEVER)
    if lever.expires_us is not None:
        # Of two in a row that end by themselves, the first knows what there was before both.
        before = held.before if held is not None else _chain_of(command, tx, endpoint)
        tx.put(KIND_LEVER, timed, msgspec.structs.replace(lever, before=before))
    elif held is not None:
        tx.delete(KIND_LEVER, timed)
    return _put_fallback(tx, command, endpoint, FallbackBefore(value=command.value, rules=command.rules, last_good=command.last_good))


def _chain_of(command: Operate, tx: Transaction, endpoint: Endpoint) -> FallbackBefore:
    kept = tx.get(KIND_LEVER, last_good_lever(command.environment, command.endpoint), Lever)
    return FallbackBefore(value=endpoint.fallback.value, rules=endpoint.fallback.rules, last_good=kept is not None)


def _put_fallback(tx: Transaction, command: Operate, endpoint: Endpoint, chain: FallbackBefore) -> dict[str, Any]:
    kept = last_good_lever(command.environment, command.endpoint)
    if chain.last_good:
        tx.put(KIND_LEVER, kept, _plain(command, tx, LAST_GOOD_LEVER))
    elif tx.get(KIND_LEVER, kept, Lever) is not None:
        tx.delete(KIND_LEVER, kept)
    changed = msgspec.structs.replace(endpoint, fallback=Fallback(value=chain.value, rules=chain.rules))
    return {"generation": put_endpoint(tx, command.environment, changed)}


def fallback_faults(value: float | None, rules: tuple[Rule, ...]) -> list[Fault]:
    """Everything wrong with a chain in itself: numbers that are none, bounds that nothing lies between, too much of it."""
    faults = []
    if value is not None and not math.isfinite(value):
        faults.append(Fault(where="value", what="not a number", expected="a finite number", got=f"{value}"))
    if len(rules) > RULES_MAX:
        faults.append(Fault(where="rules", what="too many rules", expected=f"at most {RULES_MAX}", got=str(len(rules))))
    for place, rule in enumerate(rules[:RULES_MAX], 1):
        where = f"rule {place}"
        if not math.isfinite(rule.value):
            faults.append(Fault(where=where, what="answers no number", expected="a finite number", got=f"{rule.value}"))
        if not 1 <= len(rule.when) <= CONDITIONS_MAX:
            expected = f"1 to {CONDITIONS_MAX}; for every row, set the constant value"
            faults.append(Fault(where=where, what="conditions", expected=expected, got=str(len(rule.when))))
        faults.extend(_condition_fault(where, condition) for condition in rule.when if not _can_hold(condition))
    return faults


def _can_hold(condition: Condition) -> bool:
    bounds = [bound for bound in (condition.at_least, condition.below) if bound is not None]
    return bool(bounds) and all(math.isfinite(bound) for bound in bounds) and (len(bounds) == 1 or bounds[0] < bounds[1])


def _condition_fault(where: str, condition: Condition) -> Fault:
    got = f"at least {condition.at_least}, below {condition.below}"
    return Fault(
        where=where, what=f"the condition on {condition.column[:80]} never holds", expected="finite bounds, the lower first", got=got
    )


def disable_feature(command: DisableFeature, tx: Transaction) -> dict[str, Any]:
    """Switch a feature off."""
    endpoint = endpoint_of(command, tx)
    view, _, name = command.feature.partition(".")
    if not view or not name:
        raise InvalidInput("not a feature", where="feature", expected="<view>.<name> or <view>.*", got=command.feature[:80])
    disabled = tuple(sorted({*endpoint.disabled_features, command.feature}))
    if len(disabled) > DISABLED_MAX:
        raise InvalidInput("too many features switched off", where=command.resource(), expected=f"at most {DISABLED_MAX}")
    return _pull(command, tx, msgspec.structs.replace(endpoint, disabled_features=disabled), "disable-feature", command.feature)


def enable_feature(command: EnableFeature, tx: Transaction) -> dict[str, Any]:
    """Switch a feature on again."""
    endpoint = endpoint_of(command, tx)
    if command.feature not in endpoint.disabled_features:
        known = ", ".join(endpoint.disabled_features) or "none"
        raise NotFound("this feature is not switched off", where=command.feature[:80], expected=known)
    left = tuple(feature for feature in endpoint.disabled_features if feature != command.feature)
    return _put_back(command, tx, msgspec.structs.replace(endpoint, disabled_features=left), "disable-feature", command.feature)


def freeze_releases(command: FreezeReleases, tx: Transaction) -> None:
    """Put the freeze."""
    if command.endpoint:
        endpoint_of(command, tx)
    require_reason(command.reason)
    freeze = Freeze(
        environment=command.environment,
        endpoint=command.endpoint,
        reason=command.reason,
        by=tx.actor.subject,
        at_us=tx.now_us,
        expires_us=_expires_us(command, tx),
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
    endpoint = endpoint_of(command, tx)
    lever = tx.get(KIND_LEVER, _id(command, command.lever, command.argument), Lever)
    if lever is None or lever.expires_us is None or tx.now_us < lever.expires_us:
        raise Refused("this lever has not expired", where=_id(command, command.lever, command.argument))
    if lever.before is not None:
        tx.delete(KIND_LEVER, _id(command, lever.lever))
        return _put_fallback(tx, command, endpoint, lever.before)
    if lever.lever == "pin":
        endpoint = msgspec.structs.replace(endpoint, pinned=False)
    elif lever.lever == "kill":
        endpoint = msgspec.structs.replace(endpoint, killed=False)
    else:
        left = tuple(feature for feature in endpoint.disabled_features if feature != lever.argument)
        endpoint = msgspec.structs.replace(endpoint, disabled_features=left)
    return _put_back(command, tx, endpoint, lever.lever, lever.argument)
