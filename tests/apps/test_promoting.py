"""Environments by the real use cases under the shipped policy, and the verbs in front of them."""

import json
from types import SimpleNamespace

import msgspec
import pytest
from tests.apps.fake_records import SPEC
from tests.apps.test_cli import lever, platform  # noqa: F401  fixtures
from tests.release.harness import ALICE, NAME, REGISTER, START_US, TEAM, Register, version

from leverframe.apps.console.plan_words import plan_sheet
from leverframe.apps.platform.plan_overrides import command_fields, read_overrides
from leverframe.apps.platform.promoting import Promoting
from leverframe.apps.platform.release import Releases
from leverframe.apps.platform.rollouts import Rollouts
from leverframe.apps.platform.status import Status
from leverframe.apps.platform.views import PlanRequest
from leverframe.apps.platform.views.promoting import LiftRequest, PromoteRequest, TeamRulesRequest
from leverframe.apps.platform.watching import Watching
from leverframe.core.actor import PLATFORM, Actor
from leverframe.core.clock import HOUR_US, ManualClock
from leverframe.core.command import Command, Handles, Transaction
from leverframe.core.errors import Forbidden, InvalidInput, NotFound, Refused
from leverframe.core.model import ModelSpec
from leverframe.governance.ledger.memory import MemoryJournal
from leverframe.governance.policy import Policy
from leverframe.release.commands import HANDLERS, ApplyPlan, PlanRelease
from leverframe.release.control.controller import Controller
from leverframe.release.evidence.traffic import HourOfTraffic, Traffic
from leverframe.release.plans.team_rules import Environment, TeamRules
from leverframe.release.plans.windows import Calendar, Closure
from leverframe.release.records import KIND_MODEL

OLGA = Actor(subject="olga", roles=("operator",), teams=(TEAM,))
WAY = (Environment(name="stage"), Environment(name="prod"))


class Declare(Command, frozen=True, kw_only=True):
    """Puts a model, as the training room would."""

    action = "Training.ApplyModel"
    record: ModelSpec

    def resource(self) -> str:
        return f"model/{self.record.name}"


class RegisterHere(Register, frozen=True, kw_only=True):
    action = "Training.RegisterVersion"


def _declare(command: Declare, tx: Transaction) -> None:
    tx.put(KIND_MODEL, command.record.name, command.record)


class Shop:
    """Use cases over a journal in memory; bundles are not opened, since every plan here is of a first version or the live one."""

    def __init__(self) -> None:
        self.clock = ManualClock(START_US)
        self.traffic: list[bytes] = []
        register = Handles(command=RegisterHere, run=REGISTER.run)
        self.ledger = MemoryJournal(self.clock, Policy(), (*HANDLERS, register, Handles(command=Declare, run=_declare)))
        parts = SimpleNamespace(
            ledger=self.ledger,
            clock=self.clock,
            policy=Policy(),
            artifacts=None,  # never opened: what is in the bundle was recorded when it was registered
            trust=None,
            settings=SimpleNamespace(environment="prod"),
            publisher=SimpleNamespace(publish=lambda: None, traffic=lambda: self.traffic[-1] if self.traffic else None),
        )
        parts.whole = parts
        self.releases = Releases(parts)
        self.promoting = Promoting(parts, self.releases)
        spec = msgspec.structs.replace(SPEC, name=NAME, team=TEAM)
        self.ledger.write(ALICE, Declare(record=spec), key="spec")
        self.ledger.write(PLATFORM, RegisterHere(record=version(1)), key="v1")

    def release(self, environment: str) -> str:
        request = PlanRequest(endpoint=NAME, version=f"{NAME}@v1", environment=environment, strategy="initial")
        return self.start(self.releases.plan(ALICE, request, key=f"plan-{environment}").digest)

    def start(self, plan: str) -> str:
        self.ledger.write(PLATFORM, ApplyPlan(plan=plan, owner_team=TEAM), key=f"apply-{plan}")
        for environment in ("stage", "prod"):
            Controller(self.ledger, environment).tick(lambda _: (), self.clock.now_us())
        return plan


@pytest.fixture
def shop() -> Shop:
    return Shop()


def declare(shop: Shop, actor: Actor = OLGA, **fields: object) -> TeamRules:
    request = TeamRulesRequest(rules=TeamRules(team=TEAM, **fields), reason="by way of stage")
    return shop.promoting.declare(actor, request, key=f"rules-{actor.subject}-{len(fields)}")


def test_what_is_live_in_stage_is_planned_for_prod_by_one_verb(shop: Shop) -> None:
    shop.release("stage")
    with pytest.raises(Refused) as caught:
        shop.promoting.promote(ALICE, PromoteRequest(endpoint=NAME), key="p0")
    assert caught.value.got == "none declared"
    declare(shop, environments=WAY)
    plan = shop.promoting.promote(ALICE, PromoteRequest(endpoint=NAME), key="p1").plan
    assert (plan["environment"], plan["strategy"], plan["promoted_from"]) == ("prod", "initial", "stage")
    assert plan["candidate"]["bundle"] == version(1).bundle
    assert [(e.environment, e.live, e.state) for e in shop.promoting.environments(NAME)] == [
        ("stage", f"{NAME}@v1", "completed"),
        ("prod", "", ""),
    ]


def test_nothing_is_promoted_from_an_empty_environment(shop: Shop) -> None:
    shop.release("prod")
    declare(shop, environments=WAY)
    with pytest.raises(Refused, match="nothing of this endpoint answers in stage"):
        shop.promoting.promote(ALICE, PromoteRequest(endpoint=NAME), key="p1")
    with pytest.raises(NotFound, match="never was such an endpoint"):
        shop.promoting.environments("nobody")


def test_the_rules_are_the_operators_to_set_and_engineers_may_not(shop: Shop) -> None:
    with pytest.raises(Forbidden):
        declare(shop, ALICE, environments=WAY)
    closed = Calendar(closures=(Closure(first="1971-02-05", last="1971-02-06", reason="away"),))
    rules = declare(shop, environments=(Environment(name="prod", calendar=closed),))
    assert (rules.by, rules.reason) == ("olga", "by way of stage")
    (prod,) = (e for e in [*shop.promoting.rules(TEAM).environments] if e.name == "prod")
    assert prod.calendar == closed
    with pytest.raises(Refused, match="away"):
        shop.release("prod")


def test_lifting_the_limit_is_for_a_while_and_by_an_operator(shop: Shop) -> None:
    shop.release("prod")
    with pytest.raises(Forbidden):
        shop.promoting.lift(ALICE, "prod", NAME, LiftRequest(reason="because"), key="l0")
    done = shop.promoting.lift(OLGA, "prod", NAME, LiftRequest(reason="looked", hours=2), key="l1")
    assert done == {"expires_us": START_US + 2 * HOUR_US}


def test_verbs_show_and_set_rules_promote_and_lift(lever, platform, tmp_path) -> None:  # noqa: F811
    file = tmp_path / "rules.yaml"
    file.write_text(
        "environments:\n"
        "  - name: stage\n"
        "  - name: prod\n"
        "    calendar:\n"
        "      zone: Europe/Vienna\n"
        "      openings: [{weekdays: [mon], opens: 09:00, closes: 17:00}]\n"
        "      closures: [{first: 2026-12-24, last: 2026-12-26, reason: feast}]\n"
        "rollbacks_max: 4\n"
    )
    code, out, err = lever("release", "rules", "flights", "--file", str(file), "--reason", "hours", "--json")
    assert code == 0, err
    sent = next(call for call in platform.calls.made if call[0] == "Release.Operate")[3][0]
    calendar = sent.rules.environments[1].calendar
    assert (calendar.openings[0].closes, calendar.closures[0].first, sent.rules.rollbacks_max) == ("17:00", "2026-12-24", 4)
    assert msgspec.convert(json.loads(out), TeamRules) == sent.rules
    code, out, err = lever("release", "rules")
    assert code == 0, err
    assert "mon tue wed thu fri 09:00-17:00 America/New_York" in out
    assert "by way of stage" in out
    code, out, err = lever("release", "environments", "flight-delay")
    assert code == 0, err
    assert "prod.flight-delay.0002 watching" in out
    code, out, err = lever("release", "promote", "flight-delay", "--to", "prod")
    assert code == 0, err
    assert "Stages" in out
    assert lever("release", "promote", "flight-delay", "--strategy", "hope")[0] == 2
    code, out, err = lever("release", "lift", "flight-delay", "-m", "looked", "--hours", "4")
    assert code == 0, err
    assert "may start again until" in out
    assert lever("release", "lift", "flight-delay")[0] == 2
    file.write_text("environments: {a: b}")
    code, out, err = lever("release", "rules", "flights", "--file", str(file))
    assert code == 2
    assert "not release rules" in err


def test_a_plan_is_asked_with_rules_a_ladder_and_what_happens_when_busy(lever, platform, tmp_path) -> None:  # noqa: F811
    options = ["--rule", "latency_quantile:margin=0.25,quantile=0.99", "--rule", "latency_budget:off", "--ladder", "shadow@6h,5"]
    code, _, err = lever("release", "plan", "flight-delay@v3", *options, "--when-busy", "follow", "--dependants", "flag")
    assert code == 0, err
    asked = platform.calls.made[-1][3][0].overrides
    assert asked == {
        "ladder": "shadow@6h,5",
        "ask": [{"metric": "latency_quantile", "margin": 0.25, "quantile": 0.99}, {"metric": "latency_budget", "off": True}],
        "dependants": "flag",
        "follow": True,
    }
    fields = command_fields(read_overrides(asked), "canary")
    assert [rule.metric for rule in fields["rules"]][-1] == "latency_quantile"
    assert [stage.name for stage in fields["stages"]] == ["shadow", "canary 5 %", "100 %"]
    file = tmp_path / "rules.yaml"
    file.write_text("- {metric: errors, margin: 0.01, unit: key}\n")
    code, _, err = lever("release", "plan", "flight-delay@v3", "--rule-file", str(file))
    assert code == 0, err
    (only,) = command_fields(read_overrides(platform.calls.made[-1][3][0].overrides), "canary")["rules"]
    assert (only.metric, only.margin, only.counted_by) == ("errors", 0.01, "key")
    for wrong in (["--rule", "errors"], ["--rule", "errors:0.02"], ["--when-busy", "hope"], ["--dependants", "maybe"]):
        assert lever("release", "plan", "flight-delay@v3", *wrong)[0] == 2, wrong
    with pytest.raises(InvalidInput, match="cannot be read"):
        read_overrides({"ask": [{"metric": "luck", "margin": 1}]})


def test_one_release_is_paused_resumed_aborted_taken_back_and_kept_by_its_name(lever, platform) -> None:  # noqa: F811
    for verb in ("pause", "resume", "abort", "rollback", "keep"):
        code, out, err = lever("release", verb, "rel-0004", "-m", "as agreed")
        assert (code, err) == (0, ""), err
        permission, _, _, arguments = platform.calls.made[-1]
        assert (permission, arguments) == ("Release.Rollback" if verb == "rollback" else "Release.Operate", ("rel-0004", "as agreed"))
        assert "Stage log" in out
        assert lever("release", verb, "rel-0004")[0] == 2, "not without a reason"


def test_use_cases_of_one_release_reach_what_they_name(shop: Shop) -> None:
    shop.release("prod")
    rollouts = Rollouts(shop.promoting._parts, shop.releases)
    (release,) = shop.releases.releases()
    with pytest.raises(Refused, match="first version"):
        rollouts.rollback(OLGA, release.id, "drill", key="r1")
    with pytest.raises(NotFound, match="no such release"):
        rollouts.pause(OLGA, "prod.nobody.0001", "drill", key="r2")
    with pytest.raises(Refused, match="cannot take 'pause'"):
        rollouts.pause(OLGA, release.id, "drill", key="r3")
    with pytest.raises(Forbidden):
        rollouts.abort(ALICE, release.id, "drill", key="r4")


def test_a_release_is_watched_in_plain_words_until_it_has_ended(lever, platform) -> None:  # noqa: F811
    code, out, err = lever("release", "watch", "rel-0004", "--once")
    assert code == 0, err
    assert "need about 1,900 more labelled requests to rule out 1.0 points of loss of AUC; ~40 min" in out
    code, out, err = lever("release", "watch", "rel-0003", "--json")
    assert code == 0, err
    assert json.loads(out)["ended"] is True


def test_what_the_worker_left_is_what_is_told_and_its_absence_is_told_too(shop: Shop) -> None:
    shop.ledger.write(PLATFORM, RegisterHere(record=version(2)), key="v2")
    shop.release("prod")
    command = PlanRelease(environment="prod", endpoint=NAME, version=f"{NAME}@v2", owner_team=TEAM, strategy="canary")
    plans = [shop.ledger.write(ALICE, msgspec.structs.replace(command, queue=queue), key=f"q{queue}").result for queue in (False, True)]
    shop.start(plans[0]["plan"])
    shop.ledger.write(PLATFORM, ApplyPlan(plan=plans[1]["plan"], owner_team=TEAM), key="second")
    running, waiting = (plan["release"] for plan in plans)
    left: list[bytes] = []
    parts = SimpleNamespace(ledger=shop.ledger, clock=shop.clock, publisher=SimpleNamespace(live=lambda: left[-1] if left else None))
    parts.whole = parts
    watching = Watching(parts)
    assert watching.watch(waiting).lines == ("waits in line, number 1 of 1",)
    declare(shop, environments=(Environment(name="prod"), Environment(name="europe")))
    facts = dict(plan_sheet(shop.releases.plan_of(plans[0]["plan"])).facts)
    assert facts["rests on it"] == f"{waiting} waits in line, europe takes what is live here"
    assert watching.watch(running).lines[-1] == "no look of the release controller is known; next: lever doctor"
    controller = Controller(shop.ledger, "prod")
    controller.tick(lambda _: (), shop.clock.now_us())
    left.append(msgspec.msgpack.encode(controller.live()))
    found = watching.watch(running)
    assert (found.state, found.stage, found.weight, found.ended) == ("running", "canary 10 %", 10.0, False)
    assert found.lines[0] == "holding at canary 10 %: nothing is proven yet"
    assert "24 h of its hold time to go" in found.lines
    left.append(b"\xc1 not a look")
    assert watching.watch(running).lines[-1].startswith("no look")
    with pytest.raises(NotFound):
        watching.watch("nobody")


def test_a_plan_is_shown_with_what_it_can_see_by_todays_traffic(shop: Shop) -> None:
    shop.ledger.write(PLATFORM, RegisterHere(record=version(2)), key="v2")
    shop.release("prod")
    hours = tuple(HourOfTraffic(from_us=START_US + n * HOUR_US, served=300, failed=3) for n in range(24))
    traffic = Traffic(endpoint=NAME, hours=hours, latency_counts={80: 7200}, sds={}, pairs={}, newest_us=START_US + 24 * HOUR_US)
    shop.traffic.append(msgspec.msgpack.encode((traffic,)))
    command = PlanRelease(environment="prod", endpoint=NAME, version=f"{NAME}@v2", owner_team=TEAM, strategy="canary")
    plan = shop.releases.plan_of(shop.ledger.write(ALICE, command, key="q").result["plan"])
    sheet = plan_sheet(plan)
    facts = dict(sheet.facts)
    assert facts["takes"].startswith("with 300 requests an hour at 100 % in about")
    assert facts["forecast from"] == (
        "traffic, errors, latency_budget as measured this week; typical values for outcome_brier, prediction_shift"
    )
    assert sheet.stages[0][6] == "720"
    assert any("canary 10 % can see +4.0 points of failing answers in about" in sentence for sentence in sheet.sees)
    shop.traffic.append(b"\xc1")
    assert plan_sheet(shop.releases.plan_of(plan.digest)).sees == ()


def test_a_flagged_release_is_a_problem_of_the_first_page_until_a_person_keeps_it(shop: Shop) -> None:
    for number in (2, 3):
        shop.ledger.write(PLATFORM, RegisterHere(record=version(number)), key=f"v{number}")
    shop.release("prod")
    started = []
    for number in (2, 3):
        command = PlanRelease(
            environment="prod",
            endpoint=NAME,
            version=f"{NAME}@v{number}",
            owner_team=TEAM,
            strategy="blue_green",
            watch_us=0,
            rules=(),
            dependants="flag",
        )
        plan = shop.ledger.write(ALICE, command, key=f"plan-{number}").result
        shop.start(plan["plan"])
        started.append(plan["release"])
    parts = SimpleNamespace(
        ledger=shop.ledger,
        clock=shop.clock,
        settings=SimpleNamespace(environment="prod", clock="system"),
        probe=SimpleNamespace(state=lambda: SimpleNamespace(down=())),
    )
    parts.whole = parts
    none = SimpleNamespace(alerts=lambda *, open_only: (), entries=lambda *, limit: (), plans=lambda: ())
    asked = SimpleNamespace(endpoints=lambda: (), releases=shop.releases.releases, reviews=shop.releases.reviews, plans=lambda: ())
    status = Status(parts, asked, none, none, none)
    assert status.status().ok
    rollouts = Rollouts(shop.promoting._parts, shop.releases)
    rollouts.rollback(OLGA, started[0], "bad labels", key="back")
    found = status.status()
    assert not found.ok
    assert f"{started[1]} is flagged: rests on flight-delay@v2, taken back: bad labels" in found.sentence
    assert found.needs[0]["command"] == f"lever release keep {started[1]} --reason '...'"
    rollouts.keep(OLGA, started[1], "measured again", key="keep")
    assert status.status().ok
