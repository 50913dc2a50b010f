"""A model made elsewhere, from its folder to live and back: imported, judged on a dataset here, released, asked, rolled back.

One model is data (LightGBM's text) and runs in the gateway; the other is foreign code and runs in its locked process, here and there.
"""

import dataclasses
import json
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest
from tests.apps.in_process import client_of
from tests.serving.installation import gateway
from tests.training.test_import_mlflow import folder
from tests.whole_program import Immediately, clear_environment, issue_tokens, parquet

from leverframe.apps.cli import connection, main
from leverframe.apps.cli.gate_rules import gate_rule
from leverframe.apps.evaluating import Evaluating
from leverframe.apps.importing import Imported, import_mlflow, write_imported
from leverframe.apps.platform.platform import Platform
from leverframe.apps.platform.views import ExceptionRequest, ImportRequest, PlanRequest
from leverframe.apps.scoring.job import ScoreRequest, Scoring
from leverframe.apps.settings import Settings
from leverframe.apps.wiring import open_parts
from leverframe.apps.worker import LookLoop
from leverframe.core.errors import Forbidden, InvalidInput, Refused
from leverframe.core.model import GOLDEN, ISOLATED, MODEL_LIGHTGBM, PROFILE, PYFUNC, Golden, IsolatedColumn, IsolatedRuntime
from leverframe.core.profile import ReferenceProfile
from leverframe.governance.artifacts import ArtifactStore
from leverframe.governance.bundles import open_bundle
from leverframe.governance.signing import TrustStore

NAMES = [f"Column_{n}" for n in range(4)]
FOREIGN = b"""
import numpy as np
class Model:
    def predict(self, table):
        p = 1 / (1 + np.exp(-np.nan_to_num(table["Column_0"])))
        return np.stack([1 - p, p], axis=1)
def _load_pyfunc(path):
    return Model()
"""
ROWS = 600


def contract() -> str:
    columns = [{"name": name, "logicalType": "number", "physicalType": "float64"} for name in NAMES]
    columns += [{"name": "late", "logicalType": "integer", "physicalType": "int64", "required": True}]
    columns += [{"name": name, "logicalType": "timestamp", "physicalType": "int64", "required": True} for name in ("asked_at", "known_at")]
    said = {"apiVersion": "v3.1.0", "kind": "DataContract", "id": "arrivals", "name": "arrivals", "version": "1.0.0", "status": "active"}
    said |= {"team": {"name": "flights", "members": [{"username": "ana", "role": "owner"}]}}
    return json.dumps({**said, "schema": [{"name": "arrivals", "logicalType": "object", "properties": columns}]})


def arrivals(now_us: int) -> pl.DataFrame:
    rng = np.random.default_rng(5)
    matrix = rng.normal(size=(ROWS, 4)) * np.array([1.0, 300.0, 700.0, 20.0])
    asked = now_us - np.arange(ROWS, 0, -1) * 600_000_000
    columns: dict[str, Any] = {name: matrix[:, place] for place, name in enumerate(NAMES)}
    columns |= {"late": (matrix[:, 0] + rng.normal(size=ROWS) * 0.7 > 0).astype(np.int64), "asked_at": asked, "known_at": asked + 1}
    return pl.DataFrame(columns)


def foreign(made: Imported) -> Imported:
    """The same columns, answered by a module instead of by the booster."""
    golden = msgspec.json.decode(made.files[GOLDEN], type=Golden)
    expected = tuple((float(1 / (1 + np.exp(-(row[0] or 0.0)))),) for row in golden.rows)
    columns = tuple(IsolatedColumn(name=name) for name in NAMES)
    record = IsolatedRuntime(columns=columns, loader="module", module="team_model", frame="columns", column=1)
    files = {name: content for name, content in made.files.items() if name != MODEL_LIGHTGBM}
    files |= {ISOLATED: msgspec.json.encode(record), f"{PYFUNC}team_model.py": FOREIGN}
    files[GOLDEN] = msgspec.json.encode(msgspec.structs.replace(golden, expected=expected))
    return dataclasses.replace(made, files=files)


@pytest.fixture
def place(tmp_path: Path) -> Any:
    """An installation with a dataset and both models imported, version 1 data and version 2 foreign; the model's gates are declared."""
    clear_environment()
    settings = Settings(home=tmp_path / "home")
    parts = open_parts(settings)
    parts.queue.close()
    platform = Platform(dataclasses.replace(parts, queue=Immediately(parts)))  # type: ignore[arg-type]
    secrets = issue_tokens(platform)
    admin = platform.access.authenticate(secrets["admin"])
    secrets["carl"] = platform.access.issue(admin, "carl", ("approver",), ("flights",), days=1, key="token-carl").secret
    ana, booking = (platform.access.authenticate(secrets[name]) for name in ("ana", "booking-site"))
    platform.data.apply_contract(ana, contract(), key="contract")
    done = platform.data.ingest(ana, "arrivals", parquet(arrivals(time.time_ns() // 1000 - 10_000_000)), format="parquet", key="ingest")
    assert done.accepted, done.report
    made = import_mlflow(folder(tmp_path / "m"), home=settings.home, name="delays", team="flights", owner="ana", now_us=1)
    platform.training.apply_model(ana, made.spec, key="declare")
    for number, each in enumerate((made, foreign(made)), 1):
        bundle, envelope = write_imported(settings.home, each)
        platform.training.register_import(ana, "delays", ImportRequest(bundle=bundle, envelope=envelope), key=f"import-{number}")
    declared = msgspec.structs.replace(
        made.spec,
        runbook="https://runbooks.example.com/delays",
        intended_use="A walk.",
        limitations="Made up.",
        dataset="arrivals",
        label="late",
        label_known_at="known_at",
        baseline="Column_1",
        gates=(gate_rule("lower roc_auc >= 0.7"),),
    )
    platform.training.apply_model(ana, declared, key="gates")
    yield SimpleNamespace(
        settings=settings, looks=LookLoop(parts), platform=platform, declared=declared, ana=ana, booking=booking, secrets=secrets
    )
    platform.close()


def evaluated(place: Any, version: str, key: str) -> str:
    with Evaluating(place.settings) as evaluating:
        made = evaluating.run(place.ana, version)
    request = ImportRequest(bundle=made.bundle, envelope=made.envelope)
    return str(place.platform.training.register_import(place.ana, "delays", request, key=key)["version"])


def released(place: Any, version: str, strategy: str) -> None:
    plan = place.platform.release.plan(place.ana, PlanRequest(endpoint="delays", version=version, strategy=strategy), key=f"p-{version}")
    # It was made elsewhere, and is of high risk: somebody answers for what cannot be made again.
    ben = place.platform.access.authenticate(place.secrets["ben"])
    request = ExceptionRequest(rule="evidence-reproducible", reason="its makers keep the code", days=1)
    place.platform.exceptions.grant(ben, plan.digest, request, key=f"except-{version}")
    for name in ("ben", "carl"):
        person = place.platform.access.authenticate(place.secrets[name])
        place.platform.release.approve(person, plan.digest, note="evidence read", key=f"{name}-{version}")
    place.platform.release.apply(place.ana, plan.digest, key=f"r-{version}")


def watched(place: Any) -> bool:
    """One look of the worker over the log; whether the initial release is completed."""
    place.looks.look()
    return bool(place.platform.release.releases("delays")[0].state == "completed")


def test_an_imported_model_is_judged_released_asked_and_rolled_back(place: Any) -> None:
    with pytest.raises((Refused, Forbidden)):
        released(place, "delays@v1", "initial")
    assert [evaluated(place, f"delays@v{number}", f"evaluated-{number}") for number in (1, 2)] == ["delays@v3", "delays@v4"]
    for number, origin in ((3, 1), (4, 2)):
        shown = place.platform.training.version(f"delays@v{number}")
        assert (shown.version.gates, shown.evaluation.rows, shown.lineage.params["evaluated"]) == ("pass", ROWS, f"delays@v{origin}")
        assert shown.version.roc_auc_low is not None
        assert 0.7 <= shown.version.roc_auc_low < shown.version.metrics["roc_auc"]
        assert any(metric.name == "roc_auc" for metric in shown.evaluation.baseline)
        assert "not known here" in shown.card
        artifacts, trust = ArtifactStore(place.settings.artifact_store_url), TrustStore.from_folder(place.settings.keys_folder)
        bundle = open_bundle(artifacts, trust, shown.version.bundle, shown.version.envelope)
        profile = msgspec.json.decode(bundle.read(PROFILE), type=ReferenceProfile)
        assert (profile.rows, [column.name for column in profile.columns]) == (ROWS, NAMES)
        assert sum(profile.score.counts) == ROWS
    released(place, "delays@v3", "initial")
    body = {"inputs": [{"name": name, "shape": [1], "datatype": "FP64", "data": [0.5]} for name in NAMES]}
    (place.settings.home / "log").mkdir(exist_ok=True)
    with gateway(place.settings.home, "--allow-isolated") as running:

        def answer(version: str) -> float:
            running.wait(lambda page: any(e["name"] == "delays" and e["arms"][0]["version"] == version for e in page["endpoints"]), 30)
            status, said = running.call("/v2/models/delays/infer", body, token=place.secrets["booking-site"])
            assert (status, said["model_version"]) == (200, version), said
            return float(said["outputs"][0]["data"][0])

        first = answer("delays@v3")
        for _ in range(120):
            assert running.call("/v2/models/delays/infer", body, token=place.secrets["booking-site"])[0] == 200
        running.wait(lambda _: watched(place), 20)
        seen = place.platform.monitoring.monitor("delays")
        judged = place.platform.training.version("delays@v3").version
        assert (seen.version, seen.served, seen.performance[0]["roc_auc_constant"]) == ("delays@v3", 121, judged.metrics["roc_auc"])
        released(place, "delays@v4", "blue_green")
        assert answer("delays@v4") == pytest.approx(1 / (1 + np.exp(-0.5)))
        place.platform.release.rollback(
            place.platform.access.authenticate(place.secrets["olga"]), "prod", "delays", reason="the walk's end", key="back"
        )
        assert answer("delays@v3") == first


def test_a_verdict_is_only_taken_on_the_gates_in_force_and_from_who_may(place: Any) -> None:
    with Evaluating(place.settings) as evaluating:
        with pytest.raises(Forbidden):
            evaluating.run(place.booking, "delays@v1")
        made = evaluating.run(place.ana, "delays@v1")
        request = ImportRequest(bundle=made.bundle, envelope=made.envelope)
        stricter = msgspec.structs.replace(place.declared, gates=(gate_rule("roc_auc >= 0.99"),))
        place.platform.training.apply_model(place.ana, stricter, key="stricter")
        with pytest.raises(Refused, match="another declaration"):
            place.platform.training.register_import(place.ana, "delays", request, key="late")
        with pytest.raises(Forbidden):  # and nothing is opened for who may not: the digest names nothing
            place.platform.training.register_import(
                place.booking, "delays", msgspec.structs.replace(request, bundle="sha256:" + "0" * 64), key="nobody"
            )
        assert evaluating.run(place.ana, "delays@v1").report.answer == "fail"
        with pytest.raises(InvalidInput, match="not a gate"):
            gate_rule("roc_auc == 1")


def test_a_foreign_version_scores_a_batch_only_where_that_is_allowed(place: Any, tmp_path: Path) -> None:
    asked = ScoreRequest(version="delays@v2", output=tmp_path / "out", snapshot="arrivals", keep=("Column_0",))
    with Scoring(place.settings) as scoring, pytest.raises(Refused, match="--allow-isolated"):
        scoring.run(place.ana, asked)
    with Scoring(place.settings.model_copy(update={"allow_isolated": True})) as scoring:
        manifest = scoring.run(place.ana, asked)
    assert (manifest.rows, manifest.scored) == (ROWS, ROWS)
    scored = pl.read_parquet(tmp_path / "out" / manifest.parts[0].file)
    wanted = 1 / (1 + np.exp(-scored["Column_0"].to_numpy()))
    assert np.abs(scored["prediction"].to_numpy() - wanted).max() < 1e-12


def test_the_command_declares_judges_and_registers(place: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("LEVER_HOME", str(place.settings.home))
    monkeypatch.setattr("leverframe.apps.client.Client", lambda url, token, **options: client_of(place.platform, token))
    connection.save(place.settings.home, "http://localhost", place.secrets["ana"])

    def lever(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["lever", *arguments])
        with pytest.raises(SystemExit) as ended:
            main.main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out + said.err

    code, said = lever("models", "evaluate", "delays@v1", "--gate", "lower roc_auc >= 0.7 rows 100", "--slice", "Column_3")
    assert code == 0, said
    assert "delays@v3  gates: pass" in said
    (spec,) = place.platform.training.models()
    assert (spec.gates[0].rows_min, spec.slices, spec.dataset) == (100, ("Column_3",), "arrivals")
    code, said = lever("models", "evaluate", "delays@v2", "--gate", "roc_auc >= 0.99")
    assert (code, "delays@v4  gates: fail" in said) == (3, True), said
    code, said = lever("models", "evaluate", "delays@v1", "--dataset", "nowhere")
    assert code != 0
    assert "lever data ingest nowhere FILE" in said
