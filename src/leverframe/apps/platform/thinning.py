"""What the batches of streams leave behind, thinned by the worker: one snapshot of a window stands for all of it (decision 0051)."""

import io
from collections.abc import Collection, Iterable, Sequence

import msgspec
import polars as pl

from leverframe.apps.platform.datasets import contract_of
from leverframe.apps.platform.parts import Parts
from leverframe.apps.platform.snapshot_uses import uses
from leverframe.core.actor import PLATFORM
from leverframe.core.dataset import ContractReport, Snapshot
from leverframe.core.digest import Digest, canonical_json, digest_record
from leverframe.core.errors import NotFound
from leverframe.data.checks.report_merge import merged
from leverframe.data.commands import KIND_DATASET, KIND_QUARANTINE, KIND_SNAPSHOT, Dataset, Quarantine
from leverframe.data.retention.commands_retention import SNAPSHOTS_A_COMMAND_MAX
from leverframe.data.snapshots.snapshots import parquet_bytes
from leverframe.data.streams.commands_thin import GatherAside, ThinBatches
from leverframe.data.streams.taken import KIND_STREAM, Stream
from leverframe.data.streams.thin import Thinned, gather, thin


class Thinning:
    """Snapshots of batches."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def apply_all(self) -> int:
        """Thin every dataset that a stream is read into; how many records went. Killed anywhere, the next call goes on."""
        datasets = sorted({each.dataset for each in self._parts.ledger.find(KIND_STREAM, Stream)})
        return sum(self._apply(dataset) + self._gather(dataset) for dataset in datasets)

    def _apply(self, dataset: str) -> int:
        if not thin(*self._held(dataset, ())):
            return 0  # To ask what uses snapshots means to open bundles.
        used, gone = uses(self._parts, dataset), 0
        while windows := _a_command(thin(*self._held(dataset, used))):
            snapshots = {each.digest: each for each in self._parts.ledger.find(KIND_SNAPSHOT, Snapshot, prefix=f"{dataset}/")}
            reported = tuple(msgspec.structs.replace(each, report_digest=self._report(each, snapshots)) for each in windows)
            command = ThinBatches(dataset=dataset, windows=reported, owner_team=contract_of(self._parts, dataset).team)
            self._parts.ledger.write(PLATFORM, command, key=f"thin/{dataset}/{digest_record(reported)}"[:200])
            gone += sum(len(each.going) for each in reported)
        return gone

    def _held(self, dataset: str, used: Collection[Digest]) -> tuple[list[Snapshot], Collection[Digest], Digest, int]:
        pointer = self._parts.ledger.get(KIND_DATASET, dataset, Dataset)
        snapshots = self._parts.ledger.find(KIND_SNAPSHOT, Snapshot, prefix=f"{dataset}/")
        return snapshots, used, pointer.snapshot if pointer is not None else "", self._parts.clock.now_us()

    def _gather(self, dataset: str) -> int:
        """Make one blob of what batches of one window set aside; how many records went."""
        aside = self._parts.ledger.find(KIND_QUARANTINE, Quarantine, prefix=f"{dataset}/")
        gone = 0
        for run in gather(aside, self._parts.clock.now_us()):
            try:
                blobs = [pl.read_parquet(io.BytesIO(self._parts.artifacts.get(each.digest))) for each in run]
            except NotFound:
                continue  # something of it was let go by hand, or is from before a restore: the records stay as they are
            digest = self._parts.artifacts.put(parquet_bytes(pl.concat(blobs, how="diagonal_relaxed")))
            report = self._merged(each.report_digest for each in run) or run[-1].report_digest
            command = GatherAside(
                dataset=dataset,
                old=tuple(each.digest for each in run),
                digest=digest,
                report_digest=report,
                owner_team=contract_of(self._parts, dataset).team,
            )
            self._parts.ledger.write(PLATFORM, command, key=f"gather/{dataset}/{digest_record([command.old, digest])}"[:200])
            gone += len(run) - 1
        return gone

    def _report(self, window: Thinned, snapshots: dict[Digest, Snapshot]) -> Digest:
        """One report of all batches of a window; what of them went before is in the report of the one that stood for it."""
        kept = snapshots[window.kept]
        going = (snapshots[digest] for digest in window.going if snapshots[digest].erased is None)
        return self._merged(each.report_digest for each in (*going, kept)) or kept.report_digest

    def _merged(self, digests: Iterable[Digest]) -> Digest:
        """The reports, oldest first, as one; empty when none of them is there (they are from before a restore)."""
        whole: ContractReport | None = None
        for digest in digests:
            try:
                report = msgspec.json.decode(self._parts.artifacts.get(digest), type=ContractReport)
            except NotFound:
                continue
            whole = report if whole is None else msgspec.structs.replace(merged(whole, report), checked_at_us=report.checked_at_us)
        return self._parts.artifacts.put(canonical_json(whole)) if whole is not None else ""


def _a_command(windows: Sequence[Thinned]) -> tuple[Thinned, ...]:
    """As much of ``windows`` as one command carries; what is cut off is found again when the rest is gone."""
    some, left = list[Thinned](), SNAPSHOTS_A_COMMAND_MAX
    for window in windows:
        going = window.going[:left]
        left -= len(going)
        if going:
            some.append(msgspec.structs.replace(window, going=going))
    return tuple(some)
