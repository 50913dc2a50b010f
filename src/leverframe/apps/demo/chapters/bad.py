"""Chapter 8: a version that offline gates cannot see through enters as canary, and is taken back by itself."""

import time

from leverframe.apps.demo.chapters.ingest import ingest_arrived
from leverframe.apps.demo.chapters.release import log_totals, plan_and_approve, release_now, stage_log, wait_for_route
from leverframe.apps.demo.chapters.train import describe, train
from leverframe.apps.demo.project.models import BAD_UNITS_PREPARE
from leverframe.apps.demo.project.prepare import moment_us
from leverframe.apps.demo.stage import ENDPOINT, Stage
from leverframe.apps.platform.views import PlanRequest
from leverframe.core.clock import HOUR_US, iso_from_us


def tell(stage: Stage) -> None:
    """Train on delays in hours, serve on delays in minutes, and watch it being caught."""
    with stage.timeline.chapter("A bad version: its training set had delays in hours, the online store has minutes", "bad"):
        ingest_arrived(stage)
        _, version = train(stage, prepare=dict(BAD_UNITS_PREPARE), note="delays scaled to hours")
        stage.figures["evaluations"].append(describe(stage, version))
        stage.timeline.note(f"offline nothing is wrong: gates say {version.version.gates}")
        request = PlanRequest(endpoint=ENDPOINT, version=version.version.name, strategy="canary", note="delays scaled to hours")
        plan = plan_and_approve(stage, request)
        release = stage.people["ana"].release.apply(plan.digest)
        wait_for_route(stage, request.version)
        started, started_us = time.perf_counter(), stage.clock.now_us()
        progress = stage.live("June", moment_us(6, 10), until=lambda: release_now(stage, release.id).outcome, every_hours=1)
        wall_seconds = time.perf_counter() - started
        wait_for_route(stage, release.champion)
        release = release_now(stage, release.id)
        log = stage_log(stage, release)
        lived_us = (release.ended_at_us or stage.clock.now_us()) - started_us
        answers = progress.by_version.get(version.version.name, 0)
        fired = [verdict for verdict in release.verdicts if verdict.answer == "fail"]
        stage.timeline.good(
            f"{release.candidate} is {release.state} at {iso_from_us(release.ended_at_us or 0)[:16]}: "
            f"it gave {answers} answers and lived {lived_us / HOUR_US:.1f} h of event time ({wall_seconds:.2f} s on the wall)"
        )
        for verdict in fired:
            stage.timeline.bad(f"rule {verdict.rule}: {verdict.reason}")
    stage.figures["bad"] = {
        "release": release.id,
        "candidate": release.candidate,
        "outcome": release.state,
        "answers": answers,
        "event_hours": round(lived_us / HOUR_US, 2),
        "seconds_first_answer_to_route_back": round(wall_seconds, 3),
        "fired": [{"rule": v.rule, "observed": v.observed, "low": v.low, "high": v.high, "margin": v.threshold, "n": v.n} for v in fired],
        "log": log,
        "log_totals": log_totals(stage),
    }
