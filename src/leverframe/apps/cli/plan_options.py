"""From the options of ``lever release plan`` to what the platform is asked: rules, ladder, and what happens when a release is under way."""

from pathlib import Path
from typing import Any

from leverframe.core.clock import span_us
from leverframe.core.errors import InvalidInput

RULE_FILE_BYTES_MAX = 64 * 1024
WHEN_BUSY = ("refuse", "supersede", "queue", "follow")
DEPENDANTS = ("", "roll_back", "flag")


def plan_overrides(
    *,
    major: bool,
    ladder: str,
    rules: list[str],
    file: Path | None,
    when_busy: str,
    dependants: str,
    label_horizon: str = "",
    watch: str = "",
) -> dict[str, Any]:
    """The overrides of a plan request; what was not asked is absent.

    Raises
    ------
    InvalidInput: a rule, the file or a choice cannot be read.
    """
    for option, value, known in (("--when-busy", when_busy, WHEN_BUSY), ("--dependants", dependants, DEPENDANTS)):
        if value not in known:
            raise InvalidInput("no such choice", where=option, expected=", ".join(filter(None, known)), got=value[:40])
    asked = [*(_rules_of(file) if file is not None else []), *(rule_asked(text) for text in rules)]
    found: dict[str, Any] = {}
    if major:
        found["major"] = True
    if ladder:
        found["ladder"] = ladder
    if asked:
        found["ask"] = asked
    if file is not None:
        found["ask_only"] = True
    if dependants:
        found["dependants"] = dependants
    for name, option, text in (("label_horizon_us", "--label-horizon", label_horizon), ("watch_us", "--watch", watch)):
        if text:
            found[name] = span_us(text, option)
    return found if when_busy == "refuse" else {**found, when_busy: True}


def rule_asked(text: str) -> dict[str, Any]:
    """One rule from ``metric:name=value,name=value``; ``metric:off`` leaves it out.

    Raises
    ------
    InvalidInput: not of that form.

    >>> rule_asked("latency_quantile:margin=0.25,quantile=0.99")
    {'metric': 'latency_quantile', 'margin': 0.25, 'quantile': 0.99}
    >>> rule_asked("errors:off"), rule_asked("errors:unit=key")
    ({'metric': 'errors', 'off': True}, {'metric': 'errors', 'unit': 'key'})
    """
    metric, colon, rest = text.partition(":")
    found: dict[str, Any] = {"metric": metric.strip()}
    for part in filter(None, (part.strip() for part in rest.split(","))):
        name, equals, value = part.partition("=")
        if name == "off" and not equals:
            found["off"] = True
        elif equals and value:
            found[name] = _value(value)
        else:
            colon = ""
    if not colon or not found["metric"]:
        expected = "metric:margin=0.02, metric:unit=key,margin=0.02 or metric:off"
        raise InvalidInput("not a rule", where="--rule", expected=expected, got=text[:80], next_step="lever release plan --help")
    return found


def _value(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _rules_of(file: Path) -> list[dict[str, Any]]:
    import yaml

    text = file.read_bytes()
    if len(text) > RULE_FILE_BYTES_MAX:
        raise InvalidInput("the file is too long for rules", where=str(file), expected=f"at most {RULE_FILE_BYTES_MAX:,} bytes")
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InvalidInput("not YAML", where=str(file), got=str(error)[:200]) from error
    if not isinstance(found, list) or not all(isinstance(rule, dict) for rule in found):
        raise InvalidInput("not a list of rules", where=str(file), expected="- {metric: errors, margin: 0.02}", got=type(found).__name__)
    return found
