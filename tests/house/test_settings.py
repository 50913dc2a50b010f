"""Every setting is documented with its default and meaning, every variable that is read is a setting, and every action has a policy."""

import re
from pathlib import Path

from leverframe.apps import wiring
from leverframe.apps.settings import Settings
from leverframe.governance.ledger.carry_out import Registry
from leverframe.governance.policy import Policy

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "settings.md").read_text()
ROWS = dict(re.findall(r"^\| `(LEVER_[A-Z_]+)` \| (.*) \|$", DOCUMENT, re.MULTILINE))
CLIENT_ONLY = {"LEVER_URL", "LEVER_TOKEN", "LEVER_GATEWAY_URL", "LEVER_IDEMPOTENCY_KEY"}
NO_VARIABLES = {"LEVER_PANEL"}
"""Names in the source that look like variables and are none."""


def test_every_setting_is_documented_with_its_default_and_description():
    first = DOCUMENT[: DOCUMENT.index("## The `lever` command")]
    for name, field in Settings.model_fields.items():
        value = str(field.default).lower() if isinstance(field.default, bool) else str(field.default)
        default = f"`{value}`" if value else "(empty)"
        assert f"| `LEVER_{name.upper()}` | {default} | {field.description} |" in first


def test_nothing_is_documented_that_does_not_exist():
    assert set(ROWS) == {f"LEVER_{name.upper()}" for name in Settings.model_fields} | CLIENT_ONLY


def test_every_variable_that_the_source_names_is_documented():
    """A variable read past ``Settings`` would be a setting nobody can find."""
    named = {name for path in (ROOT / "src").rglob("*.py") for name in re.findall(r"\bLEVER_[A-Z][A-Z_]*[A-Z]\b", path.read_text())}
    assert named - NO_VARIABLES <= set(ROWS)
    assert {"LEVER_HOME", "LEVER_GATEWAY_URL"} <= named, "the search itself must find what is there"


def test_every_command_is_an_action_that_policy_knows():
    """An action without a policy is denied to everyone: a command that nobody could ever send."""
    actions = Registry(wiring.HANDLERS).actions
    assert len(actions) > 15
    assert actions <= Policy().actions
    assert not actions | {"Release.Teleport"} <= Policy().actions, "an unknown action must be noticed"
