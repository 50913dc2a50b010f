"""The whole recipe on the small world: what is handed on, what is in the bundle, and that it can be made again."""

import json

import msgspec
import numpy as np
import pytest
from tests.training.local_runner import LocalRunner

from leverframe.core import model as names
from leverframe.core.clock import DAY_US
from leverframe.core.digest import digest_bytes
from leverframe.core.errors import Refused
from leverframe.core.evaluation import EvaluationReport
from leverframe.core.model import Golden, Lineage, ModelSpec
from leverframe.core.profile import ReferenceProfile
from leverframe.core.schema import Signature
from leverframe.training.packaging import GOLDEN_ROWS, golden_rows
from leverframe.training.parity import score_onnx
from leverframe.training.pipeline import outputs_of
from leverframe.training.recipe import training_pipeline
from leverframe.training.reproduce import reproduce
from leverframe.training.step_memory import InMemorySteps
from leverframe.training.tables import FIT, HOLDOUT, unpack_parts, unpack_table
from leverframe.training.trainers.lightgbm import LightGBMModel

END_US = 90 * DAY_US
STEPS = ["select", "features", "split", "fit", "export", "evaluate", "profile", "package", "register"]


@pytest.fixture
def trained(request_of, world, blobs):
    rooms, asked = world
    memory = InMemorySteps()

    def train(**changes):
        outcomes = LocalRunner(blobs, memory).run(training_pipeline(request_of(**changes), rooms))
        return outcomes, asked["registered"][-1]

    return train


def test_nine_steps_end_in_a_registered_version(trained, blobs):
    outcomes, _ = trained()
    assert [o.name for o in outcomes] == STEPS
    assert blobs.get(outcomes[-1].output) == b"flight-delay@v1"


def test_the_bundle_has_exactly_the_files_it_should_each_readable(trained):
    _, files = trained()
    assert set(files) == {
        names.MODEL_ONNX, names.MODEL_LIGHTGBM, names.SIGNATURE, names.SPEC, names.PROFILE, names.GOLDEN, names.LINEAGE, names.EVALUATION,
        names.PROVENANCE, names.BILL_OF_MATERIALS, names.ENVIRONMENT, names.CARD,
    }  # fmt: skip
    for name, type in (
        (names.SIGNATURE, Signature),
        (names.SPEC, ModelSpec),
        (names.PROFILE, ReferenceProfile),
        (names.EVALUATION, EvaluationReport),
    ):
        msgspec.json.decode(files[name], type=type)
    subjects = {s["name"]: "sha256:" + s["digest"]["sha256"] for s in json.loads(files[names.PROVENANCE])["subject"]}
    assert subjects == {name: digest_bytes(data) for name, data in files.items() if name != names.PROVENANCE}


def test_golden_rows_hold_holes_and_both_forms_of_the_model_answer_them(trained):
    _, files = trained()
    golden = msgspec.json.decode(files[names.GOLDEN], type=Golden)
    matrix, expected = np.array(golden.rows, dtype=np.float64), np.array(golden.expected)[:, 0]
    assert golden.columns == ("delay", "carrier", "minute")
    assert len(matrix) == GOLDEN_ROWS + 1
    assert np.isnan(matrix[0]).all(), "a row of nothing but holes"
    assert np.isnan(matrix[1:]).any(axis=1).sum() == GOLDEN_ROWS // 2
    assert np.abs(score_onnx(files[names.MODEL_ONNX], matrix) - expected).max() <= golden.tolerance
    assert np.abs(LightGBMModel(files[names.MODEL_LIGHTGBM].decode()).predict(matrix) - expected).max() <= golden.tolerance


def test_lineage_and_profile_say_what_was_used(trained, blobs):
    outcomes, files = trained()
    outputs = outputs_of(outcomes)
    lineage = msgspec.json.decode(files[names.LINEAGE], type=Lineage)
    fit, held = (unpack_parts(blobs.get(outputs["split"]), part) for part in (FIT, HOLDOUT))
    assert (lineage.run_id, lineage.seed, lineage.code_commit) == ("run-1", 3, "c0ffee")
    assert (lineage.rows_fit, lineage.rows_holdout) == (len(fit), len(held))
    assert lineage.window == ("1970-01-01T00:00:00Z", "1970-04-01T00:00:00Z")
    assert lineage.training_set == outputs["features"]
    assert lineage.environment_digest == digest_bytes(files[names.ENVIRONMENT])
    profile = msgspec.json.decode(files[names.PROFILE], type=ReferenceProfile)
    assert profile.rows == len(fit) + len(held)
    assert sum(profile.score.counts) == len(held), "the score must be profiled on rows the model has not seen"


def test_evaluation_sees_only_the_last_part_of_the_window(trained, world, blobs):
    outcomes, _ = trained()
    (holdout,) = world[1]["evaluated"]
    assert holdout.asked_at_us.min() >= END_US - int(END_US * 0.15)
    assert holdout.asked_at_us.max() < END_US
    assert set(holdout.slices) == {"carrier", "origin"}
    np.testing.assert_array_equal(holdout.baseline, holdout.matrix[:, 0])
    model = LightGBMModel(blobs.get(outputs_of(outcomes)["fit"]).decode())
    np.testing.assert_array_equal(holdout.scores, model.predict(holdout.matrix))
    assert not np.isnan(holdout.labels).any()


def test_a_second_run_reuses_the_steps_but_is_a_bundle_of_its_own(trained):
    first, _ = trained()
    again, files = trained(run_id="run-2")
    assert [o.name for o in again if not o.cached] == ["package", "register"]
    assert msgspec.json.decode(files[names.LINEAGE], type=Lineage).run_id == "run-2"
    assert outputs_of(first)["fit"] == outputs_of(again)["fit"]
    other, _ = trained(seed=4)
    assert [o.name for o in other if o.cached] == ["select", "features", "split"]


def test_prepare_changes_what_is_fitted(trained, spec, blobs):
    plain, _ = trained()
    divided, _ = trained(spec=msgspec.structs.replace(spec, prepare={"delay": "delay / 60"}))
    plain_table, divided_table = (unpack_table(blobs.get(outputs_of(o)["features"])) for o in (plain, divided))
    np.testing.assert_allclose(divided_table.matrix[:, 0], plain_table.matrix[:, 0] / 60)
    np.testing.assert_array_equal(divided_table.matrix[:, 1:], plain_table.matrix[:, 1:])


def test_a_run_killed_between_steps_goes_on_where_it_died(request_of, world, blobs):
    rooms, asked = world
    memory = InMemorySteps()

    class Killed(BaseException):
        pass

    def die_after_fit(name, outcome):
        if name == "fit" and outcome is not None:
            raise Killed

    with pytest.raises(Killed):
        LocalRunner(blobs, memory, observe=die_after_fit).run(training_pipeline(request_of(), rooms))
    outcomes = LocalRunner(blobs, memory).run(training_pipeline(request_of(), rooms))
    assert [o.name for o in outcomes if o.cached] == ["select", "features", "split", "fit"]
    assert (asked["loads"], len(asked["registered"])) == (1, 1)


def test_a_version_is_made_again_bit_by_bit(trained, world, blobs, spec, signature, questions):
    _, files = trained()
    rooms, _ = world
    inputs = {
        "spec": spec,
        "signature": signature,
        "model_text": files[names.MODEL_LIGHTGBM],
        "model_onnx": files[names.MODEL_ONNX],
        "environment": files[names.ENVIRONMENT].decode(),
        "join_features": rooms.join_features,
        "blobs": blobs,
    }
    lineage = msgspec.json.decode(files[names.LINEAGE], type=Lineage)
    again = reproduce(lineage, load_questions=lambda: questions.reverse(), **inputs)
    assert again.identical, again.differences
    assert again.changes == ()
    tampered = questions.with_columns(late=1 - questions["late"])
    differs = reproduce(lineage, load_questions=lambda: tampered, **inputs)
    assert not differs.identical
    assert [d.split(":")[0] for d in differs.differences] == ["training set", "fitted model", "exported model"]
    other_environment = reproduce(lineage, load_questions=rooms.load_questions, **(inputs | {"environment": "# python 2.7\n"}))
    assert other_environment.identical
    assert any("python 2.7" in change for change in other_environment.changes)


def test_an_evaluation_without_the_figures_of_the_profile_is_refused(request_of, world, blobs):
    import dataclasses

    rooms, asked = world
    partial = dataclasses.replace(rooms, evaluate=lambda h: msgspec.structs.replace(rooms.evaluate(h), metrics=()))
    with pytest.raises(Refused, match="roc_auc"):
        LocalRunner(blobs, InMemorySteps()).run(training_pipeline(request_of(), partial))
    assert asked["registered"] == [], "nothing may be registered after a refused step"


def test_golden_rows_repeat_from_their_seed():
    matrix = np.vstack([np.random.default_rng(0).normal(size=(100, 2)), np.full((1, 2), np.nan)])
    make = [golden_rows(("a", "b"), matrix, np.arange(101.0), np.random.default_rng(s)) for s in (1, 1, 2)]
    assert make[0] == make[1] != make[2]
