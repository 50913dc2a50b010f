"""Lineage of a real, trained installation: from weather's columns to the endpoint, now and as it was."""

import msgspec
import pytest
from tests.apps.fake_records import WEATHER_CONTRACT
from tests.whole_program import copy_home, open_in_process

from leverframe.apps.cli.lineage_tree import impact_rows, trees
from leverframe.apps.demo.project.features import ORIGIN_WEATHER
from leverframe.apps.platform.lineage_graph import GraphBuilder
from leverframe.apps.settings import Settings
from leverframe.core.clock import HOUR_US
from leverframe.core.errors import InvalidInput, NotFound
from leverframe.core.feature import Expression
from leverframe.core.feature_service import FeatureService, ServedFeature


@pytest.fixture(scope="module")
def platform(tmp_path_factory):
    home = copy_home(tmp_path_factory.mktemp("lineage") / "home")
    opened = open_in_process(Settings(home=home, clock=f"replay:{home / 'replay.clock'}"))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def ana(platform):
    import json

    secrets = json.loads((platform.parts.settings.home / "secrets.json").read_text())
    return platform.access.authenticate(secrets["ana"])


def _names(view, kind):
    return {node.name for node in view.nodes if node.kind == kind}


def test_a_weather_column_is_followed_to_the_live_endpoint(platform):
    shown = platform.lineage.of("weather.temp")
    assert _names(shown, "feature") == {"origin_weather.temp"}
    assert _names(shown, "input") == {"flight-delay.origin_weather_temp"}
    assert _names(shown, "version") == {"flight-delay@v1", "flight-delay@v2", "flight-delay@v3"}
    assert _names(shown, "endpoint") == {"prod/flight-delay"}
    serves = [edge for edge in shown.edges if edge.role == "serves"]
    assert [(e.source, e.how, e.weight) for e in serves] == [("version/flight-delay@v1", "live 100 %", 100.0)]


def test_a_version_is_made_from_every_column_that_its_bundle_says(platform):
    shown = platform.lineage.of("flight-delay@v1")
    columns = _names(shown, "column")
    assert {"departures.dep_delay", "weather.wind_gust", "weather.wind_speed", "planes.year", "flights.distance", "flights.late"} <= columns
    assert not any(node.gone for node in shown.nodes), [node for node in shown.nodes if node.gone]


def test_prepared_columns_bring_their_sources_along(platform):
    """v3 was fitted on columns made from others just before fitting: what they were made from counts too."""
    edges = [e for e in platform.lineage.of("version/flight-delay@v3").edges if e.role == "prepare"]
    assert {e.source for e in edges} == {
        f"feature/{view}.mean_{hours}h" for view in ("origin_delays", "carrier_delays") for hours in (2, 24)
    }
    assert not [e for e in platform.lineage.of("version/flight-delay@v1").edges if e.role == "prepare"]


def test_impact_names_inputs_lost_at_the_endpoint_and_whom_to_tell(platform):
    found = platform.lineage.impact(("departures.dep_delay",))
    assert found.breaks
    assert found.sentence == "Removing departures.dep_delay breaks 8 features, 1 model, 3 versions and 1 live endpoint."
    (served,) = found.endpoints
    assert (served.endpoint, served.version, served.weight, served.inputs) == ("flight-delay", "flight-delay@v1", 100.0, 25)
    assert served.lost == tuple(
        f"{view}_{function}_{hours}h" for view in ("carrier_delays", "origin_delays") for function in ("count", "mean") for hours in (24, 2)
    )
    assert list(found.owners) == ["flight-operations"]
    assert set(found.owners["flight-operations"]) == {"view origin_delays", "view carrier_delays", "model flight-delay"}
    assert "lever train flight-delay" in found.commands


def test_a_question_s_column_breaks_training_and_no_answer(platform):
    found = platform.lineage.impact(("flights.distance",))
    verdicts = {hit.node.name: hit.breaks for hit in found.hits}
    names = ("flight-delay.distance", "flight-delay", "flight-delay@v1", "prod/flight-delay")
    assert [verdicts[name] for name in names] == [True, True, False, False]
    assert found.endpoints == ()


def test_an_unused_column_may_change_freely(platform):
    graph, _ = platform.lineage.graph()
    used = {edge.source for edge in graph.edges}
    unused = sorted(node.name for node in graph.nodes.values() if node.kind == "column" and node.id not in used)
    found = platform.lineage.impact(tuple(unused[:2]))
    assert len(found.columns) == 2
    assert (found.hits, found.commands, found.breaks) == ((), (), False)
    assert "can be changed freely" in found.sentence


def test_a_name_of_several_things_is_refused_with_ways_to_say_which(platform):
    with pytest.raises(InvalidInput, match="model/flight-delay or endpoint/prod/flight-delay"):
        platform.lineage.of("flight-delay")
    assert platform.lineage.of("endpoint/prod/flight-delay").focus == ("endpoint/prod/flight-delay",)
    assert set(platform.lineage.of("model/flight-delay").focus) == {
        "model/flight-delay",
        *(f"version/flight-delay@v{n}" for n in (1, 2, 3)),
    }


@pytest.mark.parametrize(
    ("typed", "close"), [("wether.temp", "weather.temp"), ("origin_wether", "origin_weather"), ("flight-delay@v9", "flight-delay@v")]
)
def test_an_unknown_name_suggests_the_closest(platform, typed, close):
    with pytest.raises(NotFound) as raised:
        platform.lineage.of(typed)
    assert close in raised.value.expected
    assert raised.value.next_step.startswith("lever lineage ")


def test_an_unknown_column_suggests_the_closest(platform):
    with pytest.raises(NotFound, match=r"departures\.dep_delay"):
        platform.lineage.impact(("departures.dep_dely",))


def test_the_tree_says_how_and_unfolds_each_thing_once(platform):
    from rich.console import Console

    drawn, over = trees(platform.lineage.of("origin_weather.wind_gust"))
    console = Console(width=200, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    for tree in drawn:
        console.print(tree)
    text = console.export_text()
    assert over == 0
    assert "wind_gust COALESCE(wind_gust, wind_speed)" in text
    assert "origin entity key" in text
    for number in (1, 2, 3):
        assert text.count(f"version flight-delay@v{number}") == 1
    assert "endpoint prod/flight-delay  live 100 %" in text
    rows = impact_rows(platform.lineage.impact(("weather.wind_gust",)))
    assert (
        "breaks",
        "endpoint",
        "prod/flight-delay",
        "weather.wind_gust → origin_weather.wind_gust → flight-delay@v1 → live 100 %",
    ) in rows


def test_a_changed_view_leaves_versions_with_the_definition_they_were_trained_on(platform, ana):
    """The last test of this module: it declares things anew."""
    before_us = platform.now_us()
    platform.parts.clock.set(before_us + HOUR_US)
    expressions = (Expression(name="temp", sql="dewp + humid"), *ORIGIN_WEATHER.expressions[1:])
    platform.features.apply_view(ana, msgspec.structs.replace(ORIGIN_WEATHER, expressions=expressions), key="view-anew")
    service = FeatureService(
        name="weather_now", team="flights", owner="met", features=(ServedFeature(view="origin_weather", feature="temp", name="t"),)
    )
    platform.services.apply_service(ana, service, key="service")

    humid = {hit.node.name for hit in platform.lineage.impact(("weather.humid",)).hits}
    assert {"origin_weather.temp", "flight-delay.origin_weather_temp", "weather_now.t"} <= humid
    trained = platform.lineage.of("flight-delay@v1")
    (temp,) = [e for e in trained.edges if e.column == "origin_weather_temp"]
    assert temp.source.startswith("feature/origin_weather.temp@")
    assert {e.source for e in trained.edges if e.target == temp.source and e.role == "expression"} == {"column/weather.temp"}
    assert {e.source for e in platform.lineage.of("weather_now").edges if e.role == "expression"} == {
        "column/weather.dewp",
        "column/weather.humid",
    }

    as_it_was = platform.lineage.of("origin_weather.temp", before_us)
    assert {e.source for e in as_it_was.edges if e.role == "expression"} == {"column/weather.temp"}
    assert "service_feature/weather_now.t" not in {node.id for node in as_it_was.nodes}


def test_a_view_through_a_function_may_be_made_from_any_column_of_its_source():
    """What a function does to columns cannot be read; the column that is left out would be the one somebody removes."""
    builder = GraphBuilder()
    builder.add_contracts([WEATHER_CONTRACT])
    builder.add_view(msgspec.structs.replace(ORIGIN_WEATHER, transform="team.features:prepare", embedded_only=True))
    graph = builder.graph()
    columns = {f"column/weather.{column.name}" for column in WEATHER_CONTRACT.columns}
    assert columns <= set(graph.upstream(["feature/origin_weather.temp"]))
    assert not any(node.gone for node in graph.nodes.values())
