"""A model that learned from another one's batch table: both are promoted, the first is taken back, and the second goes with it."""

import json
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest
from tests.apps.in_process import client_of
from tests.walks.test_batch_table import flights
from tests.whole_program import ENDPOINT, FROM_US, NOW_US, clear_environment, copy_home, open_in_process, parquet
from typer.testing import CliRunner

from leverframe.apps.cli import connection
from leverframe.apps.cli.main import app
from leverframe.apps.platform.views import PlanRequest, TrainRequest
from leverframe.apps.scoring.job import Scoring
from leverframe.apps.scoring.tables import Batch, TableScoring
from leverframe.apps.settings import Settings
from leverframe.core.actor import PLATFORM
from leverframe.core.descent import MadeFrom
from leverframe.core.errors import NotFound
from leverframe.core.model import ModelSpec
from leverframe.core.schema import InputColumn, RequestField
from leverframe.core.verdict import GateRule
from leverframe.release.commands import CompleteRelease

BAD = f"{ENDPOINT}@v2"
SPEC = ModelSpec(
    name="upset",
    description="Will this passenger complain?",
    owner="ana",
    team="flights",
    runbook="https://runbooks.example.com/upset",
    intended_use="A walk.",
    limitations="It believes what the delay model says.",
    dataset="lessons",
    label="late",
    label_known_at="label_known_at",
    request=(RequestField(name="probability", datatype="FP64"),),
    columns=(InputColumn(name="probability", source="request", field="probability"),),
    params={"num_iterations": 5, "num_leaves": 4},
    gates=(GateRule(metric="roc_auc", op=">=", threshold=0.1, bound="lower"),),
)


def contract(frame: pl.DataFrame) -> str:
    """A contract that any table of these columns keeps."""
    columns = []
    for name, kind in frame.schema.items():
        logical, physical = (
            ("integer", "int64") if kind.is_integer() else ("number", "float64") if kind.is_float() else ("string", "string")
        )
        logical, physical = ("timestamp", "int64") if name in ("asked_at", "label_known_at") else (logical, physical)
        columns.append({"name": name, "logicalType": logical, "physicalType": physical})
    said = {"apiVersion": "v3.1.0", "kind": "DataContract", "id": "lessons", "name": "lessons", "version": "1.0.0", "status": "active"}
    said |= {"team": {"name": "flights", "members": [{"username": "ana", "role": "owner"}]}}
    return json.dumps({**said, "schema": [{"name": "lessons", "logicalType": "object", "properties": columns}]})


def test_what_learned_from_a_table_goes_back_with_the_version_that_scored_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = copy_home(tmp_path / "home")
    clear_environment()
    settings = Settings(home=home, clock=f"replay:{home / 'replay.clock'}")
    platform = open_in_process(settings)
    secrets = json.loads((home / "secrets.json").read_text())
    ana, ben, olga = (platform.access.authenticate(secrets[name]) for name in ("ana", "ben", "olga"))

    with Scoring(settings) as scoring:
        batch = Batch(file=flights(tmp_path / "f.parquet"), as_of="asked_at", id_column="flight_id", keep=("late", "label_known_at"))
        TableScoring(settings, scoring).write(ana, "nightly", batch, version=BAD)
    table = platform.tables.rows(olga, "nightly")
    scored = pl.read_parquet(table)
    noise = scored.with_columns(pl.Series("probability", np.random.default_rng(1).random(scored.height)))
    platform.data.apply_contract(ana, contract(scored), key="lessons")
    platform.training.apply_model(ana, SPEC, key="upset")

    def trained(rows: bytes, key: str, **more: object) -> str:
        became = platform.data.ingest(ana, "lessons", rows, format="parquet", key=key)
        assert became.accepted, became.report
        run = platform.training.start(ana, TrainRequest(model="upset", from_us=FROM_US, to_us=NOW_US, **more), key=f"train {key}")
        assert run.status == "succeeded", run.failure
        return run.version

    assert trained(parquet(noise), "before") == "upset@v1"
    assert trained(table, "from the table") == "upset@v2"
    with pytest.raises(NotFound, match="no such model version"):
        platform.training.start(ana, TrainRequest(model="upset", from_us=FROM_US, to_us=NOW_US, made_from=("upset@v9",)), key="x")
    one, two = (platform.training.version(f"upset@v{number}") for number in (1, 2))
    assert not one.version.made_from
    learned = MadeFrom(version=BAD, how="rows", dataset="lessons")
    assert (two.version.made_from, two.lineage.made_from) == ((learned,), (learned,))
    assert f"trained on rows of lessons that {BAD} predicted" in two.card

    def release(endpoint: str, version: str, strategy: str) -> str:
        plan = platform.release.plan(ana, PlanRequest(endpoint=endpoint, version=version, strategy=strategy), key=f"p-{version}")
        platform.release.approve(ben, plan.digest, note="read", key=f"a-{version}")
        return platform.release.apply(ana, plan.digest, key=f"r-{version}").id

    first = release("upset", "upset@v1", "initial")
    ledger = platform.parts.ledger
    for id in (f"prod.{ENDPOINT}.0001", first):
        ledger.write(PLATFORM, CompleteRelease(release=id, stage=0, owner_team="flights", reason="nothing to compare"), key=f"done-{id}")
    bad = release(ENDPOINT, BAD, "blue_green")
    planned = platform.release.plan(ana, PlanRequest(endpoint="upset", version="upset@v2", strategy="blue_green"), key="look")
    assert planned.rests_on == (f"trained on rows of lessons that {BAD} predicted: goes back when {bad} is taken back",)
    child = release("upset", "upset@v2", "blue_green")

    monkeypatch.setattr("leverframe.apps.client.Client", lambda url, token, **options: client_of(platform, token))
    monkeypatch.setenv("LEVER_HOME", str(home))
    connection.save(home, "http://localhost", secrets["olga"])
    how = f"trained on rows of lessons that {BAD} predicted"
    shown = CliRunner().invoke(app, ["release", "status", bad])
    assert f"by lineage: {child} (upset@v2), {how}: goes back to upset@v1" in shown.stdout, shown.output
    done = CliRunner().invoke(app, ["release", "rollback", bad, "--reason", "AUC lost"])
    assert done.exit_code == 0, done.output
    assert f"by lineage: {child} (upset@v2) went back: {how}; {bad} took {BAD} back in prod: AUC lost" in done.stdout
    routes = platform.parts.publisher.published()
    assert routes is not None
    assert {each.name: each.arms[0].version for each in routes.endpoints} == {ENDPOINT: f"{ENDPOINT}@v1", "upset": "upset@v1"}
    again = platform.release.plan(ana, PlanRequest(endpoint="upset", version="upset@v2", strategy="blue_green"), key="again")
    assert again.rests_on == (f"{how}, which {bad} took back: AUC lost",)
    assert msgspec.json.encode(platform.release.release(child)).count(bad.encode()) >= 1
    platform.close()
