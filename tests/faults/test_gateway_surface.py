"""P30, P31 and P32 on the whole REST surface: code as data is data, bombs cost little, and no request at all is answered with a 5xx."""

import gzip
import io
import json
import pickle
import socket
import tarfile
import time
import zipfile
import zlib

import numpy as np
import psutil
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis.checks import CHECKS
from tests.faults.test_gateway_hostile import post, statuses, talk
from tests.serving.installation import PLAIN, TOKEN, Gateway, Installation, bundle_files, infer_body, start_gateway, table
from tests.serving.surface import routes

from leverframe.core.errors import LimitExceeded
from leverframe.core.route import Endpoint
from leverframe.serving.protocol import oip
from leverframe.serving.protocol.message import Request

AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}
schemathesis.openapi.from_dict({"openapi": "3.1.0", "info": {"title": "none", "version": "1"}, "paths": {}})  # registers OpenAPI's checks
CHECKED = [CHECKS.get_one(name) for name in ("not_a_server_error", "content_type_conformance", "response_schema_conformance")]
FLOWERS = np.arange(8, dtype="<f8").tobytes()
BINARY_HEAD = json.dumps(
    {
        "inputs": [{"name": "flower", "shape": [2, 4], "datatype": "FP64", "parameters": {"binary_data_size": len(FLOWERS)}}],
        "outputs": [{"name": "label", "parameters": {"binary_data": True}}, {"name": "probabilities"}],
    }
).encode()


@pytest.fixture(scope="module")
def running(tmp_path_factory) -> Gateway:
    home = tmp_path_factory.mktemp("surface")
    installation = Installation(home)
    installation.publish(routes(installation))
    started = start_gateway(home)
    yield started
    started.process.kill()
    started.process.wait()


@pytest.fixture(autouse=True)
def nothing_of_ours_broke(running):
    yield
    assert running.call("/v2/models/plain/infer", infer_body([0.0] * 4))[0] == 200
    assert "internal" not in running.page()["refusals"], "a request reached a fault of ours"


def described(running: Gateway, examples_max: int) -> int:
    """Ask every operation of the gateway's own description; how many operations there are."""
    schema = schemathesis.openapi.from_url(f"{running.url}/openapi.json", headers=AUTHORIZED)
    operations = [result.ok() for result in schema.get_all_operations()]
    for operation in operations:

        @seed(20130401)
        @settings(
            max_examples=examples_max, deadline=None, database=None, phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(case=operation.as_strategy())
        def ask(case):
            case.call_and_validate(base_url=running.url, headers=AUTHORIZED, checks=CHECKED)

        ask()
    return len(operations)


def test_p32_whatever_fits_the_description_is_answered_as_described(running):
    assert described(running, 3) > 25


@pytest.mark.slow
def test_p32_whatever_fits_the_description_is_answered_as_described_at_length(running):
    described(running, 150)


def test_a_fault_that_a_description_hides_would_be_noticed(running):
    """Negative control: an answer that is not as described fails the same checks."""
    document = running.call("/openapi.json")[1]
    document["paths"] = {"/v2": {"get": document["paths"]["/v2"]["get"]}}
    document["components"]["schemas"]["Object"] = {"type": "array"}
    operation = schemathesis.openapi.from_dict(document)["/v2"]["GET"]
    with pytest.raises(BaseExceptionGroup):
        operation.Case().call_and_validate(base_url=running.url, headers=AUTHORIZED, checks=CHECKED)


def test_the_description_lists_what_a_caller_may_use_and_its_examples_are_right(running):
    paths = running.call("/openapi.json")[1]["paths"]
    for path, operations in paths.items():
        if path.endswith(("/infer", "/invocations")) and path != "/invocations":
            example = operations["post"]["requestBody"]["content"]["application/json"]["example"]
            assert running.call(path, example, headers={"Content-Type": "application/json"})[0] == 200, path
    assert running.call("/openapi.json", token="wrong")[0] == 401


SETTINGS = settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
PATHS = [
    b"/v2/models/classes/infer", b"/v2/models/classes/versions/v1/infer", b"/v2/models/mixed/invocations", b"/invocations",
    b"/v2/repository/index", b"/v2/repository/models/plain/load", b"/v2/repository/models/plain/unload", b"/v2/models/plain/feedback",
]  # fmt: skip
INVOCATION = json.dumps({"dataframe_records": [{"carrier": "UA", "distance": 1.0, "seats": 3, "night": True}]}).encode()
CSV = b"carrier,distance,seats,night\nUA,1.5,3,true\n"


def good_on(got: bytes) -> None:
    assert all(status < 500 for status in statuses(got)), got[:500]


@SETTINGS
@given(cut=st.integers(0, len(BINARY_HEAD + FLOWERS)), insert=st.binary(max_size=12), skip=st.integers(0, 30), shift=st.integers(-3, 3))
def test_p32_mutated_binary_tensors(running, cut, insert, skip, shift):
    whole = BINARY_HEAD + FLOWERS
    body = whole[:cut] + insert + whole[cut + skip :]
    good_on(talk(running.port, post(body, PATHS[0], b"Inference-Header-Content-Length: %d\r\n" % max(0, len(BINARY_HEAD) + shift))))


@SETTINGS
@given(
    path=st.sampled_from(PATHS),
    body=st.sampled_from([INVOCATION, CSV]).flatmap(
        lambda whole: st.tuples(st.integers(0, len(whole)), st.binary(max_size=8), st.integers(0, 12)).map(
            lambda m: whole[: m[0]] + m[1] + whole[m[0] + m[2] :]
        )
    ),
    kind=st.sampled_from([b"application/json", b"text/csv", b"text/csv; header=absent", b"\xff", b""]),
    packed=st.booleans(),
)
def test_p32_mutated_invocations_and_repository_requests(running, path, body, kind, packed):
    extra = b"Content-Type: %b\r\n%b" % (kind, b"Content-Encoding: deflate\r\n" if packed else b"")
    good_on(talk(running.port, post(zlib.compress(body) if packed else body, path, extra)))


# ---- bombs ------------------------------------------------------------------------------------------------------------------------------


def chunked(path: bytes, size: int) -> bytes:
    head = b"POST %b HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %b\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    return head % (path, TOKEN.encode()) + b"1\r\n \r\n" * size + b"0\r\n\r\n"


def bombs() -> dict[str, bytes]:
    wide = {"inputs": [{"name": "x0", "shape": [16384], "datatype": "FP64", "data": [1]}]}
    kind = b"Content-Type: text/csv\r\n"
    return {
        "gzip": post(gzip.compress(b"\0" * 200_000_000, 9), PATHS[2], b"Content-Encoding: gzip\r\n"),
        "deflate": post(zlib.compress(b"[" * 200_000_000, 9), PATHS[4], b"Content-Encoding: deflate\r\n"),
        "deep objects": post(b'{"instances":' * 200_000, PATHS[2]),
        "deep arrays": post(b'{"inputs":' + b"[" * 4_000_000, PATHS[2]),
        "deep repository": post(b"[" * 4_000_000, PATHS[4]),
        "huge shape, tiny data": post(json.dumps(wide).encode(), b"/v2/models/plain/infer"),
        "huge shape of a vector": post(
            b'{"inputs":[{"name":"flower","shape":[2147483648,2147483648],"datatype":"FP64","data":[1]}]}', PATHS[0]
        ),
        "many columns": post(b'{"inputs":{' + b",".join(b'"c%d":[1]' % i for i in range(300_000)) + b"}}", PATHS[2]),
        "many records": post(b'{"instances":[' + b"{}," * 1_500_000 + b"{}]}", PATHS[2]),
        "many lines": post(b"a\n" * 3_000_000, PATHS[2], kind),
        "one long cell": post(b'distance\n"' + b"x" * 4_000_000, PATHS[2], kind),
        "one long number": post(b'{"inputs":[NaN,' + b"9" * 4_000_000 + b"]}", PATHS[2]),
        "one-byte chunks": chunked(PATHS[2], 300_000),
    }


def test_p31_every_bomb_is_refused_at_a_bounded_cost(running):
    process = psutil.Process(running.process.pid)
    memory = process.memory_info().rss
    for name, bomb in bombs().items():
        spent = sum(process.cpu_times()[:2])
        got = statuses(talk(running.port, bomb))
        assert got, f"{name}: no answer"
        assert all(400 <= status < 500 for status in got), (name, got)
        assert sum(process.cpu_times()[:2]) - spent < 2.0, f"{name} cost more than two seconds of processor time"
    assert process.memory_info().rss - memory < 256 * 1024 * 1024


def test_p31_without_its_bound_the_bomb_is_as_large_as_it_says():
    """Negative control: the same bytes, read with the bound out of the way."""
    bomb = Request(b"POST", b"/", {b"content-encoding": b"gzip"}, gzip.compress(b"\0" * 200_000_000, 9), 0)
    assert len(oip.body_of(bomb, 2**40)) == 200_000_000
    with pytest.raises(LimitExceeded):
        oip.body_of(bomb, 8_388_608)


def test_p31_bad_requests_leave_nothing_behind(running):
    process = psutil.Process(running.process.pid)

    def send(start: int, count: int) -> None:
        """Distinct bad requests: distinct paths, names, tokens and bodies."""
        with socket.create_connection(("127.0.0.1", running.port), timeout=30) as connection:
            for first in range(start, start + count, 50):
                batch = [
                    b"POST /v2/models/%b/infer HTTP/1.1\r\nAuthorization: Bearer %b\r\nContent-Length: %d\r\n\r\n%b"
                    % (name, token, len(body), body)
                    for i in range(first, first + 50)
                    for name, token, body in [
                        (
                            b"plain" if i % 3 else b"m%d" % i,
                            TOKEN.encode() if i % 5 else b"t%d" % i,
                            b'{"inputs":[{"name":"n%d","shape":[1],"datatype":"FP64","data":[1]}]}' % i,
                        )
                    ]
                ]
                connection.sendall(b"".join(batch))
                answered, seen = 0, b""
                while answered < 50:
                    seen += connection.recv(1 << 20)
                    answered = seen.count(b"HTTP/1.1 4")
                assert b"HTTP/1.1 5" not in seen

    send(0, 5_000)
    before = process.memory_info().rss
    send(5_000, 20_000)
    grown = process.memory_info().rss - before
    assert grown < 16 * 1024 * 1024, f"20,000 bad requests left {grown / 2**20:.0f} MiB behind"


# ---- code as data -----------------------------------------------------------------------------------------------------------------------


class Evil:
    """Unpickled, it makes a file."""

    def __init__(self, canary: str) -> None:
        self.canary = canary

    def __reduce__(self):
        return (open, (self.canary, "w"))


def zipped(**members: bytes) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return target.getvalue()


def linked(canary: str) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
            member = tarfile.TarInfo("link")
            member.type, member.linkname = kind, canary
            archive.addfile(member)
        data = tarfile.TarInfo("link")
        data.size = 1
        archive.addfile(data, io.BytesIO(b"x"))
    return target.getvalue()


def payloads(canary: str) -> dict[str, bytes]:
    evil = pickle.dumps(Evil(canary))
    calls = f"__import__('pathlib').Path({canary!r}).touch()"
    keras = json.dumps({"class_name": "Lambda", "config": {"function": {"class_name": "__lambda__", "config": {"code": calls}}}})
    return {
        "pickle": evil,
        "joblib": zlib.compress(evil),
        "pt": zipped(**{"archive/data.pkl": evil, "archive/version": b"3"}),
        "keras": zipped(**{"config.json": keras.encode(), "metadata.json": b"{}"}),
        "yaml": f"!!python/object/apply:builtins.open [{canary!r}, w]\n".encode(),
        "template": ("{{ cycler.__init__.__globals__.__builtins__.open('" + canary + "', 'w') }}").encode(),
        "tar": linked(canary),
    }


def test_p30_payloads_sent_as_requests_stay_bytes(running, tmp_path):
    canary = tmp_path / "canary"
    for data in payloads(str(canary)).values():
        text = data.decode("latin-1")
        bodies = [
            data,
            json.dumps({"instances": [{"carrier": text, "distance": 1.0, "seats": 1, "night": True}], "params": {"p": text}}).encode(),
            json.dumps({"parameters": {"config": text, "file:1/model.pkl": text}}).encode(),
            json.dumps({"id": text[:150], "inputs": [{"name": text, "shape": [1], "datatype": "BYTES", "data": [text]}]}).encode(),
        ]
        for body in bodies:
            for path in PATHS:
                good_on(talk(running.port, post(body, path, b"Content-Type: application/json\r\n")))
            good_on(talk(running.port, post(body, PATHS[2], b"Content-Type: text/csv\r\n")))
            good_on(talk(running.port, post(body, PATHS[2], b"Content-Type: application/octet-stream\r\n")))
    assert not canary.exists(), "code ran from a request"


@pytest.mark.parametrize("name", ["pickle", "yaml", "template"])
def test_p30_the_payloads_are_live(tmp_path, name):
    """Negative control: readers that run code do run these."""
    import jinja2
    import yaml

    canary = tmp_path / "canary"
    data = payloads(str(canary))[name]
    readers = {
        "pickle": lambda: pickle.loads(data),
        "yaml": lambda: yaml.unsafe_load(data),
        "template": lambda: jinja2.Template(data.decode()).render(),
    }
    assert not canary.exists()
    readers[name]()
    assert canary.exists()


def test_p30_payloads_published_as_bundles_are_refused(tmp_path):
    canary = tmp_path / "canary"
    installation = Installation(tmp_path)
    installation.publish(table(Endpoint(name="m", arms=(installation.arm("m@v1", 1),))))
    good = bundle_files(PLAIN, 1)
    suffix = {
        "pickle": "model.pkl",
        "joblib": "model.joblib",
        "pt": "model.pt",
        "keras": "model.keras",
        "yaml": "model.yaml",
        "tar": "m.tar",
    }
    bundles = []
    for kind, data in payloads(str(canary)).items():
        bundles.append({**good, suffix.get(kind, "model.html"): data})
        bundles += [{**good, name: data} for name in ("model.onnx", "model.lightgbm.txt", "signature.json", "golden.json")]
        bundles.append({**{n: d for n, d in good.items() if not n.startswith("model.")}, "model.xgboost.ubj": data})
    running = start_gateway(tmp_path)
    try:
        started = time.monotonic()
        for number, files in enumerate(bundles, 1):
            arm = installation.bundle(files)
            installation.publish(table(Endpoint(name="m", arms=(arm,)), generation=number + 1))
            running.wait(lambda page, wanted=number: page["table_refusals"] >= wanted, 20)
        assert running.call("/v2/models/m/infer", infer_body([0.0] * 4))[1]["model_version"] == "m@v1"
        index = running.call("/v2/repository/index", {})[1]
        assert [(m["version"], m["state"]) for m in index] == [("m@v1", "READY"), ("m@v9", "UNAVAILABLE")]
        assert index[1]["reason"], "a version that could not be loaded says nothing about why"
        status, refusal = running.call("/v2/repository/models/m/load", {})
        assert (status, "lever release plan" in refusal["next"]) == (422, True)
        assert time.monotonic() - started < 60
        assert not canary.exists(), "code ran from a bundle"
    finally:
        running.process.kill()
        running.process.wait()
