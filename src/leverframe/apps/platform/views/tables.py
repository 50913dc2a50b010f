"""What the use cases of batch tables answer."""

import msgspec

from leverframe.core.digest import Digest
from leverframe.core.verdict import Answer
from leverframe.release.tables.records import BatchTable, Event, TablePlan, TableWatch


class TableEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One change of what readers see: who, when, why, and to which output."""

    at_us: int
    actor: str
    event: Event
    reason: str
    version: str
    digest: Digest
    rows: int
    plan: str = ""


class TablePlanView(msgspec.Struct, frozen=True, kw_only=True):
    """A plan with who approved it, what is missing and whether it was carried out; ``stale``: readers see another output meanwhile."""

    digest: Digest
    compared: Digest
    answer: Answer
    plan: TablePlan
    approvals: tuple[str, ...]
    needed: int
    missing: tuple[str, ...]
    stale: bool
    switched: bool


class TableView(msgspec.Struct, frozen=True, kw_only=True):
    """A table: its pointer, its past newest first, its newest plans, and the watch of its last switch with what it says, in words."""

    table: BatchTable
    history: tuple[TableEntry, ...]
    plans: tuple[TablePlanView, ...]
    watch: TableWatch | None = None
    watched: str = ""
