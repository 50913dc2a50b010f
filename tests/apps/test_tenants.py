"""Teams are kept apart at every door: each route of the API and each page, with every id of another team, by every role (P29)."""

import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from tests.apps.fake_platform import FakePlatform
from tests.apps.in_process import browser
from tests.apps.two_teams import (
    CONTRACT,
    DIGEST,
    ENDPOINT,
    EXPERIMENT,
    MARK,
    PLAN,
    RECORDS,
    RELEASE,
    TPLAN,
    VERSION,
    VIEW,
    XPLAN,
    two_teams,
)

from leverframe.apps.control.app import PUBLIC_PATHS, ROUTES, create_app
from leverframe.apps.platform.owners import OWNERS
from leverframe.apps.platform.platform import Platform
from leverframe.core.actor import Actor
from leverframe.governance.policy import Policy

ROLES = ("viewer", "engineer", "approver", "operator", "service")
ALPHA = "alpha"
OWN = f"{MARK}-person"

IDS: dict[str, tuple[str, ...]] = {
    "dataset": (f"{MARK}-trips",),
    "source": (f"{MARK}-source",),
    "stream": (f"{MARK}-stream",),
    "erasure": (f"{MARK}-erasure",),
    "model": (f"{MARK}-model",),
    "name": (VERSION,),
    "other": (VERSION,),
    "run_id": (f"{MARK}-run",),
    "job_id": (f"{MARK}-fetch",),
    "registry": (f"{MARK}-registry",),
    "digest": (PLAN.digest, XPLAN.digest, TPLAN.digest, DIGEST),
    "release_id": (RELEASE,),
    "experiment_id": (EXPERIMENT,),
    "table": (f"{MARK}-table",),
    "endpoint": (ENDPOINT,),
    "environment": ("prod",),
    "team": (MARK,),
    "tenant": (MARK,),
    "view": (VIEW.name,),
    "thing": (f"{MARK}-model",),
    "lever": ("kill",),
    "rule": ("evidence-runbook",),
    "webhook": (f"{MARK}-hook",),
    "token_id": (f"{MARK}-token",),
}
"""What bravo calls its own, by the parameter of an address; a parameter that is new needs a row."""

SHARED = {
    "/api/v1/views": "feature views are declared to be used again",
    "/api/v1/views/{view}": "the same, with whom to ask",
    "/api/v1/entities": "what views are joined by",
    "/api/v1/lineage": "shared views, and the columns they name",
    "/api/v1/lineage/impact": "the same",
    "/api/v1/metrics": "lateness of shared views",
    "/services": "what views are joined by, and sets of their features",
    "/features": "feature views are declared to be used again",
    "/features/{view}": "the same, with whom to ask",
    "/lineage": "shared views, and the columns they name",
    "/lineage/{thing}": "the same",
}
"""Where bravo's name may stand, because declarations of features are everybody's (decision 0054)."""

PRIVATE = re.compile(rf"b4a10b4a10|{MARK}-(?!trips\b)|{MARK}_(?!view\b|rider\b)|bravorider")
"""What is bravo's alone, also where the name of a view, its dataset and its entity may be read."""


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    opened = two_teams(tmp_path_factory.mktemp("two") / "home")
    yield opened
    opened.close()


class Named(msgspec.Struct, frozen=True):
    """As much of a record as matters here."""

    name: str = ""


class Doors:
    """Clients of one installation, by (role, team)."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self._open: dict[tuple[str, str], Any] = {}
        root = Actor(subject="root", roles=("admin",), teams=("*",))
        self._root = root

    def of(self, role: str, team: str) -> Any:
        if (role, team) not in self._open:
            client = browser(self.platform)
            secret = self.platform.access.issue(
                self._root,
                f"{team}-{role.replace(',', '-')}",
                tuple(role.split(",")),
                (team,),
                days=1,
                key=f"{role.replace(',', '-')}-{team}",
            ).secret
            client.headers["Authorization"] = f"Bearer {secret}"
            client.post("/login", data={"token": secret, "next": "/"})
            self._open[role, team] = client
        return self._open[role, team]


@pytest.fixture(scope="module")
def doors(platform: Platform) -> Doors:
    return Doors(platform)


BY_PATH = {(route.method, route.path): route for route in ROUTES}
ADDRESSES = [
    (method, route.path)
    for route in create_app(FakePlatform()).routes
    for method in sorted(route.methods - {"HEAD", "OPTIONS"})
    if route.path not in PUBLIC_PATHS and not route.path.endswith("/events") and route.path != "/logout"
]
READS = [path for method, path in ADDRESSES if method == "GET"]
WRITES = [(method, path) for method, path in ADDRESSES if method != "GET"]


def filled(path: str, ids: dict[str, tuple[str, ...]] = IDS) -> list[str]:
    """``path`` with every id of bravo's; a parameter nobody gave an id for is a KeyError, and so a failure of this test."""
    found = [path]
    for name in re.findall(r"\{(\w+)\}", path):
        found = [each.replace(f"{{{name}}}", id) for each in found for id in ids[name]]
    return found


def query(path: str) -> dict[str, str]:
    route = BY_PATH.get(("GET", path))
    asked = dict(route.query_example) if route else {}
    swaps = {"thing": f"model/{MARK}-model", "columns": f"{MARK}-trips.miles", "action": "Release.Apply", "resource": f"plan/{PLAN.digest}"}
    return {name: swaps.get(name, value) for name, value in asked.items()}


def leaks(path: str, text: str, asked: str) -> list[str]:
    """What of bravo's is in an answer; what the asker typed does not count."""
    for typed in (asked, *asked.split("/"), *query(path).values()):
        text = text.replace(typed, "") if MARK in typed or "b4a10" in typed else text
    if path in SHARED:
        return sorted(set(PRIVATE.findall(text)))
    return [text[max(0, at.start() - 60) : at.end() + 60] for at in re.finditer(f"{MARK}|b4a10b4a10", text)][:3]


def knock(doors: Doors, role: str, method: str, path: str, address: str, *, team: str = ALPHA) -> Any:
    """The answer to a request; writes carry the route's own example."""
    client, route = doors.of(role, team), BY_PATH.get((method, path))
    if method == "GET":
        return client.get(address, params=query(path))
    body = {"json": route.example} if route is not None and route.example is not None else {"content": b"x"}
    return client.request(method, address, **body)


@pytest.mark.parametrize("path", READS)
def test_no_read_tells_of_another_team(doors: Doors, path: str) -> None:
    for address in filled(path):
        for role in ROLES:
            answer = knock(doors, role, "GET", path, address)
            assert answer.status_code != 500, (role, address, answer.text[:300])
            assert leaks(path, answer.text, address) == [], (role, address)


def test_without_the_sight_the_same_reads_tell(doors: Doors, monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control: most of what is asked above is there to be told."""
    monkeypatch.setattr(Platform, "seen_by", lambda self, actor: self)
    told = {path for path in READS for address in filled(path) if leaks(path, knock(doors, "operator", "GET", path, address).text, address)}
    listings = {path for path in READS if path.startswith("/api/") and "{" not in path} - set(SHARED)
    silent = {
        "/api/v1/doctor", "/api/v1/whoami", "/api/v1/policies", "/api/v1/policies/proposals", "/api/v1/audit/verify",
        "/api/v1/audit/checkpoint", "/api/v1/tokens", "/api/v1/services", "/api/v1/materializations", "/api/v1/webhooks",
        "/api/v1/openapi.json", "/api/v1/policies/why", "/api/v1/audit/export", "/api/v1/plans", "/api/v1/experiment-plans",
    }  # fmt: skip
    assert listings - silent - told == set()
    assert len(told) > 35


def other(text: str) -> str:
    """The name of something that nobody has, as long and of the same form."""
    return (
        text.replace(MARK, "nobod").replace("b4a10", "c0ffe")
        if MARK in text or "b4a10" in text
        else re.sub("sha256:.*", f"sha256:{'c0ffe' * 12}c0ff", text)
    )


NOBODYS = {name: tuple(other(id) for id in ids) for name, ids in IDS.items()}


def said(answer: Any, address: str, names: list[str]) -> tuple[int, str]:
    """Status and words, without the name that was asked for and what differs from one request to the next."""
    text = re.sub(r'"request_id":"[^"]*"|[0-9a-f]{32}|(name="(?:key|csrf)" value=)"[^"]*"', "", answer.text)
    for name in sorted({address, *names}, key=len, reverse=True):
        text = text.replace(name, "<name>")
    return answer.status_code, re.sub(r"c0ffe\w*|nobod[\w.-]*|bravo[\w.-]*|b4a10\w*|sha256:[0-9a-f]*", "<name>", text)


@pytest.mark.parametrize(("method", "path"), [(m, p) for m, p in ADDRESSES if "{" in p and "{view}" not in p and p not in SHARED])
def test_what_another_team_has_and_what_nobody_has_are_answered_alike(doors: Doors, method: str, path: str) -> None:
    if method == "POST" and not path.startswith("/api/"):
        pytest.skip("forms are the API's use cases; without the token of a page they stop before them")
    for foreign, nobodys in zip(filled(path), filled(path, NOBODYS), strict=True):
        for role in ROLES:
            before = doors.platform.parts.ledger.entries_total()
            first, second = (knock(doors, role, method, path, address) for address in (foreign, nobodys))
            typed = [value for ids in (*IDS.values(), *NOBODYS.values()) for value in ids]
            assert said(first, foreign, typed) == said(second, nobodys, typed), (role, foreign)
            assert first.status_code >= 400 or method == "GET", (role, foreign)
            assert doors.platform.parts.ledger.entries_total() == before, (role, foreign)


MODEL = {
    "name": f"{MARK}-model", "description": "d", "owner": "o", "team": ALPHA, "dataset": f"{MARK}-trips", "label": "late",
    "request": [{"name": "distance", "datatype": "FP64"}], "columns": [{"name": "distance", "source": "request", "field": "distance"}],
}  # fmt: skip
ENTITY = {"name": f"{MARK}_rider", "keys": [{"name": "rider", "type": "text"}], "team": ALPHA}
TAKEN = CONTRACT.replace(f"name: {MARK}\n", f"name: {ALPHA}\n").replace("1.0.0", "1.0.1")
ANOTHER = TAKEN.replace(f"id: {MARK}-trips", "id: mine").replace(f"name: {MARK}-trips\nversion", "name: mine\nversion")
BODIES: dict[str, list[Any]] = {
    "/api/v1/contracts": [TAKEN.encode(), CONTRACT.encode(), ANOTHER.encode()],
    "/api/v1/contracts/check": [CONTRACT.encode(), TAKEN.encode()],
    "/api/v1/sources": [{"name": f"{MARK}-source", "kind": "objects", "team": ALPHA, "location": "s3://rows/landing"}],
    "/api/v1/views": [
        {"name": VIEW.name, "source": f"{MARK}-trips", "entity": ["rider"], "event_time": "ended_at", "arrival_time": "ended_at",
         "expressions": [{"name": "far", "sql": "miles * 3"}]},
        {"name": VIEW.name, "source": f"{ALPHA}-trips", "entity": ["rider"], "event_time": "ended_at", "arrival_time": "ended_at",
         "expressions": [{"name": "far", "sql": "miles * 3"}]},
    ],
    "/api/v1/materializations": [{"names": [VIEW.name], "to_us": 1}],
    "/api/v1/entities": [ENTITY, ENTITY | {"team": MARK}],
    "/api/v1/services": [{"service": {"name": f"{MARK}_s", "team": MARK, "owner": "o", "features": [
        {"view": VIEW.name, "feature": "far", "name": "far"}]}}],
    "/api/v1/projects/plan": [{"models": [MODEL]}, {"contracts": [TAKEN]}],
    "/api/v1/projects/apply": [{"declared": {"models": [MODEL]}}, {"declared": {"entities": [ENTITY]}}],
    "/api/v1/models": [MODEL, MODEL | {"team": MARK}],
    "/api/v1/runs": [{"model": f"{MARK}-model", "from_us": 1, "to_us": 2}],
    "/api/v1/registries": [{"name": f"{MARK}-registry", "url": "https://mlflow.example.com", "source": "s", "team": MARK}],
    "/api/v1/plans": [{"endpoint": ENDPOINT, "version": VERSION}, {"endpoint": "mine", "version": VERSION}],
    "/api/v1/release-rules": [{"rules": {"team": MARK, "environments": [{"name": "prod"}]}, "reason": "why not"}],
    "/api/v1/promotions": [{"endpoint": ENDPOINT, "to": "prod"}],
    "/api/v1/experiment-plans": [
        {"endpoint": ENDPOINT, "versions": [VERSION], "primary": {"metric": "outcome_value", "effect": 0.02}}
    ],
}  # fmt: skip
"""Bodies by which somebody of alpha reaches for what is bravo's; every route that names things in its body has a row."""

OF_THE_INSTALLATION = {"/api/v1/tokens", "/api/v1/policies", "/api/v1/webhooks"}
"""Writes that concern no team's things; who may is a permission of its own."""


@pytest.mark.parametrize("path", sorted(BODIES))
def test_no_body_reaches_what_is_another_teams(doors: Doors, path: str) -> None:
    """Even by somebody who holds every role but admin: nothing is written, and nothing told but that the name is taken."""
    client = doors.of("engineer,approver,operator,service", ALPHA)
    for body in BODIES[path]:
        before = doors.platform.parts.ledger.entries_total()
        sent = {"content": body} if isinstance(body, bytes) else {"json": body}
        answer = client.post(path, **sent)
        typed = body.decode() if isinstance(body, bytes) else json.dumps(body)
        assert 400 <= answer.status_code < 500 or path.endswith("/check"), (answer.status_code, answer.text[:300])
        assert doors.platform.parts.ledger.entries_total() == before, answer.text[:300]
        told = {word for word in re.findall(rf"{MARK}[\w.@-]*|b4a10\w*", answer.text) if word not in typed}
        assert told <= {MARK}, (answer.status_code, answer.text[:400])


def test_views_may_be_read_and_not_touched(doors: Doors) -> None:
    """Declarations are shared; values, pushes, deletions and drops are the team's whose rows they are made of."""
    for method, path in [each for each in ADDRESSES if "{view}" in each[1] and each[1].startswith("/api/") and each[1] not in SHARED]:
        before = doors.platform.parts.ledger.entries_total()
        for role in ROLES:
            answer = knock(doors, role, method, path, filled(path)[0])
            assert answer.status_code in (403, 404, 422), (role, path, answer.text[:200])
            assert PRIVATE.findall(answer.text) == []
        assert doors.platform.parts.ledger.entries_total() == before


def test_the_second_team_has_one_of_everything(platform: Platform) -> None:
    """Or a read that tells nothing of them proves nothing."""
    kept = {"token", "policy", "policy_proposal", "webhook"}  # of the installation
    inside = {kind for kind, owner in OWNERS.items() if owner.inside}
    by_hand = {"contract", "dataset", "snapshot", "view", "entity"}
    derived = {
        "feature_service",
        "materialization",
        "materialization_job",
        "lateness",
        "experiment_readout",
    }  # shared, or a page of numbers
    assert set(OWNERS) - kept - inside - by_hand - derived == {kind for kind, _, _ in RECORDS}


def test_a_role_of_every_team_sees_both(doors: Doors) -> None:
    """Auditors and whoever speaks for all teams see everything: the sight is the policy's, not a filter of its own."""
    for role, team in (("auditor", ALPHA), ("viewer", "*"), ("admin", ALPHA)):
        answer = doors.of(role, team).get(f"/api/v1/datasets/{MARK}-trips")
        assert answer.status_code == 200, (role, team)
    assert doors.of("viewer", ALPHA).get(f"/api/v1/datasets/{MARK}-trips").status_code == 404


def test_the_past_is_kept_apart_too(doors: Doors) -> None:
    ledger = doors.platform.parts.ledger
    alpha = doors.platform.seen_by(Actor(subject="a", roles=("viewer",), teams=(ALPHA,))).parts.ledger
    bravo = doors.platform.seen_by(Actor(subject="b", roles=("viewer",), teams=(MARK,))).parts.ledger
    now_us = ledger.history("contract", f"{MARK}-trips", Named)[-1].from_us
    for seen, there in ((alpha, False), (bravo, True)):
        assert (seen.get("contract", f"{MARK}-trips", Named, at_us=now_us) is not None) == there
        assert (seen.revision_at("contract", f"{MARK}-trips", Named, now_us) is not None) == there
        assert bool(seen.history("contract", f"{MARK}-trips", Named)) == there
        assert bool(seen.find("contract", Named, at_us=now_us)) == there
    assert {entry.team for entry in alpha.audit(limit=1000)} <= {"", ALPHA}
    assert len(bravo.audit(limit=1000)) >= len(RECORDS)


def test_the_policies_are_asked_once_a_team_not_once_a_record(doors: Doors, monkeypatch: pytest.MonkeyPatch) -> None:
    decided, ask = [], Policy.decide

    def counted(policy: Policy, *question: Any) -> Any:
        decided.append(question[3])
        return ask(policy, *question)

    monkeypatch.setattr(Policy, "decide", counted)
    seen = doors.platform.seen_by(Actor(subject="a", roles=("viewer",), teams=(ALPHA,))).parts.ledger
    assert seen.audit(limit=1000, newest_first=True) != []
    for kind in OWNERS:
        seen.find(kind, Named)
    assert sorted(decided) == ["*", ALPHA, MARK]
