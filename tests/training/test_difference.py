"""What two versions' bundles say differs: figures by their intervals, and every input by name."""

import msgspec
import pytest
from tests.apps import fake_records as records

from leverframe.core.evaluation import Metric
from leverframe.core.schema import InputColumn, RequestField
from leverframe.core.verdict import GateRule
from leverframe.training.difference import VersionFacts, difference

FACTS = records.version_facts(records.version_view(2))


def changed(path: str, **fields: object) -> VersionFacts:
    part = getattr(FACTS, path)
    return msgspec.structs.replace(FACTS, name="flight-delay@v9", **{path: msgspec.structs.replace(part, **fields)})


def changes(after: VersionFacts) -> list[tuple[str, str, str, str]]:
    return [(c.section, c.name, c.before, c.after) for c in difference(FACTS, after).changes]


def test_a_version_beside_itself_has_no_changes_and_figures_that_overlap():
    found = difference(FACTS, FACTS)
    assert found.changes == ()
    assert {row.apart for row in found.figures} == {False}
    assert len(found.figures) == len(FACTS.evaluation.metrics) + len(FACTS.evaluation.slices)
    assert found.same["environment"] == 2
    assert "Made in the same environment, package for package." in found.notes


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (changed("lineage", seed=7), ("code", "seed", "20130401", "7")),
        (changed("lineage", params={"learning_rate": 0.05}), ("code", "parameter num_leaves", "31", "")),
        (changed("lineage", feature_views={}), ("features", "origin_weather", FACTS.lineage.feature_views["origin_weather"], "")),
        (changed("spec", prepare={"delay": "delay / 60"}), ("code", "prepared delay", "", "delay / 60")),
        (
            changed("spec", gates=(*FACTS.spec.gates, GateRule(metric="brier", op="<=", threshold=0.2, bound="upper"))),
            ("gates", "brier upper", "", "<= 0.2"),
        ),
        (
            changed("signature", request=(*FACTS.signature.request, RequestField(name="gate", datatype="BYTES", required=False))),
            ("request", "gate", "", "datatype=BYTES, required=false"),
        ),
        (changed("signature", contract="flights 2.0.0"), ("data", "contract at the door", "", "flights 2.0.0")),
        (
            msgspec.structs.replace(FACTS, environment="# python 3.11.2 linux x86_64\nlightgbm==4.2.0\n"),
            ("environment", "numpy", "2.3.0", ""),
        ),
    ],
)
def test_each_change_is_named_with_both_sides_and_nothing_else_is(after, expected):
    assert changes(after) == [expected]


def test_a_column_that_is_fed_otherwise_shows_how():
    columns = (*FACTS.signature.columns[:-1], msgspec.structs.replace(FACTS.signature.columns[-1], on_missing="default", default=0.5))
    ((section, name, before, after),) = changes(changed("signature", columns=columns))
    assert (section, name) == ("columns", columns[-1].name)
    assert "on_missing=default, default=0.5" in after
    assert "on_missing" not in before
    assert isinstance(columns[-1], InputColumn)


def test_figures_are_apart_only_when_their_intervals_do_not_touch():
    def with_auc(low: float, value: float, high: float) -> VersionFacts:
        return changed("evaluation", metrics=(Metric(name="roc_auc", value=value, low=low, high=high, n=900),), slices=())

    own = with_auc(0.70, 0.72, 0.74)
    touching, beyond = with_auc(0.74, 0.76, 0.78), with_auc(0.75, 0.77, 0.79)
    assert [row.apart for row in difference(own, touching).figures] == [False]
    assert [row.apart for row in difference(own, beyond).figures] == [True]
    assert [row.apart for row in difference(beyond, own).figures] == [True]


def test_what_hinders_a_comparison_is_said():
    other_rows = changed("evaluation", window=("2013-06-01", "2013-06-30"))
    assert any("different rows" in note for note in difference(FACTS, other_rows).notes)
    unjudged = changed("evaluation", rows=0, metrics=(), slices=())
    found = difference(FACTS, unjudged)
    assert any("never evaluated" in note for note in found.notes)
    assert all(row.after is None and not row.apart for row in found.figures)
    moved = msgspec.structs.replace(FACTS, environment=FACTS.environment.replace("3.11.2", "3.12.0"))
    assert any("3.12.0" in note for note in difference(FACTS, moved).notes)
