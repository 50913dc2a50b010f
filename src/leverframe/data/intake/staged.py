"""A delivery that comes in pieces over time: each is checked and kept when it comes, and all of them become one snapshot at the end.

Between the pieces nothing is held but their records, so that whoever carries the delivery out may die and go on with the next piece. Pieces
know nothing of each other, nor of what the dataset holds: what came twice, and what was there before, is found at the end, part by part.
"""

import io
from collections.abc import Iterable, Sequence

import msgspec
import polars as pl

from leverframe.core.dataset import ContractReport, SnapshotPart
from leverframe.core.digest import Digest
from leverframe.data.checks.report_merge import merged
from leverframe.data.intake.intake import Ingested, Intake
from leverframe.data.snapshots.snapshots import event_span, parquet_bytes, part_bytes, put_part


class Staged(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one piece: its parts, the first and last moment of each, and what the contract said.

    ``aside`` names the Parquet of rows set aside, ``failed`` that of the batch that refused the piece, and the delivery with it.
    """

    parts: tuple[SnapshotPart, ...] = ()
    report: ContractReport | None = None
    aside: Digest = ""
    failed: Digest = ""

    @property
    def rows(self) -> int:
        """Rows that were read of it."""
        return self.report.rows if self.report is not None else 0

    @property
    def blobs(self) -> tuple[Digest, ...]:
        """Every blob that was kept for it."""
        return tuple(digest for digest in (*(part.digest for part in self.parts), self.aside, self.failed) if digest)


class StagedIntake(Intake):
    """An intake whose delivery comes in pieces: :meth:`stage` each, then :meth:`settle` all of them, each in an intake of its own."""

    def stage(self, batches: Iterable[pl.DataFrame]) -> Staged:
        """Check and keep one piece, batch after batch."""
        for offered in batches:
            self._add(offered, alone=False)
            if self._failed is not None:
                break
        aside = self.blobs.put(parquet_bytes(pl.concat(self._aside, how="diagonal"))) if self._aside else ""
        failed = self.blobs.put(parquet_bytes(self._failed)) if self._failed is not None else ""
        return Staged(parts=tuple(self._parts), report=self._report, aside=aside, failed=failed)

    def settle(self, pieces: Sequence[Staged]) -> Ingested:
        """One snapshot of all pieces beside the rows of the base, or the refusal of all of them."""
        for piece in pieces:
            if piece.report is not None:
                self._report = piece.report if self._report is None else merged(self._report, piece.report)
            self._aside += [self._held_frame(piece.aside)] if piece.aside else []
            if piece.failed and self._failed is None:
                self._failed = self._held_frame(piece.failed)
        known = {part.digest for part in self._held()}
        for piece in pieces if self._failed is None else ():
            for part in piece.parts:
                if part.digest not in known and not self._take_part(part):
                    break
        return self._finish(None, alone=False)

    def _take_part(self, part: SnapshotPart) -> bool:
        """Take what is new in a part that was kept; whether the delivery is still accepted."""
        assert self._report is not None
        # Read in any case: bytes that were deleted meanwhile must be missed now and not by the next reader.
        rows = pl.read_parquet(io.BytesIO(part_bytes(self.blobs, part, self.dataset)))
        nothing = msgspec.structs.replace(self._report, rows=0, quarantined_rows=0, results=(), accepted=True)
        fresh, said = self._fresh(rows, nothing)
        self._report = merged(self._report, said)
        if not self._report.accepted:
            self._failed = rows
            return False
        if fresh.height:
            self._parts.append(part if fresh.height == rows.height else put_part(fresh, self.contract, self.blobs))
            self._spans.append(event_span(fresh, self.contract))
        return True

    def _held_frame(self, digest: Digest) -> pl.DataFrame:
        return pl.read_parquet(io.BytesIO(self.blobs.get(digest)))


def staged_blobs(pieces: Iterable[Staged]) -> tuple[Digest, ...]:
    """Every blob of these pieces, once."""
    return tuple(dict.fromkeys(digest for piece in pieces for digest in piece.blobs))
