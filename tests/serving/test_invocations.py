"""MLflow's scoring protocol: its five forms, by column name, checked by the signature; and its errors in our shape."""

import csv
import io
import json
import urllib.request

import numpy as np
import pytest
from tests.serving.installation import PLAIN, TOKEN, Gateway, expected_scores, read_log, start_gateway
from tests.serving.surface import CLASSES, MIXED, SPECIES, probabilities, publish

from leverframe.core.errors import InvalidInput, LimitExceeded, SchemaMismatch
from leverframe.core.schema import RequestField
from leverframe.serving.doors.invocations import invocation_example, read_invocation
from leverframe.serving.protocol.inputs import ROWS_MAX, InputPlan

COLUMNS = ["night", "distance", "unused", "carrier", "seats"]
ROWS = [[True, 100.0, "x", "UA", 10], [False, 900, None, None, 300.0]]
NAMED = {name: [row[i] for row in ROWS] for i, name in enumerate(COLUMNS)}
RECORDS = [dict(zip(COLUMNS, row, strict=True)) for row in ROWS]
FORMS = {
    "dataframe_split": {"index": [5, 6], "columns": COLUMNS, "data": ROWS},
    "dataframe_records": RECORDS,
    "instances": RECORDS,
    "inputs": NAMED,
}


def as_csv() -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerows([COLUMNS, *([("" if v is None else int(v) if isinstance(v, float) else v) for v in row] for row in ROWS)])
    return text.getvalue().encode()


def read(document: object, signature=MIXED, content_type: bytes = b"application/json"):
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return InputPlan(signature).read(read_invocation(body, content_type, signature))


def plain_lists(columns) -> dict[str, list]:
    return {name: np.asarray(column, dtype=object).tolist() for name, column in columns.items()}


@pytest.mark.parametrize("form", [*FORMS, "csv"])
def test_every_form_is_the_same_request(form):
    sent = read(as_csv(), content_type=b"text/csv; charset=utf-8") if form == "csv" else read({form: FORMS[form], "params": {"any": 1}})
    columns, rows = sent
    assert rows == 2
    assert plain_lists(columns) == {
        "carrier": ["UA", None], "distance": [100.0, 900.0], "seats": [10, 300], "night": [True, False],
    }  # fmt: skip


def test_values_without_names_are_in_the_signatures_order():
    rows = [[1, 2, 3, 4], [5, 6, 7, None]]
    for document in ({"instances": rows}, {"inputs": rows}, {"dataframe_split": {"data": rows}}):
        columns, count = read(document, PLAIN)
        assert (count, columns["x0"], columns["x3"]) == (2, [1.0, 5.0], [4.0, None])
    assert read({"instances": rows}, CLASSES)[0]["flower"].shape == (2, 4)
    assert read({"inputs": {"flower": rows}}, CLASSES)[0]["flower"].tolist()[0] == [1.0, 2.0, 3.0, 4.0]


def test_a_missing_number_may_be_written_as_python_writes_it_and_nothing_else_may():
    body = b'{"dataframe_records": [{"x0": NaN, "x1": 1, "x2": 1, "x3": 1}]}'
    assert read(body, PLAIN)[0]["x0"] == [None]
    for value in (b"Infinity", b"-Infinity", b'1e999, "y": NaN'):
        with pytest.raises(InvalidInput):
            read(body.replace(b"NaN", value), PLAIN)


def test_fields_that_only_other_versions_read_are_kept():
    more = (RequestField(name="later", datatype="INT64"),)
    document = read_invocation(b'{"inputs": {"x0": 1, "later": [2]}}', b"", PLAIN, more)
    assert [tensor.name for tensor in document.inputs] == ["x0", "later"]


@pytest.mark.parametrize(
    ("document", "where"),
    [
        ({"dataframe_records": [{"carrier": "UA", "distanc": 1.0, "seats": 1, "night": True}]}, "distance"),
        ({"dataframe_records": [{"distance": "far", "seats": 1, "night": True}]}, "distance"),
        ({"dataframe_records": [{"distance": 1, "seats": 1.5, "night": True}]}, "seats"),
        ({"dataframe_records": [{"distance": 1, "seats": 2**31, "night": True}]}, "seats"),
        ({"dataframe_records": [{"distance": 1, "seats": 1, "night": "yes"}]}, "night"),
        ({"inputs": {"distance": [1, 2], "seats": [1], "night": [True, False]}}, "seats"),
        ({"inputs": {"distance": [[1, 2]], "seats": [1], "night": [True]}}, "distance"),
        (b'{"inputs": {"distance": [NaN], "carrier": ["\\ud800"], "seats": [1], "night": [true]}}', "carrier"),
    ],
)
def test_a_wrong_column_is_named_with_what_was_expected(document, where):
    with pytest.raises(SchemaMismatch) as caught:
        read(document)
    assert where in {caught.value.where, *(fault.where for fault in caught.value.faults)}
    assert caught.value.expected


@pytest.mark.parametrize(
    "document",
    [
        {}, [], 1, None, b"", b"{", b"\xff", b"[" * 100_000, {"instances": []}, {"instances": {"x0": 1}}, {"columns": [], "data": []},
        {"inputs": {}, "instances": []}, {"inputs": [[1, 2, 3, 4]], "more": 1}, {"instances": [[1, 2, 3, 4], [1, 2]]}, {"inputs": "text"},
        {"instances": [[1, 2, 3, 4]], "params": [1]}, {"dataframe_split": {"columns": ["x0", "x0"], "data": [[1, 2]]}},
        {"dataframe_split": {"columns": "x0", "data": [[1]]}}, {"dataframe_split": {"columns": [["x0"]], "data": [[1]]}},
        {"dataframe_split": [1]}, {"dataframe_records": [1]}, {"dataframe_records": {"x0": 1}}, {"dataframe_records": []},
    ],
)  # fmt: skip
def test_anything_else_is_refused(document):
    with pytest.raises(InvalidInput) as caught:
        read(document, PLAIN)
    assert caught.value.expected


def test_rows_are_bounded_before_work():
    for document in ({"instances": [[1] * 4] * (ROWS_MAX + 1)}, {"dataframe_records": [{"x0": 1}] * (ROWS_MAX + 1)}):
        with pytest.raises(LimitExceeded):
            read(document, PLAIN)
    with pytest.raises(LimitExceeded):
        read(b"x0\n" + b"1\n" * (ROWS_MAX + 1), PLAIN, b"text/csv")


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"distance,seats\n1\n", b'distance\n"' + b"x" * 200_000])
def test_csv_that_is_none_is_refused(body):
    with pytest.raises(InvalidInput):
        read(body, content_type=b"text/csv")


def test_the_example_is_an_invocation_the_model_takes():
    for signature in (PLAIN, MIXED, CLASSES):
        assert read(invocation_example(signature), signature)[1] == 1


AS_JSON = {"Content-Type": "application/json"}

# ---- through a running gateway ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def running(tmp_path_factory) -> Gateway:
    home = tmp_path_factory.mktemp("invocations")
    publish(home)
    started = start_gateway(home)
    started.home = home
    yield started
    started.process.kill()
    started.process.wait()


@pytest.mark.parametrize("path", ["/v2/models/mixed/invocations", "/endpoints/mixed/invocations", "/serving-endpoints/mixed/invocations"])
def test_predictions_come_in_mlflows_shape_with_their_id(running, path):
    status, answer = running.call(path, {"dataframe_records": RECORDS}, headers={"Content-Type": "application/json"})
    expected = expected_scores(MIXED, 3, {name: NAMED[name] for name in ("carrier", "distance", "seats", "night")}, {}, 2)
    assert status == 200
    assert np.allclose(answer["predictions"], expected, atol=1e-12)
    running.wait(lambda page: page["log"]["adds_up"])
    records, _ = read_log(running.home / "log")
    assert answer["prediction_id"] in {record.id for record in records}, "what was answered is not in the log"


def test_several_outputs_are_records_and_the_id_is_a_header_too(running):
    request = urllib.request.Request(
        f"{running.url}/v2/models/classes/versions/v1/invocations",
        data=json.dumps({"inputs": {"flower": [[1, 2, 3, 4], [4, 3, 2, 1]]}}).encode(),
        headers={"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        answer, header = json.loads(response.read()), response.headers["X-Prediction-Id"]
    truth = probabilities(np.array([[1.0, 2, 3, 4], [4, 3, 2, 1]]))
    assert [p["label"] for p in answer["predictions"]] == [SPECIES[i] for i in truth.argmax(axis=1)]
    assert np.allclose([p["probabilities"] for p in answer["predictions"]], truth)
    assert (header, answer["model_version"]) == (answer["prediction_id"], "classes@v1")


def test_a_refusal_shows_a_correct_invocation(running):
    status, refusal = running.call("/v2/models/mixed/invocations", {"dataframe_records": [{"distance": 1.0}]}, headers=AS_JSON)
    assert status == 400
    assert {fault["where"] for fault in refusal["faults"]} == {"seats", "night"}
    assert running.call("/v2/models/mixed/invocations", refusal["example"], headers=AS_JSON)[0] == 200
    status, refusal = running.call("/v2/models/mixed/versions/v1/infer", {"inputs": []})
    assert (status, running.call("/v2/models/mixed/infer", refusal["example"])[0]) == (400, 200)


@pytest.mark.parametrize(
    ("path", "content_type", "status"),
    [
        ("/invocations", "application/json", 400),
        ("/v2/models/mixed/invocations", "application/x-parquet", 415),
        ("/v2/models/nope/invocations", "application/json", 404),
        ("/endpoints/mixed/other", "application/json", 404),
    ],
)
def test_wrong_doors(running, path, content_type, status):
    got, refusal = running.call(path, {"dataframe_records": RECORDS}, headers={"Content-Type": content_type})
    assert got == status
    assert refusal["next"]
    assert running.call(path, {"dataframe_records": RECORDS}, token="wrong")[0] == 401


def test_the_bare_door_is_of_callers_with_one_endpoint(tmp_path):
    import hashlib

    import msgspec
    from tests.serving.installation import Installation, gateway
    from tests.serving.surface import routes

    from leverframe.core.route import Caller

    installation = Installation(tmp_path)
    caller = Caller(token_sha256=hashlib.sha256(b"one").hexdigest(), subject="service:one", endpoints=("classes",))
    table = routes(installation)
    installation.publish(msgspec.structs.replace(table, callers=(*table.callers, caller)))
    with gateway(tmp_path) as alone:
        body = {"instances": [[1, 2, 3, 4]]}
        assert len(alone.call("/invocations", body, token="one", headers=AS_JSON)[1]["predictions"]) == 1
        assert alone.call("/invocations", body, headers=AS_JSON)[0] == 400, "a caller of three endpoints must say which"
        assert alone.call("/v2/models/plain/invocations", body, token="one", headers=AS_JSON)[0] == 403
        refusal = alone.call("/invocations", {"instances": [[1]]}, token="one", headers=AS_JSON)[1]
        assert alone.call("/invocations", refusal["example"], token="one", headers=AS_JSON)[0] == 200
        assert alone.call("/v2/repository/index", {}, token="one")[1] == [
            {"name": "classes", "version": "classes@v1", "state": "READY", "reason": "live"}
        ]
