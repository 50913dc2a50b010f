"""From a contract's columns to what a request is held to."""

from leverframe.core.schema import FieldRule, RequestField
from leverframe.data.checks.request_rules import field_rules
from leverframe.data.contract.contracts import Column, Contract

CONTRACT = Contract(
    name="flights",
    version="1.0.0",
    dataset="flights",
    owner="ops",
    team="flights",
    columns=(
        Column(name="origin", logical_type="string", physical_type="string", required=True, enumeration=("EWR", "JFK")),
        Column(name="distance", logical_type="number", physical_type="float64", minimum=10, maximum=6000, severity="quarantine"),
        Column(name="asked_at", logical_type="timestamp", physical_type="int64", minimum=5),
        Column(name="free", logical_type="string", physical_type="string", pattern="^a+$"),
        Column(name="count", logical_type="integer", physical_type="int64", required=True),
    ),
)
FIELDS = tuple(
    RequestField(name=name, datatype=datatype, required=required, width=width)
    for name, datatype, required, width in (
        ("distance", "FP64", True, 1),
        ("origin", "BYTES", True, 1),
        ("asked_at", "INT64", True, 1),
        ("free", "BYTES", True, 1),
        ("count", "INT64", False, 1),
        ("other", "FP64", True, 1),
    )
)


def test_limits_and_enumerations_come_along_and_what_needs_other_rows_or_a_pattern_stays():
    assert field_rules(CONTRACT, FIELDS) == (
        FieldRule(field="distance", minimum=10, maximum=6000, severity="warn"),
        FieldRule(field="origin", enumeration=("EWR", "JFK"), required=True),
    ), "a moment's limit, a pattern, or a field that may be left out was held against a request"


def test_a_column_of_another_kind_or_a_vector_is_not_compared():
    assert (
        field_rules(CONTRACT, (RequestField(name="origin", datatype="INT64"), RequestField(name="distance", datatype="FP64", width=3)))
        == ()
    )


def test_warn_only_refuses_nothing():
    assert {rule.severity for rule in field_rules(CONTRACT, FIELDS, warn_only=True)} == {"warn"}
