"""The ``lever`` command: light to start, exit codes with a meaning, JSON on request, errors with the next command."""

import json
import os
import stat
import subprocess
import sys

import msgspec
import pytest
from tests.apps import fake_records as records
from tests.apps.fake_experiments import PLAN
from tests.apps.fake_platform import EmptyPlatform, FakePlatform
from tests.apps.fake_tables import PLAN as TABLE_PLAN
from tests.apps.in_process import client_of

from leverframe.apps import client as client_module
from leverframe.apps.cli import connection, main, project
from leverframe.apps.cli.exit_codes import CONFLICT, INTERNAL, OK, REFUSED, UNAVAILABLE, USAGE
from leverframe.core import errors
from leverframe.core.route import Quota

HEAVY = ("polars", "sqlalchemy", "fastapi", "httpx", "rich", "jinja2", "numpy", "yaml", "pydantic", "cedarpy", "granian", "dbos")


@pytest.fixture
def platform():
    return FakePlatform()


@pytest.fixture
def lever(platform, monkeypatch, capsys, tmp_path):
    """Run ``lever`` with arguments against the fake platform; returns exit code, standard output, standard error."""
    monkeypatch.setenv("LEVER_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("LEVER_TOKEN", raising=False)
    monkeypatch.delenv("LEVER_URL", raising=False)
    monkeypatch.setattr(client_module, "Client", lambda url, token, **options: client_of(platform, token))
    monkeypatch.setattr("leverframe.apps.cli.commands_release.FOLLOW_S", 0.0)
    monkeypatch.delenv("COLUMNS", raising=False)
    connection.save(tmp_path / "home", "http://localhost", "admin-token")

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["lever", *arguments])
        with pytest.raises(SystemExit) as ended:
            main.main()
        said = capsys.readouterr()
        return ended.value.code or 0, said.out, said.err

    return run


def test_help_loads_nothing_heavy():
    script = (
        "import sys\nsys.argv=['lever','--help']\nfrom leverframe.apps.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        f"print('LOADED', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "LOADED []"
    assert "rollback" in done.stdout


READS = (
    ("status",),
    ("data", "list"),
    ("data", "show", "weather"),
    ("data", "reports", "weather"),
    ("data", "fetches", "weather"),
    ("features", "list"),
    ("features", "services"),
    ("features", "entities"),
    ("features", "show", "origin_weather"),
    ("lineage", "weather.temp"),
    ("lineage", "impact", "weather.temp", "--rename"),
    ("features", "jobs"),
    ("models", "list"),
    ("models", "show", "flight-delay@v2"),
    ("release", "status", "rel-0003"),
    ("release", "list"),
    ("experiment", "list"),
    ("experiment", "status", "prod.flight-delay.x0001"),
    ("experiment", "watch", "prod.flight-delay.x0000"),
    ("experiment", "report", "prod.flight-delay.x0000"),
    ("table", "list"),
    ("table", "show", "nightly"),
    ("release", "review"),
    ("exception", "list"),
    ("registry", "list"),
    ("registry", "status", "mlflow"),
    ("history", "flight-delay", "--at", "2013-06-14T09:00:00Z"),
    ("release", "history", "flight-delay", "--at", "2013-06-14T09:00:00Z", "--as-known-at", "2013-06-15T09:00:00Z"),
    ("alerts", "--open"),
    ("diagnose", "flight-delay"),
    ("audit", "list"),
    ("audit", "verify"),
    ("audit", "checkpoint"),
    ("token", "list"),
    ("policy", "list"),
    ("policy", "why", "Release.Apply", "plan/x", "--fact", "tier=low"),
    ("webhooks", "list"),
    ("quota", "list"),
    ("fallback", "flight-delay"),
    ("limits", "flight-delay"),
)


@pytest.mark.parametrize("arguments", READS, ids=" ".join)
def test_every_read_prints_a_table_and_one_json_document(lever, arguments):
    code, out, err = lever(*arguments)
    assert (code, err) == (OK, "")
    assert out.strip()
    code, out, err = lever(*arguments, "--json")
    assert (code, err) == (OK, "")
    assert json.loads(out)


WRITES = (
    (("train", "flight-delay", "--from", "2013-01-01", "--to", "2013-04-01"), "Training.Start"),
    (("data", "ingest", "weather", "--source", "landing", "--pattern", "day-*.parquet"), "Data.Ingest"),
    (("release", "plan", "flight-delay@v3"), "Release.Plan"),
    (("release", "approve", records.digest("plan3"), "--note", "read"), "Release.Approve"),
    (("release", "apply", records.digest("plan3")[7:19]), "Release.Apply"),
    (("registry", "add", "mlflow", "https://mlflow.example.com", "delays", "--team", "flights"), "Registries.Manage"),
    (("registry", "look", "mlflow"), "Registries.Manage"),
    (("registry", "remove", "mlflow"), "Registries.Manage"),
    (("exception", "grant", records.digest("plan3"), "evidence-runbook", "-m", "being written", "--days", "2"), "Release.Except"),
    (("exception", "withdraw", records.digest("plan3"), "evidence-runbook"), "Release.Except"),
    (("release", "withdraw", records.digest("plan3")), "Release.Approve"),
    (("release", "review", "rel-0002", "--finding", "right"), "Release.Review"),
    (("experiment", "plan", "flight-delay@v2", "--effect", "0.02"), "Experiment.Plan"),
    (("experiment", "approve", PLAN.digest), "Release.Approve"),
    (("experiment", "start", PLAN.digest[7:19]), "Experiment.Start"),
    (("experiment", "stop", "prod.flight-delay.x0001", "--reason", "over"), "Experiment.Stop"),
    (("table", "approve", "nightly", TABLE_PLAN.digest), "Release.Approve"),
    (("table", "switch", "nightly", TABLE_PLAN.digest[7:19]), "Release.Apply"),
    (("table", "rollback", "nightly", "--reason", "bad"), "Release.Rollback"),
    (("table", "rollback", "nightly", "--reason", "bad", "--to", "sha256:" + "0" * 64), "Release.Rollback"),
    (("rollback", "flight-delay", "--reason", "bad"), "Release.Rollback"),
    (("pin", "flight-delay"), "Release.Operate"),
    (("release", "correct", "flight-delay", "--from", "2013-05-01", "--until", "2013-05-02", "--nobody", "-m", "dark"), "Release.Operate"),
    (("kill", "flight-delay"), "Release.Operate"),
    (("fallback", "flight-delay", "--value", "0.2", "--last-good"), "Release.Operate"),
    (("limits", "flight-delay", "--deadline-ms", "50"), "Release.Operate"),
    (("quota", "set", "acme", "--per-second", "200"), "Tenants.SetQuota"),
    (("disable-feature", "flight-delay", "origin_weather.*"), "Release.Operate"),
    (("enable-feature", "flight-delay", "origin_weather.*"), "Release.Operate"),
    (("freeze", "flight-delay"), "Release.Operate"),
    (("features", "materialize", "origin_weather", "--to", "2013-06-01"), "Features.Materialize"),
    (("features", "forget", "origin_weather", "JFK"), "Features.Forget"),
    (("features", "drop", "origin_weather"), "Features.Materialize"),
    (("policy", "propose", "no_fridays", "--reason", "weekends"), "Policy.Propose"),
    (("policy", "approve", records.digest("policy")), "Policy.Approve"),
    (("token", "issue", "bo", "--role", "approver"), "Tokens.Issue"),
    (("token", "revoke", "tok-1"), "Tokens.Revoke"),
    (("webhooks", "add", "ops-chat", "https://hooks.example.com/x", "--type", "release.*"), "Webhooks.Manage"),
    (("webhooks", "retry", "ops-chat"), "Webhooks.Manage"),
    (("webhooks", "remove", "ops-chat"), "Webhooks.Manage"),
)


@pytest.mark.parametrize(("arguments", "action"), WRITES, ids=[" ".join(a)[:40] for a, _ in WRITES])
def test_every_write_reaches_the_platform(lever, platform, arguments, action):
    for extra in ((), ("--json",)):
        code, out, _ = lever(*arguments, *extra)
        assert code == OK
        assert platform.calls.made[-1][0] == action
        if extra:
            assert json.loads(out)


def test_a_plan_reads_as_words_not_as_records(lever):
    """Raw dictionaries or integers of microseconds would mean that nobody can read what they approve."""
    _, out, _ = lever("release", "plan", "flight-delay@v3")
    for said in (
        "flight-delay@v3 to prod/flight-delay",
        f"bundle {records.digest('bundle3')[7:19]}",
        records.digest("plan3"),
        "2 d at 100 %, the old version beside it in shadow",
        "2 approvals by someone other than mei (risk tier high)",
        "2013-06-14 08:30:00 UTC",
        "rolls back to  flight-delay@v2",
        "share of answers slower than 100 ms",
        "2 points more",
        f"next: lever release approve {records.digest('plan3')[7:19]}",
    ):
        assert said in out, said
    assert "{" not in out
    assert "_us" not in out


def test_a_plan_can_be_read_again_and_fits_80_columns(lever, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    _, out, _ = lever("release", "show", records.digest("plan4")[7:19])
    assert "next: lever release apply" in out
    tables = [line for line in out.splitlines() if not line.startswith("digest ")]
    assert max(map(len, tables)) <= 80


def test_waiting_plans_name_their_candidate(lever):
    _, out, _ = lever("release", "list")
    assert "flight-delay@v4 to prod/flight-delay" in out


def test_history_says_who_why_and_who_approved(lever):
    _, out, _ = lever("history", "flight-delay")
    for said in ("flight-delay@v2 live 95 %, flight-delay@v3 canary 5 %", "shadow answers agree", "bo, ana", "entry 55", "to now"):
        assert said in out, said


def test_a_contract_in_force_is_told_in_words(lever, platform, tmp_path):
    (tmp_path / "weather.odcs.yaml").write_text("kind: DataContract\n")
    _, out, _ = lever("data", "contracts", "apply", str(tmp_path / "weather.odcs.yaml"))
    assert out == "weather.odcs.yaml: weather 1.0.0 is in force, first version\n"
    breaking = {"contract": "weather", "version": "2.0.0", "change": "breaking", "breaks": ["temp: gone"], "consumers": ["origin_weather"]}
    platform.data.apply_contract = lambda actor, text, *, key, break_consumers: breaking
    _, out, _ = lever("data", "contracts", "apply", str(tmp_path / "weather.odcs.yaml"))
    assert out.splitlines()[1:] == ["  breaks temp: gone", "  read by origin_weather: tell their owners"]


def test_materializing_prints_a_table_of_moments(lever):
    _, out, _ = lever("features", "materialize", "origin_weather", "--to", "2013-06-01")
    assert "2013-06-14 09:30" in out
    assert "1,000" in out, "rows read"
    assert "2,000" in out, "rows a second"
    assert "{" not in out


def test_a_change_is_shown_once_the_gateway_runs_it(lever, platform, monkeypatch):
    """Right after the route write a gateway is a look behind; saying so would alarm for nothing."""
    monkeypatch.setattr("leverframe.apps.cli.commands_release.FOLLOW_S", 5.0)
    monkeypatch.setattr("leverframe.apps.cli.commands_release.LOOK_SECONDS", 0.0)
    behind = records.endpoint_view()
    platform.release.endpoints = lambda: (msgspec.structs.replace(behind, generation_running=42),)
    _, out, _ = lever("pin", "flight-delay")
    assert "generation 42 is desired and running" in out


def test_a_gateway_that_does_not_follow_is_told(lever):
    _, out, _ = lever("pin", "flight-delay")
    assert "desired generation 42, running 41" in out


@pytest.mark.parametrize(
    "arguments", [a for a in READS if ("list" in a and a[0] != "policy") or a[0] in ("alerts", "status")], ids=" ".join
)
def test_nothing_there_is_a_sentence_not_an_empty_table(lever, platform, arguments):
    platform.__dict__.update(EmptyPlatform().__dict__)
    platform.status = EmptyPlatform().status
    platform.access.tokens = lambda: ()
    code, out, _ = lever(*arguments)
    assert code == OK
    assert "─" not in out


def test_a_fallback_chain_arrives_as_typed(lever, platform):
    rules = ("distance>=1000 and wind<5 -> 0.3", "wind>20 -> 0.7")
    _, out, _ = lever("fallback", "flight-delay", "--rule", rules[0], "--rule", rules[1], "--value", "0.2", "-m", "feed is late")
    environment, endpoint, wanted = platform.calls.made[-1][3]
    assert (environment, endpoint, wanted.value, wanted.last_good, wanted.reason) == ("prod", "flight-delay", 0.2, False, "feed is late")
    assert [rule.value for rule in wanted.rules] == [0.3, 0.7]
    assert [(c.column, c.at_least, c.below) for c in wanted.rules[0].when] == [("distance", 1000.0, None), ("wind", None, 5.0)]
    for said in ("rule distance>=1000 and wind<5 -> 0.3", "constant 0.2"):
        assert said in out, said


@pytest.mark.parametrize("rule", ["distance>=1000", "__import__('os') -> 1", "a>=1 or b<2 -> 0.1", "a>=x -> 0.1", "a>=1 -> nan", "-> 1"])
def test_a_rule_that_is_none_is_usage_and_changes_nothing(lever, platform, rule):
    code, _, err = lever("fallback", "flight-delay", "--rule", rule)
    assert (code, platform.calls.made) == (USAGE, [])
    assert "distance>=1000 and wind<5 -> 0.3" in err


def test_showing_a_fallback_changes_nothing_and_none_clears_it(lever, platform):
    _, out, _ = lever("fallback", "flight-delay")
    assert "none: refuse" in out
    assert platform.calls.made == []
    assert lever("fallback", "flight-delay", "--none", "--value", "0.1")[0] == USAGE
    lever("fallback", "flight-delay", "--none")
    assert platform.calls.made[-1][3][2].value is None


def test_a_tokens_priority_and_quota_arrive(lever, platform):
    lever("token", "issue", "batch", "--role", "service", "--priority", "low", "--per-second", "50", "--burst", "100")
    assert platform.calls.made[-1][3] == ("batch", ("service",), (), 90, "low", Quota(per_second=50.0, burst=100.0))
    made = len(platform.calls.made)
    assert lever("token", "issue", "batch", "--role", "service", "--priority", "urgent")[0] == USAGE
    assert lever("token", "issue", "batch", "--role", "service", "--burst", "5")[0] == USAGE
    assert len(platform.calls.made) == made


def test_the_lever_and_its_argument_arrive_as_typed(lever, platform):
    lever("disable-feature", "flight-delay", "origin_weather.*", "--reason", "feed is frozen")
    assert platform.calls.made[-1][3] == ("prod", "flight-delay", "disable-feature", "origin_weather.*", "feed is frozen")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.InvalidInput("x"), USAGE),
        (errors.NotFound("x"), USAGE),
        (errors.Forbidden("x"), REFUSED),
        (errors.Refused("x"), REFUSED),
        (errors.ContractViolation("x"), REFUSED),
        (errors.Conflict("x"), CONFLICT),
        (errors.Unavailable("x"), UNAVAILABLE),
        (errors.Overloaded("x"), UNAVAILABLE),
    ],
)
def test_an_error_is_a_sentence_a_next_line_and_an_exit_code(lever, platform, error, code):
    def fail():
        raise type(error)("the store is away", where="ledger", next_step="lever doctor")

    platform.status = fail
    seen, out, err = lever("status")
    assert (seen, out) == (code, "")
    assert f"{error.code}: ledger: the store is away\n" in err
    assert err.rstrip().endswith("next: lever doctor")
    seen, out, _ = lever("status", "--json")
    assert (seen, json.loads(out)["code"]) == (code, error.code)


@pytest.mark.parametrize("arguments", [("no-such-verb",), ("history",), ("audit", "list", "--limit", "0"), ("train", "flight-delay")])
def test_misuse_exits_with_2(lever, arguments):
    code, _, err = lever(*arguments)
    assert code == USAGE
    assert err


def test_a_refused_file_exits_with_3_and_lists_the_rules(lever, tmp_path):
    (tmp_path / "bad.csv").write_bytes(b"bad")
    code, out, _ = lever("data", "ingest", "weather", str(tmp_path / "bad.csv"))
    assert code == REFUSED
    assert "14/26,115" in out
    (tmp_path / "good.csv").write_bytes(b"origin,temp")
    assert lever("data", "ingest", "weather", str(tmp_path / "good.csv"))[0] == OK


def test_an_unhealthy_installation_exits_with_3(lever):
    code, out, _ = lever("doctor")
    assert code == REFUSED
    assert "free some space" in out


def test_a_failed_run_exits_with_1_and_says_how_to_go_on(lever, platform):
    platform.training.start = lambda actor, request, *, key: records.run("failed")
    code, _, err = lever("train", "flight-delay", "--from", "2013-01-01", "--to", "2013-02-01")
    assert code == INTERNAL
    assert "lever train --attach run-0002" in err


def test_ctrl_c_leaves_the_run_alone_and_says_how_to_come_back(lever, platform, monkeypatch):
    def interrupt(seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr("leverframe.apps.cli.commands_training.code_commit", lambda: "unversioned")  # git is waited for with sleeps, too
    monkeypatch.setattr("leverframe.apps.cli.commands_training.time.sleep", interrupt)
    code, _, err = lever("train", "flight-delay", "--from", "2013-01-01", "--to", "2013-02-01")
    assert code == OK
    assert "lever train --attach run-0002" in err
    assert [made[0] for made in platform.calls.made] == ["Training.Start"]


def test_tables_fit_a_narrow_terminal(lever, monkeypatch):
    monkeypatch.setattr("leverframe.apps.cli.output.WIDTH_WITHOUT_TERMINAL", 60)
    for arguments in READS:
        _, out, _ = lever(*arguments)
        if arguments[1:] == ("list",):
            assert max(map(len, out.splitlines())) <= 60, arguments


def test_login_checks_the_token_and_keeps_it_for_this_user_only(lever, tmp_path):
    (tmp_path / "home" / "client.json").unlink()
    code, out, _ = lever("login", "http://localhost", "--token", "admin-token")
    assert code == OK
    assert "as ana" in out
    kept = tmp_path / "home" / "client.json"
    assert stat.S_IMODE(os.stat(kept).st_mode) == 0o600
    assert json.loads(kept.read_text()) == {"url": "http://localhost", "token": "admin-token"}


def test_login_keeps_nothing_that_does_not_work(lever, tmp_path):
    (tmp_path / "home" / "client.json").unlink()
    code, _, _ = lever("login", "http://localhost", "--token", "wrong")
    assert code == USAGE
    assert not (tmp_path / "home" / "client.json").exists()


def test_a_token_file_that_others_can_read_is_refused(lever, tmp_path):
    (tmp_path / "home" / "client.json").chmod(0o644)
    code, _, err = lever("status")
    assert code == REFUSED
    assert "chmod 600" in err


def test_without_a_login_the_next_step_is_login(lever, tmp_path):
    (tmp_path / "home" / "client.json").unlink()
    code, _, err = lever("status")
    assert code == USAGE
    assert "next: lever login" in err


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


def test_a_version_that_cannot_come_again_says_why_and_what_still_holds(lever, platform):
    code, out, _ = lever("reproduce", "flight-delay@v1")
    assert code == REFUSED
    assert platform.calls.made[-1][0] == "Training.Start"
    for said in ("its bytes cannot come again", "3 of 40 rows of weather", "made of the fitted one, byte for byte"):
        assert said in out
    assert json.loads(lever("reproduce", "flight-delay@v1", "--show", "--json")[1])["status"] == "rows_deleted"
