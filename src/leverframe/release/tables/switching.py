"""What readers of a table see: a new batch by the same version, the switch to another version, and the way back. Each is one write."""

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from leverframe.core.clock import DAY_US
from leverframe.core.command import Command, Transaction
from leverframe.core.digest import check_digest
from leverframe.core.errors import Conflict, InvalidInput, Refused
from leverframe.core.model import ModelVersion, version_id_of
from leverframe.release.approvals.approvals import frozen
from leverframe.release.records import KIND_MODEL_VERSION
from leverframe.release.rollout.rollout import require_team
from leverframe.release.tables.planning import OnTablePlan, get_table, get_table_plan, require_scored
from leverframe.release.tables.records import KIND_TABLE, KIND_TABLE_SWITCHED, BatchTable, Output, Switched, move_table
from leverframe.release.tables.watching import begin_watch, require_table_calm

SWITCH_WITHIN_US = 30 * DAY_US
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


class _OnTable(Command, frozen=True, kw_only=True):
    table: str
    owner_team: str = ""

    def resource(self) -> str:
        """``batch_table/<name>``."""
        return f"{KIND_TABLE}/{self.table}"

    def team(self) -> str:
        """The table's team."""
        return self.owner_team


class WriteTable(_OnTable, frozen=True, kw_only=True):
    """Let readers see a new batch, scored by the version that makes the table; the first one begins the table."""

    action: ClassVar[str] = "Table.Write"
    output: Output
    environment: str = "prod"


class SwitchTable(OnTablePlan, frozen=True, kw_only=True):
    """Let readers see the candidate's answers, as planned, compared and approved."""

    action: ClassVar[str] = "Release.Apply"


class RollbackTable(_OnTable, frozen=True, kw_only=True):
    """Let readers see again what they saw before: the output before this one, or the earlier one named ``to``."""

    action: ClassVar[str] = "Release.Rollback"
    reason: str
    to: str = ""


def write_facts(command: WriteTable, tx: Transaction) -> Mapping[str, Any]:
    """Whether this begins a table, and how the gates of its version stand."""
    version = tx.get(KIND_MODEL_VERSION, version_id_of(command.output.version), ModelVersion)
    return {
        "begins": tx.get(KIND_TABLE, command.table, BatchTable) is None,
        "gates": version.gates if version is not None and version.bundle == command.output.bundle else "inconclusive",
    }


def write_table(command: WriteTable, tx: Transaction) -> dict[str, str]:
    """Move the pointer to a new batch of the same version."""
    output = command.output
    if not _NAME.fullmatch(command.table):
        raise InvalidInput("not a name for a table", where="table", expected="a-z, 0-9, _ and -, at most 64", got=command.table[:80])
    check_digest(output.digest)
    require_scored(tx, output, command.owner_team)
    table = tx.get(KIND_TABLE, command.table, BatchTable)
    if table is None:
        begun = BatchTable(name=command.table, environment=command.environment, team=command.owner_team, current=output)
        tx.put(KIND_TABLE, command.table, begun)
        return {"table": command.table, "digest": output.digest}
    require_team(command.owner_team, table.team, where=command.resource())
    if (output.version, output.bundle) != (table.current.version, table.current.bundle):
        raise Refused(
            "a table comes to another version by a plan",
            where=table.name,
            expected=table.current.version,
            got=output.version,
            next_step=f"lever table plan {table.name} INPUT --candidate {output.version}",
        )
    if output.digest != table.current.digest:
        move_table(tx, table, output, (table.current, *table.earlier), event="written")
    return {"table": command.table, "digest": output.digest}


def switch_table(command: SwitchTable, tx: Transaction) -> dict[str, str]:
    """Move the pointer to what was compared, if all verdicts passed and readers still see what it was compared with."""
    plan = get_table_plan(tx, command.plan)
    require_team(command.owner_team, plan.team, where=plan.id)
    again = f"lever table plan {plan.table} INPUT --candidate {plan.candidate.version}"
    if tx.get(KIND_TABLE_SWITCHED, command.plan, Switched) is not None:
        raise Conflict("the table was switched by this plan already; a plan runs once", where=plan.id, next_step=again)
    if tx.now_us >= plan.created_at_us + SWITCH_WITHIN_US:
        raise Refused("the plan is older than 30 days", where=plan.id, next_step=again)
    freeze = frozen(tx, plan.environment, plan.endpoint)
    if freeze is not None:
        raise Refused(f"releases are frozen: {freeze.reason}", where=plan.table, next_step="lever unfreeze, or wait")
    wrong = sorted((verdict for verdict in plan.verdicts if verdict.answer != "pass"), key=lambda verdict: verdict.answer != "fail")
    if wrong or plan.answer != "pass":
        first = wrong[0] if wrong else None
        raise Refused(
            f"rule {first.rule} says {first.answer}: {first.reason}" if first else "nothing was compared",
            where=plan.id,
            expected=f"{first.rule} at most {first.threshold:g}" if first else "a comparison",
            got="nothing" if first is None or first.observed is None else f"{first.observed:.4g}",
            next_step=f"{first.next_step if first else 'compare'}: {again}",
        )
    table = get_table(tx, plan.table)
    if table.current.digest != plan.base:
        raise Conflict(
            "the plan is stale: readers see another output than the one it was compared with",
            where=plan.id,
            expected=plan.base,
            got=table.current.digest,
            next_step=again,
        )
    require_table_calm(tx, plan)
    # The way back leads to the old version's answers on this very batch, and only then to what readers saw before.
    before = (table.current,) if plan.live.digest == table.current.digest else (plan.live, table.current)
    move_table(tx, table, plan.answers, (*before, *table.earlier), event="switched", reason=plan.note, plan=plan.digest)
    begin_watch(tx, plan)
    tx.put(KIND_TABLE_SWITCHED, plan.digest, Switched(plan=plan.digest, at_us=tx.now_us, by=tx.actor.subject))
    return {"table": table.name, "digest": plan.answers.digest}


def rollback_table(command: RollbackTable, tx: Transaction) -> dict[str, str]:
    """Move the pointer back: no gates, no scoring, one write."""
    table = get_table(tx, command.table)
    require_team(command.owner_team, table.team, where=command.resource())
    if not command.reason.strip():
        raise InvalidInput("a rollback says why", where="reason", next_step="--reason '...'")
    place = next((at for at, output in enumerate(table.earlier) if command.to in ("", output.digest)), None)
    if place is None:
        raise Refused(
            "there is nothing to go back to" if not command.to else "readers never saw this output, or too long ago",
            where=table.name,
            expected=", ".join(output.digest for output in table.earlier)[:400] or "an earlier output",
            got=command.to[:80] or "none",
            next_step=f"lever table show {table.name}",
        )
    move_table(tx, table, table.earlier[place], table.earlier[place + 1 :], event="rolled back", reason=command.reason)
    return {"table": table.name, "digest": table.earlier[place].digest}
