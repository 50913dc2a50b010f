"""What is different about two versions of a model: figures with their intervals, and everything the versions were made of."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import msgspec

from leverframe.core.digest import canonical_json
from leverframe.core.evaluation import EvaluationReport, Metric
from leverframe.core.model import Lineage, ModelSpec
from leverframe.core.schema import InputColumn, OutputField, RequestField, Signature
from leverframe.training.environment import environment_changes, packages_of

Section = Literal["metrics", "slices", "gates", "request", "columns", "outputs", "features", "data", "code", "environment"]
SECTIONS: tuple[Section, ...] = ("metrics", "slices", "gates", "request", "columns", "outputs", "features", "data", "code", "environment")
TEXT_MAX = 400
"""Longer values are cut; the versions' own pages have them whole."""


class FigureRow(msgspec.Struct, frozen=True, kw_only=True):
    """A metric (of a slice) on both sides; None where a side has none.

    ``apart``: the two 95 % intervals do not overlap, so the figures differ by more than the rows of either evaluation explain.
    """

    section: Literal["metrics", "slices"]
    name: str
    before: Metric | None
    after: Metric | None
    apart: bool = False


class ChangeRow(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is not the same; an empty side means it is not there."""

    section: Section
    name: str
    before: str
    after: str


class VersionDifference(msgspec.Struct, frozen=True, kw_only=True):
    """Two versions side by side: every figure, every change, how many things of a section are equal, and what to keep in mind."""

    before: str
    after: str
    figures: tuple[FigureRow, ...]
    changes: tuple[ChangeRow, ...]
    same: dict[str, int]
    notes: tuple[str, ...] = ()


class VersionFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a version's bundle says about it; ``environment`` is the lock text (empty when the bundle has none)."""

    name: str
    spec: ModelSpec
    signature: Signature
    evaluation: EvaluationReport
    lineage: Lineage
    environment: str = ""


def difference(before: VersionFacts, after: VersionFacts) -> VersionDifference:
    """What one would have to know to say why ``after`` behaves unlike ``before``."""
    old, new = _things(before), _things(after)
    changes: list[ChangeRow] = []
    same: dict[str, int] = {}
    for section in SECTIONS:
        if section in ("metrics", "slices"):
            continue
        one, two = old.get(section, {}), new.get(section, {})
        names = list(dict.fromkeys((*one, *two)))
        changes += [_change(section, name, one.get(name, ""), two.get(name, "")) for name in names if one.get(name) != two.get(name)]
        same[section] = sum(one.get(name) == two.get(name) for name in names)
    return VersionDifference(
        before=before.name,
        after=after.name,
        figures=(
            *_figures("metrics", before.evaluation.metrics, after.evaluation.metrics),
            *_figures("slices", before.evaluation.slices, after.evaluation.slices),
        ),
        changes=tuple(changes),
        same=same,
        notes=tuple(_notes(before, after)),
    )


def _change(section: Section, name: str, before: str, after: str) -> ChangeRow:
    return ChangeRow(section=section, name=name, before=before[:TEXT_MAX], after=after[:TEXT_MAX])


def _figures(section: Literal["metrics", "slices"], before: Iterable[Metric], after: Iterable[Metric]) -> Iterable[FigureRow]:
    old, new = ({(m.name, m.slice): m for m in metrics} for metrics in (before, after))
    for key in dict.fromkeys((*old, *new)):
        one, two = old.get(key), new.get(key)
        apart = one is not None and two is not None and (one.high < two.low or two.high < one.low)
        yield FigureRow(section=section, name=" ".join(filter(None, key)), before=one, after=two, apart=apart)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else canonical_json(value).decode()


def _words(record: RequestField | InputColumn | OutputField) -> str:
    """What a declaration says beyond its name and the defaults, as ``field=value`` words."""
    defaults = {field.name: field.default for field in msgspec.structs.fields(record) if field.name != "name"}
    said = {name: getattr(record, name) for name, default in defaults.items() if getattr(record, name) not in (default, {})}
    return ", ".join(f"{name}={_text(value)}" for name, value in said.items()) or "declared"


def _things(facts: VersionFacts) -> Mapping[Section, dict[str, str]]:
    """Everything named that is compared as text, by section; a thing that exists says something."""
    spec, signature, lineage = facts.spec, facts.signature, facts.lineage
    data = {"dataset": lineage.dataset, "training set": lineage.training_set, "window": " to ".join(lineage.window)}
    data |= {"rows fit": f"{lineage.rows_fit:,}", "rows held out": f"{lineage.rows_holdout:,}", "label": spec.label}
    data |= {f"snapshot of {name}": digest for name, digest in lineage.snapshots.items()}
    data |= {"contract at the door": signature.contract} if signature.contract else {}
    code = {"commit": lineage.code_commit, "trainer": spec.trainer, "seed": str(lineage.seed)}
    code |= {f"parameter {name}": _text(value) for name, value in lineage.params.items()}
    code |= {f"prepared {name}": expression for name, expression in spec.prepare.items()}
    return {
        "gates": {" ".join(filter(None, (gate.metric, gate.slice, gate.bound))): f"{gate.op} {gate.threshold:g}" for gate in spec.gates},
        "request": {field.name: _words(field) for field in signature.request},
        "columns": {column.name: _words(column) for column in signature.columns},
        "outputs": {output.name: _words(output) for output in signature.outputs},
        "features": dict(lineage.feature_views),
        "data": data,
        "code": code,
        "environment": dict(packages_of(facts.environment)),
    }


def _notes(before: VersionFacts, after: VersionFacts) -> Iterable[str]:
    one, two = before.evaluation, after.evaluation
    if not one.rows or not two.rows:
        yield "One of the versions was never evaluated here: its figures are missing, not equal."
    elif one.window != two.window:
        yield (
            f"They were evaluated on different rows ({' to '.join(one.window)} and {' to '.join(two.window)}): "
            "a difference of figures may be one of the rows."
        )
    heads = [text.splitlines()[0].removeprefix("# ") for text in (before.environment, after.environment) if text]
    if len(set(heads)) > 1:
        yield f"The interpreter or machine changed: {heads[0]} and {heads[1]}."
    if not environment_changes(before.environment, after.environment) and before.environment:
        yield "Made in the same environment, package for package."


__all__ = ["ChangeRow", "FigureRow", "VersionDifference", "VersionFacts", "difference"]
