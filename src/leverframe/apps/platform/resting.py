"""What goes back with a release, and what a release goes back with, in words for people."""

from leverframe.apps.platform.parts import Parts
from leverframe.core.descent import descendants, descent_words
from leverframe.core.model import ModelVersion, version_id_of
from leverframe.core.route import Endpoint
from leverframe.release.plans.plan import ReleasePlan
from leverframe.release.records import KIND_ENDPOINT, KIND_RELEASE, Release
from leverframe.release.rollout.made_from import resting_on
from leverframe.training.commands import KIND_MODEL_VERSION

ANCESTORS_MAX = 200
"""Versions that are named as what a version was made from, the nearest; there are seldom more than a few."""


def resting_words(parts: Parts, release: Release) -> tuple[str, ...]:
    """By lineage: what would go back with ``release`` now, or, once it was taken back, what went or was flagged on its account."""
    parts = parts.whole  # What goes back with it may be another team's; its name and state are told.
    if release.active or release.state == "completed":
        return tuple(
            f"{each.release.id} ({each.release.candidate}), {each.how}: "
            + (f"is flagged, {each.stays}" if each.stays else f"goes back to {each.good}")
            for each in resting_on(parts.ledger, release)
        )
    if release.state != "rolled_back":
        return ()
    return tuple(
        f"{other.id} ({other.candidate}) {'was flagged' if entry.event == 'flagged' else 'went back'}: {entry.reason}"
        for other in parts.ledger.find(KIND_RELEASE, Release)
        for entry in other.log
        if entry.cause == release.id
    )


def descending_words(parts: Parts, plan: ReleasePlan) -> tuple[str, ...]:
    """Who answers today with a version made from the plan's candidate: released before it, so none of them goes back with it."""
    parts = parts.whole
    found = descendants(parts.ledger, plan.candidate.version)
    live = [(each.name, each.live.version) for each in (parts.ledger.find(KIND_ENDPOINT, Endpoint) if found else []) if each.live]
    return tuple(
        f"{endpoint} answers with {version}, {descent_words(found, version)}; released before, it stays"
        for endpoint, version in live
        if version in found
    )


def ancestry_words(parts: Parts, plan: ReleasePlan) -> tuple[str, ...]:
    """What the candidate was made from: which releases it goes back with, and which were taken back already."""
    parts = parts.whole
    named = _ancestors(parts, plan.candidate.version)
    if not named:
        return ()
    newest: dict[str, Release] = {}
    for release in sorted(parts.ledger.find(KIND_RELEASE, Release), key=lambda release: release.started_us):
        if release.candidate in named and release.state != "planned":
            newest[release.candidate] = release
    words = []
    for version, how in named.items():
        last = newest.get(version)
        if last is None:
            words.append(f"{how}, which was never released")
        elif last.state in ("rolled_back", "aborted"):
            words.append(f"{how}, which {last.id} took back: {last.log[-1].reason}")
        else:
            words.append(f"{how}: {'stays, flagged,' if plan.dependants == 'flag' else 'goes back'} when {last.id} is taken back")
    return tuple(words)


def _ancestors(parts: Parts, name: str) -> dict[str, str]:
    """Versions that ``name`` was made from, nearest first, and how."""
    found: dict[str, str] = {}
    waiting = [name]
    while waiting and len(found) < ANCESTORS_MAX:
        version = parts.ledger.get(KIND_MODEL_VERSION, version_id_of(waiting.pop(0)), ModelVersion)
        for parent in (version.made_from or ()) if version is not None else ():
            if parent.version not in found:
                found[parent.version] = parent.words if version is None or version.name == name else f"{version.name} {parent.words}"
                waiting.append(parent.version)
    return found
