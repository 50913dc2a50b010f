"""A training run whose worker is killed goes on at the step where it died; finished steps are not run again. Real worker, real DBOS."""

import math
import time

import pytest
from tests.whole_program import ENDPOINT, FROM_US, NOW_US, WholeProgram

from leverframe.apps.platform.views import RunView, TrainRequest

SLOW_FIT = {"num_iterations": 800, "num_leaves": 63}
"""Enough trees that the fit is still under way when it is seen to be."""


def start(running: WholeProgram, seed: int, key: str) -> RunView:
    request = TrainRequest(model=ENDPOINT, from_us=FROM_US, to_us=NOW_US, seed=seed, params=SLOW_FIT)
    return running.person("ana").training.start(request, key=key)


def wait_for(running: WholeProgram, run_id: str, step: str, status: str) -> RunView:
    """The run once ``step`` is ``status``."""
    deadline = time.monotonic() + 60.0
    while time.monotonic() < deadline:
        run = running.person("ana").training.run(run_id)
        if next(s.status for s in run.steps if s.name == step) == status:
            return run
        assert run.status in ("queued", "running"), f"the run is over before {step} was seen to be {status}: {run.failure}"
        time.sleep(0.01)
    raise AssertionError(f"{step} never was {status}")


def finish(running: WholeProgram, run_id: str) -> RunView:
    """The run once it is over."""
    deadline = time.monotonic() + 90.0
    while time.monotonic() < deadline:
        run = running.person("ana").training.run(run_id)
        if run.status in ("succeeded", "failed"):
            return run
        time.sleep(0.05)
    raise AssertionError(f"not over: {run}")


def test_a_killed_worker_goes_on_where_it_died(running: WholeProgram):
    ana = running.person("ana")
    versions = len(ana.training.versions(ENDPOINT))
    run = start(running, 31, "resume-31")
    before = wait_for(running, run.id, "fit", "running")
    pid = running.kill("worker")
    done_before = [step.name for step in before.steps if step.status == "done"]
    assert done_before == ["select", "features", "split"]
    run = finish(running, run.id)
    assert running.pid("worker") != pid
    assert run.status == "succeeded", run.failure
    attempts = {step.name: step.attempts for step in run.steps}
    assert {name: attempts[name] for name in done_before} == dict.fromkeys(done_before, 1), "a finished step was run again"
    assert attempts["fit"] == 2, "the interrupted step was not run again"
    assert all(attempts[name] == 1 for name in ("export", "evaluate", "profile", "package", "register"))
    registered = ana.training.versions(ENDPOINT)
    assert len(registered) == versions + 1, "not exactly one version was registered"
    assert registered[0].name == run.version
    again = start(running, 31, "resume-31")
    assert (again.id, again.status, len(ana.training.versions(ENDPOINT))) == (run.id, "succeeded", versions + 1)
    assert running.person("admin").audit.verify().ok


@pytest.mark.slow
def test_negative_control_without_the_workflow_database_finished_steps_run_again(running: WholeProgram):
    run = start(running, 32, "resume-32")
    wait_for(running, run.id, "fit", "running")
    children = [child for child in running.supervisor.children if child.name in ("worker", "control")]
    for child in children:
        child.rests_until = math.inf
        running.kill(child.name)
        child.process.wait()
    for file in (*running.home.glob("workflows.db*"), *(running.home / "step-cache").iterdir()):
        file.unlink()
    for child in children:
        child.rests_until = 0.0
    for child in children:
        while child.process.poll() is not None:
            time.sleep(0.05)
        child.wait_ready()
    time.sleep(2.0)
    assert running.person("ana").training.run(run.id).status == "running", "somebody remembered the run: the test above proves nothing"
    start(running, 32, "resume-32")
    run = finish(running, run.id)
    assert run.status == "succeeded", run.failure
    attempts = {step.name: (step.attempts, step.cached) for step in run.steps}
    assert {attempts[name] for name in ("select", "features", "split", "fit")} == {(2, False)}, attempts
