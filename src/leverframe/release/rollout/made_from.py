"""What rests on a version by lineage: releases at other endpoints whose versions were made from it and went to callers after it.

A version that was already released when the bad one began stays: it was made from bytes that nobody had found fault with there, and has
been judged beside other releases since.
"""

from collections.abc import Iterator

import msgspec

from leverframe.core.command import Journal, Transaction
from leverframe.core.descent import descendants, descent_words
from leverframe.core.route import Endpoint
from leverframe.release.plans.plan import KIND_PLAN, ReleasePlan
from leverframe.release.records import KIND_ENDPOINT, KIND_RELEASE, Release
from leverframe.release.rollout.standing import began, good_before, standing

TAKEN_MAX = 50
"""Endpoints that one rollback takes along by lineage; those beyond are flagged for a person, so that a rollback stays one short write."""


class Resting(msgspec.Struct, frozen=True, kw_only=True):
    """``release``, at an endpoint of its own, would go back with the version asked of; ``above`` are those promoted on top, newest first.

    ``how`` is the way of its version from that one, in words. ``stays`` says why it is only flagged (empty: it goes back to ``good``).
    """

    release: Release
    above: tuple[Release, ...] = ()
    how: str
    stays: str = ""
    good: str = ""


def resting_on(records: Journal | Transaction, taken: Release) -> Iterator[Resting]:
    """Every release that rests on the candidate of ``taken`` by lineage and began after it, under the route of any other endpoint."""
    found = descendants(records, taken.candidate)
    if not found:
        return
    for endpoint in records.find(KIND_ENDPOINT, Endpoint):
        owner = records.get(KIND_RELEASE, endpoint.release, Release)
        if owner is None or (owner.environment, owner.endpoint) == (taken.environment, taken.endpoint):
            continue
        chain = standing(records, owner.environment, endpoint)
        places = [i for i, each in enumerate(chain) if each.candidate in found and _after(each, taken)]
        if not places:
            continue
        # The lowest that was made from it: what is above was compared with it, and goes by the rule for that.
        lowest = chain[places[-1]]
        plan = records.get(KIND_PLAN, lowest.plan, ReleasePlan)
        if plan is None:
            continue
        good = good_before(records, lowest, plan)
        yield Resting(
            release=lowest,
            above=tuple(chain[: places[-1]]),
            how=descent_words(found, lowest.candidate),
            stays=_stays(endpoint, plan, taken, has_good=good is not None),
            good=good.version if good is not None else "",
        )


def _after(release: Release, taken: Release) -> bool:
    """Whether ``release`` went to callers after ``taken`` did: by route generations, which only grow, and across environments by time."""
    if release.environment == taken.environment:
        return began(release) > began(taken)
    return release.started_us >= taken.started_us


def _stays(endpoint: Endpoint, plan: ReleasePlan, taken: Release, *, has_good: bool) -> str:
    """Why a person must look instead; empty: it may go back by itself."""
    if plan.dependants == "flag":
        return "its plan says that it stays and is flagged"
    if not plan.dependants and plan.team != taken.team:
        return "another team's, whose plan does not say that it goes back"
    if endpoint.pinned:
        return "the endpoint is pinned"
    if not has_good:
        return f"there is no earlier version to go back to; lever kill {plan.endpoint} stops it"
    return ""
