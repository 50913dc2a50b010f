"""P28 through every door: HTTP, the client, the command line, the console's forms. Whoever knocks, the rule is decided behind them all.

Negative control: two approvals by two others open each of the doors.
"""

import json
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from tests.apps.in_process import ADDRESS, browser, client_of
from tests.whole_program import ENDPOINT, SPEC, copy_home, open_in_process, train

from leverframe.apps.cli import connection, main
from leverframe.apps.platform.platform import Platform
from leverframe.apps.platform.views import PlanRequest
from leverframe.apps.settings import Settings
from leverframe.core.route import Endpoint
from leverframe.release.control.controller import Controller
from leverframe.release.records import KIND_APPROVAL, KIND_ENDPOINT, KIND_RELEASE, Release

V4 = f"{ENDPOINT}@v4"
Secrets = dict[str, str]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Platform, Secrets]]:
    """A trained installation, its newest version of high risk and with all evidence, and two approvers beside the author who is one too."""
    home = copy_home(tmp_path_factory.mktemp("doors") / "home")
    platform = open_in_process(Settings(home=home, clock=f"replay:{home / 'replay.clock'}"))
    secrets = dict(json.loads((home / "secrets.json").read_text()))
    ana, admin = (platform.access.authenticate(secrets[name]) for name in ("ana", "admin"))
    stated = {"runbook": "https://runbooks.example.com/x", "intended_use": "a test", "limitations": "made up"}
    platform.training.apply_model(ana, msgspec.structs.replace(SPEC, risk_tier="high", **stated), key="high")
    train(platform, ana, 7)
    for subject, roles in (("cleo", ("approver",)), ("both", ("engineer", "approver")), ("hands", ("engineer",))):
        secrets[subject] = platform.access.issue(admin, subject, roles, ("flights",), days=90, key=subject).secret
    Controller(platform.parts.ledger, "prod").tick(lambda since: iter(()), platform.now_us())
    yield platform, secrets
    platform.close()


Door = Callable[[Platform, str, str, str, pytest.MonkeyPatch], bool]
"""(platform, secret, verb, digest) to whether it was let through."""


def _http(platform: Platform, secret: str, verb: str, digest: str, _: pytest.MonkeyPatch) -> bool:
    headers = {
        "Authorization": f"Bearer {secret}",
        "Idempotency-Key": f"{secret[-6:]}-{verb}-{digest[-8:]}",
        "Content-Type": "application/json",
    }
    answer = browser(platform).post(f"{ADDRESS}/api/v1/plans/{digest}/{verb}", content=b"{}", headers=headers)
    assert answer.status_code in (200, 401, 403, 404, 409, 422), answer.text
    return answer.status_code == 200


def _client(platform: Platform, secret: str, verb: str, digest: str, _: pytest.MonkeyPatch) -> bool:
    from leverframe.core.errors import LeverframeError

    try:
        with client_of(platform, secret) as client:
            getattr(client.release, verb)(digest)
    except LeverframeError:
        return False
    return True


def _command_line(platform: Platform, secret: str, verb: str, digest: str, patch: pytest.MonkeyPatch) -> bool:
    def connect() -> Any:
        return client_of(platform, secret)

    for module in [module for name, module in sys.modules.items() if name.startswith("leverframe.apps.cli.commands_")]:
        if getattr(module, "connect", None) is not None:
            patch.setattr(module, "connect", connect)
    patch.setattr(connection, "connect", connect)
    patch.setattr(sys, "argv", ["lever", "release", verb, digest, "--json"])
    with pytest.raises(SystemExit) as ended:
        main.main()
    return not ended.value.code


def _console(platform: Platform, secret: str, verb: str, digest: str, _: pytest.MonkeyPatch) -> bool:
    pages = browser(platform)
    if pages.post("/login", data={"token": secret, "next": "/"}).status_code != 303:
        return False
    page = pages.get(f"/plans/{digest}")
    if page.status_code != 200:
        return False
    # The form of the verb may not be on the page; whoever wants to cheat posts it all the same.
    csrf = re.search(r'name="csrf" value="([^"]+)"', page.text)
    form = {"csrf": csrf.group(1) if csrf else "", "confirm": digest.removeprefix("sha256:")[:8], "note": ""}
    return pages.post(f"/plans/{digest}/{verb}", data=form, headers={"Origin": ADDRESS}).status_code == 303


DOORS: dict[str, Door] = {"http": _http, "client": _client, "cli": _command_line, "console": _console}


def a_plan(platform: Platform, secrets: Secrets, note: str, author: str = "both") -> str:
    with client_of(platform, secrets[author]) as client:
        return client.release.plan(PlanRequest(endpoint=ENDPOINT, version=V4, note=note, overrides={"supersede": True})).digest


def running(platform: Platform) -> list[str]:
    """Plans that were started, the first one of the installation left out."""
    return [release.plan for release in platform.parts.ledger.find(KIND_RELEASE, Release) if release.candidate == V4]


@pytest.fixture(params=DOORS)
def door(request: pytest.FixtureRequest) -> Door:
    return DOORS[request.param]


@pytest.fixture
def knock(installed: tuple[Platform, Secrets], door: Door, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str, str], bool]:
    platform, secrets = installed
    return lambda who, verb, digest: door(platform, secrets[who], verb, digest, monkeypatch)


def test_the_author_does_not_approve(installed: Any, knock: Any, request: pytest.FixtureRequest) -> None:
    digest = a_plan(*installed, request.node.name)
    assert not knock("both", "approve", digest), "the author is an approver too"
    assert not knock("hands", "approve", digest), "an engineer is none"
    assert not knock("admin", "approve", digest), "nor is an admin"
    assert knock("ben", "approve", digest)
    assert not knock("both", "apply", digest), "one is not two"
    assert running(installed[0]) == []


def test_what_changed_after_the_approvals_is_another_plan(installed: Any, knock: Any, request: pytest.FixtureRequest) -> None:
    platform, secrets = installed
    digest = a_plan(platform, secrets, request.node.name)
    assert knock("ben", "approve", digest)
    assert knock("cleo", "approve", digest)
    changed = a_plan(platform, secrets, f"{request.node.name}, and one thing more")
    assert changed != digest
    assert not knock("both", "apply", changed)
    assert running(platform) == []


def test_an_approval_is_not_played_again_on_another_plan(installed: Any, request: pytest.FixtureRequest) -> None:
    """The very bytes of an approval, key and all, sent to another plan's address."""
    platform, secrets = installed
    one, two = (a_plan(platform, secrets, f"{request.node.name} {n}") for n in (1, 2))
    headers = {"Authorization": f"Bearer {secrets['ben']}", "Idempotency-Key": "one-key", "Content-Type": "application/json"}
    said = [
        browser(platform).post(f"{ADDRESS}/api/v1/plans/{digest}/approve", content=b"{}", headers=headers).status_code
        for digest in (one, one, two)
    ]
    assert said == [200, 200, 409]
    assert [platform.release.plan_of(digest).approvals for digest in (one, two)] == [("ben",), ()]


def test_a_role_that_was_taken_away_counts_no_more(installed: Any, knock: Any, request: pytest.FixtureRequest) -> None:
    platform, secrets = installed
    admin = platform.access.authenticate(secrets["admin"])
    name = f"gone-{request.node.name}"
    token = platform.access.issue(admin, name, ("approver",), ("flights",), days=1, key=name)
    secrets[name] = token.secret
    digest = a_plan(platform, secrets, name)
    assert knock("ben", "approve", digest)
    assert knock(name, "approve", digest)
    platform.access.revoke(admin, token.id, key=f"revoke-{name}")
    assert not knock("both", "apply", digest)
    assert not knock(name, "apply", digest)
    assert running(platform) == []


def test_two_others_open_each_door(installed: Any, knock: Any, request: pytest.FixtureRequest) -> None:
    """The negative control, and last: it starts releases."""
    platform, secrets = installed
    digest = a_plan(platform, secrets, request.node.name)
    assert knock("ben", "approve", digest)
    assert knock("cleo", "approve", digest)
    assert knock("both", "apply", digest)
    assert digest in running(platform)
    endpoint = platform.parts.ledger.get(KIND_ENDPOINT, f"prod/{ENDPOINT}", Endpoint)
    assert endpoint is not None
    assert V4 in {arm.version for arm in endpoint.arms}
    assert len(platform.parts.ledger.find(KIND_APPROVAL, msgspec.Struct, prefix=f"{digest}/")) == 2
    with client_of(platform, secrets["olga"]) as olga:
        olga.release.operate("prod", ENDPOINT, "abort", platform.release.releases(ENDPOINT)[0].id, "the next door's turn")


def test_a_script_run_twice_under_one_name_acts_once(
    installed: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Would be wrong if a nightly script that was started again made a second plan."""
    platform, secrets = installed

    def connect() -> Any:
        return client_of(platform, secrets["both"], keys=connection._keys("nightly-2013-01-11"))

    from leverframe.apps.cli import commands_release

    monkeypatch.setattr(commands_release, "connect", connect)
    said = []
    for note in ("the same", "the same", "another"):
        monkeypatch.setattr(sys, "argv", ["lever", "release", "plan", V4, "--endpoint", ENDPOINT, "--note", note, "--json"])
        before = platform.parts.ledger.entries_total()
        try:
            main.main()
        except SystemExit as ended:
            said.append((ended.code or 0, platform.parts.ledger.entries_total() - before, capsys.readouterr().out))
    assert [(code, entries) for code, entries, _ in said] == [(0, 1), (0, 0), (4, 0)]
    assert json.loads(said[0][2])["digest"] == json.loads(said[1][2])["digest"]
