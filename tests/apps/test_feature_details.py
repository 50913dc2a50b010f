"""Which features are made of personal columns, so that nothing of their values is told."""

from leverframe.apps.platform.feature_details import personal_features
from leverframe.core.feature import Aggregate, Expression, FeatureView
from leverframe.data.contract.contracts import Column, Contract

SPENDING = Column(name="salary", logical_type="number", physical_type="float64", classification="personal")
CONTRACT = Contract(name="c", version="1.0.0", dataset="d", owner="o", team="t", columns=(SPENDING,))


def test_an_expression_or_an_aggregate_over_a_personal_column_is_personal() -> None:
    shared = {"name": "v", "source": "d", "entity": ("k",), "event_time": "e", "arrival_time": "e"}
    sql = FeatureView(**shared, expressions=(Expression(name="a", sql="coalesce(salary, 0) * 2"), Expression(name="b", sql="salary_band")))
    sums = FeatureView(
        **shared,
        aggregates=(Aggregate(name="s", function="sum", column="salary", window_us=1), Aggregate(name="n", function="count", window_us=1)),
    )
    assert personal_features(sql, CONTRACT) == ("a",)
    assert personal_features(sums, CONTRACT) == ("s",)
