"""Chapters 3 and 4: a durable training run that survives its worker's death, and the gates that judge what it made."""

import os
import signal
import time
from collections.abc import Callable

from leverframe.apps.demo.project.prepare import moment_us
from leverframe.apps.demo.stage import ENDPOINT, Stage
from leverframe.apps.platform.views import RunView, TrainRequest, VersionView
from leverframe.core.errors import Unavailable

RUN_TIMEOUT_S = 180.0
KILL_BEFORE_STEP = "export"
"""The worker is killed once the step before this one is done, half-way through the run."""


def follow(stage: Stage, run: RunView, on_change: Callable[[RunView], None] | None = None) -> RunView:
    """Poll a run until it is over.

    Raises
    ------
    Unavailable: it failed, or took longer than three minutes.
    """
    deadline = time.monotonic() + RUN_TIMEOUT_S
    while run.status in ("queued", "running"):
        if time.monotonic() > deadline:
            raise Unavailable("the training run did not end in time", where=run.id, next_step="see logs/worker.log")
        time.sleep(0.05)
        run = stage.people["ana"].training.run(run.id)
        if on_change is not None:
            on_change(run)
    if run.status == "failed":
        raise Unavailable("the training run failed", where=run.id, got=run.failure)
    return run


def train(stage: Stage, *, prepare: dict[str, str] | None = None, note: str = "") -> tuple[RunView, VersionView]:
    """Train on everything from January to the clock's moment and return the run and the version it made."""
    ana = stage.people["ana"]
    request = TrainRequest(model=ENDPOINT, from_us=moment_us(1, 1), to_us=stage.clock.now_us(), prepare=prepare or {}, note=note)
    run = follow(stage, ana.training.start(request))
    return run, ana.training.version(run.version)


def describe(stage: Stage, version: VersionView) -> dict[str, object]:
    """Print a version's evaluation and return its figures."""
    report = version.evaluation
    auc = next(metric for metric in report.metrics if metric.name == "roc_auc")
    loss = next(metric for metric in report.metrics if metric.name == "log_loss")
    baseline = next(metric for metric in report.baseline if metric.name == "roc_auc")
    stage.timeline.say(
        f"{version.version.name}: ROC AUC {auc.value:.3f} ({auc.low:.3f} to {auc.high:.3f}), baseline {baseline.value:.3f}; "
        f"log loss {loss.value:.3f} ({loss.low:.3f} to {loss.high:.3f}); {report.rows:,} held-out rows"
    )
    for gate in report.gates:
        tell = stage.timeline.good if gate.answer == "pass" else stage.timeline.bad
        seen = "nothing" if gate.observed is None else f"{gate.observed:.3f}"
        interval = "" if gate.low is None or gate.high is None else f" ({gate.low:.3f} to {gate.high:.3f})"
        tell(f"gate {gate.rule}: {seen}{interval} on {gate.n:,} rows{'; ' + gate.reason if gate.answer != 'pass' else ''}")
    return {
        "version": version.version.name,
        "bundle": version.version.bundle,
        "roc_auc": [auc.value, auc.low, auc.high],
        "log_loss": [loss.value, loss.low, loss.high],
        "baseline_roc_auc": baseline.value,
        "rows": report.rows,
        "answer": report.answer,
        "gates": {gate.rule: gate.answer for gate in report.gates},
    }


def tell(stage: Stage) -> None:
    """Train the first version, killing the worker half-way."""
    with stage.timeline.chapter("Train: a durable pipeline, its worker killed half-way", "train"):
        ana = stage.people["ana"]
        killed: dict[str, object] = {}

        def kill_half_way(run: RunView) -> None:
            done = [step.name for step in run.steps if step.status == "done"]
            following = next((step.name for step in run.steps if step.status != "done"), "")
            if not killed and following == KILL_BEFORE_STEP:
                pid = stage.child_pid("worker")
                os.kill(pid, signal.SIGKILL)
                killed.update(pid=pid, done=done, interrupted=following, at=time.perf_counter())
                stage.timeline.bad(f"kill -9 {pid}: the worker dies with {len(done)} steps done, before '{following}' is")

        request = TrainRequest(model=ENDPOINT, from_us=moment_us(1, 1), to_us=stage.clock.now_us(), note="first version")
        run = follow(stage, ana.training.start(request), kill_half_way)
        version = ana.training.version(run.version)
        redone = [step.name for step in run.steps if step.name in killed.get("done", ()) and step.attempts > 1]  # type: ignore[operator]
        stage.timeline.good(f"a new worker went on at '{killed.get('interrupted')}'; steps done twice: {', '.join(redone) or 'none'}")
        stage.timeline.note(", ".join(f"{step.name} {step.seconds:.1f} s" for step in run.steps))
        stage.timeline.good(
            f"{version.version.name} signed as {version.version.bundle[:19]}…, {len(version.files)} files, gates: {version.version.gates}"
        )
    stage.figures["train"] = {
        "run": run.id,
        "steps": {step.name: {"seconds": step.seconds, "attempts": step.attempts} for step in run.steps},
        "killed_before": killed.get("interrupted"),
        "steps_redone": redone,
        "files": version.files,
    }
    with stage.timeline.chapter("Evaluate: intervals, slices, a baseline, and gates that decide", "evaluate"):
        stage.figures["evaluations"] = [describe(stage, version)]
        worst = min((m for m in version.evaluation.slices if m.name == "roc_auc"), key=lambda m: m.value)
        stage.timeline.note(f"weakest slice {worst.slice}: ROC AUC {worst.value:.3f} on {worst.n:,} rows")
