"""The data contract at the door: what it lets through, what it refuses, and that both ways of a request agree."""

import json
import math

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.serving.inprocess import Worker, arm_of
from tests.serving.installation import bundle_files

from leverframe.core.errors import ContractViolation
from leverframe.core.route import Endpoint
from leverframe.core.schema import FieldRule, InputColumn, RequestField, Signature
from leverframe.serving.protocol.contract import RowContract

FIELDS = (
    RequestField(name="origin", datatype="BYTES"),
    RequestField(name="distance", datatype="FP64", required=False),
    RequestField(name="seats", datatype="INT64"),
    RequestField(name="tail", datatype="BYTES", required=False),
)
RULES = (
    FieldRule(field="origin", enumeration=("EWR", "JFK"), required=True),
    FieldRule(field="distance", exclusive_minimum=0.0, maximum=6000.0),
    FieldRule(field="seats", minimum=1, severity="warn"),
    FieldRule(field="tail", length_min=5, length_max=6, personal=True),
)
SIGNATURE = Signature(
    request=FIELDS,
    columns=tuple(
        InputColumn(name=f.name, source="request", field=f.name, categories=("a",) if f.datatype == "BYTES" else ()) for f in FIELDS
    ),
    contract="flights 1.0.0",
    rules=RULES,
)
CONTRACT = RowContract(SIGNATURE)
GOOD = ["JFK", 187.0, 150, "N14228"]


def columns(*rows):
    names = [field.name for field in FIELDS]
    found = dict(zip(names, (list(column) for column in zip(*rows, strict=True)), strict=True))
    found["distance"] = np.array([np.nan if v is None else v for v in found["distance"]], dtype=np.float64)
    found["seats"] = np.array(found["seats"], dtype=np.int64)
    return found


@pytest.mark.parametrize(
    ("row", "kept"),
    [
        (GOOD, True),
        (["JFK", None, 1, None], True),
        (["JFK", math.nan, 1, ""], True),
        (["LGA", 187.0, 150, "N14228"], False),
        ([None, 187.0, 150, "N14228"], False),
        (["", 187.0, 150, "N14228"], False),
        (["JFK", 0.0, 150, "N14228"], False),
        (["JFK", 5e-324, 150, "N14228"], True),
        (["JFK", 6000.0, 150, "N14228"], True),
        (["JFK", 6000.000000000001, 150, "N14228"], False),
        (["JFK", math.inf, 150, "N14228"], False),
        (["JFK", 187.0, 0, "N14228"], False),
        (["JFK", 187.0, 150, "N1"], False),
    ],
)
def test_a_row_is_kept_or_not(row, kept):
    assert CONTRACT.keeps(row) is kept, "the quick look and the contract disagree"


def test_every_broken_rule_is_named_at_once_and_a_personal_value_is_not_shown():
    with pytest.raises(ContractViolation) as caught:
        CONTRACT.check(columns(GOOD, ["LGA", -1.0, 150, "N1"], ["LGA", 9e9, 150, "N2"]), 3)
    assert [(fault.where, fault.got) for fault in caught.value.faults] == [
        ("origin, row 1", "LGA"),
        ("distance, row 1", "-1.0"),
        ("tail, row 1", "not shown: personal"),
    ]
    assert "2 of 3 rows" in caught.value.faults[0].what
    assert "N1" not in json.dumps(caught.value.to_dict()), "a personal value left the gateway in a refusal"


def test_a_rule_that_warns_lets_the_request_through_and_is_named():
    assert CONTRACT.check(columns(["JFK", 187.0, 0, "N14228"]), 1) == ("seats.range",)
    assert CONTRACT.check(columns(GOOD, GOOD), 2) == ()


numbers = st.one_of(st.none(), st.floats(), st.sampled_from([0.0, -0.0, 6000.0, 5e-324]))
texts = st.one_of(st.none(), st.sampled_from(["", "EWR", "JFK", "LGA", "N1", "N14228"]))


@given(st.lists(st.tuples(texts, numbers, st.integers(-2, 3), texts), min_size=1, max_size=5))
def test_one_by_one_and_together_say_the_same(rows):
    """The quick look at a row, and the look at columns, are two pieces of code: they must never differ."""
    alone = all(CONTRACT.keeps(row) for row in rows)
    try:
        together = CONTRACT.check(columns(*rows), len(rows)) == ()
    except ContractViolation:
        together = False
    assert together is alone


PLAIN_RULES = Signature(
    request=tuple(RequestField(name=f"x{i}", datatype="FP64", example=0.5) for i in range(4)),
    columns=tuple(InputColumn(name=f"x{i}", source="request", field=f"x{i}") for i in range(4)),
    contract="numbers 2.1.0",
    rules=(FieldRule(field="x0", minimum=0.0, maximum=1.0), FieldRule(field="x1", maximum=1.0, severity="warn")),
)


async def test_a_gateway_refuses_warns_and_counts(tmp_path):
    import asyncio

    endpoint = Endpoint(name="m", arms=(arm_of("m@v1"),), salt="s")
    worker = Worker(tmp_path, asyncio.get_running_loop(), endpoint, {"m@v1": bundle_files(PLAIN_RULES, 1)})
    refused, fine, warned = await worker.ask([2.0, 0.0, 0.0, 0.0]), await worker.ask([0.5] * 4), await worker.ask([0.5, 9.0, 0.0, 0.0])
    assert refused[0] == 1
    assert (refused[1]["code"], refused[1]["where"]) == ("contract_violation", "data contract numbers 2.1.0")
    assert fine[0] == warned[0] == 0
    assert warned[1]["parameters"]["contract_warnings"] == "x1.range"
    assert "contract_warnings" not in fine[1]["parameters"]
    stats = worker.endpoint.live.stats
    assert (stats.ok, stats.warned) == (2, 1), "a refused request was counted as an arm's answer"
    records, _ = worker.close()
    assert len(records) == 2, "a request that no arm was asked stands in the log"


async def test_without_rules_the_same_request_is_answered(tmp_path):
    """Negative control: it is the rules that refuse."""
    import asyncio

    bare = msgspec.structs.replace(PLAIN_RULES, rules=())
    worker = Worker(
        tmp_path, asyncio.get_running_loop(), Endpoint(name="m", arms=(arm_of("m@v1"),), salt="s"), {"m@v1": bundle_files(bare, 1)}
    )
    assert (await worker.ask([2.0, 0.0, 0.0, 0.0]))[0] == 0
    worker.close()
