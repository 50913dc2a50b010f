"""``lever apply``, ``plan`` and feature tests: a team's folder is read here, shown, and sent as records."""

# ruff: noqa: F811 - a fixture is named like the argument that takes it

import json

import pytest
from tests.apps import fake_records as records
from tests.apps.test_cli import lever, platform  # noqa: F401  fixtures

from leverframe.apps.cli import project
from leverframe.apps.cli.exit_codes import OK, REFUSED, USAGE
from leverframe.core import errors


@pytest.fixture
def team_folder(tmp_path):
    folder = tmp_path / "project"
    (folder / "contracts").mkdir(parents=True)
    (folder / "contracts" / "weather.odcs.yaml").write_text(records.WEATHER_TEXT)
    (folder / "windows.py").write_text("import leverframe as lf\nTWO_HOURS = 2 * lf.HOUR_US\n")
    (folder / "features.py").write_text(
        "import leverframe as lf\nfrom windows import TWO_HOURS\n"
        "delays = lf.FeatureView(name='origin_delays', source='departures', entity=('origin',), event_time='t', arrival_time='t',\n"
        "    aggregates=(lf.Aggregate(name='mean_2h', function='mean', column='dep_delay', window_us=TWO_HOURS),))\n"
        "takes = lf.FeatureService(name='delays', team='flights', features=(lf.ServedFeature(view='origin_delays', feature='mean_2h'),))\n"
    )
    return folder


def test_applying_a_project_shows_the_plan_and_sends_records(lever, platform, team_folder):
    code, out, _ = lever("apply", str(team_folder), "--yes")
    assert code == OK
    assert "changed: values" in out
    ((action, _, _, (request,)),) = platform.calls.made
    assert action == "Features.Apply"
    assert request.plan == records.digest("plan"), "what was shown is what is applied"
    assert request.declared.views[0].aggregates[0].window_us == 7_200_000_000
    assert [s.name for s in request.declared.services] == ["delays"]
    assert request.declared.contracts == (records.WEATHER_TEXT,)


def test_a_dry_run_sends_nothing(lever, platform, team_folder):
    code, out, _ = lever("apply", str(team_folder), "--dry-run", "--json")
    assert code == OK
    assert [step["change"] for step in json.loads(out)["plan"]["steps"]] == ["values", "added", "added"]
    assert platform.calls.made == []


def test_a_plan_shows_who_breaks_and_the_command_that_applies_it(lever, platform, team_folder):
    text = (team_folder / "features.py").read_text()
    (team_folder / "features.py").write_text(
        text + "weather = lf.FeatureView(name='origin_weather', source='weather', entity=('origin',), event_time='observed_at',\n"
        "    arrival_time='known_at', expressions=(lf.Expression(name='visib', sql='visib'),))\n"
    )
    code, out, _ = lever("plan", str(team_folder))
    assert code == REFUSED
    assert "BREAKING" in out
    assert "origin_weather.wind_speed" in out
    assert "model flight-delay" in out
    assert f"--plan {records.digest('plan')}" not in out, "a project with faults is not offered for applying"
    assert "its source has no contract" in out
    assert platform.calls.made == []


TESTED = """
lf.FeatureTest  # loaded when first used
DAY = lf.DAY_US
holds = lf.FeatureTest(name="known", view="origin_delays", rows=({"origin": "JFK", "t": 5, "dep_delay": 30.0},),
    asked=({"origin": "JFK", "at": 4}, {"origin": "JFK", "at": 5}), expected={"mean_2h": (None, 30.0)})
"""


def test_feature_tests_run_here_and_before_a_plan(lever, platform, team_folder):
    (team_folder / "features.py").write_text((team_folder / "features.py").read_text() + TESTED)
    code, out, _ = lever("features", "test", str(team_folder), "--engine", "polars", "--engine", "stream")
    assert code == OK
    assert "feature tests: 1 of 1 hold on polars, stream" in out
    (team_folder / "features.py").write_text((team_folder / "features.py").read_text().replace("(None, 30.0)", "(None, 31.0)"))
    code, out, _ = lever("features", "test", str(team_folder), "--engine", "polars", "--engine", "stream")
    assert code == REFUSED
    assert "feature tests: 0 of 1 hold" in out
    line = next(line for line in out.splitlines() if "stream" in line)
    assert line.split()[-2:] == ["31", "30"]
    code, out, _ = lever("plan", str(team_folder))
    assert code == REFUSED
    assert "feature tests: 0 of 1 hold" in out
    assert platform.calls.made == []


def test_an_engine_that_is_none_is_named(lever, team_folder):
    code, _, err = lever("features", "test", str(team_folder), "--engine", "pandas")
    assert code == USAGE
    assert "expected polars, stream, spark, got pandas" in err


def test_a_project_without_feature_tests_says_how_to_write_one(lever, team_folder):
    code, out, _ = lever("features", "test", str(team_folder), "--engine", "polars", "--engine", "stream")
    assert code == OK
    assert "lf.FeatureTest(" in out


def test_two_records_of_one_name_are_a_conflict(team_folder):
    models = team_folder / "models.py"
    models.write_text(
        "import leverframe as lf\n"
        "again = lf.FeatureView(name='origin_delays', source='other', entity=('origin',), event_time='t', arrival_time='t')\n"
    )
    with pytest.raises(errors.Conflict, match="share a name"):
        project.load_project(team_folder)


def test_an_empty_folder_is_no_project(tmp_path):
    with pytest.raises(errors.NotFound, match="no project here"):
        project.load_project(tmp_path)


def test_a_contract_cannot_run_code(tmp_path):
    (tmp_path / "contracts").mkdir()
    canary = tmp_path / "canary"
    (tmp_path / "contracts" / "x.yaml").write_text(f"schema: !!python/object/apply:os.system ['touch {canary}']\n")
    with pytest.raises(errors.InvalidInput):
        project.load_project(tmp_path)
    assert not canary.exists()
