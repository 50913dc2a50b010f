import numpy as np
import pytest

from leverframe.core.assemble import assemble, category_codes
from leverframe.core.errors import SchemaMismatch
from leverframe.core.schema import InputColumn, RequestField, Signature, ViewBinding

SIGNATURE = Signature(
    request=(
        RequestField(name="carrier", datatype="BYTES"),
        RequestField(name="distance", datatype="FP64"),
        RequestField(name="departs_s", datatype="INT64"),
    ),
    columns=(
        InputColumn(name="delay", source="view", view="delays", feature="mean_2h"),
        InputColumn(name="carrier", source="request", field="carrier", categories=("AA", "UA")),
        InputColumn(name="minute", source="request_time", field="departs_s", function="minute_of_day", params={"zone": "UTC"}),
        InputColumn(name="distance", source="request", field="distance", on_missing="default", default=500.0),
    ),
    views=(ViewBinding(view="delays", view_version="1", entity_fields=("origin",), features=("count_2h", "mean_2h")),),
)
REQUEST = {"carrier": ["UA", "ZZ", None], "distance": [100.0, None, 300.0], "departs_s": [60, 120, 180]}
VIEWS = {"delays": np.array([[1.0, 5.0], [2.0, np.nan], [3.0, 7.0]])}


def test_columns_come_in_signature_order_from_their_sources():
    expected = [[5.0, 1.0, 1.0, 100.0], [np.nan, -1.0, 2.0, 500.0], [7.0, np.nan, 3.0, 300.0]]
    np.testing.assert_array_equal(assemble(SIGNATURE, REQUEST, VIEWS, 3), expected)


def test_one_row_alone_gives_what_it_gives_among_others():
    together = assemble(SIGNATURE, REQUEST, VIEWS, 3)
    for row in range(3):
        alone = assemble(SIGNATURE, {k: v[row : row + 1] for k, v in REQUEST.items()}, {"delays": VIEWS["delays"][row : row + 1]}, 1)
        np.testing.assert_array_equal(alone[0], together[row], err_msg="training and serving would differ")


@pytest.mark.parametrize(
    ("request_columns", "views", "named"),
    [({k: v for k, v in REQUEST.items() if k != "distance"}, VIEWS, "distance"), (REQUEST, {}, "delays.mean_2h")],
)
def test_what_is_missing_is_named(request_columns, views, named):
    with pytest.raises(SchemaMismatch, match=named):
        assemble(SIGNATURE, request_columns, views, 3)


def test_categories_are_positions_unseen_is_minus_one_and_missing_is_nan():
    np.testing.assert_array_equal(category_codes(["b", "a", "", None], ("a", "b")), [1.0, 0.0, -1.0, np.nan])
