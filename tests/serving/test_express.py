"""The short way of a usual request gives the very bytes, records and counts of the general way, and declines what is not usual."""

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.serving.installation import PLAIN, TOKEN, Installation, gateway, infer_body, read_log, table

from leverframe.core.assignment import Assigner, Assignment
from leverframe.core.clock import ManualClock
from leverframe.core.errors import LeverframeError
from leverframe.core.route import Caller, Endpoint
from leverframe.core.schema import FieldRule
from leverframe.features.online.online import entity_keys
from leverframe.governance.bundles import open_bundle
from leverframe.governance.signing import TrustStore
from leverframe.serving.doors import express
from leverframe.serving.doors.rest import RestInference
from leverframe.serving.engine.models import load_version
from leverframe.serving.features.lookup import Lookup
from leverframe.serving.log_segments import SegmentLog
from leverframe.serving.protocol.message import Head, Request
from leverframe.serving.routes.routing import CompiledRoutes, compile_routes
from leverframe.serving.telemetry.counts import Telemetry
from leverframe.serving.walk import inference as inference_module
from leverframe.serving.walk.inference import Inference


class Shadowless:
    def attach(self, score: Any, answered: Any) -> None:
        pass

    def offer(self, job: Any) -> bool:
        raise AssertionError("nothing is mirrored here")


class Way:
    """One worker's inference over its own log: the short way when ``head`` is given, the general one else."""

    def __init__(self, folder: Path, routes: CompiledRoutes, head: Head | None) -> None:
        clock = ManualClock(1_700_000_000_000_000)
        self.folder, self.routes, self.head = folder, routes, head
        self.log = SegmentLog(folder, "w", clock)
        self.inference = Inference(clock=clock, log=self.log, lookup=Lookup(None, entity_keys), shadows=Shadowless(), id_prefix="p-")
        self.rest = RestInference(self.inference, 1 << 20)

    def ask(self, body: bytes) -> tuple[Any, ...]:
        """What the caller sees: status and bytes, or the whole refusal."""
        request = Request(b"POST", b"/v2/models/m/infer", {}, body, 0, self.head)
        try:
            answer = self.rest.answer(self.routes.endpoints["m"], request)
        except LeverframeError as error:
            return (msgspec.json.encode(error.to_dict()),)
        return answer.status, answer.body, answer.content_type, answer.extra


RULES = (FieldRule(field="x3", maximum=1e300), FieldRule(field="x2", minimum=-1e250, severity="warn"))


HALF = Assignment(experiment="x", salt="own", layer_salt="layer", low=0, high=5_000, shares=(80.0,), hash_field="x1")
"""The same weights, by an experiment that half of the callers take part in."""


@pytest.fixture(scope="module", params=[None, HALF], ids=["weights", "experiment"])
def ways(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[tuple[Way, Way]]:
    home = tmp_path_factory.mktemp("express")
    installation = Installation(home)
    arms = (
        installation.arm("m@v1", 1, signature=msgspec.structs.replace(PLAIN, contract="c 1.0.0", rules=RULES), weight=60.0),
        installation.arm("m@v2", 2, signature=PLAIN, role="canary", weight=40.0),
    )
    routes_table = table(Endpoint(name="m", arms=arms, hash_field="x1", salt="s", experiment=request.param))

    def load(endpoint: str, arm: Any) -> Any:
        opened = open_bundle(installation.artifacts, TrustStore.from_folder(home / "keys"), arm.bundle, arm.envelope)
        return load_version(endpoint, arm, {name: opened.read(name) for name in opened.names})

    made = [
        Way(home / name, compile_routes(routes_table, load, Telemetry()), head)
        for name, head in (("short", Head(b"/v2/models/m/infer", {}, 0)), ("general", None))
    ]
    yield made[0], made[1]
    for way in made:
        way.log.close()


def body(data: Any, **changes: Any) -> bytes:
    tensor = {"name": "rows", "shape": [1, 4], "datatype": "FP64", "data": data, **changes.pop("tensor", {})}
    return json.dumps({"id": "r-1", "inputs": [tensor], **changes}).encode()


def same(ways: tuple[Way, Way], sent: bytes) -> tuple[Any, ...]:
    short, general = (way.ask(sent) for way in ways)
    assert short == general, "a caller could tell the two ways apart"
    return short


numbers = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False), st.integers(-(2**70), 2**70), st.sampled_from([0.0, -0.0, 1e-320, 1e308, 5e-324])
)


@settings(max_examples=200, deadline=None)
@given(st.lists(numbers, min_size=4, max_size=4), st.sampled_from(["FP64", "FP32", "INT32", "UINT8"]))
def test_usual_rows(ways, row, datatype):
    answer = same(ways, body(row, tensor={"datatype": datatype}))
    assert answer[0] == 200 or b"contract_violation" in answer[0]


odd = st.one_of(numbers, st.none(), st.text(max_size=3), st.booleans(), st.lists(numbers, max_size=2))


@settings(max_examples=200, deadline=None)
@given(
    st.lists(odd, max_size=6),
    st.sampled_from(["FP64", "BOOL", "BYTES", "?"]),
    st.sampled_from(["rows", "x0", ""]),
    st.sampled_from([[1, 4], [4], [1], [2, 2], [1, 4, 1], [-1, 4], []]),
    st.sampled_from([{}, {"outputs": []}, {"outputs": [{"name": "probability"}]}, {"outputs": [7]}, {"parameters": {"a": 1}}, {"id": 7}]),
)
def test_odd_requests(ways, row, datatype, name, shape, more):
    same(ways, body(row, tensor={"datatype": datatype, "name": name, "shape": shape}, **more))


@pytest.mark.parametrize("sent", [b"", b"{", b"[]", b"\xff", b'{"inputs":[]}', b'{"inputs":[{}]}', b"[" * 5000, b'{"inputs":1e999}'])
def test_what_is_no_request(ways, sent):
    assert len(same(ways, sent)) == 1, "it was answered"


def test_records_and_counts(ways):
    """Runs last of those that share the logs: all that was asked above, record by record."""
    for number in range(50):
        same(ways, body([number / 7, number * 1.5, -number, 0.25], id=f"n-{number}"))
    seen = []
    for way in ways:
        records, counts = read_log(way.folder)
        assert counts.adds_up
        seen.append(([msgspec.structs.replace(record, latency_us=0) for record in records], counts))
    assert seen[0] == seen[1], "the log could tell the two ways apart"
    assert {record.version for record in seen[0][0]} == {"m@v1", "m@v2"}, "one arm was never asked"
    experiment = ways[0].routes.endpoints["m"].record.experiment
    for record in seen[0][0] if experiment is not None else ():
        met, exposure = Assigner(experiment).assign(str(float(np.frombuffer(record.features)[1])))
        assert (record.version, record.exposure) == (("m@v1", "m@v2")[met], exposure), "the log names another arm than the key's"
    short, general = (
        [(s.ok, s.refused, s.errors, s.missing, s.warned) for s in (a.stats for a in w.routes.endpoints["m"].arms)] for w in ways
    )
    assert short == general, "metrics could tell the two ways apart"


def test_the_short_way_is_taken(ways, monkeypatch):
    """Without this, the equality above could be of the general way with itself."""
    monkeypatch.setattr(inference_module, "score_now", None)
    assert ways[0].ask(body([0.1, 0.2, 0.3, 0.4]))[0] == 200
    with pytest.raises(TypeError):
        ways[1].ask(body([0.1, 0.2, 0.3, 0.4]))


def test_a_score_that_is_not_finite_takes_the_general_way(ways, monkeypatch):
    monkeypatch.setattr(express, "isfinite", lambda score: False)
    before = ways[0].log.served
    assert ways[0].ask(body([0.1, 0.2, 0.3, 0.4]))[0] == 200
    assert ways[0].log.served == before + 1, "one request was counted twice"


def test_a_revoked_token_is_refused_on_a_known_head(tmp_path):
    """The same connection, the same bytes: permission is of the routes, not of the head."""
    installation = Installation(tmp_path)
    endpoint = Endpoint(name="m", arms=(installation.arm("m@v1", 1),), salt="s")
    first = table(endpoint)
    installation.publish(first)
    with gateway(tmp_path) as running:
        sent = json.dumps(infer_body([0.1, 0.2, 0.3, 0.4])).encode()
        head = f"POST /v2/models/m/infer HTTP/1.1\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: {len(sent)}\r\n\r\n".encode()
        connection = socket.create_connection(("127.0.0.1", running.port), timeout=5)

        def ask() -> int:
            connection.sendall(head + sent)
            return int(connection.recv(65_536).split(b" ", 2)[1])

        assert [ask() for _ in range(3)] == [200, 200, 200]
        other = Caller(token_sha256="0" * 64, subject="service:other")
        installation.publish(msgspec.structs.replace(first, callers=(other,), issued_at_us=first.issued_at_us + 1))
        deadline = time.monotonic() + 5
        while ask() == 200:
            assert time.monotonic() < deadline, "a revoked token still predicts"
            time.sleep(0.02)
        assert ask() == 401
        connection.close()
