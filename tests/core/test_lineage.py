"""The graph of lineage: what is reached from where, by which way, and what a change breaks."""

from leverframe.core.lineage import Edge, Node, graph_of, impact

NODES = [
    *(Node(id=f"column/weather.{c}", kind="column", name=f"weather.{c}", group="weather") for c in ("temp", "origin", "unused")),
    Node(id="column/flights.distance", kind="column", name="flights.distance", group="flights"),
    Node(id="feature/w.warm", kind="feature", name="w.warm", group="w"),
    Node(id="input/m.warm", kind="input", name="m.warm", group="m"),
    Node(id="model/m", kind="model", name="m", group="m"),
    Node(id="version/m@v1", kind="version", name="m@v1", group="m"),
    Node(id="endpoint/prod/m", kind="endpoint", name="prod/m", group="prod/m"),
]
EDGES = [
    Edge(source="column/weather.temp", target="feature/w.warm", role="expression", how="temp > 60"),
    Edge(source="column/weather.origin", target="feature/w.warm", role="key"),
    Edge(source="feature/w.warm", target="input/m.warm", role="selection"),
    Edge(source="input/m.warm", target="model/m", role="input"),
    Edge(source="feature/w.warm", target="version/m@v1", role="input", column="warm"),
    Edge(source="column/flights.distance", target="version/m@v1", role="request", column="distance"),
    Edge(source="version/m@v1", target="endpoint/prod/m", role="serves", how="live 100 %", weight=100.0),
]
GRAPH = graph_of(NODES, EDGES)


def _broken(column, change):
    return {hit.node.id: hit.breaks for hit in impact(GRAPH, [column], change)}


def test_downstream_and_upstream_are_nearest_first_with_their_distance():
    assert GRAPH.downstream(["column/weather.temp"]) == {
        "column/weather.temp": 0,
        "feature/w.warm": 1,
        "input/m.warm": 2,
        "version/m@v1": 2,
        "model/m": 3,
        "endpoint/prod/m": 3,
    }
    assert set(GRAPH.upstream(["model/m"])) == {
        "model/m",
        "input/m.warm",
        "feature/w.warm",
        "column/weather.temp",
        "column/weather.origin",
    }


def test_what_lies_around_a_feature_leaves_out_what_only_shares_a_reader_with_it():
    around = GRAPH.around(["feature/w.warm"])
    assert "column/flights.distance" not in around.nodes
    assert "column/weather.unused" not in around.nodes
    assert set(around.nodes) == set(GRAPH.nodes) - {"column/flights.distance", "column/weather.unused"}


def test_a_removed_column_breaks_everything_on_its_way_to_the_endpoint():
    assert _broken("column/weather.temp", "remove") == dict.fromkeys(
        ("feature/w.warm", "input/m.warm", "version/m@v1", "model/m", "endpoint/prod/m"), True
    )


def test_a_retyped_number_has_to_be_looked_at_and_a_retyped_key_breaks():
    assert not any(_broken("column/weather.temp", "retype").values())
    assert all(_broken("column/weather.origin", "retype").values())


def test_a_version_that_only_learned_from_a_column_goes_on_answering():
    """Callers bring request fields themselves: the training set's column may go without any answer changing."""
    assert _broken("column/flights.distance", "remove") == {"version/m@v1": False, "endpoint/prod/m": False}


def test_an_unused_column_reaches_nothing():
    assert impact(GRAPH, ["column/weather.unused"], "remove") == ()


def test_each_hit_names_a_way_that_exists():
    for hit in impact(GRAPH, ["column/weather.temp", "column/weather.origin"], "remove"):
        for source, target in zip(hit.path, hit.path[1:], strict=False):
            assert any(edge.target == target for edge in GRAPH.leaving(source))
    ways = {hit.node.id: hit.path for hit in impact(GRAPH, ["column/weather.temp"], "remove")}
    assert ways["endpoint/prod/m"] == ("column/weather.temp", "feature/w.warm", "version/m@v1", "endpoint/prod/m")


def test_a_circle_ends():
    """Nothing makes one today; a walk that never ended would stop the control plane."""
    graph = graph_of(NODES[:2], [Edge(source=NODES[a].id, target=NODES[b].id, role="prepare") for a, b in ((0, 1), (1, 0))])
    assert graph.downstream([NODES[0].id]) == {NODES[0].id: 0, NODES[1].id: 1}
    assert len(impact(graph, [NODES[0].id], "remove")) == 1
