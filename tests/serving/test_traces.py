"""Traces as a collector receives them: joined to the caller's, one span a stage, and nothing for those who do not ask."""

import http.server
import json
import threading
import time
import urllib.request
from collections.abc import Iterator

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from tests.serving.costly import costly_files
from tests.serving.installation import FLIGHT, TOKEN, Installation, gateway, infer_body, table

from leverframe.core.route import Endpoint

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"


class Collector:
    """An OTLP receiver that keeps what it gets."""

    def __init__(self) -> None:
        self.spans: list = []
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    import gzip

                    body = gzip.decompress(body)
                message = ExportTraceServiceRequest.FromString(body)
                collector.spans += [span for r in message.resource_spans for s in r.scope_spans for span in s.spans]
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/v1/traces"

    def wait(self, count: int) -> list:
        for _ in range(1000):
            if len(self.spans) >= count:
                break
            time.sleep(0.02)
        return list(self.spans)


@pytest.fixture
def collector() -> Iterator[Collector]:
    running = Collector()
    yield running
    running.server.shutdown()


def ask(port: int, model: str, document: object, traceparent: str = "") -> tuple[dict, str]:
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"} | (
        {"traceparent": traceparent} if traceparent else {}
    )
    request = urllib.request.Request(f"http://127.0.0.1:{port}/v2/models/{model}/infer", json.dumps(document).encode(), headers)
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.loads(answer.read()), answer.headers.get("traceparent", "")


def attributes(span) -> dict:
    return {a.key: a.value.string_value or a.value.int_value for a in span.attributes}


def test_a_sampled_request_is_a_trace_with_its_stages(tmp_path, collector):
    installation = Installation(tmp_path)
    costly = installation.bundle(costly_files(300), "slow@v1")
    flight = installation.arm("flight@v1", 3, signature=FLIGHT)
    plain = installation.arm("m@v1", 1)
    endpoints = [Endpoint(name=n, arms=(a,)) for n, a in (("m", plain), ("slow", costly), ("flight", flight))]
    installation.publish(table(*endpoints))
    sampled, unsampled = f"00-{TRACE}-{PARENT}-01", f"00-{TRACE}-{PARENT}-00"
    row = infer_body([0.1, 0.2, 0.3, 0.4])
    flown = {
        "inputs": [
            {"name": "origin", "shape": [1], "datatype": "BYTES", "data": ["JFK"]},
            {"name": "sched_dep_s", "shape": [1], "datatype": "INT64", "data": [1364814000]},
        ]
    }
    with gateway(tmp_path, "--traces-url", collector.url) as running:
        for _ in range(3):
            assert ask(running.port, "m", row)[1] == "", "a request that nobody samples was traced"
            assert ask(running.port, "m", row, unsampled)[1] == ""
        _, plain_header = ask(running.port, "m", row, sampled)
        ask(running.port, "slow", row, sampled)
        ask(running.port, "flight", flown, sampled)
        with pytest.raises(urllib.error.HTTPError):
            ask(running.port, "m", {"inputs": []}, sampled)
        ask(running.port, "m", row, "not-a-traceparent")
        running.stop()
    spans = collector.wait(10)
    assert {span.trace_id.hex() for span in spans} == {TRACE}
    roots = [span for span in spans if span.parent_span_id.hex() == PARENT]
    assert sorted(span.name for span in roots) == ["infer flight", "infer m", "infer m", "infer slow"]
    assert plain_header == f"00-{TRACE}-{next(s for s in roots if f'-{s.span_id.hex()}-' in plain_header).span_id.hex()}-01"
    stages = {
        root.name + str(attributes(root).get("error.type", "")): [s.name for s in spans if s.parent_span_id == root.span_id]
        for root in roots
    }
    assert stages == {
        "infer m": ["model", "log"],
        "infer mschema_mismatch": [],
        "infer slow": ["queue", "model", "log"],
        "infer flight": ["look-up", "model", "log"],
    }
    for root in roots:
        inside = [s for s in spans if s.parent_span_id == root.span_id]
        assert all(root.start_time_unix_nano - 5_000_000 <= s.start_time_unix_nano <= s.end_time_unix_nano for s in inside)
        assert all(s.end_time_unix_nano <= root.end_time_unix_nano for s in inside)
        assert abs(root.end_time_unix_nano / 1e9 - time.time()) < 120


def test_a_share_of_the_others_is_sampled_and_a_collector_that_is_gone_costs_no_answer(tmp_path):
    installation = Installation(tmp_path)
    installation.publish(table(Endpoint(name="m", arms=(installation.arm("m@v1", 1),))))
    with gateway(tmp_path, "--traces-url", "http://127.0.0.1:9/v1/traces", "--traces-share", "0.5") as running:
        headers = [ask(running.port, "m", infer_body([0.1, 0.2, 0.3, 0.4]))[1] for _ in range(100)]
        assert 20 <= sum(bool(header) for header in headers) <= 80
        assert running.page()["log"]["served"] == 100
