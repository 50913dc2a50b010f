"""Was anything done behind the ledger's back? Checked over entries and records as they lie in a database, a copy of it, or an export.

One pass in constant memory: the entries in order, each beside the record revisions it wrote. Found are entries and records that were
edited, deleted, inserted, moved or rewritten. With a checkpoint kept elsewhere also: a chain cut short, a database rolled back, a chain
rewritten with fresh hashes. Entries newer than the newest checkpoint are vouched for by the chain alone.
"""

from collections.abc import Iterable, Mapping

import msgspec

from leverframe.core.digest import digest_bytes
from leverframe.governance.ledger.chain import GENESIS, AuditEntry, Change, link_fault
from leverframe.governance.ledger.checkpoints import Checkpoint


class WrittenRow(msgspec.Struct, frozen=True, kw_only=True):
    """A record revision as an auditor sees it; ``body`` None means that the record ended."""

    kind: str
    id: str
    revision: int
    body: str | None
    from_us: int
    from_seq: int


Group = tuple[AuditEntry | None, list[WrittenRow]]
"""An entry with the rows that claim to come from it; None with rows left over after the last entry."""


class AuditReport(msgspec.Struct, frozen=True, kw_only=True):
    """The finding.

    ``entries`` were found sound before the end or the first fault. ``first_bad_seq`` is the first entry that cannot be relied on.
    ``vouched_seq`` is the newest entry a checkpoint vouches for (0: none). ``hash`` is the last sound entry's.
    """

    ok: bool
    entries: int
    first_bad_seq: int | None = None
    what: str = ""
    vouched_seq: int = 0
    hash: str = GENESIS


def verify(groups: Iterable[Group], checkpoints: Mapping[int, Checkpoint]) -> AuditReport:
    """Follow the chain from its beginning to its end, or to the first fault.

    Parameters
    ----------
    groups: entries in order with their rows (ordered by kind and id).
    checkpoints: genuine ones by sequence number, from ``checkpoints.read_checkpoints``.
    """
    seq, prev, vouched = 0, GENESIS, 0

    def broken(first_bad_seq: int, what: str) -> AuditReport:
        return AuditReport(ok=False, entries=seq, first_bad_seq=first_bad_seq, what=what, vouched_seq=vouched, hash=prev)

    try:
        for entry, rows in groups:
            if entry is None:
                return broken(seq + 1, f"record {rows[0].kind}/{rows[0].id} revision {rows[0].revision} was written by no entry")
            fault = link_fault(entry, seq + 1, prev) or _rows_fault(entry, rows)
            if fault:
                return broken(seq + 1, fault)
            checkpoint = checkpoints.get(entry.seq)
            if checkpoint is not None and checkpoint.hash != entry.hash:
                what = f"the chain was rewritten: entry {entry.seq} is not the one its checkpoint was signed for"
                return broken(vouched + 1, what)
            seq, prev = entry.seq, entry.hash
            vouched = seq if checkpoint is not None else vouched
    except (msgspec.MsgspecError, AttributeError, TypeError, UnicodeError) as error:
        # A database takes any value in any column, also one that no entry or row could have.
        return broken(seq + 1, f"entry {seq + 1} cannot be read ({type(error).__name__})")
    newest = max(checkpoints, default=0)
    if newest > seq:
        return broken(seq + 1, f"the chain ends at entry {seq}, but a checkpoint was signed for entry {newest}: cut short or rolled back")
    return AuditReport(ok=True, entries=seq, vouched_seq=vouched, hash=prev)


def _rows_fault(entry: AuditEntry, rows: list[WrittenRow]) -> str:
    """What is wrong with the rows that claim to come from ``entry``; empty when they are exactly what it says it wrote."""
    for row in rows:
        if row.from_seq != entry.seq:
            return f"record {row.kind}/{row.id} revision {row.revision} was written by no entry"
    written = tuple(Change(r.kind, r.id, r.revision, None if r.body is None else digest_bytes(r.body.encode())) for r in rows)
    if written != entry.changes:
        differing = sorted({(c.kind, c.id) for c in set(written) ^ set(entry.changes)})
        return f"record {'/'.join(differing[0])} is not what entry {entry.seq} wrote" if differing else f"rows of entry {entry.seq} moved"
    if any(row.from_us != entry.at_us for row in rows):
        return f"a record written by entry {entry.seq} was given another date"
    return ""
