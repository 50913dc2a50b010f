"""The endpoint page's programs run as printed, and its form asks the model as the person who is signed in."""

import json
import re
import shlex
from types import SimpleNamespace

import httpx
import numpy as np
import pytest
import tritonclient.http as triton
from tests.apps.fake_gateway import FakeGateway, client_with_gateway
from tests.apps.fake_platform import FakePlatform
from tests.apps.fake_records import SPEC
from tests.apps.in_process import browser

import leverframe as lf
from leverframe.apps import transport as client_transport
from leverframe.apps.console.snippets import snippets
from leverframe.apps.console.words import output
from leverframe.apps.platform.serving import ask_gateway
from leverframe.apps.transport import Transport
from leverframe.apps.web.ask import rows_of
from leverframe.core.errors import Integrity
from leverframe.core.schema import RequestField

PAGE = "/endpoints/prod/flight-delay"
ROW = {"origin": "JFK", "carrier": "UA", "distance": 1400.0, "sched_dep_at": 1371202200}


@pytest.fixture
def platform():
    return FakePlatform()


@pytest.fixture
def pages(platform):
    signed_in = browser(platform)
    signed_in.post("/login", data={"token": "admin-token", "next": "/"})
    return signed_in


def form(pages, **inputs):
    csrf = re.search(r'name="csrf" value="([^"]*)"', pages.get(PAGE).text).group(1)
    return {"csrf": csrf} | {f"input.{name}": str(value) for name, value in (ROW | inputs).items()}


def test_the_form_asks_typed_under_the_sessions_own_token_and_shows_who_answered(pages, platform):
    done = pages.post(f"{PAGE}/try", data=form(pages, origin="LGA"))
    assert (done.status_code, done.headers["location"]) == (303, f"{PAGE}?tried=1#try")
    assert platform.serving.asked == [("admin-token", "prod", "flight-delay", ROW | {"origin": "LGA"})]
    page = pages.get(f"{PAGE}?tried=1").text
    for said in ("0.3129", "flight-delay@v3", "canary", "origin_weather_visib", 'value="LGA"'):
        assert said in page, said
    assert "0.3129" not in pages.get(PAGE).text


def test_several_rows_are_one_request_and_one_table(pages, platform):
    csv = "\n".join([",".join(ROW), ",".join(map(str, ROW.values())), ",".join(map(str, (ROW | {"origin": "LGA"}).values()))])
    assert pages.post(f"{PAGE}/try", data=form(pages) | {"rows": csv}).status_code == 303
    assert [asked[3] for asked in platform.serving.asked] == [ROW, ROW | {"origin": "LGA"}]
    page = pages.get(f"{PAGE}?tried=1").text
    assert "1.3129" in page
    for wrong in ("origin,nothing\nJFK,1", ",".join(ROW) + "\nJFK", ",".join(ROW)):
        assert pages.post(f"{PAGE}/try", data=form(pages) | {"rows": wrong}).status_code == 400
    assert len(platform.serving.asked) == 2


def test_a_wrong_value_is_named_and_nothing_is_asked(pages, platform):
    answer = pages.post(f"{PAGE}/try", data=form(pages, distance="far"))
    assert answer.status_code == 400
    assert "cannot be asked with" in answer.text
    assert platform.serving.asked == []


def test_a_try_from_another_site_or_without_the_forms_token_is_refused(pages, platform):
    assert pages.post(f"{PAGE}/try", data=form(pages), headers={"Origin": "https://evil.example"}).status_code == 403
    assert pages.post(f"{PAGE}/try", data=form(pages) | {"csrf": "guess"}).status_code == 403
    assert platform.serving.asked == []


def test_a_token_that_may_not_ask_a_gateway_is_told_so(platform):
    viewer = browser(platform)
    viewer.post("/login", data={"token": "viewer-token", "next": "/"})
    assert viewer.post(f"{PAGE}/try", data=form(viewer)).status_code == 401


def test_an_answer_cannot_run_anything_in_the_page(pages):
    pages.post(f"{PAGE}/try", data=form(pages, origin="<script>alert(1)</script>"))
    assert "<script>alert" not in pages.get(f"{PAGE}?tried=1").text


def test_a_bundle_that_cannot_be_opened_leaves_the_levers(pages, platform):
    """In an incident the page must still roll back, whatever is wrong with the bundle."""

    def broken(environment, endpoint):
        raise Integrity("the bundle was changed", where="bundle")

    platform.serving.fields = broken
    page = pages.get(PAGE)
    assert page.status_code == 200
    assert "Roll back" in page.text
    assert "Ask this model" not in page.text


TEXTS = {snippet.title: snippet.text for snippet in snippets("http://127.0.0.1:8401", "flight-delay", SPEC.request)}


def test_the_curl_line_is_a_shell_command_with_the_example_row():
    words = shlex.split(TEXTS["curl"])
    assert words[2] == "http://127.0.0.1:8401/v2/models/flight-delay/infer"
    sent = {tensor["name"]: tensor["data"][0] for tensor in json.loads(words[words.index("-d") + 1])["inputs"]}
    assert sent == ROW


def test_a_quote_in_an_example_stays_inside_the_shells_word():
    (curl, *_) = snippets("http://g", "e", (RequestField(name="name", datatype="BYTES", example="O'Hare; $(x)"),))
    words = shlex.split(curl.text)
    assert json.loads(words[-1])["inputs"][0]["data"] == ["O'Hare; $(x)"]


def test_the_program_with_our_client_runs_as_printed(monkeypatch, platform, capsys):
    gateway = FakeGateway(platform)
    monkeypatch.setenv("LEVER_TOKEN", "admin-token")
    monkeypatch.setattr(lf, "Client", lambda url, token, **options: client_with_gateway(gateway, token), raising=False)
    exec(compile(TEXTS["Python: leverframe"], "snippet", "exec"), {})
    assert {name: value for name, (_, value) in gateway.asked[0].items()} == ROW
    assert "flight-delay@v2" in capsys.readouterr().out


def test_the_program_with_nvidias_client_runs_as_printed(monkeypatch, capsys):
    asked = {}

    def infer(model, inputs, headers):
        asked.update({i.name(): i for i in inputs}, model=model, headers=headers)
        outputs = {"outputs": [{"name": "probability"}]}
        return SimpleNamespace(get_response=lambda: outputs, as_numpy=lambda name: np.array([0.25]))

    monkeypatch.setenv("LEVER_TOKEN", "admin-token")
    monkeypatch.setattr(triton, "InferenceServerClient", lambda url: SimpleNamespace(infer=infer))
    exec(compile(TEXTS["Python: tritonclient"], "snippet", "exec"), {})
    assert capsys.readouterr().out == "probability [0.25]\n"
    assert asked["headers"] == {"Authorization": "Bearer admin-token"}
    assert np.frombuffer(asked["distance"]._get_binary_data(), "<f8").tolist() == [1400.0]


def test_the_plain_request_says_its_true_length():
    head, _, body = TEXTS["Plain HTTP"].partition("\n\n")
    assert f"Content-Length: {len(body.encode())}" in head
    assert json.loads(body)["inputs"][0]["name"] == "origin"


def test_the_platform_asks_the_gateway_once_with_the_askers_token(monkeypatch, platform):
    gateway, tokens = FakeGateway(platform), []

    def transport(url, token, *, attempts, **options):
        tokens.append((token, attempts))
        return Transport(url, token, http=gateway, attempts=attempts)

    monkeypatch.setattr(client_transport, "Transport", transport)
    answer = ask_gateway("http://localhost", "mei-token", "flight-delay", SPEC.request, ROW | {"distance": None})
    assert tokens == [("mei-token", 1)], "asked twice would be counted twice"
    assert gateway.asked == [
        {"origin": ("BYTES", "JFK"), "carrier": ("BYTES", "UA"), "distance": ("FP64", None), "sched_dep_at": ("INT64", 1371202200)}
    ]
    assert (answer.outputs, answer.version, answer.arm) == ({"probability": 0.25}, "flight-delay@v2", "live")
    assert answer.missing == ("origin_weather_visib",)


def test_vectors_texts_and_named_outputs_arrive_and_are_shown(monkeypatch):
    fields = (RequestField(name="embedding", datatype="FP32", width=2), RequestField(name="on", datatype="BOOL"))
    sent = []

    def answer(request):
        sent.append(json.loads(request.read()))
        outputs = [{"name": "shares", "data": [0.25, 0.75, 0.5, 0.5]}, {"name": "label", "data": ["cat", "dog"]}]
        return httpx.Response(200, json={"model_name": "pets", "id": "p", "outputs": outputs})

    monkeypatch.setattr(
        client_transport, "Transport", lambda url, token, **options: Transport(url, token, http=httpx.MockTransport(answer))
    )
    rows = rows_of(fields, 'embedding,on\n"1, 2",yes\n"3,4",no')
    said = ask_gateway("http://localhost", "token", "pets", fields, *rows)
    assert [(tensor["shape"], tensor["data"]) for tensor in sent[0]["inputs"]] == [([2, 2], [[1.0, 2.0], [3.0, 4.0]]), ([2], [True, False])]
    assert said.rows == ({"shares": (0.25, 0.75), "label": "cat"}, {"shares": (0.5, 0.5), "label": "dog"})
    assert [output(value) for value in said.outputs.values()] == ["0.2500, 0.7500", "cat"]
