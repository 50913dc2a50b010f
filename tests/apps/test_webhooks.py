"""Webhooks over a real ledger and a real receiver: who is told of what, in which order, and what becomes of what cannot be delivered."""

import json

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_structured
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from tests.apps.receiver import receiving
from tests.whole_program import issue_tokens, open_in_process

from leverframe.apps.egress_loop import EgressLoop
from leverframe.apps.platform.views import WebhookRequest
from leverframe.apps.settings import Settings
from leverframe.apps.webhooks import TYPES
from leverframe.apps.wiring import HANDLERS
from leverframe.core.errors import Conflict, Forbidden, InvalidInput, NotFound
from leverframe.data.commands import ApplyContract


@pytest.fixture
def server():
    with receiving() as started:
        yield started


@pytest.fixture
def platform(tmp_path, server):
    settings = Settings(home=tmp_path / "home", egress_hosts=f"http://127.0.0.1:{server.port}", egress_networks="127.0.0.0/8")
    opened = open_in_process(settings)
    yield opened
    opened.close()


@pytest.fixture
def people(platform):
    return {name: platform.access.authenticate(secret) for name, secret in issue_tokens(platform).items()}


@pytest.fixture
def look(platform):
    """One look of the worker's loop, opened anew each time, as after a restart."""

    def once():
        loop = EgressLoop(platform.parts)
        loop.look()
        loop.close()

    return once


def _events(server):
    messages = [HTTPMessage(headers={"content-type": headers["content-type"]}, body=body) for _, headers, body in server.taken]
    return [from_structured(message, JSONFormat(), CloudEvent) for message in messages]


def _issue(platform, people, subject):
    platform.access.issue(people["admin"], subject, ("viewer",), (), days=1, key=f"token-{subject}")


def _add(platform, people, server, name="hook", types=("audit.*",)):
    request = WebhookRequest(name=name, url=f"http://127.0.0.1:{server.port}/in/secret", types=types)
    return platform.webhooks.add(people["olga"], request, key=f"add-{name}")


def test_a_webhook_is_told_of_what_happens_after_it_in_order_as_valid_cloud_events(platform, people, server, look):
    _issue(platform, people, "before")
    added = _add(platform, people, server, types=("audit.issue_token",))
    for n in range(5):
        _issue(platform, people, f"after-{n}")
    look()
    events = _events(server)
    assert [event.get_type() for event in events] == ["leverframe.audit.issue_token"] * 5
    assert [event.get_subject() for event in events] == [f"token/after-{n}" for n in range(5)]
    assert [event.get_data()["actor"] for event in events] == ["admin"] * 5
    entries = {entry.seq: entry for entry in platform.parts.ledger.audit(limit=100)}
    for event, (_, headers, _) in zip(events, server.taken, strict=True):
        seq = event.get_data()["seq"]
        assert event.get_data()["hash"] == entries[seq].hash
        assert event.get_id() == headers["webhook-id"] == f"audit-{seq}"
        assert headers["content-type"].startswith("application/cloudevents+json")
    assert added.host == f"http://127.0.0.1:{server.port}/…", "the path may be a secret"
    look()
    assert len(server.taken) == 5, "what was accepted is not sent again after a restart"


def test_only_types_that_were_asked_for_are_sent(platform, people, server, look):
    _add(platform, people, server, types=("release.*", "alert.raised"))
    _issue(platform, people, "x")
    look()
    assert server.taken == []
    (hook,) = platform.webhooks.webhooks()
    assert (hook.behind, hook.waiting) == (0, 0), "what is not wanted is read past"


def test_a_dead_receiver_s_letters_are_shown_and_tried_again_on_demand(platform, people, server, look):
    _add(platform, people, server, types=("audit.issue_token",))
    _issue(platform, people, "x")
    server.status = 410
    look()
    (hook,) = platform.webhooks.webhooks()
    assert (hook.dead, hook.said, hook.letters[0].type) == (1, "HTTP 410", "leverframe.audit.issue_token")
    server.status = 204
    look()
    assert len(server.taken) == 1, "nobody asked for another try"
    platform.webhooks.retry(people["olga"], "hook", key="retry")
    look()
    assert len(server.taken) == 2
    assert server.taken[0][2] == server.taken[1][2]
    assert platform.webhooks.webhooks()[0].dead == 0


def test_a_removed_webhook_gets_nothing_more_and_one_of_its_name_begins_anew(platform, people, server, look):
    _add(platform, people, server)
    _issue(platform, people, "waits")
    server.status = 500
    look()
    assert len(server.taken) == 1
    platform.webhooks.remove(people["olga"], "hook", key="remove")
    server.status = 204
    look()
    assert len(server.taken) == 1
    request = WebhookRequest(name="hook", url=f"http://127.0.0.1:{server.port}/new", types=("audit.issue_token",))
    platform.webhooks.add(people["olga"], request, key="again")
    _issue(platform, people, "new")
    look()
    assert [(path, json.loads(body)["subject"]) for path, _, body in server.taken[1:]] == [("/new", "token/new")]


def test_each_webhook_has_its_own_place_in_the_chain(platform, people, server, look):
    _add(platform, people, server, "first", ("audit.issue_token",))
    _issue(platform, people, "a")
    _add(platform, people, server, "second", ("audit.issue_token",))
    _issue(platform, people, "b")
    look()
    assert sorted(json.loads(body)["subject"] for _, _, body in server.taken) == ["token/a", "token/b", "token/b"]


def test_a_host_that_the_operator_did_not_list_is_refused_and_not_recorded(platform, people):
    for url, error in (("https://evil.test/x", Forbidden), ("http://169.254.169.254/latest", Forbidden), ("not a url", InvalidInput)):
        with pytest.raises(error):
            platform.webhooks.add(people["olga"], WebhookRequest(name="hook", url=url), key=f"add-{url[:9]}")
    assert platform.webhooks.webhooks() == ()


def test_who_may_not_add_learns_nothing_of_the_list(platform, people, server):
    for url in (f"http://127.0.0.1:{server.port}/", "https://evil.test/"):
        with pytest.raises(Forbidden) as raised:
            platform.webhooks.add(people["ana"], WebhookRequest(name="hook", url=url), key="add")
        assert "LEVER_EGRESS_HOSTS" not in str(raised.value)


def test_names_and_types_are_checked(platform, people, server):
    with pytest.raises(InvalidInput, match="not an event type"):
        _add(platform, people, server, types=("Release",))
    with pytest.raises(InvalidInput, match="not a name"):
        _add(platform, people, server, name="../x")
    _add(platform, people, server)
    with pytest.raises(Conflict):
        platform.webhooks.add(people["olga"], WebhookRequest(name="hook", url=f"http://127.0.0.1:{server.port}/2"), key="twice")
    with pytest.raises(NotFound):
        platform.webhooks.remove(people["olga"], "other", key="none")


def test_the_doctor_says_what_leaves_and_what_could_not(platform, people, server, look):
    def egress():
        return next(check for check in platform.doctor() if check.name == "egress")

    assert (egress().ok, egress().detail) == (True, "1 hosts listed, 0 messages wait, 0 dead letters")
    _add(platform, people, server, types=("audit.issue_token",))
    _issue(platform, people, "x")
    server.status = 410
    look()
    assert (egress().ok, egress().fix) == (False, "lever webhooks list says why; lever webhooks retry NAME")


def test_every_command_that_has_an_event_of_its_own_exists():
    """A command that was renamed would silently become ``audit.…``, and nobody would be told."""
    assert set(TYPES) <= {handles.command.__name__ for handles in HANDLERS} | {ApplyContract.__name__}
