"""Two people at once: of two plans for one endpoint one runs and the other meets the conflict; one key is one effect."""

import json
import os
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.whole_program import ENDPOINT, ENVIRONMENT, WholeProgram

from leverframe.apps.client import Client
from leverframe.core.errors import Conflict

HUNDRED_DAYS_US = 100 * 86_400_000_000


@pytest.fixture
def plans(running: WholeProgram):
    """Digests of two approved plans for one endpoint, by Ana and by Eva; what they start is rolled back afterwards."""
    yield [
        (author, running.approved_plan("flight-delay@v2", author=author, note=f"{author}'s", overrides={"watch_us": HUNDRED_DAYS_US}))
        for author in ("ana", "eva")
    ]
    running.person("olga").release.rollback(ENVIRONMENT, ENDPOINT, "end of the test")


def apply_together(running: WholeProgram, asked: list[tuple[str, str, str]]) -> list[tuple[str, object]]:
    """Every (person, plan, key) at the same moment, each over a connection of its own: the release's id, or the conflict."""
    start = threading.Barrier(len(asked))

    def apply(person: str, digest: str, key: str) -> tuple[str, object]:
        with Client(running.control_url, running.secrets[person]) as client:
            client.access.whoami()
            start.wait(10)
            try:
                return person, client.release.apply(digest, key=key).id
            except Conflict as conflict:
                return person, conflict

    with ThreadPoolExecutor(len(asked)) as pool:
        return [future.result() for future in [pool.submit(apply, *each) for each in asked]]


def test_of_two_plans_for_one_endpoint_one_runs(running, plans):
    before = {release.id for release in running.person("ana").release.list(ENDPOINT)}
    outcome = apply_together(running, [(author, digest, f"apply-{author}") for author, digest in plans])
    won = [said for _, said in outcome if isinstance(said, str)]
    lost = [said for _, said in outcome if isinstance(said, Conflict)]
    assert (len(won), len(lost)) == (1, 1), outcome
    assert won[0] in str(lost[0]), "the conflict does not name the release that is in the way"
    assert "lever release abort" in lost[0].next_step
    started = [release for release in running.person("ana").release.list(ENDPOINT) if release.id not in before]
    assert [release.id for release in started] == won, "more than one release was started"
    (view,) = running.person("ana").release.endpoints()
    assert view.release == won[0]
    assert sum(arm.weight for arm in view.endpoint.arms) == 100.0
    loser, digest = next(each for each in plans if each[0] in [name for name, said in outcome if isinstance(said, Conflict)])
    assert _status_of_apply(running, loser, digest) == 409
    assert _exit_code_of_apply(running, loser, digest) == 4
    assert running.person("admin").audit.verify().ok


def test_one_key_sent_eight_times_at_once_is_one_effect(running, plans):
    author, digest = plans[0]
    admin = running.person("admin")
    before = admin.status().audit_entries
    outcome = apply_together(running, [(author, digest, "one-key")] * 8)
    assert len({said for _, said in outcome}) == 1, f"a repeated request was answered otherwise than the first: {outcome}"
    applied = [entry for entry in admin.audit.entries(after=before, newest_first=False) if entry.action == "Release.Apply"]
    assert len(applied) == 1, "one key was carried out more than once"
    verified = admin.audit.verify()
    assert verified.ok, verified.what


def _status_of_apply(running: WholeProgram, person: str, digest: str) -> int:
    headers = {"Authorization": f"Bearer {running.secrets[person]}", "Idempotency-Key": "again", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{running.control_url}/api/v1/plans/{digest}/apply", data=b"{}", headers=headers)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=10)
    said = json.loads(refused.value.read())
    assert said["code"] == "conflict"
    return refused.value.code


def _exit_code_of_apply(running: WholeProgram, person: str, digest: str) -> int:
    environment = {**os.environ, "LEVER_URL": running.control_url, "LEVER_TOKEN": running.secrets[person]}
    command = [sys.executable, "-m", "leverframe.apps.cli.main", "release", "apply", digest, "--json"]
    return subprocess.run(command, env=environment, capture_output=True, timeout=60).returncode
