"""Quotas, priority, limits and the fallback chain, from the command to what callers of a real gateway are told."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from tests.conftest import free_port
from tests.whole_program import ENDPOINT, SPEC, TEAM, WholeProgram, copy_home, open_in_process

from leverframe.apps.settings import Settings
from leverframe.core.clock import HOUR_US
from leverframe.core.errors import Forbidden, InvalidInput, NotFound
from leverframe.core.model import GOLDEN, MODEL_LIGHTGBM, MODEL_ONNX, SIGNATURE, Golden, ModelVersion
from leverframe.core.route import Condition, Rule
from leverframe.core.schema import Signature
from leverframe.governance.bundles import open_bundle, write_bundle
from leverframe.training.commands import RegisterVersion

AT = ("prod", ENDPOINT)
FAILING = f"{ENDPOINT}@v4"
FAR = 3_000.0
"""Beyond this distance the failing model's score is not a number."""
LAYERS, WIDTH = 500, 384
ROWS, PRESSED_S = 32, 6


Post = Callable[..., httpx.Response]


def ask(
    program: WholeProgram,
    token: str,
    distance: float = 500.0,
    *,
    rows: int = 1,
    post: Callable[..., httpx.Response] = httpx.post,
    **headers: str,
) -> httpx.Response:
    """The same question ``rows`` times over, by the holder of ``token``; ``post`` of a client of one's own keeps its connection."""
    inputs = [
        {"name": f.name, "shape": [rows], "datatype": f.datatype, "data": [distance if f.name == "distance" else f.example] * rows}
        for f in SPEC.request
    ]
    address = f"{program.gateway_url}/v2/models/{ENDPOINT}/infer"
    return post(address, json={"inputs": inputs}, headers={"Authorization": f"Bearer {token}", **headers}, timeout=20)


def caller(program: WholeProgram, subject: str, **bounds: Any) -> str:
    """The secret of a fresh service, once the gateway knows it."""
    secret = program.person("admin").access.issue(subject, ["service"], [TEAM], **bounds).secret
    until = time.monotonic() + 10
    while ask_page(program, secret) == 401 and time.monotonic() < until:
        time.sleep(0.02)
    return secret


def ask_page(program: WholeProgram, secret: str) -> int:
    return httpx.get(f"{program.gateway_url}/v2/models/{ENDPOINT}", headers={"Authorization": f"Bearer {secret}"}).status_code


def refused_by(answer: httpx.Response) -> str:
    """Whose quota an answer says is used up."""
    assert answer.status_code == 429, answer.text
    assert int(answer.headers["Retry-After"]) >= 1
    said = answer.json()
    assert (said["code"], "requests a second" in said["expected"]) == ("quota_exceeded", True), said
    return str(said["error"]).partition("the quota of this ")[2].partition(" ")[0]


def test_a_noisy_caller_is_told_to_wait_and_its_neighbours_notice_nothing(running: WholeProgram) -> None:
    noisy = caller(running, "noisy", per_second=0.001, burst=3.0)
    calm = caller(running, "calm")
    answers = [ask(running, noisy) for _ in range(8)]
    assert Counter(answer.status_code for answer in answers) == {200: 3, 429: 5}
    assert {refused_by(answer) for answer in answers if answer.status_code == 429} == {"caller"}
    assert [ask(running, calm).status_code for _ in range(8)] == [200] * 8
    shown = {token.subject: token for token in running.person("admin").access.tokens()}
    assert (shown["noisy"].quota.burst, shown["calm"].quota) == (3.0, None)


def test_rules_are_checked_against_the_live_versions_columns(running: WholeProgram) -> None:
    rule = Rule(value=0.3, when=(Condition(column="distanse", at_least=1.0),))
    with pytest.raises(InvalidInput, match="distance") as refused:
        running.person("olga").operating.fallback(*AT, rules=[rule], reason="drill")
    assert refused.value.faults[0].what == "no such input column"
    (shown,) = running.person("olga").release.endpoints()
    assert shown.endpoint.fallback.rules == ()


def test_who_may_not_sets_nothing(running: WholeProgram) -> None:
    with pytest.raises(Forbidden):
        running.person("olga").operating.set_quota("acme", 5.0, reason="not an admin")
    with pytest.raises(Forbidden):
        running.person("ben").operating.limits(*AT, deadline_ms=5, reason="not an operator")
    assert running.person("ana").operating.quotas() == ()


def test_an_owner_sets_what_the_endpoint_promises(running: WholeProgram) -> None:
    usual = running.person("ben").monitoring.objectives(ENDPOINT)
    assert (usual.availability, usual.latency_ms, usual.declared) == (0.999, 100, False)
    said = running.person("ana").monitoring.set_objectives(ENDPOINT, availability=0.9995, latency_ms=50, reason="the booking page")
    assert (said.availability, said.latency_target, said.latency_ms, said.counted_ms, said.by) == (0.9995, 0.99, 50, 51.2, "ana")
    assert running.person("ben").monitoring.objectives(ENDPOINT) == said
    with pytest.raises(NotFound):
        running.person("ana").monitoring.set_objectives("no-such", availability=0.9, reason="x")
    with pytest.raises(InvalidInput, match="a share from"):
        running.person("ana").monitoring.set_objectives(ENDPOINT, availability=1.0, reason="x")


# One installation of its own for what changes its route ----------------------------------------------------------------


def failing_model(columns: list[str]) -> bytes:
    """A costly network over every column; NaN where the distance is far."""
    rng = np.random.default_rng(7)
    spread = rng.normal(size=(len(columns), WIDTH)) / 1e4
    weights = {
        "first": spread.astype(np.float32),
        "again": (rng.normal(size=(WIDTH, WIDTH)) / np.sqrt(WIDTH)).astype(np.float32),
        "last": rng.normal(size=(WIDTH, 1)).astype(np.float32),
        "at": np.array([columns.index("distance")], np.int64),
        "far": np.array([FAR], np.float32),
        "nan": np.array([np.nan], np.float32),
        "zero": np.array(0.0, np.float32),
    }
    nodes = [
        helper.make_node("Cast", ["x"], ["x32"], to=TensorProto.FLOAT),
        helper.make_node("IsNaN", ["x32"], ["gone"]),
        helper.make_node("Where", ["gone", "zero", "x32"], ["filled"]),
        helper.make_node("MatMul", ["filled", "first"], ["h0"]),
    ]
    for layer in range(LAYERS):
        nodes += [
            helper.make_node("MatMul", [f"h{layer}", "again"], [f"m{layer}"]),
            helper.make_node("Tanh", [f"m{layer}"], [f"h{layer + 1}"]),
        ]
    nodes += [
        helper.make_node("MatMul", [f"h{LAYERS}", "last"], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], ["score"]),
        helper.make_node("Gather", ["filled", "at"], ["distance"], axis=1),
        helper.make_node("Greater", ["distance", "far"], ["bad"]),
        helper.make_node("Where", ["bad", "nan", "score"], ["y32"]),
        helper.make_node("Cast", ["y32"], ["y"], to=TensorProto.DOUBLE),
    ]
    graph = helper.make_graph(
        nodes,
        "failing",
        [helper.make_tensor_value_info("x", TensorProto.DOUBLE, [None, len(columns)])],
        [helper.make_tensor_value_info("y", TensorProto.DOUBLE, [None, 1])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9).SerializeToString())


def register_failing(home: Path) -> str:
    """The name of a fourth version: the first one's bundle with a model that fails at serving on rows its golden ones do not show."""
    platform = open_in_process(Settings(home=home, clock=f"replay:{home / 'replay.clock'}"))
    parts = platform.parts
    first = parts.ledger.find("model_version", ModelVersion)[0]
    bundle = open_bundle(parts.artifacts, parts.trust, first.bundle, first.envelope)
    files = {name: bundle.read(name) for name in bundle.names if name not in (MODEL_LIGHTGBM, MODEL_ONNX)}
    columns = [column.name for column in msgspec.json.decode(files[SIGNATURE], type=Signature).columns]
    golden, model = msgspec.json.decode(files[GOLDEN], type=Golden), failing_model(columns)
    rows = [row for row in golden.rows if (row[columns.index("distance")] or 0.0) < FAR]
    matrix = np.array([[np.nan if value is None else value for value in row] for row in rows])
    (scores,) = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"]).run(None, {"x": matrix})
    expected = tuple((float(score),) for score in scores.ravel())
    files[GOLDEN] = msgspec.json.encode(msgspec.structs.replace(golden, rows=tuple(rows), expected=expected, tolerance=1e-3))
    files[MODEL_ONNX] = model
    digest, envelope = write_bundle(parts.artifacts, parts.key, model=ENDPOINT, files=files, created_at_us=parts.clock.now_us())
    command = RegisterVersion(
        model=ENDPOINT, owning_team=TEAM, bundle=digest, envelope=envelope, run_id="by-hand", risk_tier=first.risk_tier, gates="pass"
    )
    admin = platform.access.authenticate(json.loads((home / "secrets.json").read_text())["admin"])
    parts.ledger.write(admin, command, key="failing")
    name = f"{ENDPOINT}@v{len(parts.ledger.find('model_version', ModelVersion))}"
    platform.close()
    return name


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeProgram]:
    home = copy_home(tmp_path_factory.mktemp("operating") / "home")
    assert register_failing(home) == FAILING
    with WholeProgram(home, gateway_grpc_port=free_port()) as program:
        yield program


def follow(program: WholeProgram, shown: Any) -> None:
    program.wait_generation(shown.generation_desired)


@pytest.mark.slow
def test_a_release_that_fails_at_serving_is_answered_for_by_the_last_good_version_until_it_is_rolled_back(own: WholeProgram) -> None:
    olga, token = own.person("olga"), own.secrets["booking-site"]
    before = ask(own, token, FAR + 1).json()["outputs"]
    digest = own.approved_plan(FAILING)
    own.person("ana").release.apply(digest)
    follow(own, olga.release.endpoints()[0])
    # The control: without a chain, callers are refused.
    assert (ask(own, token, FAR + 1).status_code, ask(own, token).status_code) == (503, 200)

    shown = olga.operating.fallback(*AT, last_good=True, reason="never without an answer")
    assert shown.endpoint.fallback.last_good is not None
    assert shown.endpoint.fallback.last_good.version == f"{ENDPOINT}@v1"
    follow(own, shown)
    answer = ask(own, token, FAR + 1).json()
    about = answer["parameters"]
    assert (about["fallback"], about["fallback_reason"], about["fallback_version"]) == ("last_good", "model_failed", f"{ENDPOINT}@v1")
    assert answer["outputs"] == before, "v1 is fed and answers as it did when it was live"
    assert "fallback" not in ask(own, token).json()["parameters"], "the model answers what it can"

    rule = Rule(value=0.42, when=(Condition(column="distance", at_least=FAR),))
    follow(own, olga.operating.fallback(*AT, rules=[rule], value=0.1, reason="rules alone"))
    answer = ask(own, token, FAR + 1).json()
    assert (answer["outputs"][0]["data"], answer["parameters"]["fallback"]) == ([0.42], "rule")

    shown = olga.operating.fallback(*AT, last_good=True, reason="back to the version before")
    follow(own, shown)
    # A deadline no costly model can meet: the last good version answers instead, and says why.
    follow(own, olga.operating.limits(*AT, deadline_ms=1, reason="impatient"))
    about = ask(own, token).json()["parameters"]
    assert (about.get("fallback"), about.get("fallback_reason")) == ("last_good", "deadline_exceeded"), about
    follow(own, olga.operating.limits(*AT, deadline_ms=0, reason="patient again"))

    back = olga.release.rollback(*AT, "it fails on far flights")
    follow(own, back)
    assert back.endpoint.fallback.last_good is None, "v4 was rolled back from, and nothing was live before v1"
    assert ask(own, token, FAR + 1).json()["outputs"] == before
    follow(own, olga.operating.fallback(*AT, reason="as it was"))


@pytest.mark.slow
def test_quotas_of_endpoint_and_tenant_bound_everyone_and_can_be_lifted(own: WholeProgram) -> None:
    olga, admin, token = own.person("olga"), own.person("admin"), own.secrets["booking-site"]
    follow(own, olga.operating.limits(*AT, per_second=0.001, burst=2.0, reason="drill"))
    answers = [ask(own, token) for _ in range(4)]
    assert [a.status_code for a in answers] == [200, 200, 429, 429]
    assert refused_by(answers[-1]) == "endpoint"
    follow(own, olga.operating.limits(*AT, per_second=0.0, reason="lifted"))
    assert ask(own, token).status_code == 200

    def wait(bounded: bool) -> httpx.Response:
        until = time.monotonic() + 10
        while True:
            answer = ask(own, token)
            if (answer.status_code == 429) is bounded or time.monotonic() > until:
                return answer

    held = admin.operating.set_quota("default", 0.001, 1.0, reason="drill")
    assert [(q.tenant, q.quota.per_second, q.by) for q in held] == [("default", 0.001, "admin")]
    assert refused_by(wait(bounded=True)) == "tenant"
    admin.operating.set_quota("default", 0.0, reason="lifted")
    assert wait(bounded=False).status_code == 200


@pytest.mark.slow
def test_when_a_model_has_more_work_than_time_low_priority_is_refused_first(own: WholeProgram) -> None:
    own.person("ana").release.apply(own.approved_plan(FAILING))
    # It is slower than what was live before, and its scores are others: unless it is pinned it is taken back in the middle of it.
    follow(own, own.person("olga").release.operate(*AT, "pin", reason="priorities are tried", for_us=HOUR_US))
    secrets = {name: caller(own, f"{name}-priority", priority=name) for name in ("high", "low")}
    seen: dict[str, Counter[int]] = {name: Counter() for name in secrets}
    until = time.monotonic() + PRESSED_S

    def press(name: str) -> None:
        # A client for each question costs more than the question, and then there is time for everyone.
        with httpx.Client() as client:
            while time.monotonic() < until:
                answer = ask(own, secrets[name], rows=ROWS, post=client.post, **{"X-Request-Timeout-Ms": "500"})
                seen[name][answer.status_code] += 1

    threads = [threading.Thread(target=press, args=(name,)) for name in ("low",) * 12 + ("high",)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    share = {name: counts[200] / counts.total() for name, counts in seen.items()}
    assert share["low"] < 0.9, f"there was time for everyone, so nothing was shown: {seen}"
    assert share["high"] > share["low"] + 0.1, seen
