"""A dataset's past: which snapshots there are, what held at a moment, what still verifies, how long it is kept (decision 0026)."""

import io

import msgspec
import polars as pl

from leverframe.apps.platform.datasets import contract_of
from leverframe.apps.platform.parts import Parts
from leverframe.apps.platform.snapshot_uses import uses
from leverframe.apps.platform.views.keeping import PartView, RetentionView, SnapshotView, VerifiedView
from leverframe.core.actor import PLATFORM, Actor
from leverframe.core.clock import iso_from_us
from leverframe.core.dataset import Snapshot
from leverframe.core.digest import digest_bytes
from leverframe.core.errors import Integrity, InvalidInput, LimitExceeded, NotFound
from leverframe.data.commands import KIND_DATASET, KIND_SNAPSHOT, Dataset
from leverframe.data.intake.neutral_csv import csv_bytes
from leverframe.data.retention.commands_retention import (
    BLOBS_A_COMMAND_MAX,
    SNAPSHOTS_A_COMMAND_MAX,
    ExpireSnapshots,
    RecordCollected,
    SetRetention,
)
from leverframe.data.retention.retention import KIND_RETENTION, Kept, Retention, decide
from leverframe.data.snapshots.manifest import read_manifest
from leverframe.data.snapshots.snapshot_names import KIND_DOOMED, Doomed
from leverframe.data.snapshots.snapshots import erased, read_snapshot

SNAPSHOTS_SHOWN_MAX = 1_000
EXPORT_ROWS_MAX = 5_000_000
EXPORT_BYTES_MAX = 256 * 1024 * 1024
REPLACED_MAX = 1_000


class Keeping:
    """Snapshots of the past."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def snapshots(self, dataset: str) -> tuple[SnapshotView, ...]:
        """The snapshots of ``dataset``, newest first, with what keeps each."""
        contract_of(self._parts, dataset)
        pointer = self._parts.ledger.get(KIND_DATASET, dataset, Dataset)
        found = sorted(self._all(dataset), key=lambda each: (each.created_at_us, each.digest), reverse=True)
        used = uses(self._parts, dataset)
        return tuple(
            SnapshotView(snapshot=each, latest=pointer is not None and pointer.snapshot == each.digest, used_by=used.get(each.digest, ()))
            for each in found[:SNAPSHOTS_SHOWN_MAX]
        )

    def at(self, dataset: str, *, as_of_us: int | None = None, snapshot: str = "") -> Snapshot:
        """The snapshot of that name, or the one that was newest at a moment (None: now). Where rows were deleted since: what remains.

        Raises
        ------
        NotFound: there was nothing then, or its bytes were let go.  Refused: nothing remains of it.
        """
        contract_of(self._parts, dataset)
        if snapshot and as_of_us is not None:
            raise InvalidInput("which rows?", where=dataset, expected="a snapshot or a moment", got="both")
        name = snapshot
        if not name:
            pointer = self._parts.ledger.get(KIND_DATASET, dataset, Dataset, at_us=as_of_us)
            if pointer is None:
                when = iso_from_us(as_of_us) if as_of_us is not None else "yet"
                step = f"lever data snapshots {dataset}"
                raise NotFound("the dataset had no rows", where=f"{dataset} {when}", next_step=step)
            name = pointer.snapshot
        found = self._known(dataset, name)
        for _ in range(REPLACED_MAX):
            if found.erased is None or snapshot:
                return found
            if not found.erased.replaced_by:
                raise erased(found)
            found = self._known(dataset, found.erased.replaced_by)
        raise LimitExceeded("replaced too often", where=f"{dataset}/{name}", expected=f"at most {REPLACED_MAX} deletions")

    def rows(self, dataset: str, *, as_of_us: int | None = None, snapshot: str = "") -> tuple[Snapshot, pl.LazyFrame]:
        """Those rows. See :meth:`at`."""
        found = self.at(dataset, as_of_us=as_of_us, snapshot=snapshot)
        return found, read_snapshot(self._parts.artifacts, found)

    def export(self, dataset: str, *, format: str, as_of_us: int | None = None, snapshot: str = "") -> bytes:
        """Those rows as a Parquet or CSV file; in CSV nothing is a formula to a spreadsheet (``data.neutral_csv``)."""
        found, rows = self.rows(dataset, as_of_us=as_of_us, snapshot=snapshot)
        if found.rows > EXPORT_ROWS_MAX or found.bytes > EXPORT_BYTES_MAX:
            got = f"{found.rows:,} rows, {found.bytes:,} bytes"
            raise LimitExceeded("too much for one file", where=f"{dataset}/{found.digest}", expected=f"{EXPORT_ROWS_MAX:,} rows", got=got)
        if format == "csv":
            return csv_bytes(rows.collect())
        if format != "parquet":
            raise InvalidInput("unknown file format", where="format", expected="parquet, csv", got=format[:40])
        buffer = io.BytesIO()
        rows.collect().write_parquet(buffer, compression="zstd")
        return buffer.getvalue()

    def verify(self, dataset: str, snapshot: str) -> VerifiedView:
        """Each part of a snapshot against its name: intact, erased (with the deletion that took it), damaged or missing."""
        found = self._known(dataset, snapshot)
        gone = found.erased
        parts = []
        for part in found.blobs:
            state = "erased" if gone is not None and part.digest in gone.parts else self._state(part.digest)
            parts.append(PartView(digest=part.digest, rows=part.rows, bytes=part.bytes, state=state))
        manifest = "none"
        if found.parts:
            manifest = self._state(found.digest)
            if manifest == "intact" and read_manifest(self._parts.artifacts.get(found.digest), found.digest).parts != found.parts:
                manifest = "damaged"
        return VerifiedView(
            snapshot=found.digest,
            intact=manifest in ("none", "intact") and all(part.state in ("intact", "erased") for part in parts),
            manifest=manifest,
            parts=tuple(parts),
            erasure=gone,
        )

    def _state(self, digest: str) -> str:
        try:
            return "intact" if digest_bytes(self._parts.artifacts.get(digest)) == digest else "damaged"
        except Integrity:
            return "damaged"
        except NotFound:
            return "missing"

    # Retention -----------------------------------------------------------------------------------------------------

    def set_retention(self, actor: Actor, policy: Retention, *, key: str) -> Retention:
        """Say how long a dataset's snapshots are kept."""
        team = contract_of(self._parts, policy.dataset).team
        self._parts.ledger.write(actor, SetRetention(policy=policy, owner_team=team), key=key)
        return policy

    def plan_retention(self, dataset: str) -> RetentionView:
        """What would go now, and what keeps the rest."""
        contract_of(self._parts, dataset)
        policy = self._parts.ledger.get(KIND_RETENTION, dataset, Retention)
        pointer = self._parts.ledger.get(KIND_DATASET, dataset, Dataset)
        latest = pointer.snapshot if pointer is not None else ""
        now_us = self._parts.clock.now_us()
        kept = decide(policy or Retention(dataset=dataset), self._all(dataset), uses(self._parts, dataset), latest, now_us)
        if policy is None:
            kept = tuple(msgspec.structs.replace(each, because=(*each.because, "no policy is set")) for each in kept)
        return RetentionView(dataset=dataset, policy=policy, snapshots=kept)

    def apply_retention(self, actor: Actor, dataset: str, *, key: str) -> RetentionView:
        """Let go what the plan lets go; the worker deletes the bytes."""
        plan = self.plan_retention(dataset)
        going = tuple(each.digest for each in plan.snapshots if not each.because)[:SNAPSHOTS_A_COMMAND_MAX]
        if going:
            command = ExpireSnapshots(dataset=dataset, snapshots=going, owner_team=contract_of(self._parts, dataset).team)
            self._parts.ledger.write(actor, command, key=key)
        return msgspec.structs.replace(plan, applied=len(going))

    def apply_all(self) -> int:
        """What the worker does: every policy, as the platform; how many snapshots went."""
        gone = 0
        for policy in self._parts.ledger.find(KIND_RETENTION, Retention):
            going: tuple[Kept, ...] = tuple(each for each in self.plan_retention(policy.dataset).snapshots if not each.because)
            if going:
                key = f"retention/{policy.dataset}/{self._parts.clock.now_us()}"
                gone += self.apply_retention(PLATFORM, policy.dataset, key=key).applied
        return gone

    def collect(self) -> int:
        """Delete the bytes of marked blobs, then record it; how many. Killed in between, the next call deletes them again."""
        marked = [each.digest for each in self._parts.ledger.find(KIND_DOOMED, Doomed)]
        marked = marked[:BLOBS_A_COMMAND_MAX]
        for digest in marked:
            self._parts.artifacts.delete(digest)
        if marked:
            key = f"collected/{digest_bytes(''.join(marked).encode())[-16:]}/{self._parts.clock.now_us()}"
            self._parts.ledger.write(PLATFORM, RecordCollected(blobs=tuple(marked)), key=key)
        return len(marked)

    def _all(self, dataset: str) -> list[Snapshot]:
        return self._parts.ledger.find(KIND_SNAPSHOT, Snapshot, prefix=f"{dataset}/")

    def _known(self, dataset: str, digest: str) -> Snapshot:
        found = self._parts.ledger.get(KIND_SNAPSHOT, f"{dataset}/{digest}", Snapshot)
        if found is not None:
            return found
        before = self._parts.ledger.history(KIND_SNAPSHOT, f"{dataset}/{digest}"[:300], Snapshot)
        if before:
            let_go = f"let go at {iso_from_us(before[-1].from_us)} by {before[-1].actor}"
            after = self._standing_for(next((each.record for each in reversed(before) if each.record is not None), None))
            if after is not None:
                let_go += f"; the next that is kept was taken at {iso_from_us(after.created_at_us)}"
            step = f"lever data export {dataset} --snapshot {after.digest}" if after is not None else f"lever data retention plan {dataset}"
            raise NotFound("this snapshot is not kept any more", where=f"{dataset}/{digest}", got=let_go, next_step=step)
        raise NotFound("no such snapshot", where=f"{dataset}/{digest}"[:160], next_step=f"lever data snapshots {dataset}")

    def _standing_for(self, gone: Snapshot | None) -> Snapshot | None:
        """The first snapshot that is kept after a stream's batch that was thinned away (decision 0051)."""
        if gone is None or not gone.stream:
            return None
        later = [each for each in self._all(gone.dataset) if each.stream and each.created_at_us >= gone.created_at_us]
        return min(later, key=lambda each: (each.created_at_us, each.digest), default=None)
