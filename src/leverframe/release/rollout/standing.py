"""What today's route rests on: the release in charge, the one that brought the version it was compared with, and so on down."""

import math

from leverframe.core.command import Journal, Transaction
from leverframe.core.route import Endpoint
from leverframe.release.plans.plan import KIND_PLAN, ReleasePlan, VersionRef
from leverframe.release.records import KIND_RELEASE, Release


def began(release: Release) -> float:
    """Orders releases by when their route was first set: plans may be applied in any order and clocks jump, generations only grow."""
    return next((entry.generation for entry in release.log if entry.event == "apply"), math.inf)


def releases_of(tx: Journal | Transaction, environment: str, endpoint: str) -> list[Release]:
    """Every release of the endpoint that was ever started, in the order they began."""
    found = [r for r in tx.find(KIND_RELEASE, Release, prefix=f"{environment}.{endpoint}.") if r.endpoint == endpoint]
    return sorted((release for release in found if math.isfinite(began(release))), key=began)


def standing(tx: Journal | Transaction, environment: str, endpoint: Endpoint) -> list[Release]:
    """The releases under today's route, newest first: the one in charge (or that brought the live version), then what each was built on."""
    releases = releases_of(tx, environment, endpoint.name)
    live = endpoint.live.version if endpoint.live is not None else ""
    top = next((i for i, r in enumerate(releases) if r.id == endpoint.release and (r.active or r.state == "completed")), None)
    if top is None:
        top = _brought(releases, len(releases), live)
    chain = []
    while top is not None:
        chain.append(releases[top])
        top = _brought(releases, top, releases[top].champion)
    return chain


def _brought(releases: list[Release], before: int, version: str) -> int | None:
    """The last of ``releases[:before]`` that made ``version`` live and was not taken back."""
    return next((i for i in range(before - 1, -1, -1) if releases[i].candidate == version and releases[i].state == "completed"), None)


def good_before(tx: Journal | Transaction, release: Release, plan: ReleasePlan) -> VersionRef | None:
    """The version to go back to from ``release``: its champion, or what was before that if the champion was taken back meanwhile."""
    champion = plan.champion
    releases = releases_of(tx, release.environment, release.endpoint)
    before = next((i for i, each in enumerate(releases) if each.id == release.id), len(releases))
    while champion is not None:
        place = next((i for i in range(before - 1, -1, -1) if releases[i].candidate == champion.version), None)
        if place is None or releases[place].state != "rolled_back":
            return champion
        brought = tx.get(KIND_PLAN, releases[place].plan, ReleasePlan)
        champion, before = brought.champion if brought is not None else None, place
    return None
