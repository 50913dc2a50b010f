"""How a contract may change: additions are free, breaking readers or writers needs a new major version and says what breaks."""

from collections.abc import Iterator
from typing import Literal

import msgspec

from leverframe.core.errors import Fault
from leverframe.data.contracts import Column, Contract

_SEVERITY_RANK = {"warn": 0, "quarantine": 1, "refuse": 2}


class Evolution(msgspec.Struct, frozen=True, kw_only=True):
    """The step from one contract version to the next: ``breaks`` lists what breaks and for whom, ``refusals`` why it may not be taken."""

    kind: Literal["first", "same", "additive", "breaking"]
    breaks: tuple[Fault, ...] = ()
    refusals: tuple[Fault, ...] = ()


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
    breaks = tuple(_breaks(old, new))
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
    return Evolution(kind="breaking" if breaks else "additive", breaks=breaks, refusals=tuple(refusals))


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _breaks(old: Contract, new: Contract) -> Iterator[Fault]:
    if old.dataset != new.dataset:
        yield Fault(where="dataset", what="readers lose the dataset", expected=old.dataset, got=new.dataset)
    if old.primary_key != new.primary_key:
        yield Fault(where="primaryKey", what="rows are identified differently", expected=str(old.primary_key), got=str(new.primary_key))
    before, after = {c.name: c for c in old.columns}, {c.name: c for c in new.columns}
    for name, column in before.items():
        if name not in after:
            yield Fault(where=name, what="readers lose the column", expected=column.physical_type, got="absent")
        else:
            yield from _column_breaks(column, after[name])
    for name, column in after.items():
        if name not in before and column.required:
            yield Fault(where=name, what="writers must fill a new required column", expected="optional", got="required")
    rules = {rule.name: rule for rule in old.sql_rules}
    for rule in new.sql_rules:
        if rule != rules.get(rule.name) and rule.severity != "warn":
            yield Fault(where=rule.name, what="writers' rows may be turned away by a new rule", got=rule.bad_when[:120])
    for name in rules.keys() - {rule.name for rule in new.sql_rules}:
        yield Fault(where=name, what="readers lose a rule they may rely on", expected=rules[name].bad_when[:120], got="absent")
    metrics = {rule.name: rule for rule in old.metrics}
    for metric in new.metrics:
        if metric != metrics.get(metric.name) and metric.severity != "warn":
            yield Fault(
                where=metric.name,
                what="writers' rows may be turned away by a new rule",
                got=f"{metric.metric} of {', '.join(metric.columns)}",
            )
    for name in metrics.keys() - {metric.name for metric in new.metrics}:
        yield Fault(where=name, what="readers lose a rule they may rely on", expected=metrics[name].metric, got="absent")
    if old.freshness and (new.freshness is None or new.freshness.age_max_us > old.freshness.age_max_us):
        got = "absent" if new.freshness is None else f"{new.freshness.age_max_us} us"
        yield Fault(where="freshness", what="readers get older rows than promised", expected=f"{old.freshness.age_max_us} us", got=got)


def _column_breaks(old: Column, new: Column) -> Iterator[Fault]:
    """What a changed column breaks: for readers when less is promised, for writers when more is asked."""

    def fault(what: str, before: object, after: object) -> Fault:
        return Fault(where=old.name, what=what, expected=str(before), got=str(after))

    if (old.logical_type, old.physical_type) != (new.logical_type, new.physical_type):
        yield fault("the type changed", f"{old.logical_type} ({old.physical_type})", f"{new.logical_type} ({new.physical_type})")
    for name in ("required", "unique"):
        if getattr(old, name) != getattr(new, name):
            who = "writers must now keep it" if getattr(new, name) else "readers may no longer rely on it"
            yield fault(f"{name} changed: {who}", getattr(old, name), getattr(new, name))
    for name in ("minimum", "exclusive_minimum", "length_min"):
        if _tighter(getattr(old, name), getattr(new, name), sign=1):
            yield fault(f"{name} is tighter: writers' rows may be turned away", getattr(old, name), getattr(new, name))
    for name in ("maximum", "exclusive_maximum", "length_max", "missing_share_max"):
        if _tighter(getattr(old, name), getattr(new, name), sign=-1):
            yield fault(f"{name} is tighter: writers' rows may be turned away", getattr(old, name), getattr(new, name))
    gone = [value for value in old.enumeration if value not in new.enumeration]
    if new.enumeration and (gone or not old.enumeration):
        yield fault("values are no longer allowed", old.enumeration or "any", new.enumeration)
    if new.pattern and old.pattern != new.pattern:
        yield fault("the pattern changed: writers' rows may be turned away", old.pattern or "any", new.pattern)
    if old.references != new.references:
        yield fault("the reference changed", old.references or "none", new.references or "none")
    if old.personal and not new.personal:
        yield fault("a personal column would be shown", old.classification, new.classification)
    if old.treatment != new.treatment:
        yield fault("what is stored of its values changed: they no longer join with older rows", old.treatment, new.treatment)
    if _SEVERITY_RANK[new.severity] < _SEVERITY_RANK[old.severity]:
        yield fault("readers may now see rows that break its rules", old.severity, new.severity)


def _tighter(old: float | None, new: float | None, *, sign: int) -> bool:
    return new is not None and (old is None or sign * new > sign * old)
