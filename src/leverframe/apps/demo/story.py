"""``lever demo``: ten chapters on one installation, told live, and summed up as one JSON document."""

import json
import shutil
import signal
import time
from pathlib import Path

from leverframe.apps.demo.chapters import bad, broken_feed, features, ingest, newer, record, release, train
from leverframe.apps.demo.stage import Stage, fresh_home
from leverframe.apps.demo.timeline import Timeline

CHAPTERS = (ingest.tell, features.tell, train.tell, release.tell, newer.tell, bad.tell, broken_feed.tell, record.tell)


def run(home: Path | None, keep: bool, json_output: bool) -> int:
    """Tell the whole story; returns the exit code.

    Parameters
    ----------
    home: an empty folder to keep everything in (None: a temporary one, removed afterwards unless ``keep``).
    keep: leave control plane, console and gateway running afterwards, until interrupted.
    json_output: print nothing but one JSON document with the figures of every chapter.
    """
    folder = home or fresh_home()
    timeline = Timeline(quiet=json_output)
    started = time.perf_counter()
    stage = Stage(folder, timeline)
    try:
        with timeline.chapter("Start: control plane, console, worker and gateway", "start"):
            stage.open()
            timeline.good(
                f"console http://{stage.settings.host}:{stage.settings.port}/   gateway http://{stage.settings.gateway_host}:{stage.settings.gateway_port}/"
            )
        for tell in CHAPTERS:
            tell(stage)
        stage.figures["seconds"] = {**timeline.seconds, "total": round(time.perf_counter() - started, 1)}
        timeline.say(f"\nThe whole ring in {stage.figures['seconds']['total']:.0f} seconds.")
        if json_output:
            print(json.dumps(stage.figures), flush=True)
        if keep:
            _wait(stage, timeline)
    finally:
        stage.close()
        if home is None and not keep:
            shutil.rmtree(folder, ignore_errors=True)
    return 0


def _wait(stage: Stage, timeline: Timeline) -> None:
    """Leave everything running until interrupted, with addresses and a token to look around."""
    token = stage.people["admin"].access.issue("you", ("admin",), ("*",), days=1).secret
    settings = stage.settings
    timeline.say(f"Console   http://{settings.host}:{settings.port}/   (log in with {token})")
    timeline.say(f"Gateway   http://{settings.gateway_host}:{settings.gateway_port}/")
    timeline.say(f"Files     {settings.home}      Ctrl-C stops everything.")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        signal.pause()
    except KeyboardInterrupt:
        timeline.say("stopping")
