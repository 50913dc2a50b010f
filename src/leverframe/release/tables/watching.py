"""After a switch: labels that become known judge new answers against old ones on the batch that was compared; proven harm goes back.

Every step is one write of the platform's, and a look that died is made again by the next one.
"""

from typing import ClassVar, Literal

import msgspec

from leverframe.core.clock import HOUR_US, iso_from_us
from leverframe.core.command import Command, Transaction
from leverframe.core.digest import Digest
from leverframe.core.errors import Conflict, Forbidden, InvalidInput, NotFound, Refused
from leverframe.core.verdict import Verdict
from leverframe.release.plans.team_rules import rules_of
from leverframe.release.records import REASON_CHARS_MAX
from leverframe.release.rollout.rollout import require_team
from leverframe.release.tables.records import (
    KIND_TABLE,
    KIND_TABLE_PLAN,
    KIND_TABLE_WATCH,
    BatchTable,
    TablePlan,
    TableWatch,
    WatchState,
    move_table,
)

Ends = Literal["", "proven", "over", "left"]
"""How the platform may end a watch that found no harm; empty: it goes on."""


class _OnWatch(Command, frozen=True, kw_only=True):
    """A step of the watch of the switch by ``plan``."""

    table: str
    plan: Digest
    verdicts: tuple[Verdict, ...]
    labelled: int
    owner_team: str

    def resource(self) -> str:
        """``batch_table/<name>``."""
        return f"{KIND_TABLE}/{self.table}"

    def team(self) -> str:
        """The table's team."""
        return self.owner_team


class NoteWatch(_OnWatch, frozen=True, kw_only=True):
    """What labels say so far; ``ends``: and the watch is over, without harm."""

    action: ClassVar[str] = "Release.Advance"
    ends: Ends = ""
    reason: str = ""


class TakeBackTable(_OnWatch, frozen=True, kw_only=True):
    """Let readers see the old version's answers again, because labels prove the new ones worse."""

    action: ClassVar[str] = "Release.Rollback"


def begin_watch(tx: Transaction, plan: TablePlan) -> None:
    """A switch begins its watch, and ends one that still runs."""
    for held in watches_of(tx, plan.table):
        if held.state == "watching":
            tx.put(KIND_TABLE_WATCH, held.plan, _ended(held, "left", "the table was switched again", tx.now_us))
    begun = TableWatch(
        plan=plan.digest,
        table=plan.table,
        team=plan.team,
        version=plan.answers.version,
        before=plan.live.version,
        from_us=tx.now_us,
        until_us=tx.now_us + plan.watched_us,
        at_us=tx.now_us,
    )
    tx.put(KIND_TABLE_WATCH, plan.digest, begun)


def watches_of(tx: Transaction, table: str) -> list[TableWatch]:
    """The watches of a table's switches, oldest first."""
    return sorted((w for w in tx.find(KIND_TABLE_WATCH, TableWatch) if w.table == table), key=lambda w: (w.from_us, w.plan))


def require_table_calm(tx: Transaction, plan: TablePlan) -> None:
    """Refuse a switch where labels took the table back as often as the team allows in its period; going back is never refused.

    Raises
    ------
    Refused: with the limit, what was counted, and from when on it may be switched again.
    """
    rules = rules_of(tx, plan.team)
    since_us = tx.now_us - rules.rollbacks_period_us
    back = [w for w in watches_of(tx, plan.table) if w.state == "harmed" and w.at_us > since_us]
    same = [w for w in back if w.version == plan.answers.version]
    for what, found, most in (
        (plan.answers.version, same, rules.rollbacks_of_version_max),
        (plan.table, back, rules.rollbacks_max),
    ):
        if len(found) >= most:
            hours = f"{rules.rollbacks_period_us / HOUR_US:g} h"
            again_us = sorted(w.at_us for w in found)[-most] + rules.rollbacks_period_us
            raise Refused(
                f"{what} was taken back by labels {len(found)} times in {hours}; find out why first",
                where=plan.id,
                expected=f"fewer than {most} in {hours}",
                got=f"{len(found)}, the last at {iso_from_us(found[-1].at_us)}",
                next_step=f"after {iso_from_us(again_us)}, or with a better version: lever table plan {plan.table} INPUT --candidate",
            )


def note_watch(command: NoteWatch, tx: Transaction) -> dict[str, str]:
    """Put what was seen.

    Raises
    ------
    Conflict: the watch is over.    InvalidInput: it would end as proven without a proof.
    """
    held = _open(tx, command)
    if command.ends == "proven" and not (command.verdicts and all(v.answer == "pass" for v in command.verdicts)):
        raise InvalidInput("nothing is proven", where=command.plan)
    noted = msgspec.structs.replace(held, verdicts=command.verdicts, labelled=command.labelled, at_us=tx.now_us)
    if command.ends:
        noted = _ended(noted, command.ends, command.reason, tx.now_us)
    tx.put(KIND_TABLE_WATCH, command.plan, noted)
    return {"table": command.table, "state": noted.state}


def take_back(command: TakeBackTable, tx: Transaction) -> dict[str, str]:
    """Move the pointer to the newest output of the version before and end the watch, in one write.

    Raises
    ------
    Conflict: the watch is over, or readers see another version meanwhile.    InvalidInput: no verdict says fail.
    """
    held = _open(tx, command)
    harm = next((verdict for verdict in command.verdicts if verdict.answer == "fail"), None)
    if harm is None:
        raise InvalidInput("no rule is broken", where=command.plan)
    table = tx.get(KIND_TABLE, command.table, BatchTable)
    if table is None or table.current.version != held.version:
        raise Conflict("readers see another version meanwhile", where=command.table, expected=held.version)
    place = next((at for at, output in enumerate(table.earlier) if output.version == held.before), None)
    plan = tx.get(KIND_TABLE_PLAN, command.plan, TablePlan)
    assert plan is not None, "what was switched was planned"
    # After many batches by the new version, what the old one said of the compared batch is all that is known of it.
    back, earlier = (plan.live, table.earlier) if place is None else (table.earlier[place], table.earlier[place + 1 :])
    reason = f"labels prove {held.version} worse: {harm.reason}"
    move_table(tx, table, back, earlier, event="rolled back", reason=reason)
    judged = msgspec.structs.replace(held, verdicts=command.verdicts, labelled=command.labelled)
    tx.put(KIND_TABLE_WATCH, command.plan, _ended(judged, "harmed", reason, tx.now_us))
    return {"table": table.name, "digest": back.digest}


def _open(tx: Transaction, command: _OnWatch) -> TableWatch:
    if "platform" not in tx.actor.roles:
        raise Forbidden("only the platform watches tables; people roll back", where=command.resource(), next_step="lever table rollback")
    held = tx.get(KIND_TABLE_WATCH, command.plan, TableWatch)
    if held is None or held.table != command.table:
        raise NotFound("this table has no such watch", where=f"{command.table} {command.plan}"[:160])
    require_team(command.owner_team, held.team, where=command.resource())
    if held.state != "watching":
        raise Conflict("the watch is over", where=command.table, got=held.state)
    return held


def _ended(held: TableWatch, state: WatchState, reason: str, at_us: int) -> TableWatch:
    return msgspec.structs.replace(held, state=state, reason=reason[:REASON_CHARS_MAX], at_us=at_us)
