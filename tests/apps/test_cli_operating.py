"""The operator's levers in a terminal: what is typed arrives, and a change is shown once a gateway runs it."""

# ruff: noqa: F811 - a fixture is named like the argument that takes it

import msgspec
import pytest
from tests.apps import fake_records as records
from tests.apps.test_cli import lever, platform  # noqa: F401  fixtures

from leverframe.apps.cli.exit_codes import USAGE
from leverframe.core.clock import MINUTE_US


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


def test_the_lever_and_its_argument_arrive_as_typed(lever, platform):
    lever("disable-feature", "flight-delay", "origin_weather.*", "--reason", "feed is frozen")
    assert platform.calls.made[-1][3] == ("prod", "flight-delay", "disable-feature", "origin_weather.*", "feed is frozen", 0)
    _, out, _ = lever("kill", "flight-delay", "--for", "90m", "--reason", "smoke")
    assert "kill: done, for 90 min" in out
    assert platform.calls.made[-1][3] == ("prod", "flight-delay", "kill", "", "smoke", 90 * MINUTE_US)
    code, _, error = lever("pin", "flight-delay", "--for", "a while")
    assert code != 0
    assert "such as 12h" in error
