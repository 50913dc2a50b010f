"""A delivery on its way in: batch after batch is checked, treated and kept as a part, so that memory is bounded by one batch.

Either every batch keeps its contract and one snapshot comes of them, or the delivery is refused and the batch that broke it is set aside.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec
import polars as pl

from leverframe.core.dataset import ContractReport, RuleResult, Snapshot, SnapshotPart
from leverframe.core.digest import Digest, canonical_json
from leverframe.core.errors import LimitExceeded
from leverframe.data.checks.checks import Checked, Parents, check
from leverframe.data.checks.report_merge import merged, said, with_rule, without_names
from leverframe.data.contract.contracts import Contract
from leverframe.data.personal import Pseudonymous, as_offered, has_personal, offered_as_stored, treat
from leverframe.data.snapshots.append import check_appendable, joined, split_known
from leverframe.data.snapshots.snapshots import Blobs, event_span, parquet_bytes, put_part, read_snapshot, seal

BATCHES_MAX = 10_000
"""A delivery of more batches is refused."""


@dataclass(frozen=True, kw_only=True)
class Ingested:
    """What became of an offered file.

    ``snapshot`` is None when the file was refused. ``quarantine`` names the blob set aside: the whole file as it came when refused,
    the Parquet of the rows set aside when some rows broke a quarantine rule, None when nothing was. Of a contract with personal columns
    only treated rows are set aside. ``report_digest`` names the stored report.
    """

    snapshot: Snapshot | None
    report: ContractReport
    report_digest: Digest
    quarantine: Digest | None


class Intake:
    """Takes the batches of one delivery for ``dataset``.

    Parameters
    ----------
    parents: rows that references point to, by dataset name.
    pseudonyms: hashes personal columns; needed when the contract has some.
    base: add to the rows of this snapshot instead of replacing them.
    """

    def __init__(
        self,
        contract: Contract,
        *,
        dataset: str,
        blobs: Blobs,
        now_us: int,
        parents: Parents | None = None,
        pseudonyms: Pseudonymous | None = None,
        base: Snapshot | None = None,
    ) -> None:
        self.contract, self.dataset, self.blobs, self.now_us = contract, dataset, blobs, now_us
        self._parents, self._pseudonyms, self._base = parents or {}, pseudonyms, base
        self._stored = read_snapshot(blobs, base) if base is not None else None
        self._parts: list[SnapshotPart] = []
        self._aside: list[pl.DataFrame] = []
        self._keys: list[pl.DataFrame] = []
        self._report: ContractReport | None = None
        self._spans: list[tuple[int | None, int | None]] = [(base.event_time_min_us, base.event_time_max_us)] if base is not None else []
        self._failed: pl.DataFrame | None = None
        self._batches = 0
        if base is not None:
            check_appendable(base, contract)

    def take(self, batches: Iterable[pl.DataFrame], *, raw: bytes | None = None) -> Ingested:
        """Check and keep ``batches``; ``raw`` is the file they came from, if it was one."""
        waiting = iter(batches)
        first, second = next(waiting, None), next(waiting, None)
        alone = second is None
        for offered in (first, second):
            if offered is not None:
                self._add(offered, alone=alone)
        for offered in waiting:
            self._add(offered, alone=False)
            if self._failed is not None:
                break
        return self._finish(raw, alone=alone)

    def _add(self, offered: pl.DataFrame, *, alone: bool) -> None:
        if self._failed is not None:
            return
        self._batches += 1
        if self._batches > BATCHES_MAX:
            raise LimitExceeded("too many batches in one delivery", where=self.dataset, expected=f"at most {BATCHES_MAX:,}")
        contract = self.contract if alone else msgspec.structs.replace(self.contract, volume=None)
        parents = as_offered(self._parents, offered, contract, self._pseudonyms)
        checked = check(offered, contract, self.now_us, parents)
        report = without_names(checked.report, offered.columns) if has_personal(contract) else checked.report
        rows = treat(checked.good_rows, contract, self._pseudonyms)
        if report.accepted:
            rows, report = self._fresh(rows, report)
        self._report = report if self._report is None else merged(self._report, report)
        if not report.accepted:
            self._failed = self._to_set_aside(offered, checked, whole=True)
            return
        if report.quarantined_rows:
            self._aside.append(self._to_set_aside(offered, checked, whole=False))
        if rows.height == 0:
            return
        part = put_part(rows, contract, self.blobs)
        if part.digest not in {held.digest for held in self._held()}:
            self._parts.append(part)
            self._spans.append(event_span(rows, contract))

    def _held(self) -> list[SnapshotPart]:
        """Parts that count as delivered before: with a primary key rows are compared one by one instead."""
        return [*self._base.blobs] if self._base is not None and not self.contract.primary_key else []

    def _fresh(self, rows: pl.DataFrame, report: ContractReport) -> tuple[pl.DataFrame, ContractReport]:
        """Without the rows that the base has; a key that comes twice with different values refuses the delivery."""
        key = list(self.contract.primary_key)
        if key and self._keys:
            twice = rows.join(pl.concat(self._keys), on=key, how="semi").height
            if twice:
                report = with_rule(report, said("primary_key", ", ".join(key), "refuse", twice, rows.height, "each key once"))
        if key:
            self._keys.append(rows.select(key))
        if self._stored is None:
            return rows, report
        split = split_known(rows, self._stored, self.contract)
        if split.again:
            expected = "rows that were not delivered before (these are kept once)"
            report = with_rule(report, said("delivered_again", "", "warn", split.again, rows.height, expected))
        if split.changed:
            expected = "new keys; to replace rows offer the whole dataset without --append"
            report = with_rule(report, said("changed_key", ", ".join(key), "refuse", split.changed, rows.height, expected))
        return split.fresh, report

    def _to_set_aside(self, offered: pl.DataFrame, checked: Checked, *, whole: bool) -> pl.DataFrame:
        """The offered rows (the bad ones) as they may be kept."""
        offered = offered_as_stored(offered, checked.rows, self.contract, self._pseudonyms)
        return offered if whole else offered.filter(checked.bad)

    def _finish(self, raw: bytes | None, *, alone: bool) -> Ingested:
        blobs, contract = self.blobs, self.contract
        report = self._report
        if report is None:
            empty = pl.DataFrame(schema={column.name: pl.String for column in contract.columns})
            report = check(empty, contract, self.now_us, {}).report
        report = msgspec.structs.replace(report, dataset=self.dataset)
        if not alone and contract.volume is not None:
            report = with_rule(report, self._volume(report.rows))
        if not report.accepted:
            aside = raw if raw is not None and not has_personal(contract) else None
            if aside is None:
                aside = parquet_bytes(self._failed if self._failed is not None else pl.DataFrame())
            return Ingested(snapshot=None, report=report, report_digest=blobs.put(canonical_json(report)), quarantine=blobs.put(aside))
        quarantine = blobs.put(parquet_bytes(pl.concat(self._aside, how="diagonal"))) if self._aside else None
        snapshot = self._sealed(report)
        return Ingested(snapshot=snapshot, report=report, report_digest=snapshot.report_digest, quarantine=quarantine)

    def _sealed(self, report: ContractReport) -> Snapshot:
        old = list(self._base.blobs) if self._base is not None else []
        if self._base is not None and self._base.rows == 0:
            old = []
        parts = joined([*old, *self._parts], self._base, self.contract, self.blobs) if self._base is not None else self._parts
        if not parts:
            parts = [put_part(_no_rows(self.contract), self.contract, self.blobs)]
        lows = [low for low, _ in self._spans if low is not None]
        highs = [high for _, high in self._spans if high is not None]
        span = (min(lows, default=None), max(highs, default=None))
        dataset, blobs = self.dataset, self.blobs
        return seal(parts, span, self.contract, report, dataset=dataset, blobs=blobs, now_us=self.now_us, base=self._base)

    def _volume(self, rows: int) -> RuleResult:
        """The bound on rows, over all batches."""
        volume = self.contract.volume
        assert volume is not None
        kept = rows >= volume.rows_min and (volume.rows_max is None or rows <= volume.rows_max)
        most = "any number" if volume.rows_max is None else str(volume.rows_max)
        return said("volume", "", volume.severity, 0 if kept else rows, rows, f"{volume.rows_min} to {most} rows")


def _no_rows(contract: Contract) -> pl.DataFrame:
    return check(pl.DataFrame(schema={c.name: pl.String for c in contract.columns}), contract, 0, {}).rows
