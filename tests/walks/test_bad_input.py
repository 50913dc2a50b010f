"""Bad input at both real doors: one error shape with code, sentence and next step; never a 5xx; nothing logged that was not answered."""

import json
from typing import Any

import httpx
import pytest
from tests.whole_program import ENDPOINT, NOW_US, WholeProgram

INFER = f"/v2/models/{ENDPOINT}/infer"
FEEDBACK = f"/v2/models/{ENDPOINT}/feedback"
SHAPE = {"error", "code", "where", "expected", "got", "next", "faults"}
GOOD = {
    "origin": ("BYTES", "JFK"),
    "carrier": ("BYTES", "B6"),
    "tailnum": ("BYTES", "N516JB"),
    "dest": ("BYTES", "BOS"),
    "distance": ("FP64", 187.0),
    "sched_dep_s": ("INT64", NOW_US // 1_000_000),
}


def question(request_id: str = "", **changed: Any) -> dict[str, Any]:
    """A good one-row question; ``name=None`` leaves a column out, ``name=dict(...)`` changes its tensor."""
    inputs = []
    for name, (datatype, value) in GOOD.items():
        change = changed.get(name, {})
        if change is not None:
            inputs.append({"name": name, "shape": [1], "datatype": datatype, "data": [value], **change})
    return {"inputs": inputs} | ({"id": request_id} if request_id else {})


def send(url: str, path: str, body: Any, token: str | None, headers: dict[str, str] | None = None) -> tuple[int, Any]:
    """(status, JSON) of one POST over a connection of its own."""
    given = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token is not None else {}), **(headers or {})}
    answer = httpx.post(url + path, content=body if isinstance(body, bytes) else json.dumps(body).encode(), headers=given, timeout=20)
    return answer.status_code, answer.json()


AT_THE_GATEWAY = {
    "wrong dtype": (INFER, question(distance={"datatype": "BYTES", "data": ["far"]}), 400, "schema_mismatch"),
    "text in a number": (INFER, question(distance={"data": ["far"]}), 400, "schema_mismatch"),
    "wrong shape": (INFER, question(distance={"shape": [2]}), 400, "schema_mismatch"),
    "rows that differ": (INFER, question(distance={"shape": [2], "data": [1.0, 2.0]}), 400, "schema_mismatch"),
    "missing column": (INFER, question(origin=None), 400, "schema_mismatch"),
    "a moment in milliseconds": (INFER, question(sched_dep_s={"data": [1_364_814_000_000]}), 400, "invalid_input"),
    "a moment beyond any calendar": (INFER, question(sched_dep_s={"data": [9 * 10**18]}), 400, "invalid_input"),
    "no inputs": (INFER, {"inputs": []}, 400, "schema_mismatch"),
    "not JSON": (INFER, b'{"inputs": [', 400, "invalid_input"),
    "not an object": (INFER, b"[1, 2]", 400, "invalid_input"),
    "unknown model": ("/v2/models/flight-dealy/infer", question(), 404, "not_found"),
    "unknown address": ("/v3/models", question(), 404, "not_found"),
    "huge body": (INFER, b" " * 9_000_000, 413, "limit_exceeded"),
    "empty labels": (FEEDBACK, {"labels": []}, 400, "invalid_input"),
    "label without an id": (FEEDBACK, {"labels": [{"label": 1}]}, 400, "invalid_input"),
}


@pytest.mark.parametrize("case", AT_THE_GATEWAY)
def test_the_gateway_refuses_in_one_shape(running: WholeProgram, case):
    path, body, status, code = AT_THE_GATEWAY[case]
    before = running.page()["log"]
    answered, said = send(running.gateway_url, path, body, running.secrets["booking-site"])
    assert (answered, said["code"]) == (status, code), said
    check_shape(said)
    after = running.page()["log"]
    assert after == before, "a refused request is in the prediction log"


def test_the_gateway_knows_nobody_without_a_token(running: WholeProgram):
    for token in (None, "lf_wrong", running.secrets["booking-site"][:-1]):
        status, said = send(running.gateway_url, INFER, question(), token)
        assert (status, said["code"]) == (401, "unauthenticated")
        check_shape(said)
    status, said = send(running.gateway_url, INFER, b" " * 9_000_000, "lf_wrong")
    assert status in (401, 413), "a stranger may send nine megabytes"
    assert said["code"] in ("unauthenticated", "limit_exceeded")


def test_all_faults_of_a_request_at_once(running: WholeProgram):
    body = question(origin=None, distance={"datatype": "BYTES", "data": ["far"]})
    _, said = send(running.gateway_url, INFER, body, running.secrets["booking-site"])
    assert {fault["where"] for fault in said["faults"]} >= {"origin", "distance"}, said


def test_good_and_bad_mixed_are_logged_exactly_once_each(running: WholeProgram):
    token = running.secrets["booking-site"]
    before = running.page()["log"]
    for number in range(20):
        assert send(running.gateway_url, INFER, question(f"mixed-{number}"), token)[0] == 200
        assert send(running.gateway_url, INFER, question(f"bad-{number}", origin=None), token)[0] == 400
        label = {"labels": [{"id": f"mixed-{number}", "label": 1.0, "known_at_us": NOW_US}]}
        assert send(running.gateway_url, FEEDBACK, label, token)[0] == 200
    after = running.page()["log"]
    assert after["served"] - before["served"] == 20
    assert after["logged"] - before["logged"] == 20
    assert after["labels_logged"] - before["labels_logged"] == 20
    assert after["dropped"] == before["dropped"]


AT_THE_CONTROL_API = {
    "not JSON": ("/api/v1/plans", b"{", 400, "invalid_input"),
    "wrong type": ("/api/v1/plans", {"endpoint": 7, "version": "flight-delay@v1"}, 400, "invalid_input"),
    "unknown field": ("/api/v1/plans", {"endpoint": ENDPOINT, "version": "flight-delay@v1", "stratgy": "canary"}, 400, "invalid_input"),
    "unknown override": (
        "/api/v1/plans",
        {"endpoint": ENDPOINT, "version": "flight-delay@v2", "overrides": {"stagse": []}},
        400,
        "invalid_input",
    ),
    "a margin of NaN": (
        "/api/v1/plans",
        b'{"endpoint": "flight-delay", "version": "flight-delay@v2", "overrides": {"watch_us": NaN}}',
        400,
        "invalid_input",
    ),
    "unknown version": ("/api/v1/plans", {"endpoint": ENDPOINT, "version": "flight-delay@v99"}, 404, "not_found"),
    "not a version": ("/api/v1/plans", {"endpoint": ENDPOINT, "version": "../../etc/passwd"}, 400, "invalid_input"),
    "a feature that is not there": (
        f"/api/v1/endpoints/prod/{ENDPOINT}/levers/disable-feature",
        {"argument": "origin_wether.*", "reason": "a typo in the night"},
        404,
        "not_found",
    ),
    "unknown plan": ("/api/v1/plans/sha256:" + "0" * 64 + "/apply", {}, 404, "not_found"),
    "unknown model": ("/api/v1/runs", {"model": "flight-dealy", "from_us": 1, "to_us": 2}, 404, "not_found"),
    "empty window": ("/api/v1/runs", {"model": ENDPOINT, "from_us": 2, "to_us": 2}, 400, "invalid_input"),
    "unknown parameter": (
        "/api/v1/runs",
        {"model": ENDPOINT, "from_us": 1, "to_us": 2, "params": {"tree_learner": "voting"}},
        400,
        "invalid_input",
    ),
    "a parameter out of range": (
        "/api/v1/runs",
        {"model": ENDPOINT, "from_us": 1, "to_us": 2, "params": {"num_iterations": 10**9}},
        400,
        "invalid_input",
    ),
    "a seed below zero": ("/api/v1/runs", {"model": ENDPOINT, "from_us": 1, "to_us": 2, "seed": -1}, 400, "invalid_input"),
    "preparing no column": (
        "/api/v1/runs",
        {"model": ENDPOINT, "from_us": 1, "to_us": 2, "prepare": {"nothing": "1"}},
        400,
        "invalid_input",
    ),
    "unknown dataset": ("/api/v1/datasets/nope/snapshots?format=parquet", b"PAR1", 404, "not_found"),
    "unknown address": ("/api/v1/nothing", {}, 404, "not_found"),
    "huge body": ("/api/v1/plans", b" " * 9_000_000, 413, "limit_exceeded"),
    "deep body": ("/api/v1/plans", b"[" * 100_000, 413, "limit_exceeded"),
}


@pytest.mark.parametrize("case", AT_THE_CONTROL_API)
def test_the_control_api_refuses_in_one_shape(running: WholeProgram, case):
    path, body, status, code = AT_THE_CONTROL_API[case]
    admin = running.person("admin")
    before = admin.status().audit_entries
    answered, said = send(running.control_url, path, body, running.secrets["ana"], {"Idempotency-Key": f"bad-{case}".replace(" ", "-")})
    assert answered < 500, said
    assert (answered, said["code"]) == (status, code), said
    check_shape(said)
    assert said["request_id"]
    assert [entry.action for entry in admin.audit.entries(after=before, newest_first=False) if entry.actor == "ana"] == []


def test_the_control_api_knows_nobody_without_a_token(running: WholeProgram):
    for token in (None, "lf_wrong"):
        status, said = send(running.control_url, "/api/v1/plans", {"endpoint": ENDPOINT, "version": "x"}, token)
        assert (status, said["code"]) == (401, "unauthenticated")
        check_shape(said)


def test_a_file_that_is_no_parquet_is_refused_with_its_faults(running: WholeProgram):
    for body in (b"", b"PAR1", b"PAR1" + b"\0" * 64 + b"PAR1", b"\xff" * 1000):
        status, said = send(
            running.control_url,
            "/api/v1/datasets/weather/snapshots?format=parquet",
            body,
            running.secrets["ana"],
            {"Content-Type": "application/octet-stream", "Idempotency-Key": f"file-{len(body)}"},
        )
        assert status < 500, said
        refused = said.get("code") in ("invalid_input", "contract_violation", "limit_exceeded") or said.get("accepted") is False
        assert refused, f"{body[:8]!r} was taken in"


def check_shape(said: dict[str, Any]) -> None:
    """The one error shape, filled in."""
    assert set(said) >= SHAPE, said
    assert said["error"].strip(), "an error without a sentence"
    assert said["next"].strip(), f"a refusal without a next step: {said['error']}"
    assert "Traceback" not in said["error"]
    assert ".py" not in said["error"], "internals leak"
