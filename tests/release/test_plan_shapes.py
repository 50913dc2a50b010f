"""Plans stored by earlier versions keep their names; otherwise every approval of them, and every pack of evidence, would be void."""

from pathlib import Path

import msgspec
import pytest
from tests.release.harness import ALICE, Rig

from leverframe.core.command import Command, Handles, Transaction
from leverframe.core.digest import canonical_json, digest_bytes
from leverframe.core.errors import Refused
from leverframe.governance.ledger.memory import AllowEverything, MemoryJournal
from leverframe.release.commands import HANDLERS, ApplyPlan
from leverframe.release.plans.plan import KIND_PLAN, MetricRule, ReleasePlan
from leverframe.release.plans.windows import Calendar

STORED = sorted((Path(__file__).parent / "plans_stored").glob("*.json"))
"""Rows as they lie in ledgers: before rules had quantiles, cuts and units, and before plans had calendars."""


class Keep(Command, frozen=True, kw_only=True):
    """Puts a row as an earlier version left it."""

    action = "Test.Keep"
    digest: str
    row: msgspec.Raw

    def resource(self) -> str:
        return "plan/old"


def _keep(command: Keep, tx: Transaction) -> None:
    tx.put(KIND_PLAN, command.digest, msgspec.json.decode(command.row, type=ReleasePlan))


@pytest.mark.parametrize("file", STORED, ids=lambda file: file.stem)
def test_a_plan_of_an_older_shape_is_read_named_and_carried_out_as_it_was(file: Path) -> None:
    row = file.read_bytes()
    plan = msgspec.json.decode(row, type=ReleasePlan)
    assert canonical_json(plan) == row, "written again byte for byte, so that evidence packs of it hold"
    assert plan.digest == digest_bytes(row)
    assert {(rule.quantile_level, rule.cut_score, rule.counted_by) for rule in plan.rules} == {(0.99, 0.5, "request")}

    rig = Rig()
    rig.journal = MemoryJournal(rig.clock, AllowEverything(), (*HANDLERS, Handles(command=Keep, run=_keep)))
    rig.write(ALICE, Keep(digest=plan.digest, row=msgspec.Raw(row)))
    with pytest.raises(Refused, match="stale"):
        # Its champion is not live in this empty control plane: the plan was found by its name, and asked for what it says.
        rig.write(ALICE, ApplyPlan(plan=plan.digest, owner_team="delays"))


def test_what_a_newer_shape_says_is_under_the_digest() -> None:
    plan = msgspec.json.decode(STORED[-1].read_bytes(), type=ReleasePlan)
    for change in ({"calendar": Calendar()}, {"promoted_from": "stage"}, {"dependants": "flag"}, {"queue": True}, {"follows": "r1"}):
        assert msgspec.structs.replace(plan, **change).digest != plan.digest
    assert canonical_json(MetricRule(metric="errors", margin=0.02, alpha=0.001, quantile=0.5)) != canonical_json(
        MetricRule(metric="errors", margin=0.02, alpha=0.001)
    )
