"""Which version stands in when the live one cannot answer: the one that was live before it.

Read from the releases alone, so that it is right after any history: **never the live version, never one that was last rolled back or
aborted**.
"""

import msgspec

from leverframe.core.command import Transaction
from leverframe.core.route import Arm, Endpoint
from leverframe.release.machine import State
from leverframe.release.plans.plan import KIND_PLAN, ReleasePlan
from leverframe.release.records import KIND_LEVER, Lever, Release
from leverframe.release.rollout.standing import began, releases_of

LAST_GOOD_LEVER = "last-good"
_BROUGHT: tuple[State, ...] = ("watching", "completed")
"""A release in one of these states has made its candidate the live version."""
_TAKEN_BACK: tuple[State, ...] = ("rolled_back", "aborted")


def last_good_lever(environment: str, endpoint: str) -> str:
    """The record that says the platform keeps a last good version for this endpoint."""
    return f"{environment}/{endpoint}/{LAST_GOOD_LEVER}"


def last_good(tx: Transaction, environment: str, endpoint: Endpoint, changing: Release | None = None) -> Arm | None:
    """The arm to fall back to, or None when nobody asked for one or there is none.

    Parameters
    ----------
    changing: the release whose step this is; its record in the ledger is still the one before the step.
    """
    if endpoint.live is None or tx.get(KIND_LEVER, last_good_lever(environment, endpoint.name), Lever) is None:
        return None
    found = {release.id: release for release in releases_of(tx, environment, endpoint.name)}
    if changing is not None:
        found[changing.id] = changing
    release = came_before(sorted(found.values(), key=began), endpoint.live.version)
    plan = tx.get(KIND_PLAN, release.plan, ReleasePlan) if release is not None else None
    if plan is None or plan.champion is None:
        return None
    champion = plan.champion
    return Arm(version=champion.version, bundle=champion.bundle, envelope=champion.envelope, role="live", weight=0.0)


def came_before(releases: list[Release], live: str) -> Release | None:
    """The release whose champion is the last good version behind ``live``, from ``releases`` in the order they began.

    Goes back from the release that brought ``live`` to the one that brought its champion, and so on, past versions taken back.
    """
    outcome = {r.candidate: r.state for r in releases if r.state in (*_BROUGHT, *_TAKEN_BACK)}
    version, before = live, len(releases)
    while True:
        # Below the live version the way also leads past one that was brought once and taken back since: to what was before that.
        states = _BROUGHT if version == live else (*_BROUGHT, "rolled_back")
        places = [i for i, r in enumerate(releases[:before]) if r.candidate == version and r.state in states]
        if not places or not releases[places[-1]].champion:
            return None
        before, release = places[-1], releases[places[-1]]
        version = release.champion
        if version != live and outcome.get(version) not in _TAKEN_BACK:
            return release


def keep_last_good(tx: Transaction, environment: str, endpoint: Endpoint, changing: Release | None = None) -> Endpoint:
    """``endpoint`` with its fallback's last good version as the releases say now."""
    arm = last_good(tx, environment, endpoint, changing)
    if arm == endpoint.fallback.last_good:
        return endpoint
    return msgspec.structs.replace(endpoint, fallback=msgspec.structs.replace(endpoint.fallback, last_good=arm))
