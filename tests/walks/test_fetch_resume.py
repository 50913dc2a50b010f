"""A fetch whose worker is killed -9 at random moments: real worker, real DBOS. Every row comes once, in one snapshot."""

import random
import time
from pathlib import Path

import pytest
from tests.apps.test_materializing import CONTRACT
from tests.whole_program import WholeProgram, whole_program

from leverframe.data.sources.fetch_jobs import FetchJob
from leverframe.data.sources.registered import Source

OBJECTS, ROWS = 350, 20
"""More than three pieces."""


def landed(folder: Path) -> None:
    folder.mkdir()
    for number in range(OBJECTS):
        moments = [f"2024-01-01T00:00:{row:02}Z" for row in range(ROWS)]
        lines = [f"s{number:04},{moment},{moment},{row}" for row, moment in enumerate(moments)]
        (folder / f"day-{number:04}.csv").write_text("\n".join(["sensor,at,known,value", *lines]) + "\n")


def followed(running: WholeProgram, job: FetchJob, chance: random.Random, kills: int) -> tuple[FetchJob, int]:
    killed, deadline = 0, time.monotonic() + 90.0
    while job.status == "running" and time.monotonic() < deadline:
        time.sleep(chance.uniform(0.02, 0.25))
        if killed < kills:
            running.kill("worker")
            killed += 1
            time.sleep(0.3)
        job = running.person("ana").sources.fetch_job(job.id)
    return job, killed


@pytest.mark.slow
def test_kills_at_random_moments_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    chance, landing = random.Random(20260503), tmp_path / "landing"
    landed(landing)
    with whole_program(tmp_path, sources_allowed=f"file://{landing}") as running:
        ana = running.person("ana")
        ana.data.apply_contract(CONTRACT)
        ana.sources.declare(Source(name="landing", kind="objects", team="flights", location=f"file://{landing}"))
        job, killed = followed(running, ana.sources.fetch("readings", "landing"), chance, kills=3)
        assert killed >= 2, "nothing was killed: this proves nothing"
        assert (job.status, job.rows, job.pieces_done) == ("done", OBJECTS * ROWS, job.pieces), job.failure
        (view,) = ana.keeping.snapshots("readings")
        assert view.snapshot.rows == OBJECTS * ROWS
        again = followed(running, ana.sources.fetch("readings", "landing"), chance, kills=0)[0]
        assert again.status == "nothing_new"
        assert running.person("admin").audit.verify().ok
