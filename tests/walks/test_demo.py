"""The whole story as a newcomer sees it: ``lever demo --json`` as a process, and what its one document says."""

import json
import os
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(420)]
SECONDS_MAX = 180.0
BAD_ANSWERS_MAX = 500


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """The document of one demo, run in an empty home."""
    home = tmp_path_factory.mktemp("newcomer")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LEVER_")}
    environment |= {"HOME": str(home), "TMPDIR": str(home)}
    command = [sys.executable, "-m", "leverframe.apps.cli.main", "demo", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=400, cwd=home)
    assert done.returncode == 0, done.stderr[-3000:]
    (line,) = done.stdout.splitlines()
    assert not list(home.glob("leverframe-demo-*")), "a demo that is not kept leaves its home behind"
    return json.loads(line)


def test_data_is_checked_and_a_broken_file_refused(told):
    snapshots = told["ingest"]["snapshots"]
    assert {name: facts["rows"] for name, facts in snapshots.items() if name != "departures"} == {
        "planes": 3322, "weather": 6463, "flights": 80789,
    }  # fmt: skip
    assert all(facts["digest"].startswith("sha256:") for facts in snapshots.values())
    refused = told["ingest"]["refused"]
    assert refused["accepted"] is False
    assert {
        "present sched_dep_s", "enumeration origin", "required carrier", "type distance", "minimum distance", "maximum late",
        "primary_key flight_id",
    } <= set(refused["faults"]), "a fault of the broken file was not named"  # fmt: skip


def test_training_survived_its_worker(told):
    train = told["train"]
    assert train["killed_before"] == "export"
    assert train["steps_redone"] == [], "a finished step was run again after the crash"
    assert {"model.onnx", "card.md", "bom.cdx.json", "provenance.intoto.json", "profile.json", "golden.json"} <= set(train["files"])


def test_every_version_has_its_interval_and_passed_its_gates(told):
    assert [evaluation["version"] for evaluation in told["evaluations"]] == [f"flight-delay@v{n}" for n in (1, 2, 3)]
    for evaluation in told["evaluations"]:
        value, low, high = evaluation["roc_auc"]
        assert 0.68 < low < value < high < 0.85, evaluation
        assert high - low < 0.05, "the interval says nothing"
        assert value > evaluation["baseline_roc_auc"] + 0.01, "no better than the simple baseline"
        assert evaluation["answer"] == "pass"
        assert set(evaluation["gates"].values()) == {"pass"}


def test_the_first_release_answers_the_stock_client(told):
    release = told["release"]
    assert release["approvals"] == ["ben"]
    assert release["route_seconds"] < 5.0
    assert release["tritonclient"]["ready"] is True
    assert release["tritonclient"]["version"] == "flight-delay@v1"
    assert 0.0 < release["tritonclient"]["probability"] < 1.0


def test_the_newer_version_was_decided_by_late_labels(told):
    newer = told["newer"]
    brier = newer["verdicts"]["outcome_brier"]
    if newer["outcome"] in ("completed", "watching"):
        assert [entry["stage"] for entry in newer["log"]][:4] == ["shadow", "canary 10 %", "canary 50 %", "100 %"]
        assert brier["high"] < brier["margin"], "promoted although the outcomes do not prove it"
        assert brier["n"] >= 200
        assert newer["labels_joined"] > 0
        assert 24.0 < newer["lead_hours"] < 24.0 * newer["days"], "the way to 100 % is shorter than its holds, or longer than the release"
        assert 0.0 < newer["lead_wall_seconds"] < SECONDS_MAX
    else:
        assert newer["outcome"] in ("running", "holding", "rolled_back"), newer["outcome"]
        assert newer["log"][-1]["reason"], "held or rolled back without a reason"


def test_the_bad_version_was_taken_back_by_itself(told):
    bad = told["bad"]
    assert bad["outcome"] == "rolled_back"
    assert 0 < bad["answers"] < BAD_ANSWERS_MAX, "the bad version answered too many"
    (fired, *_) = bad["fired"]
    assert fired["rule"] in ("prediction_shift", "outcome_brier")
    assert fired["low"] >= fired["margin"], "the rule fired although harm is not certain"
    assert bad["log"][-1]["event"] == "harm"
    assert bad["log"][0]["stage"] == "canary 10 %"


def test_the_broken_feed_is_one_alert_and_named_first(told):
    feed = told["broken_feed"]
    assert [alert["group"] for alert in feed["alerts"]] == ["feed:weather"]
    assert feed["first_cause"] == {"kind": "late_feed", "subject": "weather"}
    assert feed["detected_hours"] <= 8.0
    assert feed["served_without_feature"]["failed"] == 0
    assert feed["open_after"] == [], "an alert stays open although the feed is back"


def test_every_answer_is_accounted_for_and_none_failed(told):
    totals = [
        told["april"], told["newer"]["log_totals"], told["bad"]["log_totals"], told["broken_feed"]["served_without_feature"],
        told["broken_feed"]["served_after"],
    ]  # fmt: skip
    for total in totals:
        assert total["adds_up"] is True
        assert total["served"] == total["logged"] + total["dropped"]
    assert [total["served"] for total in totals] == sorted(total["served"] for total in totals), "the log lost answers"
    for replayed in (told["april"], told["broken_feed"]["served_without_feature"], told["broken_feed"]["served_after"]):
        assert replayed["failed"] == 0
        assert replayed["asked"] == replayed["answered"] > 0
    assert told["april"]["served"] == told["april"]["answered"] + 1, "the stock client's question and the replay's, nothing twice"
    assert told["april"]["labels"] > 0.9 * told["april"]["answered"]


def test_the_record_says_what_was_live_and_tampering_is_found(told):
    history = told["record"]["history"]
    newer = "flight-delay@v2" if told["newer"]["outcome"] == "completed" else "flight-delay@v1"
    assert [entry["version"] for entry in history] == ["flight-delay@v1", newer, newer]
    assert all(entry["why"] for entry in history)
    assert told["record"]["audit"]["ok"] is True
    assert told["record"]["audit"]["entries"] > 100
    tampered = told["record"]["tampered_copy"]
    assert tampered["ok"] is False
    assert 0 < tampered["first_bad_seq"] <= told["record"]["audit"]["entries"]


def test_it_takes_minutes(told):
    assert told["seconds"]["total"] < SECONDS_MAX, told["seconds"]
