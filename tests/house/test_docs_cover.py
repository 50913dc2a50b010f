"""The documentation is complete: every route, permission, error code, verb and option is in it, and nothing that no longer exists."""

import re
from pathlib import Path

import typer
from tests.apps.fake_platform import FakePlatform

from leverframe.apps.cli.exit_codes import EXIT_OF_CODE
from leverframe.apps.cli.main import app
from leverframe.apps.control.app import create_app
from leverframe.apps.control.status_codes import STATUS_OF_CODE

DOCS = Path(__file__).parents[2] / "docs"
API = (DOCS / "api.md").read_text()
CLI = (DOCS / "cli.md").read_text()


def _verbs(command, path=()):
    children = getattr(command, "commands", None)
    if children:
        for name, child in children.items():
            yield from _verbs(child, (*path, name))
    else:
        yield " ".join(path), command


VERBS = dict(_verbs(typer.main.get_command(app)))


def test_every_route_is_documented_and_no_other():
    served = {f"{method} {route.path}" for route in create_app(FakePlatform(), console=False).routes for method in route.methods}
    documented = set(re.findall(r"^\| `((?:GET|POST|DELETE) /api/[^`]*)` \|", API, re.MULTILINE))
    assert documented == served


def test_every_route_is_documented_with_its_own_permission():
    for route in create_app(FakePlatform(), console=False).routes:
        for method in route.methods:
            assert re.search(rf"`{re.escape(f'{method} {route.path}')}` \| `?{route.endpoint.permission}", API, re.IGNORECASE)


def test_every_error_code_is_documented_with_its_status_and_exit_code():
    for code, status in STATUS_OF_CODE.items():
        assert f"| `{code}` | {status} | {EXIT_OF_CODE[code]} |" in API


def test_every_verb_is_documented_and_no_other():
    documented = {
        " ".join(word for word in line.split() if word.strip("[]").islower())
        for line in re.findall(r"^\| `lever ([^`]*)`", CLI, re.MULTILINE)
    }
    assert documented == set(VERBS)


def test_every_verb_offers_json_and_says_what_it_does():
    for verb, command in VERBS.items():
        assert command.help, verb
        assert any("--json" in parameter.opts for parameter in command.params), f"lever {verb} has no --json"


def test_every_option_is_documented():
    for verb, command in VERBS.items():
        for parameter in command.params:
            if parameter.param_type_name == "option" and parameter.name not in ("json_output", "help"):
                line = next(line for line in CLI.splitlines() if line.startswith(f"- `lever {verb}`:"))
                assert f"`{max(parameter.opts, key=len)}`" in line, f"lever {verb} {parameter.opts}"
