"""The same program with its ledger in PostgreSQL and its bytes in an object store: from raw rows to an answer of the gateway."""

import json
import time
from urllib.parse import urlsplit

import pytest
from tests.serving.installation import gateway
from tests.whole_program import ENDPOINT, FROM_US, NOW_US, WholeProgram, fill, first_release, issue_tokens, open_in_process, train

from leverframe.apps.clocks import ReplayClock
from leverframe.apps.platform.views import TrainRequest
from leverframe.apps.settings import Settings


@pytest.fixture
def settings(tmp_path, postgresql_url, s3_store, s3_endpoint, monkeypatch) -> Settings:
    """An installation that keeps nothing at home but its keys and the online store."""
    for name, value in {
        "AWS_ENDPOINT_URL": s3_endpoint,
        "AWS_ALLOW_HTTP": "true",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }.items():
        monkeypatch.setenv(name, value)
    clock = ReplayClock(tmp_path / "replay.clock")
    clock.set(NOW_US)
    clock.close()
    bucket = f"s3://{urlsplit(s3_store[0]).netloc}"
    return Settings(
        home=tmp_path,
        clock=f"replay:{tmp_path / 'replay.clock'}",
        database_url=postgresql_url,
        artifacts_url=f"{bucket}/artifacts",
        publication_url=f"{bucket}/published",
    )


def test_from_raw_rows_to_an_answer(settings):
    platform = open_in_process(settings)
    try:
        secrets = issue_tokens(platform)
        ana = platform.access.authenticate(secrets["ana"])
        fill(platform, ana)
        version = platform.training.version(train(platform, ana, 1).version)
        assert version.version.gates == "pass"
        first_release(platform, secrets)
        (release,) = platform.release.releases(ENDPOINT)
        assert (release.candidate, release.state) == (version.version.name, "watching")
        published = platform.parts.publisher.published()
        assert published is not None
        assert published.generation == platform.parts.publisher.desired().generation
        verified = platform.audit.verify()
        assert verified.ok, verified.what
        assert [row.name for row in platform.data.datasets() if row.latest is not None] == ["departures", "flights", "planes", "weather"]
    finally:
        platform.close()
    assert not (settings.home / "ledger.db").exists()
    assert not (settings.home / "artifacts").exists()
    answer = _ask(settings, secrets["booking-site"])
    assert (answer["model_version"], answer["outputs"][0]["name"]) == (version.version.name, "probability")
    assert 0.0 < answer["outputs"][0]["data"][0] < 1.0


def _ask(settings: Settings, token: str) -> dict:
    """One prediction of a real gateway that reads routes and bundles from the object store."""
    values = {"origin": "JFK", "carrier": "B6", "tailnum": "N516JB", "dest": "BOS", "distance": 187.0, "sched_dep_s": NOW_US // 1_000_000}
    types = {str: "BYTES", float: "FP64", int: "INT64"}
    body = {"inputs": [{"name": n, "shape": [1], "datatype": types[type(v)], "data": [v]} for n, v in values.items()]}
    stores = ("--artifacts-url", settings.artifacts_url, "--publication-url", settings.publication_url)
    with gateway(settings.home, "--clock", settings.clock, *stores) as running:
        status, said = running.call(f"/v2/models/{ENDPOINT}/infer", body, token=token)
        assert status == 200, json.dumps(said)
        return said


@pytest.mark.slow
def test_as_processes_with_durable_workflows_in_postgresql(settings):
    platform = open_in_process(settings)
    try:
        secrets = issue_tokens(platform)
        ana = platform.access.authenticate(secrets["ana"])
        fill(platform, ana)
        train(platform, ana, 1)
        first_release(platform, secrets)
    finally:
        platform.close()
    (settings.home / "secrets.json").write_text(json.dumps(secrets))
    elsewhere = {name: getattr(settings, name) for name in ("database_url", "artifacts_url", "publication_url")}
    with WholeProgram(settings.home, **elsewhere) as running:
        ana = running.person("ana")
        run = ana.training.start(TrainRequest(model=ENDPOINT, from_us=FROM_US, to_us=NOW_US, seed=2, params={"num_leaves": 7}))
        deadline = time.monotonic() + 60.0
        while run.status in ("queued", "running") and time.monotonic() < deadline:
            time.sleep(0.1)
            run = ana.training.run(run.id)
        assert (run.status, run.version) == ("succeeded", "flight-delay@v2"), run
        assert {step.attempts for step in run.steps} == {1}
        release = ana.release.apply(running.approved_plan(run.version))
        running.wait_generation(ana.release.endpoints()[0].generation_desired)
        inputs = {"origin": ["JFK"], "carrier": ["B6"], "tailnum": ["N516JB"], "dest": ["BOS"], "distance": [187.0], "sched_dep_s": [1]}
        assert running.person("booking-site").predict(ENDPOINT, inputs).version == run.version
        olga = running.person("olga")
        wanted = olga.release.rollback("prod", ENDPOINT, "trying the lever").generation_desired
        running.wait_generation(wanted)
        assert running.person("booking-site").predict(ENDPOINT, inputs).version == "flight-delay@v1"
        assert ana.release.get(release.id).state == "rolled_back"
        assert running.person("admin").audit.verify().ok
        assert all(check.ok for check in running.person("admin").doctor()), running.person("admin").doctor()
    # What waits to be sent to others is a file of the worker's (decision 0028); nothing else is.
    assert [file.name for file in settings.home.glob("*.db")] == [settings.outbox_file.name], "something was kept in a file after all"
