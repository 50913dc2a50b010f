"""The leakage check of a real, trained installation, by API and command line, and what its training runs said of their training sets."""

import json

import msgspec
import pytest
from tests.whole_program import copy_home, open_in_process

from leverframe.apps.settings import Settings
from leverframe.core.errors import NotFound
from leverframe.core.training_set_report import TrainingSetReport


@pytest.fixture(scope="module")
def platform(tmp_path_factory):
    home = copy_home(tmp_path_factory.mktemp("leakage") / "home")
    opened = open_in_process(Settings(home=home, clock=f"replay:{home / 'replay.clock'}"))
    yield opened
    opened.close()


def test_the_flights_say_what_an_event_time_join_would_have_leaked(platform):
    """Every hour of weather is known an hour later, so nearly every question would have seen the hour it was asked in."""
    report = platform.leakage.report("flight-delay")
    weather = next(leak for leak in report.leaks if leak.check == "event_time_join")
    assert (weather.view, weather.severity) == ("origin_weather", "note")
    assert 0.9 < weather.rows / report.questions <= 1.0
    instant = {leak.view for leak in report.leaks if leak.check == "arrival_is_event"}
    assert instant == {"origin_delays", "carrier_delays", "plane_facts"}
    assert not any(leak.severity == "error" or leak.check == "tells_label" for leak in report.leaks)
    planes = next(match for match in report.matches if match.view == "plane_facts")
    assert planes.never_known == planes.unmatched > 0  # one flight in six flies a plane that the registry does not list
    assert all(match.questions == report.questions for match in report.matches)
    with pytest.raises(NotFound):
        platform.leakage.report("nobody")


def test_a_training_run_notes_the_gist_and_keeps_the_report(platform):
    run = next(run for run in platform.training.runs("flight-delay") if not run.steps[1].cached)
    step = next(step for step in run.steps if step.name == "features")
    assert "leakage: 0 errors" in step.detail
    kept = platform.parts.artifacts.get(step.detail.rsplit(" ", 1)[1])
    report = msgspec.json.decode(kept, type=TrainingSetReport)
    assert step.detail.startswith(report.summary())
    assert json.loads(kept)["model"] == "flight-delay"
