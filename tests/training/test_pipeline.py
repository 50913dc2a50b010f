import time

import pytest
from tests.training.local_runner import LocalRunner

from leverframe.core.errors import DeadlineExceeded, InvalidInput, Unavailable
from leverframe.training.pipeline import Pipeline, Step, StepOutcome, is_transient, outputs_of, run_step, within
from leverframe.training.step_memory import FolderSteps, InMemorySteps

CODE = "sha256:" + "0" * 64


class Recipe:
    """Three steps that count how often each really ran."""

    def __init__(self):
        self.ran = []
        self.failures = {}

    def step(self, name, *needs, **options):
        def run(inputs):
            self.ran.append(name)
            if self.failures.get(name):
                raise self.failures[name].pop(0)
            return name.encode() + b"(" + b",".join(inputs[need] for need in needs) + b")"

        return Step(name=name, run=run, needs=needs, **options)

    def pipeline(self, code=CODE, settings=None):
        return Pipeline("p", code, (self.step("a", settings=settings), self.step("b", "a"), self.step("c", "a", "b", reusable=False)))


def runner(blobs, memory, pauses=None, **options):
    return LocalRunner(blobs, memory, pause=(pauses if pauses is not None else []).append, **options)


def test_steps_pass_their_outputs_on_by_digest(blobs):
    seen = []
    outcomes = runner(blobs, InMemorySteps(), observe=lambda name, outcome: seen.append((name, outcome is not None))).run(
        Recipe().pipeline()
    )
    assert blobs.get(outcomes[-1].output) == b"c(a(),b(a()))"
    assert [(o.name, o.cached, o.attempts) for o in outcomes] == [("a", False, 1), ("b", False, 1), ("c", False, 1)]
    assert seen == [("a", False), ("a", True), ("b", False), ("b", True), ("c", False), ("c", True)]


def test_nothing_changed_means_nothing_runs_but_what_acts_on_the_world(blobs):
    recipe, memory = Recipe(), InMemorySteps()
    first = runner(blobs, memory).run(recipe.pipeline())
    second = runner(blobs, memory).run(recipe.pipeline())
    assert recipe.ran == ["a", "b", "c", "c"]
    assert [o.cached for o in second] == [True, True, False]
    assert outputs_of(first) == outputs_of(second)


def test_changed_code_or_settings_run_again(blobs):
    recipe, memory = Recipe(), InMemorySteps()
    runner(blobs, memory).run(recipe.pipeline())
    runner(blobs, memory).run(recipe.pipeline(code="sha256:" + "1" * 64))
    runner(blobs, memory).run(recipe.pipeline(settings={"x": 1}))
    assert recipe.ran[3:6] == ["a", "b", "c"], "other code must not reuse outputs"
    assert recipe.ran[6:] == ["a", "c"], "b's input has the same bytes, so only what changed runs: early cut-off"


@pytest.mark.parametrize("folder", [False, True])
def test_a_run_goes_on_at_the_step_that_failed(blobs, tmp_path, folder):
    recipe = Recipe()
    recipe.failures["b"] = [ValueError("no such luck")]
    memory = FolderSteps(tmp_path) if folder else InMemorySteps()
    with pytest.raises(ValueError, match="no such luck"):
        runner(blobs, memory).run(recipe.pipeline())
    fresh = FolderSteps(tmp_path) if folder else memory
    runner(blobs, fresh).run(recipe.pipeline())
    assert recipe.ran == ["a", "b", "b", "c"], "a was done and must not run again"


def test_without_memory_everything_runs_again(blobs):
    """Negative control of the test above."""
    recipe = Recipe()
    recipe.failures["b"] = [ValueError("no such luck")]
    with pytest.raises(ValueError, match="no such luck"):
        runner(blobs, InMemorySteps()).run(recipe.pipeline())
    runner(blobs, InMemorySteps()).run(recipe.pipeline())
    assert recipe.ran == ["a", "b", "a", "b", "c"]


def test_an_output_that_was_deleted_is_made_again(blobs):
    recipe, memory = Recipe(), InMemorySteps()
    outcomes = runner(blobs, memory).run(recipe.pipeline())
    del blobs.held[outcomes[0].output]
    runner(blobs, memory).run(recipe.pipeline())
    assert recipe.ran == ["a", "b", "c", "a", "c"]


def test_transient_faults_are_tried_again_with_growing_pauses(blobs):
    recipe, pauses = Recipe(), []
    recipe.failures["a"] = [Unavailable("away"), ConnectionResetError()]
    blobs.failures = []
    outcomes = runner(blobs, InMemorySteps(), pauses).run(recipe.pipeline())
    assert (outcomes[0].attempts, pauses) == (3, [0.2, 0.4])


def test_a_store_that_is_away_for_a_moment_costs_a_try(blobs):
    blobs.failures = [Unavailable("away")]
    assert runner(blobs, InMemorySteps()).run(Recipe().pipeline())[0].attempts == 2


def test_retries_are_bounded_and_a_mistake_is_never_retried(blobs):
    recipe, pauses = Recipe(), []
    recipe.failures["a"] = [Unavailable("away")] * 9
    with pytest.raises(Unavailable):
        runner(blobs, InMemorySteps(), pauses).run(recipe.pipeline())
    assert recipe.ran == ["a"] * 3
    recipe.failures["a"] = [InvalidInput("wrong")]
    with pytest.raises(InvalidInput):
        runner(blobs, InMemorySteps(), pauses).run(recipe.pipeline())
    assert recipe.ran == ["a"] * 4
    assert not is_transient(DeadlineExceeded("late"))


def test_a_step_out_of_time_is_given_up():
    with pytest.raises(DeadlineExceeded, match="step slow"):
        within(0.01, lambda: time.sleep(0.2) or b"", where="step slow")
    assert within(5.0, lambda: b"done", where="quick") == b"done"


def test_one_step_can_be_run_alone_for_a_durable_engine(blobs):
    pipeline = Recipe().pipeline()
    outcome = run_step(pipeline, pipeline.steps[0], {}, blobs=blobs, memory=InMemorySteps())
    import msgspec

    assert msgspec.convert(msgspec.to_builtins(outcome), StepOutcome) == outcome, "what is handed back must be plain data"


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ((), "0 steps"),
        ((Step(name="a", run=bytes), Step(name="a", run=bytes)), "a twice"),
        ((Step(name="a", run=bytes, needs=("b",)), Step(name="b", run=bytes)), "no earlier step"),
        ((Step(name="a", run=bytes, retries=99),), "99 retries"),
    ],
)
def test_a_pipeline_that_cannot_run_is_refused(steps, said):
    with pytest.raises(InvalidInput, match=said):
        Pipeline("p", CODE, steps)
