"""What was live at a moment, and why; also as it was believed at an earlier moment. Read off the ledger, never remembered separately.

Two times: *when it was so* (the installation's clock, ``at_us``) and *when it was written down* (the machine's, ``known_us``). A correction
told later changes the answer about the past from then on; asked as known before, the answer stays what it was.
"""

import msgspec

from leverframe.core.command import Journal, Revision
from leverframe.core.errors import NotFound
from leverframe.core.route import Endpoint
from leverframe.release.levers.corrections import KIND_CORRECTION, Correction, correction_at
from leverframe.release.records import KIND_ENDPOINT, KIND_RELEASE, Release, StageEntry


class LiveRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint's route from ``from_us`` to ``to_us`` (None: still), and the reason for it.

    ``version`` answered by default; ``arms`` lists every arm with role and weight. ``entry`` is the stage-log entry, with its verdicts,
    that put this route there (None when an operator's lever did); ``seq`` is the audit entry.
    """

    environment: str
    endpoint: str
    version: str
    bundle: str
    arms: tuple[str, ...]
    from_us: int
    to_us: int | None
    seq: int
    actor: str
    action: str
    release: str
    plan: str
    author: str
    approvals: tuple[str, ...]
    entry: StageEntry | None
    reason: str
    killed: bool
    pinned: bool
    disabled_features: tuple[str, ...]
    corrected: bool = False
    """Told later by a correction, and not read off the route."""


def timeline(journal: Journal, environment: str, endpoint: str) -> tuple[LiveRecord, ...]:
    """Every route the endpoint ever had, oldest first.

    Raises
    ------
    NotFound: there never was such an endpoint.
    """
    revisions = journal.history(KIND_ENDPOINT, f"{environment}/{endpoint}", Endpoint)
    if not revisions:
        raise NotFound("there never was such an endpoint", where=f"{environment}/{endpoint}", next_step="lever status")
    releases: dict[str, Release | None] = {}
    return tuple(_explain(journal, environment, revision, releases) for revision in revisions if revision.record is not None)


def live_at(journal: Journal, environment: str, endpoint: str, at_us: int, *, known_us: int | None = None) -> LiveRecord:
    """What was live at ``at_us``, and why, as known at ``known_us`` (None: as known now).

    Raises
    ------
    NotFound: nothing was live then, or nothing was known of it yet.
    """
    found = journal.revision_at(KIND_ENDPOINT, f"{environment}/{endpoint}", Endpoint, at_us, known_us=known_us)
    told = correction_at(journal, environment, endpoint, at_us, known_us)
    if told is not None:
        return _corrected(*told)
    if found is not None and found.record is not None:
        return _explain(journal, environment, found, {})
    raise NotFound(
        "nothing was live here at that moment" + (", as far as was known" if known_us is not None else ""),
        where=f"{environment}/{endpoint}",
        next_step=f"lever history {endpoint}",
    )


def corrections(journal: Journal, environment: str, endpoint: str) -> tuple[LiveRecord, ...]:
    """What was told later of this endpoint, in the order told."""
    told = journal.find(KIND_CORRECTION, Correction, prefix=f"{environment}/{endpoint}/")
    revisions = [journal.history(KIND_CORRECTION, each.id, Correction)[0] for each in told]
    return tuple(_corrected(revision.record, revision.seq) for revision in revisions if revision.record is not None)


def _corrected(correction: Correction, seq: int) -> LiveRecord:
    return LiveRecord(
        environment=correction.environment,
        endpoint=correction.endpoint,
        version=correction.version,
        bundle="",
        arms=(f"{correction.version} live 100 %",) if correction.version else (),
        from_us=correction.from_us,
        to_us=correction.until_us,
        seq=seq,
        actor=correction.by,
        action="Release.Operate",
        release="",
        plan="",
        author="",
        approvals=(),
        entry=None,
        reason=correction.reason,
        killed=False,
        pinned=False,
        disabled_features=(),
        corrected=True,
    )


def _explain(journal: Journal, environment: str, revision: Revision[Endpoint], releases: dict[str, Release | None]) -> LiveRecord:
    endpoint = revision.record
    assert endpoint is not None
    if endpoint.release not in releases:
        releases[endpoint.release] = journal.get(KIND_RELEASE, endpoint.release, Release)
    release = releases[endpoint.release]
    live = endpoint.live
    entry = _entry(release, revision)
    return LiveRecord(
        environment=environment,
        endpoint=endpoint.name,
        version=live.version if live else "",
        bundle=live.bundle if live else "",
        arms=tuple(f"{arm.version} {arm.role} {arm.weight:g} %" for arm in endpoint.arms),
        from_us=revision.from_us,
        to_us=revision.to_us,
        seq=revision.seq,
        actor=revision.actor,
        action=revision.action,
        release=endpoint.release,
        plan=release.plan if release else "",
        author=release.author if release else "",
        approvals=release.approvals if release else (),
        entry=entry,
        reason=entry.reason if entry else revision.action,
        killed=endpoint.killed,
        pinned=endpoint.pinned,
        disabled_features=endpoint.disabled_features,
    )


def _entry(release: Release | None, revision: Revision[Endpoint]) -> StageEntry | None:
    """The stage-log entry written in the same transaction as the route: same moment, same actor, and it changed the route."""
    entries = [e for e in release.log if e.at_us == revision.from_us and e.actor == revision.actor] if release else []
    return entries[-1] if entries else None
