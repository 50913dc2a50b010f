"""``lever score`` against a trained installation: features of the past, of now, from files and snapshots; permitted and recorded."""

import json
import subprocess
import sys
from contextlib import closing

import msgspec
import numpy as np
import polars as pl
import pytest
from tests.whole_program import ENDPOINT, FROM_US, NOW_US, clear_environment, copy_home, world

from leverframe.apps.cli.commands_score import ROWS_PER_PART as TYPED
from leverframe.apps.scoring.job import ScoreRequest, Scoring
from leverframe.apps.scoring.online import scores_binding
from leverframe.apps.settings import Settings
from leverframe.core.errors import Conflict, Forbidden, InvalidInput, NotFound, Unavailable
from leverframe.core.model import MODEL_LIGHTGBM, SIGNATURE, ModelVersion
from leverframe.core.schema import Signature
from leverframe.features.commands import KIND_VIEW
from leverframe.features.online.online import entity_keys
from leverframe.features.online.online_address import open_for_reading
from leverframe.features.online.online_lmdb import LmdbOnlineStore
from leverframe.governance.bundles import open_bundle
from leverframe.serving.batch.run import ROWS_PER_PART
from leverframe.serving.commands import KIND_SCORING
from leverframe.serving.commands import Scoring as Record

VERSION = f"{ENDPOINT}@v1"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return copy_home(tmp_path_factory.mktemp("scoring") / "home")


@pytest.fixture(scope="module")
def secrets(home):
    return json.loads((home / "secrets.json").read_text())


@pytest.fixture(scope="module")
def scoring(home):
    clear_environment()
    with Scoring(Settings(home=home, clock=f"replay:{home / 'replay.clock'}")) as opened:
        yield opened


@pytest.fixture(scope="module")
def ana(scoring, secrets):
    return scoring.authenticate(secrets["ana"])


@pytest.fixture(scope="module")
def questions(tmp_path_factory):
    path = tmp_path_factory.mktemp("questions") / "flights.parquet"
    world()["flights"].filter(pl.col("asked_at").is_between(FROM_US, NOW_US)).write_parquet(path)
    return path


def read(folder):
    return pl.concat(pl.read_parquet(folder / part["file"]) for part in json.loads((folder / "manifest.json").read_text())["parts"])


def test_rows_of_the_past_are_scored_on_what_was_known_then(scoring, ana, questions, tmp_path):
    """The same scores as the training pipeline's own matrix with the fitted model."""
    import lightgbm

    from leverframe.core.feature import FeatureView
    from leverframe.data.snapshots.snapshots import read_snapshot
    from leverframe.features.training_sets.point_in_time import training_set
    from leverframe.training.matrix import input_matrix

    request = ScoreRequest(
        version=VERSION, output=tmp_path / "out", files=(questions,), as_of="asked_at", id_column="flight_id", rows_per_part=1000
    )
    manifest = scoring.run(ana, request)
    version = scoring._known("model_version", f"{ENDPOINT}/000001", ModelVersion, "")
    bundle = open_bundle(scoring._artifacts, scoring._trust, version.bundle, version.envelope)
    signature = msgspec.json.decode(bundle.read(SIGNATURE), type=Signature)
    views = {view.name: view for view in scoring._ledger.find(KIND_VIEW, FeatureView)}
    lines = [(views[b.view], read_snapshot(scoring._artifacts, scoring._latest(views[b.view].source))) for b in signature.views]
    matrix = input_matrix(training_set(pl.read_parquet(questions), "asked_at", lines).frame, signature)
    wanted = lightgbm.Booster(model_str=bundle.read(MODEL_LIGHTGBM).decode()).predict(matrix)
    got = read(tmp_path / "out")
    assert manifest.rows == manifest.scored == len(matrix) > 5000
    assert np.array_equal(got["probability"].to_numpy(), wanted)
    assert got["missing"].to_list() == np.isnan(matrix).sum(axis=1).tolist()
    assert got["flight_id"].to_list() == pl.read_parquet(questions)["flight_id"].to_list()


def test_a_snapshot_is_scored_like_the_file_it_was_made_from(scoring, ana, questions, tmp_path):
    scoring.run(ana, ScoreRequest(version=VERSION, output=tmp_path / "a", files=(questions,), as_of="asked_at", id_column="flight_id"))
    scoring.run(ana, ScoreRequest(version=VERSION, output=tmp_path / "b", snapshot="flights", as_of="asked_at", id_column="flight_id"))
    a, b = (read(tmp_path / name).sort("flight_id").drop("row") for name in "ab")
    assert a.equals(b.join(a.select("flight_id"), on="flight_id", how="semi"))


def test_online_values_are_those_of_the_moment_the_job_was_started(scoring, ana, questions, tmp_path):
    request = ScoreRequest(version=VERSION, output=tmp_path / "out", files=(questions,), now=True)
    manifest = scoring.run(ana, request)
    assert manifest.asked.moment_us == NOW_US
    assert manifest.scored == manifest.rows
    by_entity = read(tmp_path / "out")
    assert by_entity["probability"].n_unique() > 100


def test_a_batch_is_recorded_once_with_who_what_and_how_many(scoring, ana, questions, tmp_path):
    request = ScoreRequest(version=VERSION, output=tmp_path / "out", files=(questions,), as_of="asked_at", rows_per_part=4321)
    manifest = scoring.run(ana, request)
    assert scoring.run(ana, request) == manifest
    record = scoring._ledger.get(KIND_SCORING, manifest.job, Record)
    assert (record.started_by, record.version, record.rows, record.rows_scored) == ("ana", VERSION, manifest.rows, manifest.scored)
    assert len(scoring._ledger.history(KIND_SCORING, manifest.job, Record)) == 2, "started and finished, each once"


def test_scores_in_the_online_store_are_those_of_the_files_and_replace_the_last_ones(scoring, home, ana, questions, tmp_path):
    few = tmp_path / "few.parquet"
    pl.read_parquet(questions).head(300).write_parquet(few)
    asked = {"version": VERSION, "as_of": "asked_at", "id_column": "flight_id", "to_online": "delay_scores"}
    scoring.run(ana, ScoreRequest(output=tmp_path / "few", files=(few,), **asked))
    manifest = scoring.run(ana, ScoreRequest(output=tmp_path / "all", files=(questions,), **asked))
    assert scoring.run(ana, ScoreRequest(output=tmp_path / "all", files=(questions,), **asked)) == manifest
    got = read(tmp_path / "all")
    store = LmdbOnlineStore(home / "online", read_only=True)
    keys = [*entity_keys([got["flight_id"].to_list()]), b"nobody"]
    found = store.read(scores_binding("delay_scores", "flight_id", "probability"), keys, NOW_US)
    store.close()
    assert np.array_equal(found.values[:-1, 0], got["probability"].to_numpy())
    assert np.isnan(found.values[-1, 0])
    assert scoring._ledger.get(KIND_SCORING, manifest.job, Record).online_view == "delay_scores"
    with pytest.raises(InvalidInput, match="a feature view has this name"):
        scoring.run(ana, ScoreRequest(output=tmp_path / "no", files=(few,), **{**asked, "to_online": "origin_weather"}))
    with pytest.raises(InvalidInput, match="found again by an id"):
        scoring.run(ana, ScoreRequest(output=tmp_path / "no", files=(few,), **{**asked, "id_column": ""}))


def test_the_online_store_is_the_one_that_gateways_read(home, ana, questions, tmp_path, redis_url):
    few = tmp_path / "few.parquet"
    pl.read_parquet(questions).head(300).write_parquet(few)
    settings = {"home": home, "clock": f"replay:{home / 'replay.clock'}"}
    asked = {"version": VERSION, "files": (few,), "id_column": "flight_id"}
    with Scoring(Settings(**settings, online_url=redis_url)) as remote:
        remote.run(ana, ScoreRequest(output=tmp_path / "past", as_of="asked_at", to_online="remote_scores", **asked))
    got = read(tmp_path / "past")
    binding, keys = scores_binding("remote_scores", "flight_id", "probability"), entity_keys([got["flight_id"].to_list()])
    with closing(open_for_reading(redis_url, home / "online", 5.0)) as store:
        assert np.array_equal(store.read(binding, keys, NOW_US).values[:, 0], got["probability"].to_numpy())
    with closing(LmdbOnlineStore(home / "online", read_only=True)) as folder:
        assert np.isnan(folder.read(binding, keys, NOW_US).values).all(), "the folder is not written to as well"
    nobody = Settings(**settings, online_url=f"unix://{tmp_path}/nobody.sock")
    with Scoring(nobody) as remote, pytest.raises(Unavailable, match="online store cannot be read"):
        remote.run(ana, ScoreRequest(output=tmp_path / "now", now=True, **asked))


def test_who_may_not_leaves_no_row_behind(scoring, secrets, questions, tmp_path):
    ben = scoring.authenticate(secrets["ben"])
    with pytest.raises(Forbidden, match=r"ben may not Serving\.Score"):
        scoring.run(ben, ScoreRequest(version=VERSION, output=tmp_path / "out", files=(questions,), as_of="asked_at"))
    assert list((tmp_path / "out").glob("part-*")) == []


def test_what_is_asked_must_make_sense(scoring, ana, questions, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(InvalidInput, match="features: of which moment"):
        scoring.run(ana, ScoreRequest(version=VERSION, output=out, files=(questions,)))
    with pytest.raises(InvalidInput, match="either --as-of or --now"):
        scoring.run(ana, ScoreRequest(version=VERSION, output=out, files=(questions,), as_of="asked_at", now=True))
    with pytest.raises(InvalidInput, match="score what"):
        scoring.run(ana, ScoreRequest(version=VERSION, output=out, now=True))
    with pytest.raises(NotFound, match="no such model version"):
        scoring.run(ana, ScoreRequest(version=f"{ENDPOINT}@v9", output=out, files=(questions,), now=True))
    scoring.run(ana, ScoreRequest(version=VERSION, output=out, files=(questions,), as_of="asked_at"))
    with pytest.raises(Conflict, match="another version, bundle"):
        scoring.run(ana, ScoreRequest(version=f"{ENDPOINT}@v2", output=out, files=(questions,), as_of="asked_at"))


def test_the_command_scores_shows_progress_and_speaks_json(home, secrets, questions, tmp_path):
    environment = {"LEVER_HOME": str(home), "LEVER_TOKEN": secrets["ana"], "LEVER_CLOCK": f"replay:{home / 'replay.clock'}", "PATH": ""}
    arguments = ["score", VERSION, "--input", str(questions), "--as-of", "asked_at", "--output", str(tmp_path / "out")]
    lever = [sys.executable, "-m", "leverframe.apps.cli.main", *arguments]
    done = subprocess.run(lever, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "rows in and out" in done.stdout
    assert "1 of 1 parts" in done.stderr, "progress goes to standard error"
    again = subprocess.run([*lever, "--json"], env=environment, capture_output=True, text=True, timeout=120)
    assert json.loads(again.stdout) == json.loads((tmp_path / "out" / "manifest.json").read_text())
    refused = subprocess.run([*lever, "--rows-per-part", "5"], env=environment, capture_output=True, text=True, timeout=120)
    assert refused.returncode == 4
    assert "another rows_per_part" in refused.stderr


def test_the_part_size_of_the_command_is_that_of_the_room():
    assert TYPED == ROWS_PER_PART
