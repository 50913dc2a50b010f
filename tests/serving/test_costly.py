"""Costly models behind the whole walk: lanes, deadlines, the fallback chain, kept answers, and a log that adds up through it all."""

import asyncio
import dataclasses
import time

import msgspec
import numpy as np
import pytest
from tests.serving.costly import costly_files
from tests.serving.inprocess import Worker, arm_of, spy_on
from tests.serving.installation import PLAIN, bundle_files

from leverframe.core.route import Condition, Endpoint, Fallback, Rule
from leverframe.serving.engine.lane import Lane
from leverframe.serving.protocol.oip import InferDocument

SLOW = costly_files(3000)  # about 30 ms a row
SOMETIMES_NAN = costly_files(200, nan_above=5.0)
CHEAP = bundle_files(PLAIN, 1)


def laned(calls, **more):
    """Every version in a lane whose runtime is spied on."""
    return lambda model: _in_lane(model, Lane(model.version, spy_on(model.score, calls), **more))


def _in_lane(model, lane):
    return dataclasses.replace(model, lane=lane, unseen_lane=lane)


@pytest.fixture
def loop_worker(tmp_path):
    workers = []

    def start(endpoint, files, change=None):
        worker = Worker(tmp_path / f"log-{len(workers)}", asyncio.get_running_loop(), endpoint, files, change)
        workers.append(worker)
        return worker

    return start


async def test_a_costly_model_gets_a_lane_and_a_cheap_one_none(loop_worker):
    slow = loop_worker(Endpoint(name="m", arms=(arm_of("m@v1"),)), {"m@v1": SLOW})
    cheap = loop_worker(Endpoint(name="m", arms=(arm_of("m@v1"),)), {"m@v1": CHEAP})
    assert slow.endpoint.live.model.lane is not None
    assert cheap.endpoint.live.model.lane is None


async def test_many_at_once_get_the_scores_they_get_alone(loop_worker):
    worker = loop_worker(Endpoint(name="m", arms=(arm_of("m@v1"),)), {"m@v1": costly_files(300)})
    rows = np.random.default_rng(1).normal(size=(40, 4)).tolist()
    alone = [(await worker.ask(row))[1]["outputs"][0]["data"][0] for row in rows]
    together = await asyncio.gather(*[worker.ask(row, id=f"r{i}") for i, row in enumerate(rows)])
    assert [document["id"] for _, document in together] == [f"r{i}" for i in range(40)]
    np.testing.assert_allclose([document["outputs"][0]["data"][0] for _, document in together], alone, rtol=1e-5)
    lane = worker.endpoint.live.model.lane
    assert lane is not None
    assert lane.counts.largest > 1, "nothing was batched"
    records, counts = worker.close()
    assert counts.served == counts.logged == len(records) == 80


@pytest.mark.parametrize("protected", [True, False])
async def test_p14_no_call_starts_after_expiry(loop_worker, protected, monkeypatch):
    """Clients that wait 50 ms, a model of about 200 ms, one at a time."""
    calls = []
    change = laned(calls, rows_max=1, patience_s=60.0)
    worker = loop_worker(Endpoint(name="m", arms=(arm_of("m@v1"),)), {"m@v1": costly_files(15_000)}, change)
    calls.clear()
    if not protected:  # negative control: the lane is not told of deadlines
        lane = worker.endpoint.live.model.lane
        submit = lane.submit
        monkeypatch.setattr(lane, "submit", lambda matrix, deadline_ns=0, **more: submit(matrix, **more))
    asked = time.perf_counter_ns()
    tasks = []
    for i in range(12):
        tasks.append(asyncio.ensure_future(worker.ask([float(i), 0.0, 0.0, 0.0], timeout_ms=50)))
        await asyncio.sleep(0.005)
    answers = await asyncio.gather(*tasks)
    took_ms = (time.perf_counter_ns() - asked) / 1e6
    assert {document["code"] for failed, document in answers if failed} <= {"deadline_exceeded", "overloaded"}
    assert sum(failed for failed, _ in answers) >= 11
    if not protected:
        await asyncio.sleep(0.5)
        await worker.ask([0.0] * 4)
    last_deadline = asked + 12 * 5_000_000 + 50_000_000
    late = [start for start, _, _ in calls if start > last_deadline + 20_000_000]
    if protected:
        assert took_ms < 1000, "somebody waited long past the deadline"
        assert late == [], "the model was asked for an answer nobody waits for"
    else:
        assert late, "without deadlines in the lane the model works for nobody"
    records, counts = worker.close()
    assert counts.served == counts.logged == len(records)
    assert {record.code for record in records if record.status == "error"} <= {"deadline_exceeded", "overloaded"}


async def test_past_the_endpoints_deadline_the_fallback_answers(loop_worker):
    endpoint = Endpoint(name="m", arms=(arm_of("m@v1"),), deadline_ms=40, fallback=Fallback(value=0.25))
    worker = loop_worker(endpoint, {"m@v1": costly_files(15_000)})
    started = time.perf_counter()
    failed, document = await worker.ask([0.0] * 4)
    assert not failed
    assert time.perf_counter() - started < 0.15
    assert document["outputs"][0]["data"] == [0.25]
    assert document["parameters"]["fallback"] == "constant"
    assert document["parameters"]["fallback_reason"] == "deadline_exceeded"
    await asyncio.sleep(0.4)
    worker.close()


async def test_the_fallback_chain_in_its_order(loop_worker):
    """A live version that gives NaN above 5: last good version, then a rule, then the constant, then a refusal."""
    files = {"m@v2": SOMETIMES_NAN, "m@v1": CHEAP}
    rule = Rule(value=0.9, when=(Condition(column="x1", at_least=1.0), Condition(column="x2", below=0.0)))
    good, rules, constant = {"last_good": arm_of("m@v1", weight=0.0)}, {"rules": (rule,)}, {"value": 0.1}

    async def ask(fallback, values):
        worker = loop_worker(Endpoint(name="m", arms=(arm_of("m@v2"),), fallback=Fallback(**fallback)), files)
        failed, document = await worker.ask(values)
        worker.close()
        return "refused" if failed else (document["parameters"].get("fallback"), document["outputs"][0]["data"][0], document["parameters"])

    fine, bad, bad_and_rule = [1.0, 0.0, 0.0, 0.0], [6.0, 0.0, 0.0, 0.0], [6.0, 2.0, -1.0, 0.0]
    assert (await ask(good | rules | constant, fine))[0] is None
    kind, score, facts = await ask(good | rules | constant, bad_and_rule)
    assert kind == "last_good"
    assert facts["fallback_version"] == "m@v1"
    assert 0.0 < score < 1.0
    assert (await ask(rules | constant, bad_and_rule))[:2] == ("rule", 0.9)
    assert (await ask(rules | constant, bad))[:2] == ("constant", 0.1)
    assert await ask(rules, bad) == "refused"
    assert await ask({}, bad) == "refused"


async def test_a_killed_endpoint_asks_no_model_not_even_the_last_good(loop_worker):
    rule = Rule(value=0.9, when=(Condition(column="x1", at_least=1.0),))
    fallback = Fallback(last_good=arm_of("m@v1", weight=0.0), rules=(rule,), value=0.1)
    calls = []
    worker = loop_worker(
        Endpoint(name="m", arms=(arm_of("m@v2"),), killed=True, fallback=fallback), {"m@v2": SLOW, "m@v1": CHEAP}, laned(calls)
    )
    calls.clear()
    answers = [await worker.ask([0.0, x1, 0.0, 0.0]) for x1 in (2.0, 0.0)]
    assert [document["outputs"][0]["data"][0] for _, document in answers] == [0.9, 0.1]
    assert {document["parameters"]["fallback_reason"] for _, document in answers} == {"killed"}
    assert calls == []
    records, _ = worker.close()
    assert {record.status for record in records} == {"fallback"}


async def test_a_deterministic_models_answers_are_kept(loop_worker):
    worker = loop_worker(Endpoint(name="m", arms=(arm_of("m@v1"),)), {"m@v1": costly_files(500, deterministic=True)})
    row = [0.5, 0.25, 0.0, 1.0]
    _, first = await worker.ask(row)
    _, again = await worker.ask(row)
    _, other = await worker.ask([0.5, 0.25, 0.0, 1.5])
    assert "cached" not in first["parameters"]
    assert again["parameters"]["cached"] is True
    assert "cached" not in other["parameters"]
    assert again["outputs"] == first["outputs"] != other["outputs"]
    assert first["id"] != again["id"]
    records, counts = worker.close()
    assert counts.served == len(records) == 3, "a kept answer is an answer like any other"
    undeclared = loop_worker(Endpoint(name="m", arms=(arm_of("m@v1"),)), {"m@v1": costly_files(500)})
    await undeclared.ask(row)
    assert "cached" not in (await undeclared.ask(row))[1]["parameters"]
    undeclared.close()


async def test_a_costly_shadow_is_unseen_and_logged(loop_worker):
    arms = (arm_of("m@v1"), arm_of("m@v2", role="shadow", weight=0.0))
    worker = loop_worker(Endpoint(name="m", arms=arms), {"m@v1": CHEAP, "m@v2": SLOW})
    answers = [await worker.ask([float(i), 0.0, 0.0, 0.0]) for i in range(5)]
    assert all(not failed and document["model_version"] == "m@v1" for failed, document in answers)
    for _ in range(200):
        await asyncio.sleep(0.02)
        if worker.log.shadows_logged + worker.log.shadows_dropped == 5:
            break
    records, counts = worker.close()
    assert counts.shadows_logged == 5
    assert {(record.version, record.role) for record in records} == {("m@v1", "live"), ("m@v2", "shadow")}


async def test_a_named_version_is_answered_and_marked_as_not_routed(loop_worker):
    worker = loop_worker(Endpoint(name="m", arms=(arm_of("m@v1"),)), {"m@v1": CHEAP})
    document = msgspec.json.decode(
        msgspec.json.encode({"inputs": [{"name": "rows", "shape": [1, 4], "datatype": "FP64", "data": [0.0] * 4}]}),
        type=InferDocument,
    )
    worker.inference.infer(worker.endpoint, document, time.perf_counter_ns(), version="v1")
    worker.inference.infer(worker.endpoint, document, time.perf_counter_ns())
    records, _ = worker.close()
    assert [record.routed for record in records] == [False, True]


async def test_a_last_good_version_of_other_fields_is_left_out_of_the_chain(loop_worker):
    """After a breaking release the version before cannot stand in; the endpoint is served, and the rest of its chain holds."""
    signature = msgspec.structs.replace(PLAIN, request=(*PLAIN.request[:3], msgspec.structs.replace(PLAIN.request[3], datatype="FP32")))
    fallback = Fallback(last_good=arm_of("m@v1", weight=0.0), value=0.1)
    files = {"m@v2": SOMETIMES_NAN, "m@v1": bundle_files(signature, 1)}
    worker = loop_worker(Endpoint(name="m", arms=(arm_of("m@v2"),), fallback=fallback), files)
    _, document = await worker.ask([6.0, 0.0, 0.0, 0.0])
    assert document["parameters"]["fallback"] == "constant"
    worker.close()
