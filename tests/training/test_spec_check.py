import msgspec
import pytest

from leverframe.core.errors import InvalidInput
from leverframe.core.schema import InputColumn
from leverframe.core.verdict import GateRule
from leverframe.training.spec_check import check_spec


def test_a_good_spec_is_returned(spec):
    assert check_spec(spec) is spec


def test_every_fault_is_told_at_once(spec):
    bad = msgspec.structs.replace(
        spec,
        name="Flight Delay",
        owner="",
        columns=(
            *spec.columns,
            InputColumn(name="delay", source="request", field="nope"),
            InputColumn(name="x y", source="view"),
            InputColumn(name="z", source="request_time", field="departs_s", function="eval", on_missing="default"),
        ),
        baseline="absent",
        prepare={"absent": "1"},
        gates=(GateRule(metric="roc_auc", op=">=", threshold=0.5, slice="dest=*", rows_min=0),),
        params={"num_leaves": 0, "machines": "host:1"},
    )
    with pytest.raises(InvalidInput) as caught:
        check_spec(bad)
    assert sorted({f.where for f in caught.value.faults}) == [
        "baseline", "column delay", "column x y", "column z", "columns", "gate roc_auc", "machines", "name", "num_leaves", "owner",
        "prepare",
    ]  # fmt: skip
    assert len(caught.value.faults) == 14
    assert "14 fault(s)" in str(caught.value)
