"""A gate as it is typed: ``lower roc_auc >= 0.65``, ``log_loss <= 0.5 on carrier=* rows 200``."""

import re
from typing import Literal

from leverframe.core.errors import InvalidInput
from leverframe.core.verdict import GateRule

_RULE = re.compile(
    r"(?:(?P<bound>point|lower|upper)\s+)?(?P<metric>[a-z_]+)\s*(?P<op>>=|<=)\s*(?P<threshold>-?\d+(?:\.\d+)?)"
    r"(?:\s+on\s+(?P<slice>[^\s=]+=\S.*?))?(?:\s+rows\s+(?P<rows>\d{1,9}))?"
)


def gate_rule(text: str) -> GateRule:
    """The rule in ``text``.

    Raises
    ------
    InvalidInput: it is none.

    >>> rule = gate_rule("lower roc_auc >= 0.65 on carrier=* rows 200")
    >>> rule.bound, rule.metric, rule.op, rule.threshold, rule.slice, rule.rows_min
    ('lower', 'roc_auc', '>=', 0.65, 'carrier=*', 200)
    """
    found = _RULE.fullmatch(text.strip())
    if found is None:
        raise InvalidInput(
            "not a gate", where="--gate", expected="'[lower|upper] METRIC >= NUMBER [on COLUMN=VALUE] [rows N]'", got=text[:100]
        )
    bounds: dict[str | None, Literal["point", "lower", "upper"]] = {"lower": "lower", "upper": "upper"}
    return GateRule(
        metric=found["metric"],
        op=">=" if found["op"] == ">=" else "<=",
        threshold=float(found["threshold"]),
        bound=bounds.get(found["bound"], "point"),
        slice=found["slice"] or "",
        rows_min=max(1, int(found["rows"] or 1)),
    )
