"""``lever login`` and tokens: what is kept, for whom, and what is refused."""

# ruff: noqa: F811 - a fixture is named like the argument that takes it

import json
import os
import stat

from tests.apps.test_cli import lever, platform  # noqa: F401  fixtures

from leverframe.apps.cli.exit_codes import OK, REFUSED, USAGE
from leverframe.core.route import Quota


def test_a_tokens_priority_and_quota_arrive(lever, platform):
    lever("token", "issue", "batch", "--role", "service", "--priority", "low", "--per-second", "50", "--burst", "100")
    assert platform.calls.made[-1][3] == ("batch", ("service",), (), 90, "low", Quota(per_second=50.0, burst=100.0))
    made = len(platform.calls.made)
    assert lever("token", "issue", "batch", "--role", "service", "--priority", "urgent")[0] == USAGE
    assert lever("token", "issue", "batch", "--role", "service", "--burst", "5")[0] == USAGE
    assert len(platform.calls.made) == made


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
