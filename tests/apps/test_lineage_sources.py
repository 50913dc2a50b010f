"""Registered sources in the lineage graph: what was fetched from where, and what stops when a source or a column of it goes."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.apps.fetches import fetch
from tests.apps.test_platform_sources import ANA, csv, opened

from leverframe.apps.cli.lineage_tree import trees
from leverframe.apps.console.lineage_svg import draw
from leverframe.apps.console.pages_lineage import whole_of
from leverframe.apps.platform.platform import Platform
from leverframe.core.errors import NotFound
from leverframe.core.feature import Aggregate, Expression, FeatureView
from leverframe.core.lineage import graph_of
from leverframe.data.sources.registered import Source

VIEW = FeatureView(
    name="riding",
    source="trips",
    owner="rides",
    entity=("kind",),
    event_time="ended_at",
    arrival_time="ended_at",
    expressions=(Expression(name="seats", sql="seats"),),
)
MILES = FeatureView(
    name="distance",
    source="trips",
    owner="rides",
    entity=("kind",),
    event_time="ended_at",
    arrival_time="ended_at",
    aggregates=(Aggregate(name="miles_1h", function="sum", column="miles", window_us=3_600_000_000),),
)


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    landing = tmp_path / "landing"
    landing.mkdir()
    made = opened(tmp_path / "home", f"file://{landing}")
    for name in ("landing", "unread"):
        made.sources.declare(ANA, Source(name=name, kind="objects", team="rides", location=f"file://{landing}"), key=name)
    (landing / "a.csv").write_bytes(csv("a1"))
    fetch(made, ANA, "trips", "landing", key="fetch")
    for view in (VIEW, MILES):
        made.features.apply_view(ANA, view, key=view.name)
    yield made
    made.close()


def drawn(platform: Platform, thing: str) -> str:
    from rich.console import Console

    console = Console(width=200, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    for tree in trees(platform.lineage.of(thing))[0]:
        console.print(tree)
    return console.export_text()


def test_a_source_leads_to_every_feature_made_of_its_rows_and_a_feature_back_to_it(platform: Platform) -> None:
    shown = platform.lineage.of("source:landing")
    assert shown.focus == ("source/landing",)
    names = {node.name for node in shown.nodes}
    assert {"trips.miles", "riding.seats", "distance.miles_1h"} <= names
    (node,) = (node for node in shown.nodes if node.kind == "source")
    assert node.team == "rides"
    assert node.note.startswith("objects file://")
    assert node.note.endswith("trips read 1 objects")
    assert "source/landing" in {node.id for node in platform.lineage.of("distance.miles_1h").nodes}


def test_a_column_that_a_source_stops_giving_breaks_what_a_change_of_the_dataset_s_column_breaks(platform: Platform) -> None:
    assert platform.lineage.impact(("source:landing.miles",)).hits == platform.lineage.impact(("trips.miles",)).hits
    assert {hit.node.name for hit in platform.lineage.impact(("source:landing.miles",)).hits} == {"distance.miles_1h"}


def test_a_whole_source_reaches_all_its_columns(platform: Platform) -> None:
    found = platform.lineage.impact(("source:landing",))
    assert found.sentence == "Removing landing breaks 6 columns and 2 features."
    assert found.commands[0] == "lever lineage source/landing"


def test_a_source_that_was_never_read_stands_alone_and_one_taken_back_stays(platform: Platform) -> None:
    assert [node.note.partition("; ")[2] for node in platform.lineage.of("source:unread").nodes] == ["nothing was fetched from it yet"]
    before_us = platform.now_us()
    platform.sources.remove(ANA, "landing", key="remove")
    (node,) = (node for node in platform.lineage.of("source:landing").nodes if node.kind == "source")
    assert node.gone
    assert node.note == "was taken back; trips read 1 objects"
    assert not any(node.gone for node in platform.lineage.of("source:landing", before_us).nodes)


@pytest.mark.parametrize("named", ["source:landin.miles", "source:landing.milse", "source:landing.nothing"])
def test_a_column_no_source_gives_is_refused_with_the_closest(platform: Platform, named: str) -> None:
    with pytest.raises(NotFound) as raised:
        platform.lineage.impact((named,))
    assert "source:landing." in raised.value.expected


def test_the_tree_keeps_columns_on_one_line_with_their_source_below(platform: Platform) -> None:
    text = drawn(platform, "distance.miles_1h")
    assert text.count("source landing") == 1
    assert "trips: " in text
    assert drawn(platform, "dataset/trips").count("source landing") == 1, "not once a column"
    assert "feature distance.miles_1h" in drawn(platform, "source:landing")


def test_the_drawing_has_a_layer_of_sources_left_of_the_datasets(platform: Platform) -> None:
    shown = platform.lineage.of("source:landing")
    svg = str(draw(graph_of(shown.nodes, shown.edges), shown.focus, "x"))
    assert svg.index(">Sources<") < svg.index(">Datasets<") < svg.index(">Feature views<")
    assert 'class="edge fetch"' in svg
    whole = whole_of(platform.lineage.graph()[0])
    assert {"source/landing", "dataset/trips", "view/riding"} <= set(whole.nodes)
    assert ("source/landing", "dataset/trips") in {(edge.source, edge.target) for edge in whole.edges}
