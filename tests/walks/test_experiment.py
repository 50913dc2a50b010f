"""An experiment on a whole installation: a broken version is live, two others are tried on real flights, and the better one is proposed."""

import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.apps.test_experiments import change_one_answer
from tests.whole_program import ENDPOINT, Traffic, WholeProgram, copy_home

from leverframe.apps.platform.views.experiments import ExperimentRequest, ExperimentView
from leverframe.core.clock import HOUR_US, MINUTE_US
from leverframe.core.errors import Forbidden, Refused
from leverframe.core.prediction import PredictionRecord
from leverframe.monitoring.log_span import newest

V1, V2, BROKEN = (f"{ENDPOINT}@v{n}" for n in (1, 2, 3))
END_S = 150.0


def wait_for(read: Any, right: Any, timeout_s: float = 30.0) -> Any:
    deadline = time.monotonic() + timeout_s
    while not right(found := read()):
        assert time.monotonic() < deadline, found
        time.sleep(0.05)
    return found


def callers_and_versions(folder: Path, experiment: str) -> dict[int, set[str]]:
    """Which versions each caller met, by the log's own account."""
    met: dict[int, set[str]] = {}
    for record in newest(folder, 1 << 30):
        if isinstance(record, PredictionRecord) and record.exposure is not None and record.exposure.experiment == experiment:
            met.setdefault(record.exposure.key, set()).add(record.version)
    return met


def make_live(program: WholeProgram, version: str) -> None:
    """Release ``version`` to everybody with nothing to stop it: how a broken version came to be live."""
    digest = program.approved_plan(version, overrides={"rules": [], "watch_us": 0})
    started = program.person("ana").release.apply(digest)
    with Traffic(program, seed=1):
        wait_for(lambda: program.person("ana").release.get(started.id), lambda release: release.ended_at_us is not None)


@pytest.mark.slow
def test_two_versions_are_tried_on_real_flights_and_the_better_one_is_proposed(tmp_path: Path) -> None:
    home = copy_home(tmp_path / "home")
    with WholeProgram(home) as program:
        make_live(program, BROKEN)
        ana, ben, olga = (program.person(name).experiments for name in ("ana", "ben", "olga"))
        request = msgspec.convert(
            {
                "endpoint": ENDPOINT,
                "versions": [V1, V2],
                "primary": {"metric": "outcome_brier", "effect": 0.02, "better": "lower"},
                "hash_field": "tailnum",
                "traffic": 80.0,
                "layer": "departures",
                "segments": ["carrier"],
                "covariate": "distance",
                "min_us": 2 * HOUR_US,
                "horizon_us": 96 * HOUR_US,
                "label_horizon_us": 90 * MINUTE_US,
            },
            ExperimentRequest,
        )
        plan = ana.plan(request)
        with pytest.raises(Forbidden):
            ana.approve(plan.digest)
        with pytest.raises(Forbidden):
            ana.start(plan.digest)
        ben.approve(plan.digest)
        if plan.needed > 1:
            program.person("admin").access.issue("bea", ["approver"], ["flights"])
        started = ana.start(plan.digest)
        with pytest.raises(Refused, match="one change at a time"):
            program.person("ana").release.apply(program.approved_plan(V1))
        (shown,) = program.person("ana").release.endpoints()
        program.wait_generation(shown.generation_desired)
        with Traffic(program, seed=2) as traffic:
            wait_for(lambda: ana.get(started.id), lambda e: e.readout is not None and e.readout.counts.keys > 200, END_S)
            program.kill("worker")
            ended: ExperimentView = wait_for(lambda: ana.get(started.id), lambda e: e.state == "ended", END_S)
        assert (ended.outcome, traffic.refused) == ("winner", []), ended.summary
        assert ended.winner in (V1, V2)
        assert ended.readout is not None
        assert ended.readout.split.answer == "pass"
        assert ended.readout.counts.misassigned == 0
        assert ended.readout.counts.outside > 0

        met = callers_and_versions(program.settings.log_folder, started.id)
        assert all(len(versions) == 1 for versions in met.values()), "somebody met two arms"
        assert {version for versions in met.values() for version in versions} == {BROKEN, V1, V2}

        (shown,) = program.person("ana").release.endpoints()
        assert [(arm.version, arm.weight) for arm in shown.endpoint.arms] == [(BROKEN, 100.0)]
        proposed = program.person("ana").release.plan_of(ended.proposed)
        assert (proposed.plan["candidate"]["version"], len(proposed.missing)) == (ended.winner, proposed.needed)
        program.person("ben").release.approve(ended.proposed, "the experiment says so")

        report = olga.report(started.id)
        assert report.same is True, report.finding
        assert report.report.readout.arms[0].version == BROKEN
        change_one_answer(program.settings.log_folder)
        assert olga.report(started.id).same is False
