"""A small world of ninety days: questions, one feature view, and the other rooms as plain functions."""

import hashlib

import numpy as np
import polars as pl
import pytest

from leverframe.core.clock import DAY_US, HOUR_US
from leverframe.core.errors import NotFound
from leverframe.core.evaluation import EvaluationReport, Metric
from leverframe.core.model import ModelSpec
from leverframe.core.schema import InputColumn, RequestField, Signature, ViewBinding
from leverframe.core.verdict import GateRule
from leverframe.training.recipe import Rooms, TrainingRequest

ROWS = 4_000
END_US = 90 * DAY_US


class DictionaryBlobs:
    """Content-addressed bytes in a dictionary; ``fail`` makes the next puts fail as an unreachable store would."""

    def __init__(self):
        self.held = {}
        self.failures = []

    def put(self, data):
        if self.failures:
            raise self.failures.pop(0)
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        self.held[digest] = bytes(data)
        return digest

    def get(self, digest):
        if digest not in self.held:
            raise NotFound("no such blob", where=digest)
        return self.held[digest]

    def has(self, digest):
        return digest in self.held


@pytest.fixture
def blobs():
    return DictionaryBlobs()


@pytest.fixture
def spec():
    return ModelSpec(
        name="flight-delay",
        description="late?",
        owner="ana",
        team="flights",
        runbook="docs/runbook.md",
        dataset="flights",
        label="late",
        request=(
            RequestField(name="origin", datatype="BYTES", entity=True),
            RequestField(name="carrier", datatype="BYTES"),
            RequestField(name="departs_s", datatype="INT64"),
        ),
        columns=(
            InputColumn(name="delay", source="view", view="delays", feature="mean_2h"),
            InputColumn(name="carrier", source="request", field="carrier", categories=("AA", "UA")),
            InputColumn(name="minute", source="request_time", field="departs_s", function="minute_of_day", params={"zone": "UTC"}),
        ),
        params={"num_iterations": 20, "min_data_in_leaf": 20},
        slices=("carrier", "origin"),
        baseline="delay",
        gates=(GateRule(metric="roc_auc", op=">=", threshold=0.6, bound="lower"),),
    )


@pytest.fixture
def signature(spec):
    binding = ViewBinding(view="delays", view_version="1", entity_fields=("origin",), features=("mean_2h",))
    return Signature(request=spec.request, columns=spec.columns, views=(binding,))


@pytest.fixture
def questions():
    rng = np.random.default_rng(5)
    asked = np.sort(rng.integers(0, END_US + 5 * DAY_US, ROWS))
    delay = rng.normal(size=ROWS)
    late = (delay + rng.normal(size=ROWS) > 0.5).astype(int)
    return pl.DataFrame(
        {
            "asked_at": asked,
            "label_known_at": asked + 3 * HOUR_US,
            "late": pl.Series(late).set(pl.Series(np.arange(ROWS) % 50 == 0), None),
            "origin": rng.choice(["JFK", "LGA"], ROWS),
            "carrier": pl.Series(rng.choice(["AA", "UA", "B6"], ROWS)),
            "departs_s": asked // 1_000_000 + 3_600,
            "hidden_delay": np.where(rng.random(ROWS) < 0.1, np.nan, delay),
        }
    )


@pytest.fixture
def request_of(spec, signature):
    def make(**changes):
        settings = {
            "run_id": "run-1", "spec": spec, "signature": signature, "from_us": 0, "to_us": END_US,
            "snapshots": {"flights": "sha256:" + "1" * 64},
            "feature_views": {"delays": "sha256:" + "2" * 64}, "code_commit": "c0ffee", "seed": 3, "started_at_us": END_US,
        }  # fmt: skip
        return TrainingRequest(**(settings | changes))

    return make


@pytest.fixture
def world(questions):
    """The rooms, and a record of what they were asked."""
    asked = {"loads": 0, "evaluated": [], "registered": []}

    def load_questions():
        asked["loads"] += 1
        return questions

    def evaluate(holdout):
        asked["evaluated"].append(holdout)
        positives = holdout.scores[holdout.labels == 1]
        negatives = holdout.scores[holdout.labels == 0]
        auc = float((positives[:, None] > negatives[None, :]).mean())
        loss = float(-np.mean(np.log(np.where(holdout.labels == 1, holdout.scores, 1 - holdout.scores))))
        metrics = tuple(Metric(name=n, value=v, low=v, high=v, n=len(holdout.labels)) for n, v in (("roc_auc", auc), ("log_loss", loss)))
        return EvaluationReport(
            model="flight-delay", rows=len(holdout.labels), positives=len(positives), metrics=metrics, slices=(), baseline=(),
            calibration=(), gates=(), answer="inconclusive", window=holdout.window,
        )  # fmt: skip

    def register(files, report):
        asked["registered"].append(files)
        return f"flight-delay@v{len(asked['registered'])}"

    rooms = Rooms(
        load_questions=load_questions,
        join_features=lambda frame: frame.with_columns(pl.col("hidden_delay").fill_nan(None).alias("delays.mean_2h")),
        evaluate=evaluate,
        write_card=lambda spec, lineage, report: f"# {spec.name} {lineage.run_id} {report.rows}\n",
        register=register,
        now_us=lambda: END_US + 7,
    )
    return rooms, asked
