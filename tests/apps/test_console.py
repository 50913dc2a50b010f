"""The console's pages: what they answer, whom they let in, and that nothing of a stranger's runs in them."""

import re

import pytest
from tests.apps import fake_platform
from tests.apps.fake_experiments import ENDED, PLAN, RUNNING
from tests.apps.fake_platform import EmptyPlatform, FakePlatform
from tests.apps.fake_records import NOW_US, digest
from tests.apps.in_process import browser

from leverframe.apps.console.session import COOKIE, SESSION_SECONDS_MAX, SESSIONS_MAX, Sessions
from leverframe.apps.platform.views import AuditView
from leverframe.core.clock import HOUR_US
from leverframe.core.errors import Forbidden

PAGES = (
    "/",
    "/endpoints",
    "/endpoints/prod/flight-delay",
    "/releases",
    "/releases/rel-0003",
    "/releases/rel-0004",
    "/experiments",
    f"/experiments/{RUNNING}",
    f"/experiments/{ENDED}",
    f"/experiments/{ENDED}/report?again=1",
    f"/experiment-plans/{PLAN.digest}",
    "/tables",
    "/tables/nightly",
    "/plans",
    f"/plans/{digest('plan3')}",
    "/models",
    "/models/flight-delay",
    "/versions/flight-delay@v2",
    "/versions/flight-delay@v2/against/flight-delay@v1",
    "/runs/run-0002",
    "/monitor",
    "/monitor/flight-delay",
    "/data",
    "/data/weather",
    "/features",
    "/features/origin_weather",
    "/services",
    "/lineage",
    "/lineage/weather.temp",
    "/lineage/weather.temp?change=remove",
    "/lineage/endpoint~prod~flight-delay?at=2013-06-01",
    "/policies",
    "/policies?action=Release.Apply&resource=plan/x",
    "/webhooks",
    "/audit",
    "/audit?verify=1",
    "/doctor",
)
EMPTY_PAGES = (
    "/",
    "/endpoints",
    "/releases",
    "/experiments",
    "/tables",
    "/plans",
    "/models",
    "/monitor",
    "/data",
    "/features",
    "/services",
    "/lineage",
    "/webhooks",
    "/audit",
)


def signed_in(platform, token="admin-token"):
    pages = browser(platform)
    assert pages.post("/login", data={"token": token, "next": "/"}).status_code == 303
    return pages


@pytest.fixture
def platform():
    return FakePlatform()


@pytest.fixture
def pages(platform):
    return signed_in(platform)


def field(text, name):
    return re.search(rf'name="{name}" value="([^"]*)"', text).group(1)


def submit(pages, page, action, **fields):
    text = pages.get(page).text
    return pages.post(action, data={"csrf": field(text, "csrf"), **fields})


@pytest.mark.parametrize("path", PAGES)
def test_every_page_is_drawn_without_inline_code(pages, path):
    answer = pages.get(path)
    assert answer.status_code == 200
    assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+=|\sstyle=|<style|javascript:", answer.text)
    assert answer.text.count("<h1") == 1
    assert "{{" not in answer.text


@pytest.mark.parametrize("path", PAGES)
def test_every_link_of_a_page_leads_somewhere(pages, path):
    links = {link.partition("#")[0] for link in re.findall(r'href="(/[^"]*)"', pages.get(path).text)}
    for link in links:
        assert pages.get(link.replace("&amp;", "&")).status_code == 200, f"{path} links to {link}"


@pytest.mark.parametrize("path", EMPTY_PAGES)
def test_an_empty_page_teaches_a_command(path):
    answer = signed_in(EmptyPlatform()).get(path)
    assert answer.status_code == 200
    assert re.search(r"<code>lever ", answer.text), f"{path} leaves a newcomer alone"


def test_the_overview_answers_the_three_questions(pages):
    text = pages.get("/").text
    assert "Something needs attention" in text
    assert "waits for one more approver" in text
    assert "What changed?" in text
    assert "generation 42" in text
    assert "generation 41 · 1 behind" in text, "desired and running state are two things"


def test_the_release_page_says_the_verdict_in_words_and_draws_the_interval(pages):
    text = pages.get("/releases/rel-0003").text
    assert "is broken: 0.083 [0.031, 0.135] against 0.010, on 1,040 observations." in text
    assert text.count('class="band"') == 2
    assert 'aria-label="log_loss difference' in text


def test_a_finished_release_offers_no_abort(pages):
    assert "Abort this release" not in pages.get("/releases/rel-0003").text
    assert "Abort this release" in pages.get("/releases/rel-0004").text


def test_a_model_card_is_text_and_never_markup(pages):
    text = pages.get("/versions/flight-delay@v2").text
    assert "<script>alert(1)" not in text
    assert "&lt;script&gt;alert(1)" in text


def test_names_from_outside_are_escaped_everywhere(platform):
    nasty = "\"><img src=x onerror='alert(1)'>"
    entry = AuditView(
        seq=1,
        at_us=NOW_US,
        recorded_at_us=NOW_US,
        actor=nasty,
        action=nasty,
        resource=nasty,
        policy_ids=(nasty,),
        hash="0" * 64,
        summary=nasty,
    )
    platform.audit.entries = lambda **_: (entry,)
    assert "<img src=x" not in signed_in(platform).get("/audit").text


def test_a_stranger_sees_the_sign_in_page_at_the_same_address(platform):
    answer = browser(platform).get("/releases/rel-0003", headers={"Accept": "text/html"})
    assert answer.status_code == 401
    assert 'name="next" value="/releases/rel-0003"' in answer.text


def test_a_session_cookie_is_strict_and_out_of_scripts_reach(platform):
    answer = browser(platform).post("/login", data={"token": "admin-token", "next": "/plans"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/plans")
    cookie = answer.headers["set-cookie"]
    assert all(part in cookie for part in (COOKIE, "HttpOnly", "SameSite=strict", "Path=/"))
    assert "admin-token" not in cookie


@pytest.mark.parametrize("address", ["//evil.example", "https://evil.example/", "/\\evil.example", "javascript:alert(1)"])
def test_signing_in_never_leads_to_another_site(platform, address):
    assert browser(platform).post("/login", data={"token": "admin-token", "next": address}).headers["location"] == "/"


def test_a_wrong_token_opens_no_session(platform):
    answer = browser(platform).post("/login", data={"token": "wrong", "next": "/"})
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers
    assert 'role="alert"' in answer.text


def test_revoking_a_token_ends_its_sessions(pages, monkeypatch):
    assert pages.get("/").status_code == 200
    monkeypatch.delitem(fake_platform.TOKENS, "admin-token")
    assert pages.get("/").status_code == 401


def test_signing_out_ends_the_session(pages):
    answer = submit(pages, "/", "/logout")
    assert answer.headers["location"] == "/login"
    assert pages.get("/").status_code == 401


def test_approving_needs_the_typed_digest(pages, platform):
    page = f"/plans/{digest('plan3')}"
    refused = submit(pages, page, f"{page}/approve", confirm="something", note="")
    assert refused.status_code == 400
    assert platform.calls.made == []
    done = submit(pages, page, f"{page}/approve", confirm=digest("plan3")[7:15], note="read")
    assert done.headers["location"] == f"{page}?done=approved"
    assert platform.calls.made[0][3] == (digest("plan3"), "read")


def test_an_endpoint_s_page_says_what_it_promises_and_what_is_left(pages):
    page = pages.get("/endpoints/prod/flight-delay").text
    assert "99.95 % of answers succeed; 62 % of four weeks&#39; budget left" in page
    assert "99 % within 50 ms (counted to 51.2 ms); four weeks&#39; budget is spent, and 10 % of it once more" in page
    assert "what the booking page was promised" in page


def test_rolling_back_needs_the_name_and_a_reason(pages, platform):
    page = "/endpoints/prod/flight-delay"
    assert submit(pages, page, f"{page}/rollback", confirm="flight-delay", reason="").status_code == 400
    assert submit(pages, page, f"{page}/rollback", confirm="flight", reason="bad").status_code == 400
    assert platform.calls.made == []
    assert submit(pages, page, f"{page}/rollback", confirm="flight-delay", reason="bad").status_code == 303
    assert platform.calls.made[0][3] == ("prod", "flight-delay", "bad")


def test_a_policy_comes_into_force_by_its_typed_digest(pages, platform):
    proposal = platform.policies.proposals()[0].digest
    assert submit(pages, "/policies", f"/policies/{proposal}/approve", confirm="no_fridays").status_code == 400
    assert platform.calls.made == []
    assert (
        submit(pages, "/policies", f"/policies/{proposal}/approve", confirm=proposal[7:15]).headers["location"] == "/policies?done=in-force"
    )
    assert platform.calls.made[0][3] == (proposal,)


def test_a_version_beside_another_shows_what_moved_and_what_changed(pages):
    text = pages.get("/versions/flight-delay@v3/against/flight-delay@v1").text
    assert "lightgbm" in text
    assert "4.1.0" in text
    assert "4.3.0" in text
    assert "training set" in text
    assert "/versions/flight-delay@v3/against/flight-delay@v2" in pages.get("/releases/rel-0003").text


def test_a_double_click_acts_under_one_key(pages, platform):
    page = "/endpoints/prod/flight-delay"
    text = pages.get(page).text
    form = {"csrf": field(text, "csrf"), "key": field(text, "key"), "confirm": "flight-delay", "reason": "bad"}
    pages.post(f"{page}/rollback", data=form)
    pages.post(f"{page}/rollback", data=form)
    assert len({made[2] for made in platform.calls.made}) == 1


def test_aborting_a_release_pulls_the_lever(pages, platform):
    done = submit(
        pages,
        "/releases/rel-0004",
        "/endpoints/prod/flight-delay/levers",
        lever="abort",
        confirm="flight-delay",
        reason="enough",
        argument="",
    )
    assert done.headers["location"].endswith("?done=aborted")
    assert platform.calls.made[0][3] == ("prod", "flight-delay", "abort", "", "enough", 0)


def test_a_lever_is_pulled_for_one_of_the_times_offered(pages, platform):
    what = {"lever": "kill", "confirm": "flight-delay", "reason": "smoke", "argument": ""}
    page, form = "/endpoints/prod/flight-delay", "/endpoints/prod/flight-delay/levers"
    submit(pages, page, form, **what, **{"for": "4h"})
    assert platform.calls.made[0][3] == ("prod", "flight-delay", "kill", "", "smoke", 4 * HOUR_US)
    assert submit(pages, page, form, **what, **{"for": "4 years"}).status_code == 400
    assert len(platform.calls.made) == 1


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "null"}]
)
def test_a_form_from_another_site_is_refused_even_with_its_token(pages, platform, headers):
    page = "/endpoints/prod/flight-delay"
    form = {"csrf": field(pages.get(page).text, "csrf"), "confirm": "flight-delay", "reason": "bad"}
    assert pages.post(f"{page}/rollback", data=form, headers=headers).status_code == 403
    assert platform.calls.made == []


def test_a_form_without_this_sessions_token_is_refused(pages, platform):
    page = "/endpoints/prod/flight-delay"
    stranger = field(signed_in(platform).get(page).text, "csrf")
    for csrf in ("", "guess", stranger):
        answer = pages.post(f"{page}/rollback", data={"csrf": csrf, "confirm": "flight-delay", "reason": "bad"})
        assert answer.status_code == 403
    assert platform.calls.made == []


def test_a_viewer_reads_and_cannot_act(platform):
    pages = signed_in(platform, "viewer-token")
    assert pages.get("/endpoints/prod/flight-delay").status_code == 200
    answer = submit(pages, "/endpoints/prod/flight-delay", "/endpoints/prod/flight-delay/rollback", confirm="flight-delay", reason="bad")
    assert answer.status_code == 403
    assert platform.calls.made == []


def test_static_files_are_a_fixed_list(pages):
    css = re.search(r'href="(/static/console\.css[^"]*)"', pages.get("/").text).group(1)
    answer = pages.get(css)
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert pages.get("/static/..%2Fconsole.py").status_code == 404
    assert pages.get("/static/%2Fetc%2Fpasswd").status_code == 404


def test_an_error_page_says_what_to_do_next(pages):
    answer = pages.get("/versions/nope@v1", headers={"Accept": "text/html"})
    assert answer.status_code == 404
    assert "No such version" in answer.text
    assert "<code>lever models list</code>" in answer.text


def test_sessions_end_by_time_and_by_number():
    now = [0.0]
    sessions = Sessions(lambda: now[0])
    first = sessions.open("a")
    now[0] = SESSION_SECONDS_MAX + 1.0
    assert sessions.find(first.id) is None
    kept = [sessions.open("a") for _ in range(SESSIONS_MAX + 1)]
    assert sessions.find(kept[0].id) is None
    assert sessions.find(kept[-1].id) is kept[-1]
    with pytest.raises(Forbidden):
        kept[-1].check_form(kept[-2].csrf)


def test_a_view_s_page_says_of_each_feature_whether_it_was_served_as_computed(pages):
    text = re.sub(r"\s+", " ", pages.get("/features/origin_weather").text)
    assert re.search(r'id="wind_speed".*?<span class="badge bad">fail</span>', text)
    assert "<b>1.00 %</b>" in text
    assert "served <b>12</b>, was <b>nothing</b>" in text
    assert "400 answers compared at <time>" in text
    assert "97.2 % of the time" in text
    assert '<td class="n">1,000</td><td class="n">0.5</td><td class="n">2,000</td>' in text
