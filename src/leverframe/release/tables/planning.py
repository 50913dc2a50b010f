"""Before a table is switched: its plan with the comparison it rests on, and the approvals it needs."""

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec

from leverframe.core.clock import DAY_US
from leverframe.core.command import Command, Transaction
from leverframe.core.digest import Digest, canonical_json
from leverframe.core.errors import Conflict, InvalidInput, NotFound, Refused
from leverframe.core.model import ModelSpec, ModelVersion, version_id_of
from leverframe.release.approvals.approvals import APPROVAL_EXPIRES_US, frozen, record_approval, valid_approvals
from leverframe.release.planning.planning import OnPlan, get_version
from leverframe.release.plans.plan import VersionRef
from leverframe.release.records import KIND_MODEL, KIND_MODEL_VERSION, REASON_CHARS_MAX
from leverframe.release.requirements.facts import evidence_facts
from leverframe.release.rollout.rollout import require_team
from leverframe.release.rollout.routes import next_value
from leverframe.release.tables.comparison import Comparison
from leverframe.release.tables.limits import Limits, check_limits, judge
from leverframe.release.tables.records import (
    KIND_TABLE,
    KIND_TABLE_PLAN,
    KIND_TABLE_SWITCHED,
    WATCH_US_MAX,
    BatchTable,
    Output,
    Switched,
    TablePlan,
)

# Of the serving room, read here.
KIND_SCORING = "scoring"


class _Scoring(msgspec.Struct, frozen=True):
    """As much of a scored batch as matters here."""

    version: str
    bundle: Digest
    inputs: tuple[Digest, ...]
    rows: int
    rows_scored: int = 0
    finished_at_us: int = 0


class PlanTable(Command, frozen=True, kw_only=True):
    """Write down a switch of ``table`` to ``answers``, compared with ``live`` on the same batch; the verdicts are the ledger's."""

    action: ClassVar[str] = "Release.Plan"
    table: str
    live: Output
    answers: Output
    comparison: Comparison
    limits: Limits
    owner_team: str = ""
    note: str = ""
    watch_us: int | msgspec.UnsetType = msgspec.UNSET

    def resource(self) -> str:
        """``batch_table/<name>``."""
        return f"{KIND_TABLE}/{self.table}"

    def team(self) -> str:
        """The table's team."""
        return self.owner_team


class OnTablePlan(OnPlan, frozen=True, kw_only=True):
    """Something done with the plan of a table."""

    kind: ClassVar[str] = KIND_TABLE_PLAN


class ApproveTable(OnTablePlan, frozen=True, kw_only=True):
    """Say yes to exactly the switch with this digest."""

    action: ClassVar[str] = "Release.Approve"
    note: str = ""
    expires_after_us: int = APPROVAL_EXPIRES_US


def get_table(tx: Transaction, name: str) -> BatchTable:
    """The table called ``name``.

    Raises
    ------
    NotFound: there is none.
    """
    table = tx.get(KIND_TABLE, name, BatchTable)
    if table is None:
        raise NotFound("no such table", where=name[:80], next_step="lever table list; a new one: lever table write NAME INPUT --version")
    return table


def get_table_plan(tx: Transaction, digest: Digest) -> TablePlan:
    """The plan named ``digest``, checked against its name.

    Raises
    ------
    NotFound: no table's plan has this digest.
    """
    plan = tx.get(KIND_TABLE_PLAN, digest, TablePlan)
    if plan is None or plan.digest != digest:
        raise NotFound("no table's plan has this digest", where=digest[:80], next_step="lever table show NAME")
    return plan


def require_scored(tx: Transaction, output: Output, team: str) -> ModelVersion:
    """The version that ``output`` was made by, if the ledger knows of that very scoring as finished.

    Raises
    ------
    NotFound: no such version.  Forbidden: it is another team's.  Refused: no finished scoring has this version, these inputs and rows.
    """
    version = get_version(tx, output.version)
    spec = tx.get(KIND_MODEL, version.model, ModelSpec)
    require_team(team, spec.team if spec is not None else team, where=output.version)
    done = tx.get(KIND_SCORING, output.job, _Scoring)
    known = (done.version, done.bundle, done.inputs, done.rows, done.rows_scored) if done is not None and done.finished_at_us else ()
    if known != (version.name, version.bundle, output.inputs, output.rows, output.scored) or output.bundle != version.bundle:
        raise Refused("no finished scoring gave this output", where=output.job[:80], expected=output.version, next_step="score it again")
    return version


def plan_table(command: PlanTable, tx: Transaction) -> dict[str, str]:
    """Put the plan; what it is compared with is what readers see now, and the verdicts are given here."""
    table = get_table(tx, command.table)
    require_team(command.owner_team, table.team, where=command.resource())
    live, answers, seen = command.live, command.answers, command.comparison
    require_scored(tx, live, table.team)
    version = require_scored(tx, answers, table.team)
    _require_comparable(table, live, answers)
    paired = (seen.rows, seen.missing, seen.cut)
    if not 0 <= seen.rows <= min(live.rows, answers.rows) or paired[1:] != (live.rows + answers.rows - 2 * seen.rows, command.limits.cut):
        raise InvalidInput("the comparison is not one of these outputs", where=table.name, got=str(paired), next_step="lever table plan")
    if command.watch_us is not msgspec.UNSET and not 0 < command.watch_us <= WATCH_US_MAX:
        days = f"{command.watch_us / DAY_US:g}"
        raise InvalidInput("a switch is watched for at most 90 days", where="watch", expected="more than 0, at most 90", got=days)
    plan = TablePlan(
        id=f"{table.name}.t{next_value(tx, f'batch_tables/{table.name}'):04d}",
        table=table.name,
        environment=table.environment,
        team=table.team,
        base=table.current.digest,
        live=live,
        answers=answers,
        candidate=VersionRef(version=version.name, bundle=version.bundle, envelope=version.envelope),
        comparison=seen,
        limits=check_limits(command.limits),
        verdicts=judge(seen, command.limits),
        risk_tier=version.risk_tier,
        author=tx.actor.subject,
        created_at_us=tx.now_us,
        note=command.note[:REASON_CHARS_MAX],
        watch_us=command.watch_us,
    )
    # Numbers take the type their field declares before the plan is named, so that a plan read back has the same digest.
    plan = msgspec.json.decode(canonical_json(plan), type=TablePlan)
    tx.put(KIND_TABLE_PLAN, plan.digest, plan)
    return {"plan": plan.digest, "answer": plan.answer}


def _require_comparable(table: BatchTable, live: Output, answers: Output) -> None:
    """Both are of one batch, the live one by what readers see, and readers find every column again."""
    if (live.version, live.bundle) != (table.current.version, table.current.bundle):
        raise Conflict("the table has another version meanwhile", where=table.name, expected=table.current.version, got=live.version)
    if answers.version == live.version:
        raise InvalidInput("this version makes the table already", where=answers.version, next_step=f"lever table write {table.name} INPUT")
    if live.inputs != answers.inputs or live.rows != answers.rows:
        raise InvalidInput("both versions score the same batch", where=table.name, expected=", ".join(live.inputs)[:200])
    lacking = [name for name in live.columns if name not in answers.columns]
    if lacking or live.column != answers.column:
        raise Refused(
            "readers of the table would miss columns",
            where=answers.version,
            expected=f"scores in {live.column}; {', '.join(live.columns)}"[:300],
            got=f"scores in {answers.column}; missing {', '.join(lacking) or 'nothing'}"[:300],
            next_step="keep them with --keep, or begin another table",
        )


def approve_table(command: ApproveTable, tx: Transaction) -> dict[str, Any]:
    """Record the approval; the author cannot give it, and once the table was switched by it, it means nothing."""
    plan = get_table_plan(tx, command.plan)
    require_team(command.owner_team, plan.team, where=plan.id)
    switched = tx.get(KIND_TABLE_SWITCHED, command.plan, Switched) is not None
    next_step = f"lever table show {plan.table}"
    over = Conflict("the table was switched by this plan already", where=plan.id, next_step=next_step) if switched else None
    return record_approval(tx, plan, note=command.note[:REASON_CHARS_MAX], expires_after_us=command.expires_after_us, over=over)


def table_plan_facts(command: OnTablePlan, tx: Transaction) -> Mapping[str, Any]:
    """What the policy decides on, as of a release: tier, gates, approvals that hold now, freeze, author, evidence of the tier.

    Nobody's switch is unattended and none breaks the glass: without approvals there is none.
    """
    plan = get_table_plan(tx, command.plan)
    version = tx.get(KIND_MODEL_VERSION, version_id_of(plan.candidate.version), ModelVersion)
    same = version is not None and version.bundle == plan.candidate.bundle
    return {
        "tier": version.risk_tier if version is not None else plan.risk_tier,
        "gates": version.gates if version is not None and same else "inconclusive",
        "approvals_valid": len(valid_approvals(tx, plan)),
        "frozen": frozen(tx, plan.environment, plan.endpoint) is not None,
        "author": plan.author,
        "unattended": False,
        "break_glass": False,
    } | evidence_facts(tx, plan)
