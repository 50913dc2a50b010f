"""One delivery of rows, however it came: checked and kept first, then recorded; asking again under the same key gives the same answer."""

from collections.abc import Callable
from dataclasses import replace

import msgspec

from leverframe.apps.platform.datasets import contract_of, latest_snapshot, referenced_rows
from leverframe.apps.platform.parts import Parts
from leverframe.apps.platform.views import IngestView
from leverframe.core.actor import Actor
from leverframe.core.dataset import ContractReport, Snapshot
from leverframe.core.digest import Digest
from leverframe.data.commands import KIND_DELIVERY, KIND_SNAPSHOT, Delivery, RecordQuarantine, RecordSnapshot
from leverframe.data.contract.contracts import Contract
from leverframe.data.intake.intake import Ingested
from leverframe.data.intake.staged import StagedIntake
from leverframe.data.snapshots.makers import with_makers
from leverframe.data.snapshots.source_marks import SourceMark

Offer = Callable[[StagedIntake], Ingested]
"""Feeds an intake and says what became of it."""


def deliver(
    parts: Parts,
    actor: Actor,
    dataset: str,
    offer: Offer,
    *,
    delivery: Digest,
    append: bool,
    key: str,
    mark: SourceMark | None = None,
    fetch: str = "",
    made_by: tuple[str, ...] = (),
) -> IngestView:
    """Take in what ``offer`` feeds.

    Parameters
    ----------
    delivery: a digest of who offers what under which key.
    append: add to the rows of the newest snapshot.
    mark: how far a source was read; recorded together with the rows.    fetch: the job that read it.
    made_by: versions that predicted some of the rows.

    Raises
    ------
    NotFound: no contract.  Conflict: other rows, or another contract, came meanwhile.  Forbidden: policy.
    """
    earlier = parts.ledger.get(KIND_DELIVERY, delivery, Delivery)
    if earlier is not None:
        return _again(parts, earlier)
    contract = contract_of(parts, dataset)
    base = latest_snapshot(parts, dataset) if append else None
    done = offer(open_intake(parts, contract, dataset, base))
    if done.snapshot is not None and done.quarantine is not None:
        parts.ledger.write(actor, _set_aside(done, contract), key=f"{key}/quarantine/{delivery[-8:]}{done.report.checked_at_us}")
    if done.snapshot is not None:
        done = replace(done, snapshot=with_makers(done.snapshot, made_by))
        assert done.snapshot is not None
        command = RecordSnapshot(
            snapshot=done.snapshot,
            owner_team=contract.team,
            after=base.digest if base is not None else None,
            delivery=delivery,
            quarantine=done.quarantine or "",
            mark=mark,
            fetch=fetch,
        )
        parts.ledger.write(actor, command, key=key)
    elif done.quarantine is not None:
        refused = msgspec.structs.replace(_set_aside(done, contract), delivery=delivery)
        parts.ledger.write(actor, refused, key=f"{key}/quarantine")
    return IngestView(
        dataset=dataset, accepted=done.report.accepted, report=done.report, snapshot=done.snapshot, quarantine=done.quarantine or ""
    )


def open_intake(parts: Parts, contract: Contract, dataset: str, base: Snapshot | None = None) -> StagedIntake:
    """An intake of one delivery by ``contract``, with the rows that its references point to."""
    return StagedIntake(
        contract,
        dataset=dataset,
        blobs=parts.artifacts,
        now_us=parts.clock.now_us(),
        parents=referenced_rows(parts, contract),
        pseudonyms=parts.pseudonyms,
        base=base,
    )


def _again(parts: Parts, earlier: Delivery) -> IngestView:
    """The answer that was given before."""
    report = msgspec.json.decode(parts.artifacts.get(earlier.report_digest), type=ContractReport)
    snapshot = parts.ledger.get(KIND_SNAPSHOT, f"{earlier.dataset}/{earlier.snapshot}", Snapshot) if earlier.snapshot else None
    return IngestView(dataset=earlier.dataset, accepted=report.accepted, report=report, snapshot=snapshot, quarantine=earlier.quarantine)


def _set_aside(done: Ingested, contract: Contract) -> RecordQuarantine:
    assert done.quarantine is not None
    reasons = tuple(f"{result.rule} {result.column}".strip() for result in done.report.results if not result.passed)
    return RecordQuarantine(
        dataset=done.report.dataset,
        contract=contract.name,
        digest=done.quarantine,
        report_digest=done.report_digest,
        rows=done.report.quarantined_rows if done.snapshot is not None else 0,
        reasons=reasons,
        owner_team=contract.team,
    )
