"""The drawing of lineage: nothing overlaps, everything runs from left to right, each way can be lit, and no name can do harm."""

import random
import re

from tests.apps import fake_records as records

from leverframe.apps.console.lineage_layout import BOX_WIDTH, LAYER_OF, lay_out
from leverframe.apps.console.lineage_svg import EDGES_DRAWN_MAX, NODES_DRAWN_MAX, draw, drawable
from leverframe.apps.console.pages_lineage import whole_of
from leverframe.core.lineage import KINDS, Edge, Graph, Node, graph_of


def _random_graph(seed: int) -> Graph:
    made = random.Random(seed)
    nodes = [
        Node(id=f"{kind}/{group}.{n}", kind=kind, name=f"{group}.{n}", group=f"{kind}-{group}")
        for kind in KINDS
        for group in "abc"
        for n in range(made.randrange(1, 7))
    ]
    pairs = ((made.choice(nodes), made.choice(nodes)) for _ in range(120))
    return graph_of(nodes, [Edge(source=a.id, target=b.id, role="input") for a, b in pairs if LAYER_OF[a.kind] < LAYER_OF[b.kind]])


def test_boxes_do_not_overlap_and_rows_lie_in_their_box():
    for seed in range(20):
        graph = _random_graph(seed)
        layout = lay_out(tuple(graph.nodes.values()), graph.edges)
        for a in layout.boxes:
            assert a.x >= 0
            assert a.y >= 0
            assert a.x + BOX_WIDTH <= layout.width
            assert a.y + a.height <= layout.height
            for row in a.rows:
                assert a.y < layout.middles[row.id][1] < a.y + a.height
            for b in layout.boxes:
                apart = a.x + BOX_WIDTH <= b.x or b.x + BOX_WIDTH <= a.x or a.y + a.height <= b.y or b.y + b.height <= a.y
                assert a is b or apart
        assert len(layout.middles) == len(graph.nodes)
        for edge in graph.edges:
            assert layout.middles[edge.source][0] + BOX_WIDTH < layout.middles[edge.target][0]


def test_sorting_rows_leaves_fewer_crossings_than_the_alphabet():
    """Rows that are joined crosswise by name come to lie beside each other."""
    nodes = [Node(id=f"column/d.{c}", kind="column", name=f"d.{c}", group="d") for c in "abcdef"]
    nodes += [Node(id=f"feature/v.{c}", kind="feature", name=f"v.{c}", group="v") for c in "abcdef"]
    edges = [Edge(source=f"column/d.{a}", target=f"feature/v.{b}", role="expression") for a, b in zip("abcdef", "fedcba", strict=True)]
    middles = lay_out(nodes, edges).middles
    assert all(middles[edge.source][1] == middles[edge.target][1] for edge in edges)


def test_a_row_refers_to_every_curve_of_its_way_and_to_no_other():
    svg = str(draw(records.LINEAGE, ("column/weather.temp",), "x"))
    rows = re.findall(r'<g class="node[^"]*"><g class="way" aria-hidden="true">(.*?)</g><a href="([^"]+)"', svg)
    ways = {address: set(re.findall(r'href="#(e\d+)"', used)) for used, address in rows}
    assert len(ways["/lineage/column~weather.temp"]) == len(records.LINEAGE.edges)
    assert len(ways["/lineage/model~flight-delay"]) == 2
    drawn = set(re.findall(r'<path id="(e\d+)"', svg))
    assert set().union(*ways.values()) == drawn


def test_a_hostile_name_is_text():
    name = '<script>alert(1)</script>"&'
    node = Node(id=f"column/{name}", kind="column", name=name, group=name, note=name)
    svg = str(draw(graph_of([node], []), (), name))
    assert "<script" not in svg
    assert 'href="/lineage/column~%3Cscript%3E' in svg


def test_the_whole_has_a_row_a_thing_and_keeps_only_versions_that_answer():
    nodes = [
        *records.LINEAGE.nodes.values(),
        Node(id="version/flight-delay@v1", kind="version", name="flight-delay@v1", group="flight-delay"),
    ]
    whole = whole_of(graph_of(nodes, records.LINEAGE.edges))
    assert set(whole.nodes) == {
        "dataset/weather",
        "view/origin_weather",
        "version/flight-delay@v2",
        "model/flight-delay",
        "endpoint/prod/flight-delay",
    }
    assert {(e.source, e.target) for e in whole.edges} >= {("dataset/weather", "view/origin_weather")}


def test_a_graph_that_nobody_could_read_is_not_drawn_and_the_largest_that_is_stays_small():
    half, each = NODES_DRAWN_MAX // 2, EDGES_DRAWN_MAX // (NODES_DRAWN_MAX // 2)
    columns = [Node(id=f"column/d.{n}", kind="column", name=f"d.{n}", group="d") for n in range(half)]
    features = [Node(id=f"feature/v.{n}", kind="feature", name=f"v.{n}", group="v") for n in range(half)]
    edges = [Edge(source=c.id, target=features[(n + k) % half].id, role="expression") for n, c in enumerate(columns) for k in range(each)]
    largest = graph_of([*columns, *features], edges)
    assert drawable(largest)
    assert len(str(draw(largest, (), "x"))) < 2_500_000
    assert not drawable(graph_of([*columns, *features, Node(id="column/d.x", kind="column", name="d.x", group="d")], edges))
    assert not drawable(graph_of([*columns, *features], [*edges, Edge(source=columns[0].id, target=features[-1].id, role="key")]))
    assert not drawable(graph_of([], []))
