"""Every program the console shows runs as it stands against a running gateway, and all get the same score."""

import html
import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from tests.whole_program import ENDPOINT, WholeProgram

from leverframe.apps.console.snippets import snippets

SCORE = re.compile(r"0\.\d{6,}")


def page_of(running: WholeProgram) -> str:
    """The endpoint's page as an engineer sees it."""
    with httpx.Client(base_url=running.control_url, headers={"Origin": running.control_url}) as browser:
        browser.post("/login", data={"token": running.secrets["ana"], "next": "/"})
        return browser.get(f"/endpoints/prod/{ENDPOINT}").text


def environment(running: WholeProgram) -> dict[str, str]:
    own = {"LEVER_TOKEN": running.secrets["booking-site"], "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    return {**os.environ, **own, "LEVER_HOME": str(running.home)}


def over_socket(text: str, running: WholeProgram) -> str:
    head, _, body = text.replace("<token>", running.secrets["booking-site"]).partition("\n\n")
    with socket.create_connection((running.settings.gateway_host, running.settings.gateway_port), timeout=5) as opened:
        opened.sendall(head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body.encode())
        return opened.recv(1 << 16).decode()


def run(language: str, text: str, running: WholeProgram) -> str:
    if language == "http":
        return over_socket(text, running)
    command = [sys.executable, "-c", text] if language == "python" else ["bash", "-c", text]
    done = subprocess.run(command, env=environment(running), cwd=running.home, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


TITLES = [snippet.title for snippet in snippets("http://g:1", "e", ())]


def test_the_page_shows_them_all(running: WholeProgram) -> None:
    shown = re.findall(r"<summary>([^<]*)</summary>", page_of(running))
    assert [html.unescape(title) for title in shown] == TITLES


@pytest.mark.parametrize("title", TITLES)
def test_the_program_on_the_page_runs_and_gets_the_models_score(running: WholeProgram, title: str) -> None:
    """What a person copies is the text of the page, so that is what is run."""
    page = page_of(running)
    found = re.search(
        rf"<summary>{re.escape(html.escape(title))}</summary>(?:<p class=\"fine\">[^<]*</p>)?<pre[^>]*>(.*?)</pre>", page, re.DOTALL
    )
    assert found is not None
    language = next(each.language for each in snippets("http://g:1", "e", ()) if each.title == title)
    said = run(language, html.unescape(found[1]), running)
    expected = expected_score(page, running)
    scores = [float(score) for score in SCORE.findall(said)]
    assert any(abs(score - expected) < 1e-9 for score in scores), (said, expected)


def expected_score(page: str, running: WholeProgram) -> float:
    """The score of the page's own example, asked for without any of the programs."""
    found = re.search(r"<summary>curl</summary><pre[^>]*>(.*?)</pre>", page, re.DOTALL)
    assert found is not None
    body = json.loads(html.unescape(found[1]).rpartition("-d '")[2].removesuffix("'"))
    address = f"{running.gateway_url}/v2/models/{ENDPOINT}/infer"
    answer = httpx.post(address, json=body, headers={"Authorization": f"Bearer {running.secrets['booking-site']}"})
    return float(answer.json()["outputs"][0]["data"][0])
