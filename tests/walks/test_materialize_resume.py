"""A materialisation whose worker is killed -9 at random moments: real worker, real DBOS. The gateway's store is the old or the new one."""

import random
import time
from pathlib import Path

import pytest
from tests.whole_program import NOW_US, WholeProgram, whole_program

from leverframe.apps.platform.views import MaterializeRequest
from leverframe.core.clock import HOUR_US
from leverframe.core.feature import FeatureView
from leverframe.features.materialization.jobs import JobRecord
from leverframe.features.online.online_lmdb import LmdbOnlineStore


def start(running: WholeProgram, key: str) -> JobRecord:
    request = MaterializeRequest(names=("origin_weather",), mode="full", parts=3)
    return running.person("ana").features.start(request, key=key)[0]


TURNS = 3
KILLS_MAX = 4
"""The supervisor takes more deaths than five in half a minute for a crash loop."""


@pytest.mark.slow
def test_kills_at_random_moments_leave_old_or_new_and_the_job_ends(tmp_path: Path) -> None:
    chance, killed = random.Random(20240101), 0
    with whole_program(tmp_path) as running:
        ana = running.person("ana")
        view: FeatureView = next(v.view for v in ana.features.views() if v.view.name == "origin_weather")
        store = LmdbOnlineStore(running.settings.online_folder, read_only=True)
        seen: set[tuple[int, tuple[float, ...]]] = set()

        def look() -> None:
            meta = store.meta(view.name)
            assert meta is not None
            rows = store.rows(view.name, meta.view_version, 10_000)
            seen.add((meta.watermark_us, tuple(rows.event_us.tolist())))

        look()
        for turn in range(TURNS):
            running.clock.set(NOW_US + turn * HOUR_US)
            job = start(running, f"resume-{turn}")
            deadline, killed_here = time.monotonic() + 60.0, 0
            while job.status == "running" and time.monotonic() < deadline:
                time.sleep(chance.uniform(0.0, 0.1))
                look()
                if killed_here < 2 and killed < KILLS_MAX and chance.random() < 0.7:
                    running.kill("worker")
                    killed, killed_here = killed + 1, killed_here + 1
                    time.sleep(0.2)
                job = ana.features.job(job.id)
            assert (job.status, job.partitions_done, job.watermark_us) == ("done", job.partitions, NOW_US + turn * HOUR_US), job.failure
            look()
        assert killed >= 2, "nothing was killed: this proves nothing"
        watermarks = {NOW_US + turn * HOUR_US for turn in range(TURNS)}
        assert {watermark for watermark, _ in seen} == watermarks
        by_watermark = {watermark: {events for w, events in seen if w == watermark} for watermark in watermarks}
        assert all(len(events) == 1 for events in by_watermark.values()), "at one watermark two states were seen: a mixture"
        assert not list((running.home / "materialize").iterdir()), "files of a job outlived it"
        assert running.person("admin").audit.verify().ok
        store.close()
