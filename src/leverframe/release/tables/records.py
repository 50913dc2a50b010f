"""What the ledger keeps of batch tables."""

from typing import Literal

import msgspec

from leverframe.core.clock import DAY_US
from leverframe.core.command import Transaction
from leverframe.core.digest import Digest, digest_record
from leverframe.core.verdict import Answer, Verdict, combine
from leverframe.release.plans.plan import VersionRef
from leverframe.release.records import REASON_CHARS_MAX
from leverframe.release.tables.comparison import Comparison
from leverframe.release.tables.limits import Limits

KIND_TABLE = "batch_table"
KIND_TABLE_PLAN = "batch_table_plan"
KIND_TABLE_SWITCHED = "batch_table_switched"
KIND_TABLE_WATCH = "batch_table_watch"

EARLIER_MAX = 50
"""Outputs a table remembers to go back to; older ones go (the ledger's history names them still)."""

WATCH_US = 14 * DAY_US
"""How long labels may take to judge a switch, unless its plan says otherwise."""
WATCH_US_MAX = 90 * DAY_US

Event = Literal["written", "switched", "rolled back"]
WatchState = Literal["watching", "proven", "harmed", "over", "left"]
"""``proven``: within the margins; ``harmed``: and taken back; ``over``: time ran out first; ``left``: readers see another version."""


class Output(msgspec.Struct, frozen=True, kw_only=True):
    """A scored batch: ``digest`` names its Parquet file among the artifacts, ``inputs`` the files it was made from, ``job`` the scoring.

    ``column`` holds the scores, ``columns`` are all that readers find. ``scored`` of its ``rows`` have an answer.
    """

    digest: Digest
    version: str
    bundle: Digest
    job: Digest
    inputs: tuple[Digest, ...]
    rows: int
    scored: int
    column: str
    columns: tuple[str, ...]


class BatchTable(msgspec.Struct, frozen=True, kw_only=True):
    """What readers of a table see, what they saw before (newest first), and why it changed last. ``plan``: the plan it was switched by."""

    name: str
    environment: str
    team: str
    current: Output
    earlier: tuple[Output, ...] = ()
    event: Event = "written"
    reason: str = ""
    plan: str = ""


class TablePlan(msgspec.Struct, frozen=True, kw_only=True):
    """A switch of ``table`` from answers of the live version to those of ``candidate`` on one batch, with what both looked like.

    ``base`` is the output readers saw when it was written; ``live`` what the version of ``base`` says on the batch of ``answers``.
    """

    id: str
    table: str
    environment: str
    team: str
    base: Digest
    live: Output
    answers: Output
    candidate: VersionRef
    comparison: Comparison
    limits: Limits
    verdicts: tuple[Verdict, ...]
    risk_tier: str
    author: str
    created_at_us: int
    note: str = ""
    watch_us: int | msgspec.UnsetType = msgspec.UNSET

    @property
    def watched_us(self) -> int:
        """How long the switch is watched."""
        return WATCH_US if self.watch_us is msgspec.UNSET else self.watch_us

    @property
    def digest(self) -> Digest:
        """The name of exactly this plan."""
        return digest_record(self)

    @property
    def endpoint(self) -> str:
        """What freezes and incidents call it: the table's name."""
        return self.table

    @property
    def compared(self) -> Digest:
        """The digest of the comparison."""
        return digest_record(self.comparison)

    @property
    def answer(self) -> Answer:
        """All verdicts as one."""
        return combine(self.verdicts)


class Switched(msgspec.Struct, frozen=True, kw_only=True):
    """A plan was carried out; it is not carried out twice."""

    plan: Digest
    at_us: int
    by: str


class TableWatch(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a switch: ``version`` in place of ``before``, judged by labels from ``from_us`` to ``until_us``.

    ``labelled`` rows of the compared batch have a label that became known after the comparison; ``verdicts`` are what they said at
    ``at_us``.
    """

    plan: Digest
    table: str
    team: str
    version: str
    before: str
    from_us: int
    until_us: int
    at_us: int
    state: WatchState = "watching"
    labelled: int = 0
    verdicts: tuple[Verdict, ...] = ()
    reason: str = ""


def move_table(
    tx: Transaction, table: BatchTable, current: Output, earlier: tuple[Output, ...], *, event: Event, reason: str = "", plan: str = ""
) -> None:
    """Put the pointer of ``table`` on ``current``."""
    why = {"event": event, "reason": reason[:REASON_CHARS_MAX], "plan": plan}
    tx.put(KIND_TABLE, table.name, msgspec.structs.replace(table, current=current, earlier=earlier[:EARLIER_MAX], **why))
