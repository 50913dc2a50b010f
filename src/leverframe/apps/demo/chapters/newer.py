"""Chapter 7: a version trained through April goes shadow, canary, full, on May's traffic, as far as the data lets it."""

import time

from leverframe.apps.demo.chapters.ingest import ingest_arrived
from leverframe.apps.demo.chapters.release import log_totals, plan_and_approve, release_now, stage_log, wait_for_route
from leverframe.apps.demo.chapters.train import describe, train
from leverframe.apps.demo.project.prepare import moment_us
from leverframe.apps.demo.stage import ENDPOINT, Stage
from leverframe.apps.platform.views import PlanRequest
from leverframe.core.clock import DAY_US, HOUR_US

FULL = "100 %"
"""Name of the stage at which the candidate answers everyone."""


def tell(stage: Stage) -> None:
    """Retrain, release by sequential verdicts, and say what the data said."""
    with stage.timeline.chapter("A newer version: shadow, canary, 100 % by verdicts on late labels", "newer"):
        ingest_arrived(stage)
        _, version = train(stage, note="trained through April")
        stage.figures["evaluations"].append(describe(stage, version))
        request = PlanRequest(endpoint=ENDPOINT, version=version.version.name, strategy="shadow_canary", note="trained through April")
        plan = plan_and_approve(stage, request)
        started_us = stage.clock.now_us()
        release = stage.people["ana"].release.apply(plan.digest)
        wait_for_route(stage, request.version)

        approved, lead_s = time.perf_counter(), 0.0

        def over() -> str:
            nonlocal lead_s
            now = release_now(stage, release.id)
            if not lead_s and any(entry.stage == FULL for entry in now.log):
                lead_s = time.perf_counter() - approved
            return now.outcome

        progress = stage.live("May", moment_us(6, 1), until=over)
        release = release_now(stage, release.id)
        log = stage_log(stage, release)
        days = (stage.clock.now_us() - started_us) / DAY_US
        full_us = next((entry.at_us for entry in release.log if entry.stage == FULL), None)
        if full_us is not None:
            stage.timeline.good(
                f"approved to 100 %, nobody asked: {(full_us - started_us) / HOUR_US:.1f} h of event time, {lead_s:.1f} s at this speed"
            )
        for verdict in release.verdicts:
            stage.timeline.note(verdict.reason)
        judged = stage.timeline.good if release.state in ("completed", "watching") else stage.timeline.bad
        judged(f"{release.candidate} is {release.state} after {days:.1f} days and {progress.answered:,} answers: {release.summary[:200]}")
        stage.figures["newer"] = {
            "release": release.id,
            "candidate": release.candidate,
            "outcome": release.state,
            "days": round(days, 2),
            "lead_hours": None if full_us is None else round((full_us - started_us) / HOUR_US, 2),
            "lead_wall_seconds": round(lead_s, 2),
            "answers_by_candidate": progress.by_version.get(version.version.name, 0),
            "labels_joined": release.labels_joined,
            "verdicts": {
                v.rule: {"answer": v.answer, "low": v.low, "high": v.high, "margin": v.threshold, "n": v.n} for v in release.verdicts
            },
            "log": log,
        }
        if stage.clock.now_us() < moment_us(6, 1):
            rest = stage.live("rest of May", moment_us(6, 1))
            stage.timeline.note(f"{rest.answered:,} more answers to the end of May")
        stage.figures["newer"]["log_totals"] = log_totals(stage)
