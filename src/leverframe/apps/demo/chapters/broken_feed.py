"""Chapter 9: the weather feed stops in mid-June; one alert, a named cause, one lever, and the feed's return."""

import time

from leverframe.apps.demo.chapters.release import live, wait_for_route
from leverframe.apps.demo.project.prepare import moment_us
from leverframe.apps.demo.stage import ENDPOINT, ENVIRONMENT, Stage
from leverframe.apps.platform.views import DiagnosisView
from leverframe.core.clock import HOUR_US, iso_from_us

FROZEN_FROM_US = moment_us(6, 14)
GIVE_UP_US = moment_us(6, 18)
RESUMED_US = moment_us(6, 18)
END_US = moment_us(6, 20)
REPORT_TIMEOUT_S = 5.0


def diagnose_now(stage: Stage) -> DiagnosisView:
    """The diagnosis as of the clock's moment, once the monitor's report is that new."""
    deadline = time.monotonic() + REPORT_TIMEOUT_S
    while True:
        diagnosis = stage.people["olga"].monitoring.diagnose(ENDPOINT)
        if diagnosis.at_us >= stage.clock.now_us() - HOUR_US or time.monotonic() > deadline:
            return diagnosis
        time.sleep(0.05)


def tell(stage: Stage) -> None:
    """Freeze the feed, wait for the alert, diagnose, disable, resume, enable."""
    with stage.timeline.chapter("A broken feed: the weather stops arriving", "broken_feed"):
        olga = stage.people["olga"]
        before = len(olga.monitoring.alerts())
        live(stage, "June", FROZEN_FROM_US)
        noisy = len(olga.monitoring.alerts()) - before
        stage.feed("weather").freeze()
        frozen_us = stage.clock.now_us()
        stage.timeline.bad(f"{iso_from_us(stage.clock.now_us())[:16]}: the weather feed freezes")

        def alerted() -> str:
            found = [alert for alert in olga.monitoring.alerts(open_only=True) if "weather" in alert.group]
            return found[0].title if found else ""

        stage.live("June", GIVE_UP_US, until=alerted, every_hours=1)
        detected_us = stage.clock.now_us()
        first = olga.monitoring.alerts(open_only=True)
        for alert in first:
            stage.timeline.bad(f"{iso_from_us(alert.opened_at_us)[:16]}: alert {alert.group} ({alert.severity}): {alert.title}")
        # The alert says what is late; a few hours on, what is missing shows in the predictions too.
        stage.live("June", detected_us + 10 * HOUR_US)
        diagnosis = diagnose_now(stage)
        open_then = olga.monitoring.alerts(open_only=True)
        for alert in open_then:
            stage.timeline.say(
                f"ten hours later: {len(open_then)} open alert, {alert.group} ({alert.severity}), with {len(alert.signals)} signals grouped"
            )
        for rank, cause in enumerate(diagnosis.causes[:3], 1):
            stage.timeline.say(f"cause {rank}: {cause.kind} {cause.subject} (score {cause.score:.2f})")
            for line in cause.evidence[:3]:
                stage.timeline.note(line)
            stage.timeline.note(f"lever: {cause.lever}")
        olga.release.operate(ENVIRONMENT, ENDPOINT, "disable-feature", "origin_weather.*", "weather feed is frozen")
        wait_for_route(stage, ENDPOINT)
        stage.timeline.good("lever disable-feature flight-delay origin_weather.*: served without weather, on purpose")
        disabled = live(stage, "without weather", RESUMED_US)
        stage.feed("weather").resume()
        olga.release.operate(ENVIRONMENT, ENDPOINT, "enable-feature", "origin_weather.*", "weather feed is back")
        wait_for_route(stage, ENDPOINT)
        stage.timeline.good("the feed is back, the feature is enabled again")
        after = live(stage, "with weather", END_US)
        left_open = [alert.group for alert in olga.monitoring.alerts(open_only=True)]
        stage.timeline.say(f"open alerts now: {', '.join(left_open) or 'none'}")
    stage.figures["broken_feed"] = {
        "alerts_before": noisy,
        "alerts": [{"group": a.group, "title": a.title, "severity": a.severity, "signals": len(a.signals)} for a in open_then],
        "detected_hours": round((min(alert.opened_at_us for alert in first) - frozen_us) / HOUR_US, 2) if first else None,
        "first_cause": {"kind": diagnosis.causes[0].kind, "subject": diagnosis.causes[0].subject} if diagnosis.causes else None,
        "served_without_feature": disabled,
        "served_after": after,
        "open_after": left_open,
    }
