"""The ``lever`` command: light to start, exit codes with a meaning, JSON on request, errors with the next command."""

import json
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
from tests.apps import fake_records as records
from tests.apps.fake_experiments import PLAN
from tests.apps.fake_platform import EmptyPlatform, FakePlatform
from tests.apps.fake_tables import PLAN as TABLE_PLAN
from tests.apps.in_process import client_of

from leverframe.apps import client as client_module
from leverframe.apps.cli import connection, main
from leverframe.apps.cli.exit_codes import CONFLICT, INTERNAL, OK, REFUSED, UNAVAILABLE, USAGE
from leverframe.core import errors

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
    # Its own clock alone: whatever else sleeps in this process is not interrupted.
    monkeypatch.setattr("leverframe.apps.cli.commands_training.time", SimpleNamespace(sleep=interrupt, time_ns=time.time_ns))
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


def test_a_version_that_cannot_come_again_says_why_and_what_still_holds(lever, platform):
    code, out, _ = lever("reproduce", "flight-delay@v1")
    assert code == REFUSED
    assert platform.calls.made[-1][0] == "Training.Start"
    for said in ("its bytes cannot come again", "3 of 40 rows of weather", "made of the fitted one, byte for byte"):
        assert said in out
    assert json.loads(lever("reproduce", "flight-delay@v1", "--show", "--json")[1])["status"] == "rows_deleted"
