"""A fallback's rules as people type them: ``distance>=1000 and wind<5 -> 0.3``. Comparisons joined by ``and``; nothing is evaluated."""

import math
import re

from leverframe.core.errors import Fault, InvalidInput
from leverframe.core.route import Condition, Rule

RULE_CHARS_MAX = 2000
"""A longer rule is refused unread."""

EXAMPLE = "distance>=1000 and wind<5 -> 0.3"
_COMPARISON = re.compile(r"([^<>=\s]+)\s*(>=|<=|==|>|<)\s*([^<>=\s]+)")
_AND = re.compile(r"\s+and\s+", re.IGNORECASE)


def rule_of(text: str) -> Rule:
    """The rule ``text`` says.

    >>> rule_of("distance>=1000 and wind < 5 -> 0.3")
    Rule(value=0.3, when=(Condition(column='distance', at_least=1000.0, below=None), Condition(column='wind', at_least=None, below=5.0)))

    Raises
    ------
    InvalidInput: it says none.
    """
    if len(text) > RULE_CHARS_MAX:
        raise InvalidInput("this rule is too long", where="rule", expected=f"at most {RULE_CHARS_MAX} characters", got=str(len(text)))
    left, arrow, right = text.partition("->")
    value = _number(right)
    faults = []
    if not arrow or value is None:
        faults.append(Fault(where="rule", what="answers no number", expected="... -> 0.3", got=right.strip()[:40]))
    when = []
    for part in _AND.split(left.strip()):
        condition = _condition(part.strip())
        if condition is None:
            faults.append(Fault(where="rule", what="not a comparison", expected="column>=1000, or with > < <= ==", got=part[:80]))
        else:
            when.append(condition)
    if faults or value is None:
        raise InvalidInput("not a rule", where="rule", expected=EXAMPLE, got=text[:120], faults=faults)
    return Rule(value=value, when=tuple(when))


def rule_text(rule: Rule) -> str:
    """``rule`` as :func:`rule_of` reads it.

    >>> rule_text(rule_of("distance >= 1000 and distance<2000 -> .5"))
    'distance>=1000 and distance<2000 -> 0.5'
    """
    return " and ".join(filter(None, map(_condition_text, rule.when))) + f" -> {_plain(rule.value)}"


def _condition(text: str) -> Condition | None:
    found = _COMPARISON.fullmatch(text)
    number = _number(found[3]) if found else None
    if found is None or number is None:
        return None
    column, sign = found[1], found[2]
    # Rules know two bounds, at least and below; the next number up makes the other three exactly from them.
    above = math.nextafter(number, math.inf)
    at_least = {">=": number, ">": above, "==": number}.get(sign)
    below = {"<": number, "<=": above, "==": above}.get(sign)
    return Condition(column=column, at_least=at_least, below=below)


def _condition_text(condition: Condition) -> str:
    low, high = condition.at_least, condition.below
    said = [f"{condition.column}>={_plain(low)}"] if low is not None else []
    if high is not None:
        said.append(f"{condition.column}<{_plain(high)}")
    return " and ".join(said)


def _plain(number: float) -> str:
    return repr(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
