"""The short way of a usual gRPC call gives the very message, records and counts of the general way, and declines what is not usual."""

import msgspec
import numpy as np
import pytest
from tests.serving.grpc_caller import grpc_gateway, rows_request
from tests.serving.installation import Installation, read_log, table

from leverframe.core.route import Endpoint
from leverframe.serving.doors.grpc import oip_pb2 as oip

ROWS = [*np.random.default_rng(8).normal(size=(60, 4)).tolist(), [5e-324, -0.0, 1e308, 1.0], [1e300, -1e300, 0.0, 0.0]]
ODD = [[float("nan"), 1.0, 2.0, 3.0], [float("inf"), 0.0, 0.0, 0.0], [float("inf"), float("-inf"), 0.0, 0.0]]


def answers(home, *, short: bool) -> tuple[list[oip.ModelInferResponse], list, dict]:
    """What one gateway answers, logs and counts; every request in the form that its short way takes, or in one that it declines."""
    with grpc_gateway(home, "--worker", f"gateway-{short:d}") as (gateway, caller):
        seen = []
        for number, row in enumerate(ROWS + ODD):
            request = rows_request([row], request_id=f"r-{number}")
            if not short:
                request.parameters["declined"].bool_param = True
            seen.append(caller.infer(request))
        page = gateway.page()
        assert gateway.stop() == 0
    records, counts = read_log(home / "log")
    assert counts.adds_up
    return seen, records, page["answers"]


@pytest.fixture(scope="module")
def ways(tmp_path_factory):
    made = []
    for short in (True, False):
        home = tmp_path_factory.mktemp("express")
        installation = Installation(home)
        arms = (installation.arm("m@v1", 1, weight=60.0), installation.arm("m@v2", 2, role="canary", weight=40.0))
        installation.publish(table(Endpoint(name="m", arms=arms, hash_field="x1", salt="s")))
        made.append(answers(home, short=short))
    return made


def test_the_messages_are_the_same(ways):
    for short, general in zip(ways[0][0], ways[1][0], strict=True):
        if isinstance(general, oip.ModelInferResponse):
            assert short == general, "a caller could tell the two ways apart"
        else:
            assert (short.code(), short.details()) == (general.code(), general.details())
    assert {answer.model_version for answer in ways[0][0][: len(ROWS)]} == {"m@v1", "m@v2"}


def test_the_records_and_counts_are_the_same(ways):
    short, general = (
        {record.id: msgspec.structs.replace(record, latency_us=0, asked_at_us=0) for record in records} for _, records, _ in ways
    )
    assert short == general
    assert len(short) >= len(ROWS)
    assert ways[0][2] == ways[1][2]
