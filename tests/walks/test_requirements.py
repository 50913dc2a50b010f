"""A plan of high risk on a real, trained installation: what it lacks, the commands that mend it, exceptions, and their end."""

import io
import json
import zipfile
from collections.abc import Iterator

import msgspec
import pytest
from tests.apps.in_process import client_of
from tests.whole_program import ENDPOINT, SPEC, copy_home, open_in_process, train

from leverframe.apps.client import Client
from leverframe.apps.clocks import ReplayClock
from leverframe.apps.platform.platform import Platform
from leverframe.apps.platform.views import PlanRequest, PlanView
from leverframe.apps.settings import Settings
from leverframe.core.clock import DAY_US
from leverframe.core.errors import Forbidden
from leverframe.release.control.controller import Controller

V4 = f"{ENDPOINT}@v4"


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    home = copy_home(tmp_path_factory.mktemp("requirements") / "home")
    opened = open_in_process(Settings(home=home, clock=f"replay:{home / 'replay.clock'}"))
    ana = opened.access.authenticate(_secrets(opened)["ana"])
    spec = msgspec.structs.replace(SPEC, risk_tier="high", runbook="none yet", limitations="")
    opened.training.apply_model(ana, spec, key="high")
    train(opened, ana, 7)
    # The first release has nothing to compare with: one look ends it.
    Controller(opened.parts.ledger, "prod").tick(lambda since: iter(()), opened.now_us())
    yield opened
    opened.close()


def _secrets(platform: Platform) -> dict[str, str]:
    return dict(json.loads((platform.parts.settings.home / "secrets.json").read_text()))


def person(platform: Platform, name: str) -> Client:
    return client_of(platform, _secrets(platform)[name])


def lacking(plan: PlanView) -> dict[str, tuple[str, str]]:
    """Rule to what was observed and what to type."""
    return {each.rule: (each.observed, each.fix) for each in plan.requirements if not each.holds}


@pytest.fixture
def plan(platform: Platform) -> PlanView:
    with person(platform, "ana") as ana:
        return ana.release.plan(PlanRequest(endpoint=ENDPOINT, version=V4, note=str(platform.audit.entries(limit=1)[0].seq)))


def test_a_plan_says_what_it_lacks_what_was_seen_and_what_to_type(plan: PlanView) -> None:
    short = plan.digest.removeprefix("sha256:")[:12]
    assert lacking(plan) == {
        "apply-high-risk": (
            "0 of 2 approvals by someone other than ana",
            f"2 more approvals by someone other than ana: lever release approve {short}",
        ),
        "evidence-runbook": ("no runbook", f"set runbook of model {ENDPOINT}, then: lever apply PROJECT_DIR"),
        "evidence-card": (
            "missing: limitations",
            f"set limitations of model {ENDPOINT}, then: lever apply PROJECT_DIR; lever train {ENDPOINT}",
        ),
    }
    held = {each.rule: each.observed for each in plan.requirements if each.holds}
    assert held == {
        "apply-gates-passed": "gates are pass",
        "apply-not-frozen": "not frozen",
        "evidence-signed": "verified",
        "evidence-owner": "named",
        "evidence-reproducible": "code, data and environment are recorded",
        "evidence-incident": "0 open incidents of severity 1 or 2",
        "evidence-alert": "0 open pages",
        "evidence-budget": "100% of the error budget left",
    }
    assert len(plan.missing) == 3


def test_a_plan_of_low_risk_is_asked_for_less(platform: Platform) -> None:
    with person(platform, "ana") as ana:
        low = ana.release.plan(PlanRequest(endpoint=ENDPOINT, version=f"{ENDPOINT}@v2"))
    assert {each.rule for each in low.requirements} == {
        "apply-gates-passed",
        "apply-low-risk",
        "apply-not-frozen",
        "evidence-signed",
        "evidence-owner",
        "evidence-incident",
    }


def test_exceptions_let_it_run_and_stay_visible(platform: Platform, plan: PlanView) -> None:
    with person(platform, "ana") as ana, person(platform, "ben") as ben:
        with pytest.raises(Forbidden):
            ana.exceptions.grant(plan.digest, "evidence-card", "I wrote it, I know")
        ben.exceptions.grant(plan.digest, "evidence-card", "limitations are reviewed on Friday", days=5)
        ben.exceptions.grant(plan.digest, "evidence-runbook", "olga is on call and knows it", days=1)
        shown = ana.release.plan_of(plan.digest)
        assert set(lacking(shown)) == {"apply-high-risk"}
        assert {each.rule: each.excepted_by for each in shown.requirements if each.excepted_by} == {
            "evidence-card": "ben",
            "evidence-runbook": "ben",
        }
        clock = ReplayClock(platform.parts.settings.home / "replay.clock")
        clock.set(platform.now_us() + 2 * DAY_US)
        assert set(lacking(ana.release.plan_of(plan.digest))) == {"apply-high-risk", "evidence-runbook"}, "expired, and refused again"
        assert {e.rule: e.in_force for e in ana.exceptions.list() if e.plan == plan.digest} == {
            "evidence-card": True,
            "evidence-runbook": False,
        }
        why = ana.policies.why("Release.Apply", f"plan/{plan.digest}", team="flights")
        assert {"apply-high-risk", "evidence-runbook"} <= set(why.policy_ids)
        assert why.facts["excepted"] == ("evidence-card",)
        ben.exceptions.grant(plan.digest, "evidence-runbook", "still olga", days=1)
    admin = platform.access.authenticate(_secrets(platform)["admin"])
    cleo = platform.access.issue(admin, "cleo", ("approver",), ("flights",), days=90, key="cleo")
    with client_of(platform, cleo.secret) as second, person(platform, "ben") as ben, person(platform, "ana") as ana:
        ben.release.approve(plan.digest)
        second.release.approve(plan.digest)
        release = ana.release.apply(plan.digest)
        entries = [entry.summary for entry in ben.audit.entries(limit=20)]
        assert entries.count("GrantException") >= 2
        pack = zipfile.ZipFile(io.BytesIO(ben.audit.evidence(release.id)))
        kept = {each["rule"]: (each["granter"], each["reason"]) for each in json.loads(pack.read("exceptions.json"))}
        assert kept == {"evidence-card": ("ben", "limitations are reviewed on Friday"), "evidence-runbook": ("ben", "still olga")}
