"""A run with request-time expressions is the same to the last bit whether its training set is made by Polars or by Spark."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.whole_program import SPEC, copy_home, open_in_process, train

from leverframe.apps import spark_training_sets
from leverframe.apps.settings import Settings
from leverframe.core.model import LINEAGE, MODEL_LIGHTGBM, Lineage, ModelVersion, version_id_of
from leverframe.core.schema import InputColumn
from leverframe.governance.bundles import open_bundle
from leverframe.training.commands import KIND_MODEL_VERSION

EXPRESSIONS = (
    InputColumn(name="worse", source="expression", sql="origin_delays.mean_2h - origin_delays.mean_24h"),
    InputColumn(name="hour", source="expression", sql="hour_of_day(sched_dep_s, 'America/New_York')"),
    InputColumn(name="pair", source="expression", sql="feature_cross(carrier, origin)", categories=("B6|JFK", "UA|EWR", "AA|LGA")),
    InputColumn(name="tail", source="expression", sql="hash_bucket(tailnum, 50)", on_missing="default", default=-1.0),
)


@contextmanager
def lent(session: Any) -> Iterator[Any]:
    """The session of the tests in the place of one that would be stopped afterwards."""
    yield session


def trained(home: Path, engine: str) -> tuple[Lineage, bytes]:
    """Lineage and model file of a version that nothing remembered helped to make."""
    shutil.rmtree(copy_home(home) / "step-cache", ignore_errors=True)
    platform = open_in_process(Settings(home=home, clock=f"replay:{home / 'replay.clock'}"))
    secrets = msgspec.json.decode((home / "secrets.json").read_bytes(), type=dict[str, str])
    ana = platform.access.authenticate(secrets["ana"])
    platform.training.apply_model(ana, msgspec.structs.replace(SPEC, columns=(*SPEC.columns, *EXPRESSIONS)), key="spec")
    run = train(platform, ana, 5, engine=engine)
    parts = platform.training._parts
    version = parts.ledger.get(KIND_MODEL_VERSION, version_id_of(run.version), ModelVersion)
    assert version is not None
    bundle = open_bundle(parts.artifacts, parts.trust, version.bundle, version.envelope)
    found = msgspec.json.decode(bundle.read(LINEAGE), type=Lineage), bundle.read(MODEL_LIGHTGBM)
    platform.close()
    return found


@pytest.mark.slow
def test_the_engine_decides_where_and_no_value(spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spark_training_sets, "spark_for", lambda *_: lent(spark))
    ours, theirs = (trained(tmp_path / engine, engine) for engine in ("polars", "spark"))
    assert theirs[0].training_set == ours[0].training_set, "one digest of the training set's bytes"
    assert theirs[1] == ours[1], "the very model"
    for column in EXPRESSIONS:
        assert f" {column.name}" in ours[1].decode().split("feature_names=")[1].splitlines()[0]
