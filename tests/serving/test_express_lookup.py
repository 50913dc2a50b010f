"""The short way of a look-up model gives the very bytes, records and counts of the general way, and declines what is not usual."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.serving.installation import FLIGHT, Installation, read_log, table

from leverframe.core.clock import ManualClock
from leverframe.core.errors import LeverframeError
from leverframe.core.route import Endpoint
from leverframe.core.schema import InputColumn, Signature
from leverframe.features.online.online import EntityRows, ViewMeta, entity_keys
from leverframe.features.online.online_lmdb import LmdbOnlineStore
from leverframe.governance.bundles import open_bundle
from leverframe.governance.signing import TrustStore
from leverframe.serving.doors import express_lookup
from leverframe.serving.doors.rest import RestInference
from leverframe.serving.engine.models import load_version
from leverframe.serving.features.lookup import Lookup
from leverframe.serving.log_segments import SegmentLog
from leverframe.serving.protocol.message import Head, Request
from leverframe.serving.routes.routing import CompiledRoutes, compile_routes
from leverframe.serving.telemetry.counts import Telemetry
from leverframe.serving.walk.inference import Inference

NOW_US = 1_364_814_000_000_000
HOUR_US = 3_600_000_000
ORIGINS = ["JFK", "LGA", "EWR", "nowhere", "", "a\x1fb", "x" * 300]
REFUSING = msgspec.structs.replace(
    FLIGHT, columns=tuple(msgspec.structs.replace(c, on_missing="refuse") if c.name == "delay" else c for c in FLIGHT.columns)
)
COMPUTED = msgspec.structs.replace(
    FLIGHT,
    views=FLIGHT.views[:1],
    columns=(
        *FLIGHT.columns[2:5],
        InputColumn(name="ratio", source="expression", sql="distance / origin_delays.mean_2h"),
        InputColumn(
            name="hour", source="expression", sql="hour_of_day(sched_dep_s, 'America/New_York')", on_missing="default", default=-1.0
        ),
        InputColumn(
            name="pair", source="expression", sql="feature_cross(carrier, origin)", categories=("B6|JFK", "B6|LGA"), on_missing="refuse"
        ),
    ),
)
"""The same fields; columns of several fields and features, numbers and categories."""
ALONE = msgspec.structs.replace(
    FLIGHT,
    views=(),
    columns=(
        *FLIGHT.columns[:3],
        InputColumn(name="long", source="expression", sql="coalesce(distance > 1000, false) OR length(origin) = 3"),
        InputColumn(name="bucket", source="expression", sql="hash_bucket(origin, 97)"),
    ),
)
"""A model that looks nothing up."""


class Shadowless:
    def attach(self, score: Any, answered: Any) -> None:
        pass

    def offer(self, job: Any) -> bool:
        raise AssertionError("nothing is mirrored here")


class Way:
    """One worker's inference over its own log: the short way when ``head`` is given, the general one else."""

    def __init__(self, folder: Path, routes: CompiledRoutes, store: LmdbOnlineStore, head: Head | None) -> None:
        self.folder, self.routes, self.head = folder, routes, head
        clock = ManualClock(NOW_US)
        self.log = SegmentLog(folder, "w", clock)
        self.lookup = Lookup(store, entity_keys)
        self.inference = Inference(clock=clock, log=self.log, lookup=self.lookup, shadows=Shadowless(), id_prefix="p-")
        self.rest = RestInference(self.inference, 1 << 20)

    def ask(self, body: bytes, endpoint: str = "m") -> tuple[Any, ...]:
        """What the caller sees: status and bytes, or the whole refusal."""
        request = Request(b"POST", f"/v2/models/{endpoint}/infer".encode(), {}, body, 0, self.head)
        try:
            answer = self.rest.answer(self.routes.endpoints[endpoint], request)
        except LeverframeError as error:
            return (msgspec.json.encode(error.to_dict()),)
        return answer.status, answer.body, answer.content_type, answer.extra


def fill(store: LmdbOnlineStore) -> None:
    """Delays of three origins, one without a mean; weather fresh for JFK, expired for LGA, from the future for EWR."""
    for view, features, events, rows in (
        ("origin_delays", ("mean_2h", "count_2h"), [NOW_US, NOW_US - 7 * HOUR_US, 5], [[12.5, 31.0], [3.0, 7.0], [np.nan, 0.0]]),
        (
            "origin_weather",
            ("wind", "gust"),
            [NOW_US - 90_000_000, NOW_US - HOUR_US, NOW_US + 9],
            [[9.0, 20.0], [8.0, 18.0], [-0.0, np.inf]],
        ),
    ):
        times = np.array(events, dtype=np.int64)
        entity_rows = EntityRows(keys=entity_keys([["JFK", "LGA", "EWR"]]), event_us=times, arrival_us=times, values=np.array(rows))
        store.write(entity_rows, ViewMeta(view=view, view_version="1", features=features, watermark_us=NOW_US))


@pytest.fixture(scope="module")
def ways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Way, Way]]:
    home = tmp_path_factory.mktemp("express")
    installation = Installation(home)
    store = LmdbOnlineStore(home / "online")
    fill(store)

    def endpoint(name: str, signature: Signature, hash_field: str) -> Endpoint:
        arms = (
            installation.arm(f"{name}@v1", 1, signature=signature, weight=60.0),
            installation.arm(f"{name}@v2", 2, signature=signature, role="canary", weight=40.0),
        )
        return Endpoint(name=name, arms=arms, hash_field=hash_field, salt="s")

    models = (("m", FLIGHT, "sched_dep_s"), ("refusing", REFUSING, ""), ("computed", COMPUTED, "origin"), ("alone", ALONE, ""))
    routes_table = table(*(endpoint(*model) for model in models))

    def load(name: str, arm: Any) -> Any:
        opened = open_bundle(installation.artifacts, TrustStore.from_folder(home / "keys"), arm.bundle, arm.envelope)
        return load_version(name, arm, {file: opened.read(file) for file in opened.names})

    made = [
        Way(home / name, compile_routes(routes_table, load, Telemetry()), store, head)
        for name, head in (("short", Head(b"/v2/models/m/infer", {}, 0)), ("general", None))
    ]
    yield made[0], made[1]
    for way in made:
        way.log.close()
    store.close()


def tensors(origin: Any = "JFK", carrier: Any = "B6", distance: Any = 187.0, at: Any = 1_364_814_000) -> list[dict[str, Any]]:
    values = {"origin": ("BYTES", origin), "carrier": ("BYTES", carrier), "distance": ("FP64", distance), "sched_dep_s": ("INT64", at)}
    return [{"name": name, "shape": [1], "datatype": kind, "data": [value]} for name, (kind, value) in values.items()]


def same(ways: tuple[Way, Way], inputs: Any, endpoint: str = "m", **more: Any) -> tuple[Any, ...]:
    sent = inputs if isinstance(inputs, bytes) else json.dumps({"id": "r-1", "inputs": inputs, **more}).encode()
    short, general = (way.ask(sent, endpoint) for way in ways)
    assert short == general, "a caller could tell the two ways apart"
    return short


distances = st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.integers(-(2**70), 2**70))


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(ORIGINS),
    st.sampled_from(["B6", "ZZ", ""]),
    distances,
    st.integers(0, 4_000_000_000),
    st.sampled_from(["m", "refusing", "computed", "alone"]),
)
def test_usual_requests(ways, origin, carrier, distance, at, endpoint):
    same(ways, tensors(origin, carrier, distance, at), endpoint)


odd = st.one_of(
    st.none(), st.booleans(), st.text(max_size=3), st.integers(-(2**70), 2**70), st.floats(allow_nan=False, allow_infinity=False)
)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(odd, min_size=4, max_size=4),
    st.sampled_from(
        [{}, {"outputs": []}, {"outputs": [{"name": "probability"}]}, {"parameters": {"a": 1}}, {"id": 7}, {"id": "x" * 201}, {"z": 1}]
    ),
    st.dictionaries(
        st.sampled_from(["name", "shape", "datatype", "data", "parameters", "z"]),
        st.sampled_from(["carrier", "origin", [1, 1], [2], [], "BYTES", "INT32", "FP64", ["a", "b"], {}, 7]),
        max_size=2,
    ),
    st.permutations(range(4)),
    st.integers(0, 4),
)
def test_odd_requests(ways, values, more, changes, order, kept):
    inputs = tensors(*values)
    inputs[0] |= changes
    same(ways, [inputs[index] for index in order][: kept + 1], **more)


@pytest.mark.parametrize("sent", [b"", b"{", b"[]", b"\xff", b'{"inputs":[]}', b'{"inputs":[{}]}', b"[" * 5000, b'{"inputs":1e999}'])
def test_what_is_no_request(ways, sent):
    assert len(same(ways, sent)) == 1, "it was answered"


def test_the_answer_says_how_old_each_view_is(ways):
    said = json.loads(same(ways, tensors("JFK"))[1])["parameters"]
    assert said["freshness_s"] == {"origin_delays": 0, "origin_weather": 90}
    said = json.loads(same(ways, tensors("LGA"))[1])["parameters"]
    assert said["freshness_s"] == {"origin_delays": 25_200, "origin_weather": 3600}
    assert said["stale_features"] == "wind"
    said = json.loads(same(ways, tensors("nowhere"))[1])["parameters"]
    assert "freshness_s" not in said
    assert said["missing_features"] == "delay,delays,wind"
    rows = [{**tensor, "shape": [2], "data": tensor["data"] * 2} for tensor in tensors("JFK")]
    rows[0]["data"] = ["JFK", "EWR"]
    said = json.loads(same(ways, rows)[1])["parameters"]
    assert said["freshness_s"]["origin_delays"] == (NOW_US - 5) // 1_000_000, "the oldest row counts"


def test_records_and_counts(ways):
    """Runs last of those that share the logs: all that was asked above, record by record."""
    for number in range(50):
        same(ways, tensors(ORIGINS[number % 4], at=1_364_814_000 + number), id=f"n-{number}")
        same(ways, tensors("JFK"), "refusing", id=f"r-{number}")
        same(ways, tensors(ORIGINS[number % 4]), "computed", id=f"c-{number}")
        same(ways, tensors(ORIGINS[number % 4]), "alone", id=f"a-{number}")
    seen = []
    for way in ways:
        records, counts = read_log(way.folder)
        assert counts.adds_up
        seen.append(([msgspec.structs.replace(record, latency_us=0) for record in records], counts))
    assert seen[0] == seen[1], "the log could tell the two ways apart"
    assert {record.version for record in seen[0][0]} == {f"{m}@v{n}" for m in ("m", "refusing", "computed", "alone") for n in (1, 2)}, (
        "one arm was never asked"
    )
    for name in ("m", "refusing", "computed", "alone"):
        short, general = ([(s.ok, s.refused, s.errors, s.missing) for s in (a.stats for a in w.routes.endpoints[name].arms)] for w in ways)
        assert short == general, "metrics could tell the two ways apart"
    assert ways[0].lookup.newest_event_us == ways[1].lookup.newest_event_us


def test_the_short_way_is_taken(ways, monkeypatch):
    """Without this, the equality above could be of the general way with itself."""
    monkeypatch.setattr(Inference, "infer", None)
    for origin in ("JFK", "EWR", "nowhere"):
        assert ways[0].ask(json.dumps({"inputs": tensors(origin)}).encode())[0] == 200
        with pytest.raises(TypeError):
            ways[1].ask(json.dumps({"inputs": tensors(origin)}).encode())


def test_a_score_that_is_not_finite_takes_the_general_way(ways, monkeypatch):
    monkeypatch.setattr(express_lookup, "isfinite", lambda score: False)
    before = ways[0].log.served
    assert ways[0].ask(json.dumps({"inputs": tensors()}).encode())[0] == 200
    assert ways[0].log.served == before + 1, "one request was counted twice"
