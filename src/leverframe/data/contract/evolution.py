"""How a contract may change: additions are free, breaking readers or writers needs a new major version and says what breaks."""

from collections.abc import Iterator
from typing import Literal

import msgspec

from leverframe.core.errors import Fault
from leverframe.data.contract.contracts import Column, Contract, MetricRule, SqlRule
from leverframe.data.contract.sql_columns import sql_columns

_UPPER = ("maximum", "exclusive_maximum", "length_max", "missing_share_max")
_SEVERITY_RANK = {"warn": 0, "quarantine": 1, "refuse": 2}


class Evolution(msgspec.Struct, frozen=True, kw_only=True):
    """The step from one contract version to the next: ``breaks`` lists what breaks and for whom, ``refusals`` why it may not be taken.

    ``lost_columns`` are those of which readers are promised less than before (``*``: every column); what only asks more of writers is
    not among them.
    """

    kind: Literal["first", "same", "additive", "breaking"]
    breaks: tuple[Fault, ...] = ()
    refusals: tuple[Fault, ...] = ()
    lost_columns: tuple[str, ...] = ()


def evolve(old: Contract | None, new: Contract) -> Evolution:
    """Compare two versions of a contract.

    Returns
    -------
    Evolution: without ``refusals`` when the step is allowed: a version never goes back, the same version never changes its content, and
    a breaking change raises the major number.
    """
    if old is None:
        return Evolution(kind="first")
    if old == new:
        return Evolution(kind="same")
    found = tuple(_breaks(old, new))
    breaks = tuple(fault for fault, _ in found)
    lost = tuple(dict.fromkeys(column for _, columns in found for column in columns))
    before, after = _number(old.version), _number(new.version)
    refusals: list[Fault] = []
    if after <= before:
        refusals.append(
            Fault(where="version", what="a changed contract needs a higher version", expected=f"> {old.version}", got=new.version)
        )
    elif breaks and after[0] <= before[0]:
        expected = f"{before[0] + 1}.0.0 or higher"
        refusals.append(Fault(where="version", what="a breaking change needs a new major version", expected=expected, got=new.version))
    if refusals:
        refusals += breaks
    return Evolution(kind="breaking" if breaks else "additive", breaks=breaks, refusals=tuple(refusals), lost_columns=lost)


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


Break = tuple[Fault, tuple[str, ...]]
"""What breaks, and the columns of which readers are promised less: none where only writers are asked for more."""

ALL = ("*",)


def _breaks(old: Contract, new: Contract) -> Iterator[Break]:
    if old.dataset != new.dataset:
        yield Fault(where="dataset", what="readers lose the dataset", expected=old.dataset, got=new.dataset), ALL
    if old.primary_key != new.primary_key:
        what = "rows are identified differently"
        yield Fault(where="primaryKey", what=what, expected=str(old.primary_key), got=str(new.primary_key)), ALL
    before, after = {c.name: c for c in old.columns}, {c.name: c for c in new.columns}
    for name, column in before.items():
        if name not in after:
            yield Fault(where=name, what="readers lose the column", expected=column.physical_type, got="absent"), (name,)
        else:
            yield from _column_breaks(column, after[name])
    for name, column in after.items():
        if name not in before and column.required:
            yield Fault(where=name, what="writers must fill a new required column", expected="optional", got="required"), ()
    yield from _rule_breaks(old, new)
    if old.freshness and (new.freshness is None or new.freshness.age_max_us > old.freshness.age_max_us):
        got = "absent" if new.freshness is None else f"{new.freshness.age_max_us} us"
        what = "readers get older rows than promised"
        yield Fault(where="freshness", what=what, expected=f"{old.freshness.age_max_us} us", got=got), ALL


def _rule_breaks(old: Contract, new: Contract) -> Iterator[Break]:
    """What rules over several columns, and metrics, break."""
    before: dict[str, SqlRule | MetricRule] = {}
    before |= {rule.name: rule for rule in old.sql_rules}
    before |= {rule.name: rule for rule in old.metrics}
    rules: tuple[SqlRule | MetricRule, ...] = (*new.sql_rules, *new.metrics)
    kept: set[str] = set()
    for rule in rules:
        kept.add(rule.name)
        if rule != before.get(rule.name) and rule.severity != "warn":
            yield Fault(where=rule.name, what="writers' rows may be turned away by a new rule", got=_asks(rule)), ()
    for name in before.keys() - kept:
        what = "readers lose a rule they may rely on"
        yield Fault(where=name, what=what, expected=_asks(before[name]), got="absent"), _columns_of(before[name])


def _asks(rule: SqlRule | MetricRule) -> str:
    return rule.bad_when[:120] if isinstance(rule, SqlRule) else f"{rule.metric} of {', '.join(rule.columns)}"


def _columns_of(rule: SqlRule | MetricRule) -> tuple[str, ...]:
    return tuple(sorted(sql_columns(rule.bad_when))) if isinstance(rule, SqlRule) else rule.columns


def _column_breaks(old: Column, new: Column) -> Iterator[Break]:
    """What a changed column breaks: for readers when less is promised, for writers when more is asked."""

    def broken(what: str, before: object, after: object, *, readers: bool) -> Break:
        return Fault(where=old.name, what=what, expected=str(before), got=str(after)), (old.name,) if readers else ()

    if (old.logical_type, old.physical_type) != (new.logical_type, new.physical_type):
        before, after = f"{old.logical_type} ({old.physical_type})", f"{new.logical_type} ({new.physical_type})"
        yield broken("the type changed", before, after, readers=True)
    for name in ("required", "unique"):
        if getattr(old, name) != getattr(new, name):
            more = bool(getattr(new, name))
            who = "writers must now keep it" if more else "readers may no longer rely on it"
            yield broken(f"{name} changed: {who}", getattr(old, name), getattr(new, name), readers=not more)
    for sign, names in ((1, ("minimum", "exclusive_minimum", "length_min")), (-1, _UPPER)):
        for name in names:
            if _tighter(getattr(old, name), getattr(new, name), sign=sign):
                what = f"{name} is tighter: writers' rows may be turned away"
                yield broken(what, getattr(old, name), getattr(new, name), readers=False)
    gone = [value for value in old.enumeration if value not in new.enumeration]
    if new.enumeration and (gone or not old.enumeration):
        yield broken("values are no longer allowed", old.enumeration or "any", new.enumeration, readers=False)
    if new.pattern and old.pattern != new.pattern:
        yield broken("the pattern changed: writers' rows may be turned away", old.pattern or "any", new.pattern, readers=False)
    if old.references != new.references:
        yield broken("the reference changed", old.references or "none", new.references or "none", readers=bool(old.references))
    if old.personal and not new.personal:
        yield broken("a personal column would be shown", old.classification, new.classification, readers=False)
    if old.treatment != new.treatment:
        what = "what is stored of its values changed: they no longer join with older rows"
        yield broken(what, old.treatment, new.treatment, readers=True)
    if _SEVERITY_RANK[new.severity] < _SEVERITY_RANK[old.severity]:
        yield broken("readers may now see rows that break its rules", old.severity, new.severity, readers=True)


def _tighter(old: float | None, new: float | None, *, sign: int) -> bool:
    return new is not None and (old is None or sign * new > sign * old)
