"""Use cases of batch tables: which output readers see, the plans to switch it, and the way back. Batches are scored by ``apps.scoring``."""

from leverframe.apps.platform.looking import Looking
from leverframe.apps.platform.parts import Parts
from leverframe.apps.platform.requirements import APPROVALS_NEEDED, Requirements
from leverframe.apps.platform.views.tables import TableEntry, TablePlanView, TableView
from leverframe.core.actor import Actor
from leverframe.core.clock import iso_from_us
from leverframe.core.command import Command
from leverframe.core.errors import NotFound
from leverframe.core.model import ModelVersion, version_id_of
from leverframe.governance.decision import OWN_POLICY, OwnPolicy, require
from leverframe.release.approvals.approvals import valid_approvals
from leverframe.release.records import KIND_MODEL_VERSION
from leverframe.release.tables.planning import ApproveTable, table_plan_facts
from leverframe.release.tables.records import (
    KIND_TABLE,
    KIND_TABLE_PLAN,
    KIND_TABLE_SWITCHED,
    KIND_TABLE_WATCH,
    BatchTable,
    Switched,
    TablePlan,
    TableWatch,
)
from leverframe.release.tables.switching import RollbackTable, SwitchTable

ENTRIES_MAX = 200
PLANS_MAX = 50


def watch_words(watch: TableWatch) -> str:
    """Where the watch of a switch stands, in a sentence."""
    until = iso_from_us(watch.until_us)
    if watch.state == "watching":
        seen = next((verdict.reason for verdict in watch.verdicts if verdict.answer != "pass"), "no row's label became known yet")
        return f"{watch.version} is watched until {until}: {seen}"
    ended = {
        "proven": f"{watch.version} is no worse than {watch.before}",
        "harmed": f"{watch.version} was taken back",
        "over": f"{watch.version} was watched to the end",
        "left": f"{watch.version} is not watched any more",
    }[watch.state]
    return f"{ended}: {watch.reason}"


class Tables:
    """Pointers to scored batches."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._requirements = Requirements(parts)

    def tables(self) -> tuple[BatchTable, ...]:
        """Every table, by name."""
        return tuple(self._parts.ledger.find(KIND_TABLE, BatchTable))

    def table(self, name: str) -> TableView:
        """One table with its newest past and plans.

        Raises
        ------
        NotFound: no such table.
        """
        table = self._table(name)
        ledger = self._parts.ledger
        plans = [plan for plan in ledger.find(KIND_TABLE_PLAN, TablePlan) if plan.table == name]
        plans.sort(key=lambda plan: (plan.created_at_us, plan.id), reverse=True)
        past = [
            TableEntry(
                at_us=revision.from_us,
                actor=revision.actor,
                event=revision.record.event,
                reason=revision.record.reason,
                version=revision.record.current.version,
                digest=revision.record.current.digest,
                rows=revision.record.current.rows,
                plan=revision.record.plan,
            )
            for revision in reversed(ledger.history(KIND_TABLE, name, BatchTable))
            if revision.record is not None
        ]
        watch = max((w for w in ledger.find(KIND_TABLE_WATCH, TableWatch) if w.table == name), key=lambda w: w.from_us, default=None)
        return TableView(
            table=table,
            history=tuple(past[:ENTRIES_MAX]),
            plans=tuple(self._plan_view(plan) for plan in plans[:PLANS_MAX]),
            watch=watch,
            watched=watch_words(watch) if watch is not None else "",
        )

    def rows(self, actor: Actor, name: str) -> bytes:
        """What readers see: the Parquet file that the pointer names, checked against its digest.

        Raises
        ------
        NotFound: no such table.    Forbidden: it is another team's.    Integrity: the bytes are not what their digest says.
        """
        table = self._table(name)
        policy = self._parts.policy.with_own(self._own())
        require(policy, actor, "Data.Read", f"{KIND_TABLE}/{name}", table.team, {})
        return self._parts.artifacts.get(table.current.digest)

    def approve(self, actor: Actor, name: str, digest: str, *, note: str, key: str) -> TablePlanView:
        """Approve exactly this switch."""
        plan = self._plan(name, digest)
        self._parts.ledger.write(actor, ApproveTable(plan=digest, owner_team=plan.team, note=note), key=key)
        return self._plan_view(plan)

    def switch(self, actor: Actor, name: str, digest: str, *, key: str) -> TableView:
        """Let readers see what was compared and approved."""
        plan = self._plan(name, digest)
        self._observe(plan)
        return self._write(actor, name, SwitchTable(plan=digest, owner_team=plan.team), key)

    def rollback(self, actor: Actor, name: str, *, reason: str, to: str, key: str) -> TableView:
        """Let readers see again what they saw before."""
        table = self._table(name)
        return self._write(actor, name, RollbackTable(table=name, owner_team=table.team, reason=reason, to=to), key)

    def _write(self, actor: Actor, name: str, command: Command, key: str) -> TableView:
        self._parts.ledger.write(actor, command, key=key)
        return self.table(name)

    def _table(self, name: str) -> BatchTable:
        table = self._parts.ledger.get(KIND_TABLE, name, BatchTable)
        if table is None:
            raise NotFound("no such table", where=name[:80], next_step="lever table list")
        return table

    def _plan(self, name: str, digest: str) -> TablePlan:
        plan = self._parts.ledger.get(KIND_TABLE_PLAN, digest, TablePlan)
        if plan is None or plan.table != name:
            raise NotFound("this table has no plan of this digest", where=f"{name} {digest}"[:160], next_step=f"lever table show {name}")
        return plan

    def _observe(self, plan: TablePlan) -> None:
        version = self._parts.ledger.get(KIND_MODEL_VERSION, version_id_of(plan.candidate.version), ModelVersion)
        if version is not None:
            self._requirements.observe(version)

    def _own(self) -> tuple[str, ...]:
        return tuple(policy.text for policy in self._parts.ledger.find(OWN_POLICY, OwnPolicy))

    def _plan_view(self, plan: TablePlan) -> TablePlanView:
        ledger = self._parts.ledger
        asking = Actor(subject="somebody", roles=("engineer",), teams=(plan.team,))
        looking = Looking(ledger, asking, self._parts.clock.now_us())
        needed = APPROVALS_NEEDED.get(plan.risk_tier, 2)
        current = self._table(plan.table).current.digest
        approvals = tuple(approval.approver for approval in valid_approvals(looking, plan))
        return TablePlanView(
            digest=plan.digest,
            compared=plan.compared,
            answer=plan.answer,
            plan=plan,
            approvals=approvals,
            needed=needed,
            missing=self._missing(plan, asking, looking, needed - len(approvals)),
            stale=current != plan.base,
            switched=ledger.get(KIND_TABLE_SWITCHED, plan.digest, Switched) is not None,
        )

    def _missing(self, plan: TablePlan, asking: Actor, looking: Looking, more: int) -> tuple[str, ...]:
        """What keeps it from being switched, asked of the very policies that will decide."""
        missing = [f"{verdict.rule} says {verdict.answer}: {verdict.reason}" for verdict in plan.verdicts if verdict.answer != "pass"]
        command = SwitchTable(plan=plan.digest, owner_team=plan.team)
        facts = table_plan_facts(command, looking)
        decision = self._parts.policy.with_own(self._own()).decide(asking, command.action, command.resource(), plan.team, facts)
        if not decision.allowed:
            denied = zip(decision.policy_ids, decision.reasons, strict=False)
            missing += [f"{reason} ({rule})" for rule, reason in denied if rule not in ("apply-low-risk", "apply-high-risk")]
        if more > 0:
            missing.append(f"{more} more approval{'s' if more > 1 else ''} by someone other than {plan.author}")
        return tuple(missing)
