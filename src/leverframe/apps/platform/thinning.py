"""What the batches of streams leave behind, thinned by the worker: one snapshot of a window stands for all of it (decision 0051)."""

from collections.abc import Collection, Sequence

import msgspec

from leverframe.apps.platform.datasets import contract_of
from leverframe.apps.platform.parts import Parts
from leverframe.apps.platform.snapshot_uses import uses
from leverframe.core.actor import PLATFORM
from leverframe.core.dataset import ContractReport, Snapshot
from leverframe.core.digest import Digest, canonical_json, digest_record
from leverframe.core.errors import NotFound
from leverframe.data.checks.report_merge import merged
from leverframe.data.commands import KIND_DATASET, KIND_SNAPSHOT, Dataset
from leverframe.data.retention.commands_retention import SNAPSHOTS_A_COMMAND_MAX
from leverframe.data.streams.commands_thin import ThinBatches
from leverframe.data.streams.taken import KIND_STREAM, Stream
from leverframe.data.streams.thin import Thinned, thin


class Thinning:
    """Snapshots of batches."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def apply_all(self) -> int:
        """Thin every dataset that a stream is read into; how many snapshots went. Killed anywhere, the next call goes on."""
        return sum(self._apply(dataset) for dataset in sorted({each.dataset for each in self._parts.ledger.find(KIND_STREAM, Stream)}))

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

    def _report(self, window: Thinned, snapshots: dict[Digest, Snapshot]) -> Digest:
        """One report of all batches of a window; what of them went before is in the report of the one that stood for it."""
        whole: ContractReport | None = None
        going = [snapshots[digest] for digest in window.going if snapshots[digest].erased is None]
        for snapshot in (*going, snapshots[window.kept]):
            try:
                report = msgspec.json.decode(self._parts.artifacts.get(snapshot.report_digest), type=ContractReport)
            except NotFound:
                continue  # a report of before a restore; the batch is in the audit log all the same
            whole = report if whole is None else msgspec.structs.replace(merged(whole, report), checked_at_us=report.checked_at_us)
        return self._parts.artifacts.put(canonical_json(whole)) if whole is not None else snapshots[window.kept].report_digest


def _a_command(windows: Sequence[Thinned]) -> tuple[Thinned, ...]:
    """As much of ``windows`` as one command carries; what is cut off is found again when the rest is gone."""
    some, left = list[Thinned](), SNAPSHOTS_A_COMMAND_MAX
    for window in windows:
        going = window.going[:left]
        left -= len(going)
        if going:
            some.append(msgspec.structs.replace(window, going=going))
    return tuple(some)
